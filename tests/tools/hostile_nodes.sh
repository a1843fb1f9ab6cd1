#!/usr/bin/env bash
# Nodes with impossible attributes, and valid ones with enormous results: convert keeps or refuses them and does not fold
# them, lint and run say what is wrong before anything large is allocated.
. "$SOURCES/tests/tools/common.bash"
. "$SOURCES/tests/tools/hostile.bash"
SECONDS_EACH=30
header='<ir_version: 10, opset_import: ["": 21]>'

# node CODES TEXT: convert ends well (or with 3) and makes nothing large; run ends with one of CODES.
node() {
  local codes=$1 got
  printf '%s\n%s\n' "$header" "$2" >node.onnxtxt
  rm -f out.onnx
  got=0
  bounded "$HONE" convert node.onnxtxt -o out.onnx --verify never --quiet 2>stderr.txt || got=$?
  case $got in
    0) [ "$(stat -c %s out.onnx)" -lt 70000 ] || fail "folded to $(stat -c %s out.onnx) bytes: $2" ;;
    3) [ ! -e out.onnx ] || fail "an output was left: $2" ;;
    *) fail "convert ends with $got: $2: $(head -c 300 stderr.txt)" ;;
  esac
  got=0
  bounded "$HONE" validate node.onnxtxt --lint --quiet >stdout.txt 2>stderr.txt || got=$?
  [ "$got" = 0 ] || [ "$got" = 3 ] || fail "lint ends with $got: $2: $(head -c 300 stderr.txt)"
  rm -f out.npz
  got=0
  bounded "$HONE" run node.onnxtxt --random-inputs --output-npz out.npz --quiet 2>stderr.txt || got=$?
  [[ " $codes " == *" $got "* ]] || fail "run ends with $got, not one of $codes: $2: $(head -c 300 stderr.txt)"
  [ "$got" = 0 ] || [ "$(grep -c '^hone: error: ' stderr.txt)" = 1 ] || fail "not one sentence: $2: $(cat stderr.txt)"
  [ "$got" = 0 ] || [ ! -e out.npz ] || fail "an output was left: $2"
}
huge=4611686018427387904  # 2^62

# Impossible attributes, on an input and (so that folding meets them) on a constant.
both() {  # CODES OPERATOR-WITH-ARGUMENTS SHAPE CONSTANTS
  node "$1" "g (float[$3] x) => (y) <${4:-int64[1] unused}> { y = $2 }"
  node "$1" "g (float[1] z) => (y) <float[$3] x${4:+, $4}> { y = $2 }"
}
w='float[4,4,3,3] w'
for op in Conv ConvTranspose; do
  both 3 "$op <group = 0> (x, w)" 1,4,5,5 "$w"
  both 3 "$op <group = -1> (x, w)" 1,4,5,5 "$w"
  both 3 "$op <strides = [0, 0]> (x, w)" 1,4,5,5 "$w"
  both "3 7" "$op <dilations = [$huge, $huge]> (x, w)" 1,4,5,5 "$w"
  both 3 "$op <pads = [1, 1, 1]> (x, w)" 1,4,5,5 "$w"
  both "3 7" "$op <pads = [$huge, $huge, $huge, $huge]> (x, w)" 1,4,5,5 "$w"
  both 3 "$op <kernel_shape = [0, 0]> (x, w)" 1,4,5,5 "$w"
done
# Products that come out small again in 64 bits.
both "3 7" "Conv <dilations = [$huge, $huge]> (x, w)" 1,1,8,8 "float[1,1,5,5] w"
both "3 7" "MaxPool <kernel_shape = [5, 5], dilations = [$huge, $huge]> (x)" 1,1,8,8
for op in MaxPool AveragePool LpPool; do
  both 3 "$op <kernel_shape = [0, 0]> (x)" 1,1,4,4
  both 3 "$op <kernel_shape = [2, 2], strides = [0, 0]> (x)" 1,1,4,4
  both 3 "$op <kernel_shape = [2, 2], pads = [1]> (x)" 1,1,4,4
