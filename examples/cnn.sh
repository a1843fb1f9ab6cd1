#!/usr/bin/env bash
# The same as quickstart.sh for a small convolutional network, with channels removed instead of weights zeroed.
#
# usage: examples/cnn.sh [OUTPUT_FOLDER]        HONE=path/to/hone for another binary
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
hone=${HONE:-$here/../build/release/bin/hone}
out=${1:-$here/../build/cnn}
mkdir -p "$out"

data=(--data "$here/digits/digits.csv.gz" --label digit --normalize scale=1/16)
train=0:1300 test=1300:

"$hone" finetune "$here/cnn.onnxtxt" -o "$out/trained.onnx" "${data[@]}" --rows $train --init he \
  --epochs 25 --optimizer adam --learning-rate 2e-3 --l2 1e-4 --seed 1 --quiet
"$hone" prune "$out/trained.onnx" --structure channel --sparsity 0.25 -o - --quiet |
  "$hone" finetune - -o "$out/pruned.onnx" "${data[@]}" --rows $train --epochs 15 --learning-rate 1e-3 --seed 2 --quiet
"$hone" quantize "$out/pruned.onnx" --mode static "${data[@]}" --rows $train -o "$out/small.onnx" --explain
"$hone" validate "$out/small.onnx" --against "$out/trained.onnx" "${data[@]}" --rows $test \
  --gate 'accuracy >= 95%' --gate 'accuracy drop <= 1.5pp' --gate 'size ratio <= 50%' --report "$out/report.json"
