# Opsets: up and back gives a model that computes the same; what can't be converted writes nothing; quantize and finetune
# raise old models themselves.
. "$SOURCES/tests/tools/common.bash"

cat >old.onnxtxt <<'MODEL'
<ir_version: 3, opset_import: ["": 6]>
g (float[n, 4] x, float[4, 3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, float[3] b = {1, 2, 3}) => (float[n, 3] y)
{ m = MatMul(x, w) s = Add<broadcast = 1>(m, b) y = Softmax(s) }
MODEL
for level in 0 2; do
  expect 0 "verification: equal" "$HONE" convert old.onnxtxt -o new.onnx --opset 21 --level $level
  expect 0 "verification: equal" "$HONE" convert new.onnx -o back.onnx --opset 9 --level $level
  "$HONE" inspect new.onnx | grep -q 21 || fail "not of opset 21"
done
expect 0 "not asked" "$HONE" convert back.onnx -o same.onnx --opset 9 --level 0
cmp back.onnx same.onnx
expect 2 "opset 99 does not exist" "$HONE" convert back.onnx -o no.onnx --opset 99
cat >bits.onnxtxt <<'MODEL'
<ir_version: 8, opset_import: ["": 18]>
g (uint8[2] x) => (uint8[2] y) { y = BitwiseNot(x) }
MODEL
expect 4 "BitwiseNot (18), node of output 'y': the operator came with opset 18" \
  "$HONE" convert bits.onnxtxt -o no.onnx --opset 17
[ ! -e no.onnx ] || fail "output written"

expect 0 "raised from opset 9 to 13" "$HONE" quantize back.onnx -o small.onnx --mode dynamic
printf 'a,b,c,d,t\n1,2,3,4,0\n4,3,2,1,1\n0,1,0,1,2\n1,0,1,0,0\n' >rows.csv
expect 0 "raised from opset 6 to 7" "$HONE" finetune old.onnxtxt -o tuned.onnx --data rows.csv --label t --epochs 1