done
both 3 "Reshape (x, s)" 2,3 "int64[2] s = {-1, -1}"
both "3 7" "Reshape (x, s)" 2,3 "int64[2] s = {$huge, 4}"
both 3 "Slice (x, s, e, a, z)" 4 "int64[1] s = {0}, int64[1] e = {4}, int64[1] a = {0}, int64[1] z = {0}"
both 3 "Slice (x, s, e, a)" 4 "int64[1] s = {0}, int64[1] e = {4}, int64[1] a = {9}"
node 3 "g (float[4] x) => (y, y2) <int64[2] s = {0, 0}> { y, y2 = Split (x, s) }"
node 3 "g (float[4] x) => (y) { y = Split <num_outputs = 0> (x) }"
both 3 "Transpose <perm = [0, 5]> (x)" 2,3
both 3 "Transpose <perm = [0, 0]> (x)" 2,3
for op in Softmax Flatten ArgMax; do both 3 "$op <axis = 9> (x)" 2,3; done
both 3 "Gather <axis = -9> (x, i)" 2,3 "int64[1] i = {0}"
both 3 "Gather (x, i)" 2,3 "int64[1] i = {99}"
both 3 "DepthToSpace <blocksize = 0> (x)" 1,4,2,2
both 3 "DequantizeLinear (x, s)" 4 "int64[1] s = {1}"
for equation in "i.j->i" "......->..." "i-j" "ij,jk->ik" "ij->k" "->"; do
  both 3 "Einsum <equation = \"$equation\"> (x)" 2,3
done

# Valid, and enormous: not folded; running them is a matter of resources.
tera=1099511627776  # 2^40
node 7 "g (float[1] x) => (y) <int64[1] s = {$tera}> { y = ConstantOfShape (s) }"
node 7 "g (float[1] x) => (y) <int64 a = {0}, int64 b = {1000000000000}, int64 c = {1}> { y = Range (a, b, c) }"
both 7 "Tile (x, r)" 1 "int64[1] r = {$tera}"
both 7 "Expand (x, r)" 1 "int64[1] r = {$tera}"
both 7 "Pad (x, p)" 4 "int64[2] p = {1000000000000, 0}"
both 7 "Resize (x, , s)" 1,1,4,4 "float[4] s = {1, 1, 1e5, 1e5}"
node 7 "g (float[1] x) => (y) <int64[4] i = {0, 1, 2, 3}, int64 d = {1000000000000}, float[2] v = {0, 1}> { y = OneHot (i, d, v) }"
node 7 "g (float[1] x) => (y) { y = RandomNormal <shape = [$tera]> () }"
# Doubling: 40 nodes, each twice the one before. Text doubles without a shape that says so.
doubling='g (float[1] x) => (v40) { v0 = Constant <value_floats = [1.0, 2.0]> ()'
strings='g (float[1] x) => (v40) { v0 = Constant <value_strings = ["ab"]> ()'
for ((i = 1; i <= 40; ++i)); do
  doubling+=" v$i = Concat <axis = 0> (v$((i - 1)), v$((i - 1)))"
  strings+=" v$i = StringConcat (v$((i - 1)), v$((i - 1)))"
done
node 7 "$doubling }"
node 7 "$strings }"

# Products that lead to one number each, of a million additions a value: folding gives up before they take long.
products='<ir_version: 10, opset_import: ["": 21]> g (float[1] x0) => (x400) <int64[2] s = {1000, 1000}> {'
for ((i = 1; i <= 400; ++i)); do
  products+=" a$i = ConstantOfShape <value = float[1] {$i}> (s) b$i = MatMul (a$i, a$i)"
  products+=" c$i = ReduceSum <keepdims = 0> (b$i) x$i = Add (x$((i - 1)), c$i)"
done
echo "$products }" >node.onnxtxt
bounded "$HONE" convert node.onnxtxt -o out.onnx --verify never --quiet || fail "many products: convert ends with $?"
