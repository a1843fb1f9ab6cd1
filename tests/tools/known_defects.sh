#!/usr/bin/env bash
# Defects known from other tools that are about commands: T2, T7, T16, T19 and T20 of tests/passes/known-defects.txt.
. "$SOURCES/tests/tools/common.bash"

# T7: an initializer that is an input keeps both, and overriding it works.
cat >override.onnxtxt <<'END'
<ir_version: 8, opset_import: ["": 17]>
g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {0,0}> { t = Identity(w) y = Add(x, t) }
END
"$HONE" convert override.onnxtxt -o kept.onnxtxt --quiet
grep -qF "(float[2] x, float[2] w) =>" kept.onnxtxt || fail "T7: the input is gone"

# T16: one line, exit 3 or 6, no output.
: >empty.onnx
"$HONE" convert override.onnxtxt -o whole.onnx --quiet
head -c $(($(stat -c %s whole.onnx) - 7)) whole.onnx >cut.onnx
for bad in missing:6 cut:3 empty:3; do
  code=0
  "$HONE" convert "${bad%:*}.onnx" -o out.onnx >out.txt 2>err.txt || code=$?
  [ "$code" = "${bad#*:}" ] || fail "T16: exit $code for ${bad%:*}"
  [ "$(wc -l <err.txt)" = 1 ] || fail "T16: more than a line for ${bad%:*}: $(cat err.txt)"
  [ ! -e out.onnx ] || fail "T16: output written for ${bad%:*}"
done

# T19: a model on standard input.
"$HONE" convert - -o - --quiet --no-history <whole.onnx >piped.onnx
[ -s piped.onnx ] || fail "T19: nothing came out"

# T20: the list says what runs.
"$HONE" convert override.onnxtxt -o out.onnx --print-passes --quiet 2>ran.txt
"$HONE" passes | awk '$2 == 1 || $2 == 2 { print $1 }' >listed.txt
cmp ran.txt listed.txt || fail "T20: the list is not what runs"

# A check that can't be made is not passed over in silence.
cat >random.onnxtxt <<'EOF'
<ir_version: 8, opset_import: ["" : 17]>
g (float[2] x) => (float[2] y) { i = Identity (x) r = RandomNormalLike (i) y = Add (r, x) }
EOF
"$HONE" convert random.onnxtxt -o out.onnx --verify always --report r.json 2>err.txt
grep -q "not verified: node '' (RandomNormalLike) draws random numbers" err.txt || fail "$(cat err.txt)"
grep -q '"verdict": "not run"' r.json || fail "$(cat r.json)"

# A constant that only the branch of an If uses may be declared without a value.
cat >branch.onnxtxt <<'EOF'
<ir_version: 8, opset_import: ["" : 17]>
g (bool c, float[2] x) => (float[2] y) <float[2] w> {
  y = If (c) <then_branch = a () => (float[2] t) { t = Add (x, w) }, else_branch = e () => (float[2] f) { f = Neg (x) }>
}
EOF
"$HONE" convert branch.onnxtxt -o out.onnx --level 0 --quiet
