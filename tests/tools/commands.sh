#!/usr/bin/env bash
# The commands as a contract: exit codes, messages, pipes, nothing half-written.
. "$SOURCES/tests/tools/common.bash"
model=$SOURCES/examples/mlp.onnxtxt
digits=(--data "$SOURCES/examples/digits/digits.csv.gz" --label digit --normalize scale=1/16)


"$HONE" --version | grep -q '^hone [0-9]'
expect 2 "did you mean 'convert'" "$HONE" conver x
expect 2 "did you mean '--level'" "$HONE" convert "$model" -o a.onnx --levle 2
expect 2 "did you mean 'fold-constants'" "$HONE" convert "$model" -o a.onnx --passes fold-constant
expect 6 "missing.onnx" "$HONE" convert missing.onnx -o a.onnx
[ ! -e a.onnx ] || fail "output written"

"$HONE" finetune "$model" -o trained.onnx "${digits[@]}" --rows 0:500 --init he --epochs 3 --quiet
head -c 1000 trained.onnx >cut.onnx
: >empty.onnx
echo '<!DOCTYPE html><html></html>' >page.onnx
head -c 5000 /dev/urandom >random.onnx
for bad in cut empty page random; do
  expect 3 "$bad.onnx" "$HONE" convert "$bad.onnx" -o b.onnx
  [ ! -e b.onnx ] || fail "output written for $bad.onnx"
done
expect 6 "/dev/full" "$HONE" convert trained.onnx -o /dev/full

# Level 0 keeps, a second conversion changes nothing, pipes give the same bytes.
"$HONE" convert trained.onnx -o level2.onnx --quiet --no-history
"$HONE" convert level2.onnx -o again.onnx --quiet
cmp level2.onnx again.onnx
"$HONE" convert - -o - --quiet --no-history <trained.onnx | cmp - level2.onnx
"$HONE" convert trained.onnx -o - --level 0 | cmp - trained.onnx

# Pruning is exact, and survives fine-tuning.
"$HONE" prune trained.onnx --sparsity 0.5 -o half.onnx --report half.json --quiet
grep -q '"reached": 0.5' half.json || fail "sparsity not reached: $(cat half.json)"
"$HONE" finetune half.onnx -o tuned.onnx "${digits[@]}" --rows 0:500 --epochs 1 --quiet --report tuned.json
grep -q '"kept": true' tuned.json || fail "zeros not kept"
"$HONE" prune trained.onnx --sparsity 0.5 --structure channel -o narrow.onnx --quiet
[ "$(stat -c %s narrow.onnx)" -lt $(($(stat -c %s trained.onnx) * 6 / 10)) ] || fail "channels did not go"
expect 2 "sparsity" "$HONE" prune trained.onnx --sparsity 1.5 -o c.onnx
expect 2 "calibration data" "$HONE" quantize trained.onnx --mode static -o c.onnx
"$HONE" quantize trained.onnx --mode dynamic -o dynamic.onnx --quiet

# Gates.
expect 1 "" "$HONE" validate trained.onnx "${digits[@]}" --gate 'accuracy >= 100%'
expect 1 "" "$HONE" validate trained.onnx "${digits[@]}" --gate 'accuracy drop <= 1pp'
expect 2 "accurcy" "$HONE" validate trained.onnx "${digits[@]}" --gate 'accurcy >= 0.5'
expect 0 "" "$HONE" validate dynamic.onnx --against trained.onnx "${digits[@]}" --gate 'accuracy drop <= 2pp'

# Reports in every form, also of what went wrong; options that may be repeated leave the model alone.
expect 1 "" "$HONE" validate "${digits[@]}" --gate 'accuracy >= 100%' trained.onnx --report r.json --report r.xml \
  --report markdown=r.txt --report github=-
grep -q '"outcome": "fail"' r.json || fail "report: $(head -c 300 r.json)"
grep -q '<failure type="fail"' r.xml || fail "JUnit: $(cat r.xml)"
grep -q '^### hone validate: 0 of 1 gates passed, 1 fail' r.txt || fail "Markdown: $(cat r.txt)"
grep -q '^::error title=hone validate::accuracy >= 100%25: fail' out.txt || fail "annotations: $(cat out.txt)"
grep -q '^accuracy' err.txt || fail "no table beside a report on standard output"
expect 3 "cut.onnx" "$HONE" validate cut.onnx "${digits[@]}" --report r.json
grep -q '"kind": "bad input"' r.json || fail "error report: $(cat r.json)"
expect 2 "standard output" "$HONE" prune trained.onnx --sparsity 0.5 -o - --report -
expect 2 "--batch-size: 0 is not above 0" "$HONE" validate trained.onnx --batch-size 0
got=0
"$HONE" validate trained.onnx >/dev/full 2>err.txt || got=$?
[ "$got" = 6 ] || fail "exit $got instead of 6 on a full disk"
expect 2 "names no file" "$HONE" prune trained.onnx --sparsity 0.5 -o c.onnx --report junit=
[ ! -e c.onnx ] || fail "pruned before the report was understood"

# Training: a full disk, an interrupted run that goes on, logs that grow.
expect 6 "No space" "$HONE" finetune trained.onnx -o c.onnx "${digits[@]}" --rows 0:64 --epochs 1 --metrics /dev/full
run=("$HONE" finetune trained.onnx "${digits[@]}" --rows 0:128 --quiet --threads 1)
"${run[@]}" -o whole.onnx --epochs 3
"${run[@]}" -o part.onnx --epochs 1 --checkpoint c.npz --metrics m.jsonl
"${run[@]}" -o part.onnx --epochs 3 --checkpoint c.npz --metrics m.jsonl --resume
cmp whole.onnx part.onnx || fail "resumed otherwise"
[ "$(grep -c '"epoch":' m.jsonl)" = 3 ] || fail "metrics: $(cat m.jsonl)"

# Feeding and inspecting.
"$HONE" run trained.onnx --random-inputs --output-npz out.npz --quiet
"$HONE" inspect trained.onnx --json | grep -q '"parameters"'
"$HONE" inspect half.onnx --history | grep -q prune
