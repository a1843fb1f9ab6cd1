#!/usr/bin/env bash
# Data sets, gates, very large files and output paths that are made to do harm: the right exit code, one sentence, no output,
# in bounded time and memory. The readers' own tests (tests/data) go into detail.
. "$SOURCES/tests/tools/common.bash"
. "$SOURCES/tests/tools/hostile.bash"

cat >model.onnxtxt <<'EOF'
<ir_version: 8, opset_import: ["" : 17]>
g (float[N,2] x) => (float[N,3] y) <float[2,3] w = {1,2,3,4,5,6}> { y = MatMul (x, w) }
EOF
data() {  # CODE TEXT FILE [OPTIONS]: what validate says of a data set; 0: it takes it
  local code=$1 said=$2 file=$3
  shift 3
  if [ "$code" = 0 ]; then
    bounded "$HONE" validate model.onnxtxt --data "$file" --latency-runs 0 "$@" >stdout.txt 2>stderr.txt || fail "$file: $(cat stderr.txt)"
  else
    refused "$code" "$said" "$file" validate model.onnxtxt --data IN --latency-runs 0 "$@"
  fi
}

# .npy
npy() {  # FILE HEADER DIGITS
  { printf '\x93NUMPY\x01\x00'
    printf "\\x$(printf %02x $((${#2} % 256)))\\x$(printf %02x $((${#2} / 256)))"
    printf %s "$2"
    printf "$(printf %s "$3" | sed 's/../\\x&/g')"; } >"$1"
}
header() { printf "{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }" "$1" "$2" "$3"; }
npy rows.npy "$(header '<f4' False '2, 2')" 0000803f000000400000404000008040     # 1 2 3 4
npy columns.npy "$(header '<f4' True '2, 2')" 0000803f000040400000004000008040   # the same
for each in rows columns; do
  bounded "$HONE" run model.onnxtxt --input x=$each.npy --output-npz $each.npz --quiet
done
cmp rows.npz columns.npz || fail "Fortran order is read otherwise"
floats=0000803f00000040
npy claims.npy "$(header '<f4' False '1000000000000, 2')" $floats
data 3 "but 8 bytes follow" x=claims.npy
npy overflow.npy "$(header '<f4' False '9223372036854775807, 9223372036854775807')" $floats
data 3 "more bytes than 64 bits count" x=overflow.npy
npy pickled.npy "$(header '|O' False '2,')" 80037d
data 3 "pickled Python objects" x=pickled.npy
npy wide.npy "$(header '<f4' False '1, 4')" $floats$floats
data 3 "the model wants float[N,2]" x=wide.npy
npy double.npy "$(header '<f8' False '1, 2')" 333333333333f33f000000000000f03f  # 1.2 is no float
data 3 "has no equal in float" x=double.npy
printf '\x93NUMPY\x01\x00\xff\xff{' >cut.npy
data 3 "ends after 1 of 65535 bytes" x=cut.npy

# CSV
csv() {  # CODE TEXT CONTENTS
  printf "$3" >data.csv
  data "$1" "$2" data.csv --label label
}
csv 0 "" 'x:0,x:1,label\n1,2,0\n3,4,1\n'
csv 0 "" '\xef\xbb\xbfx:0,x:1,label\r\n1,"2",0\r\n3,4,1\r\n'
csv 3 "has 2 fields, the header 3" 'x:0,x:1,label\n1,2,0\n3,4\n'
csv 3 "the quote is never closed" 'x:0,x:1,label\n1,"2,0\n'
csv 3 "is text" 'x:0,x:1,label\n1,two,0\n'
csv 3 "no rows" 'x:0,x:1,label\n'
csv 3 "none of the 3 classes" 'x:0,x:1,label\n1,2,7\n'
csv 3 "the model wants" 'x,label\n1,0\n'
{ printf 'x:0,x:1,label\n'; head -c 300000000 /dev/zero | tr '\0' 1; } | gzip -1 >line.csv.gz  # a line of 300 MB, in 1.3 MB
data 3 "line" line.csv.gz --label label --max-memory 1GB

