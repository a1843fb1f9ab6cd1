#!/usr/bin/env bash
# hone validate --lint: everything at once, as text, JSON and SARIF.
. "$SOURCES/tests/tools/common.bash"
. "$SOURCES/tests/tools/hostile.bash"

write m.onnx "$(model "$(node Conv x a)$(node Abs none b)$(node NoSuch x c)$(node Elu x d "$(bytes 5 "$(text 1 odd)$(number 3 1)$(number 20 2)")")$relu")"
linted 3 "error: node 'n_Conv' (Conv): input 1 (W) is missing [missing-input]" m.onnx
for line in "error: node 'n_Abs' (Abs): input 'none'" "[undefined-input]" "warning: node 'n_NoSuch' (NoSuch): " \
            "error: node 'n_Elu' (Elu): the operator has no attribute 'odd' [unknown-attribute]" \
            "m.onnx: 3 errors, "; do
  grep -qF -- "$line" stdout.txt || fail "no '$line': $(cat stdout.txt)"
done
[ ! -s stderr.txt ] || fail "lint writes to stderr: $(cat stderr.txt)"
got=0
"$HONE" validate m.onnx --lint --quiet --report report.json --sarif lint.sarif >stdout.txt || got=$?
[ "$got" = 3 ] || fail "exit $got"
! grep -q warning stdout.txt || fail "warnings under --quiet"
grep -q '"rule": "missing-input"' report.json && grep -q '"errors": 3' report.json || fail "report: $(cat report.json)"
grep -q '"ruleId": "missing-input"' lint.sarif && grep -q '"version": "2.1.0"' lint.sarif || fail "$(cat lint.sarif)"
"$HONE" validate m.onnx --lint --sarif - >out.sarif || true
cmp out.sarif lint.sarif

# From a pipe; clean models; the model of an example, which has no weights yet.
got=0
"$HONE" validate - --lint <m.onnx >stdout.txt || got=$?
[ "$got" = 3 ] && grep -q "missing-input" stdout.txt || fail "from a pipe: $got"
linted 0 "0 errors" "$SOURCES/examples/mlp.onnxtxt"
# A scale of zero: convert keeps it and warns, lint doesn't take it.
cat >scale.onnxtxt <<'T'
<ir_version: 8, opset_import: ["": 17]>
g (float[4] x) => (float[4] y) <float scale = {0}> { q = QuantizeLinear(x, scale) y = DequantizeLinear(q, scale) }
T
linted 3 "[bad-scale]" scale.onnxtxt
"$HONE" convert scale.onnxtxt -o kept.onnx 2>stderr.txt || fail "$(cat stderr.txt)"
grep -q "warning.*scale" stderr.txt || fail "no warning about the scale: $(cat stderr.txt)"

# Usage.
refused 2 "--sarif" m.onnx validate IN --sarif OUT
refused 2 "--lint" m.onnx validate IN --lint --gate 'size <= 1MB'
