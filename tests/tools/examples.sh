#!/usr/bin/env bash
# The examples run as they are: they end with their gates passed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export HONE
"$SOURCES/examples/quickstart.sh" "$folder/quickstart"
"$SOURCES/examples/cnn.sh" "$folder/cnn"
test -s "$folder/quickstart/current.onnx"
test -s "$folder/quickstart/version-2.json"
