#!/usr/bin/env bash
# Cutting, joining, renaming and what else hone convert does to a whole model, as commands.
. "$SOURCES/tests/tools/common.bash"


cat >model.onnxtxt <<'TEXT'
<ir_version: 8, opset_import: ["": 17]>
g (float[1,3,4] x) => (float[1,3,4] y) <int64[4] split = {1, 3, 2, 2}, int64[3] join = {1, 3, 4}> {
  r = Reshape(x, split)
  t = Transpose<perm = [0, 2, 1, 3]>(r)
  features = Softmax(t)
  b = Transpose<perm = [0, 2, 1, 3]>(features)
  y = Reshape(b, join)
}
TEXT

# Two parts give the whole, through pipes as well.
"$HONE" split model.onnxtxt --at features -o first.onnx --rest second.onnx -q
"$HONE" merge first.onnx second.onnx -o - -q | "$HONE" run - --random-inputs --output-npz merged.npz -q
"$HONE" run model.onnxtxt --random-inputs --output-npz whole.npz -q
cmp merged.npz whole.npz
"$HONE" inspect first.onnx --history | grep -q split
expect 2 "did you mean 'features'?" "$HONE" extract model.onnxtxt --outputs feature -o a.onnx
expect 2 "do not cut" "$HONE" extract second.onnx --inputs b --outputs y,features -o a.onnx
[ ! -e a.onnx ] || fail "output written"
"$HONE" extract model.onnxtxt --inputs r --outputs features,t -o part.onnx --report part.json -q
grep -q '"after": 2' part.json || fail "not two nodes: $(cat part.json)"
expect 2 "say which feeds which" "$HONE" merge part.onnx model.onnxtxt -o a.onnx

# A dynamic batch, new names, another order.
"$HONE" convert model.onnxtxt --level 0 --batch n --rename x=image --rename y=scores -o batch.onnxtxt --report batch.json
grep -q 'float\[n,3,4\] image' batch.onnxtxt || fail "$(cat batch.onnxtxt)"
grep -q '"after": "\[-1,3,2,2\]"' batch.json || fail "$(cat batch.json)"
expect 2 "neither a positive number nor a name" "$HONE" convert model.onnxtxt --batch 0 -o a.onnx
expect 2 "an initializer" "$HONE" convert model.onnxtxt --rename x=split --level 0 -o a.onnx
expect 2 "no input 'z'" "$HONE" convert model.onnxtxt --order-inputs z -o a.onnx

# Precision.
"$HONE" convert model.onnxtxt --level 0 --precision bf16 -o half.onnxtxt -q --verify never
grep -q 'to: int = 16' half.onnxtxt || fail "$(cat half.onnxtxt)"
"$HONE" convert model.onnxtxt --level 0 --precision fp16 -o half.onnx -q --verify always
"$HONE" convert model.onnxtxt --level 0 --precision mixed -o half.onnx 2> err && grep -q "random inputs" err || fail "$(cat err)"
expect 2 "belong to --precision" "$HONE" convert model.onnxtxt --keep-fp32 Mul -o a.onnx

# Weights beside the model.
expect 2 "makes none" "$HONE" convert model.onnxtxt --external-data inline --shard-size 1MB -o a.onnx
expect 2 "no regular expression" "$HONE" convert model.onnxtxt --strip-metadata '(' -o a.onnx

# What --verify-inputs gives has to be the inputs.
expect 3 "'x'" "$HONE" convert model.onnxtxt --verify always --verify-inputs whole.npz -o a.onnx
