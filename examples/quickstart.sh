#!/usr/bin/env bash
# From training data to a validated, pruned, quantized model, and to its next version.
#
# usage: examples/quickstart.sh [OUTPUT_FOLDER]        HONE=path/to/hone for another binary
#
# An MLP for handwritten digits is trained from scratch, pruned to half, fine-tuned with the zeros kept, quantized to int8,
# and gated against the trained model. Then new data comes in: the model is retrained, optimized by the same steps, and takes
# over only if it is no worse. See examples/digits/README.md for the data.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
hone=${HONE:-$here/../build/release/bin/hone}
out=${1:-$here/../build/quickstart}
mkdir -p "$out"

data=(--data "$here/digits/digits.csv.gz" --label digit --normalize scale=1/16)
old=0:1000 new=1000:1300 test=1300:

step() { printf '\n== %s\n' "$*"; }

# optimize TRAINED ROWS RESULT: prune, fine-tune with the zeros kept, simplify, quantize.
optimize() {
  "$hone" prune "$1" --sparsity 0.5 -o - --quiet |
    "$hone" finetune - -o "$out/pruned.onnx" "${data[@]}" --rows "$2" --epochs 15 --learning-rate 3e-4 --seed 2 --quiet
  "$hone" convert "$out/pruned.onnx" -o - --quiet |
    "$hone" quantize - --mode static "${data[@]}" --rows "$2" -o "$3"
}

step "Train from scratch, with L2 and dropout"
"$hone" finetune "$here/mlp.onnxtxt" -o "$out/trained-1.onnx" "${data[@]}" --rows $old --init he \
  --epochs 60 --optimizer adam --learning-rate 1e-3 --l2 1e-4 --seed 1 --metrics "$out/training.jsonl" --quiet
"$hone" validate "$out/trained-1.onnx" "${data[@]}" --rows $test --gate 'accuracy >= 96%' --report "$out/trained-1.json"

step "Prune to 50 %, fine-tune, quantize to int8"
optimize "$out/trained-1.onnx" $old "$out/version-1.onnx"

step "Validate against the trained model"
"$hone" validate "$out/version-1.onnx" --against "$out/trained-1.onnx" "${data[@]}" --rows $test \
  --gate 'accuracy >= 95%' --gate 'accuracy drop <= 1pp' --gate 'size ratio <= 40%' --report "$out/version-1.json"

step "New data: retrain on old and new rows, optimize again"
"$hone" finetune "$out/trained-1.onnx" -o "$out/trained-2.onnx" "${data[@]}" --rows "$old,$new" \
  --epochs 20 --learning-rate 3e-4 --l2 1e-4 --seed 3 --quiet
optimize "$out/trained-2.onnx" "$old,$new" "$out/version-2.onnx"

step "Accept the new version only if it is no worse"
if "$hone" validate "$out/version-2.onnx" --against "$out/version-1.onnx" "${data[@]}" --rows $test \
  --gate 'accuracy drop <= 0pp' --report "$out/version-2.json"; then
  cp "$out/version-2.onnx" "$out/current.onnx"
  echo "version 2 is current"
else
  cp "$out/version-1.onnx" "$out/current.onnx"
  echo "version 1 stays current"
  exit 1
fi
step "What was done to it"
"$hone" inspect "$out/current.onnx" --history --sparsity
