#!/usr/bin/env bash
# hone bench and hone run --profile as commands. With HONE_ORT_LIBRARY set, ONNX Runtime too.
. "$SOURCES/tests/tools/common.bash"
model=$SOURCES/examples/mlp.onnxtxt


"$HONE" convert "$model" -o m.onnx --quiet
"$HONE" bench m.onnx --runs 5 --json --quiet >alone.json
grep -q '"median_ms"' alone.json || fail "no median: $(cat alone.json)"
! grep -q '"ratio"' alone.json || fail "a ratio without a second model"
"$HONE" bench m.onnx --against "$model" --runs 5 --json --report report.json --quiet >both.json
grep -q '"ratio"' both.json || fail "no ratio: $(cat both.json)"
grep -q '"ratio_interval"' report.json || fail "no interval in the report"
"$HONE" bench m.onnx --runs 5 | grep -q 'median' || fail "nothing for people"
code=0
"$HONE" bench m.onnx --dim nowhere=3 2>err.txt || code=$?
[ "$code" = 2 ] && grep -q "nowhere" err.txt || fail "exit $code for an unknown dimension: $(cat err.txt)"
code=0
"$HONE" bench m.onnx --against-ort --ort-library /no/such/library.so 2>err.txt || code=$?
[ "$code" = 6 ] && grep -q -- "--ort-library" err.txt || fail "exit $code without a library: $(cat err.txt)"
if [ -n "${HONE_ORT_LIBRARY:-}" ]; then
  "$HONE" bench m.onnx --against-ort --runs 5 --json --quiet | grep -q '"ratio"' || fail "no ratio against ONNX Runtime"
fi

"$HONE" run m.onnx --random-inputs --profile trace.json --profile-runs 2 --quiet
grep -q '"traceEvents"' trace.json || fail "no trace"
grep -q '"run":2' trace.json || fail "one run instead of two"
grep -q '"op":"Gemm"\|"op":"MatMul"' trace.json || fail "no node in $(head -c 300 trace.json)"