# JSONL
jsonl() {
  printf '%s' "$2" >data.jsonl
  data 3 "$1" data.jsonl --label label
}
jsonl "line 2" '{"x":[1,2],"label":0}
{"x":[3,'
jsonl "key 'x' is there twice" '{"x":[1,2],"x":[3,4],"label":0}'
jsonl "1e+308" '{"x":[1e308,1],"label":0}'
jsonl "surrogate" '{"x":[1,2],"label":"\ud800"}'
jsonl "shape [1], in the first line [2]" '{"x":[1,2],"label":0}
{"x":[1],"label":1}'

# Gates: never passed in silence.
printf 'x:0,x:1,label\n1,2,0\n3,4,1\n' >good.csv
gate() {  # CODE TEXT GATE
  local got=0
  bounded "$HONE" validate model.onnxtxt --data good.csv --label label --latency-runs 0 --gate "$3" >stdout.txt 2>stderr.txt || got=$?
  [ "$got" = "$1" ] || fail "gate $3: exit $got instead of $1"
  grep -qF -- "$2" stdout.txt stderr.txt || fail "gate $3: no '$2': $(cat stdout.txt stderr.txt)"
}
gate 2 "unknown metric 'acuracy' (did you mean 'accuracy'?)" 'acuracy >= 0.5'
gate 2 "'nan' is no number" 'accuracy >= nan'
gate 2 "no value after the operator" 'accuracy >='
gate 1 "there is no baseline" 'accuracy drop <= 0.1'
gate 1 "not evaluated" 'r2 >= 0'

# More than protobuf reads (a file with hardly a block on the disk), whole and cut short.
size=2600000000
tensor="$(number 1 $((size / 4)))$(number 2 1)$(text 8 w)$(varint $((9 << 3 | 2)))$(varint $size)"
graph="$relu$(text 2 g)$(varint $((5 << 3 | 2)))$(varint $((${#tensor} / 2 + size)))$tensor"
write large.onnx "$(number 1 8)$opset$(varint $((7 << 3 | 2)))$(varint $((${#graph} / 2 + size)))$graph"
truncate -s $(($(stat -c %s large.onnx) + size)) large.onnx
bounded "$HONE" inspect large.onnx >stdout.txt
grep -q "650000000 parameters" stdout.txt || fail "$(cat stdout.txt)"
got=0
bounded "$HONE" convert large.onnx -o - --level 0 2>stderr.txt | head -c 100 >stdout.txt || got=$?
[ "$got" = 4 ] && grep -q "2 GiB" stderr.txt || fail "exit $got: $(cat stderr.txt)"
truncate -s 2400000000 large.onnx
refused 3 "it was cut short" large.onnx convert IN -o OUT
rm large.onnx

# A name of 8 MiB; many entries of metadata, all with one key. Kept as they are.
head -c 8388608 /dev/zero | tr '\0' n >name
{
  printf '<ir_version: 8, opset_import: ["" : 17]>\ng (float[2] x) => (float[2] y) { '
  cat name; printf ' = Relu (x) y = Neg ('; cat name; printf ') }\n'
} >long.onnxtxt
bounded "$HONE" convert long.onnxtxt -o long.onnx --level 0 --no-history --quiet
bounded "$HONE" convert long.onnx -o again.onnx --level 0 --no-history --quiet
cmp long.onnx again.onnx
write many.onnx "$(model "$relu")"
write entries "$(bytes 14 "$(text 1 key)$(text 2 value)")"
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
  cat entries entries >twice
  mv twice entries
done
cat entries >>many.onnx
bounded "$HONE" convert many.onnx -o kept.onnx --level 0 --no-history --quiet
[ "$(grep -aoF value kept.onnx | wc -l)" = 65536 ] || fail "metadata was lost"

# Outputs stay where they are asked for. What lies beside them, or where a link leads, is not touched.
mkdir here there
printf 0123456789abcdef >there/w.bin
weight="$(number 1 4)$(number 2 1)$(text 8 w)$(bytes 13 "$(text 1 location)$(text 2 w.bin)")$(number 14 1)"
write there/m.onnx "$(model "$(bytes 1 "$(text 1 x)$(text 1 w)$(text 2 y)$(text 4 Add)")$(value 11 x)$(value 12 y)$(bytes 5 "$weight")")"
printf victim >victim.bin
ln -s ../victim.bin here/w.bin
bounded "$HONE" convert there/m.onnx -o here/m.onnx --quiet
[ "$(cat victim.bin)" = victim ] || fail "written through a link"
[ -L here/w.bin ] || fail "a file that was there has gone"
bounded "$HONE" run here/m.onnx --random-inputs --output-npz out.npz --quiet || fail "what was written can't be read"
bounded "$HONE" convert here/m.onnx -o here/m.onnx --quiet || fail "over itself"
bounded "$HONE" run here/m.onnx --random-inputs --output-npz out.npz --quiet || fail "what was written over itself can't be read"
[ "$(cat there/w.bin)" = 0123456789abcdef ] || fail "the weights of the input were changed"
