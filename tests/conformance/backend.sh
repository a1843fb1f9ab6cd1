# The ONNX backend test cases: all pass but those that tests/conformance/known.txt lists.
# slow
set -euo pipefail
"$SOURCES/tests/conformance/generate" "$BUILD/conformance"
cd "$BUILD/conformance"
"$BUILD/bin/conformance" --verbose --known "$SOURCES/tests/conformance/known.txt" node simple light pytorch-converted pytorch-operator
