#!/usr/bin/env bash
# Files that are something else, damaged or made to do harm, through every command that reads a model: the right exit code,
# one sentence, no output, in bounded time and memory. The reader's own tests (tests/onnx/hostile.cpp) go into detail.
. "$SOURCES/tests/tools/common.bash"
. "$SOURCES/tests/tools/hostile.bash"

# Places.
refused_by_all 6 "none.onnx" none.onnx
mkdir folder.onnx
mkfifo fifo.onnx
for place in folder.onnx fifo.onnx /dev/zero; do refused_by_all 6 "$place" "$place"; done

# Something else.
something_else() {  # NAME TEXT DIGITS
  write "$1.onnx" "$3"
  refused 3 "$2" "$1.onnx" convert IN -o OUT
  refused 3 "$2" "$1.onnx" inspect IN
  linted 3 "$2" "$1.onnx"
}
: >empty.onnx
refused_by_all 3 "empty" empty.onnx
something_else page "HTML" "$(hex '<!DOCTYPE html><html><title>404</title></html>')"
something_else xml "XML" "$(hex '<?xml version="1.0"?><Error>AccessDenied</Error>')"
something_else pointer "git lfs pull" "$(hex $'version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 1\n')"
something_else gzip "gzip" "1f8b0800$(hex 'and more bytes')"
something_else zstd "Zstandard" "28b52ffd$(hex 'and more bytes')"
something_else zip "zip" "504b0304$(hex ' something in it, and more')"
something_else torch "PyTorch" "504b0304$(hex ' archive/data.pkl and more')"
something_else keras "HDF5" "894844460d0a1a0a$(hex 'and more bytes')"
something_else tflite "TFLite" "1c000000$(hex 'TFL3 and more')"
something_else safetensors "safetensors" "1000000000000000$(hex '{"a":{"dtype":1}} and more')"
something_else pickle "pickle" "80027d710028580100000061"
something_else json "JSON" "$(hex '{"model": {"layers": []}, "and": "more"}')"
head -c 5000 /dev/urandom >random.onnx
refused_by_all 3 "random.onnx" random.onnx

# The wire.
good=$(model "$relu")
write good.onnx "$good"
bounded "$HONE" convert good.onnx -o kept.onnx --level 0 --no-history --quiet
bounded "$HONE" convert kept.onnx -o again.onnx --level 0 --no-history --quiet
cmp kept.onnx again.onnx
linted 0 "0 errors" good.onnx
damaged() {  # TEXT DIGITS
  write damaged.onnx "$2"
  refused 3 "$1" damaged.onnx convert IN -o OUT
  linted 3 "$1" damaged.onnx
}
for ((size = 1; size < ${#good} / 2; size += 9)); do
  write cut.onnx "${good:0:$((2 * size))}"
  refused 3 "" cut.onnx convert IN -o OUT
done
damaged "cut short" "${good}32ffffffffffffffffff01"
damaged "64 bits" "${good}08ffffffffffffffffffff01"
damaged "group" "${good}0b0c"
damaged "number 0" "${good}020178"
damaged "damaged" "${good}$(hex garbage)"

# Nesting: If in If, 300 deep.
inner=$(text 2 g)
for ((i = 0; i < 300; ++i)); do
  inner=$(bytes 1 "$(text 4 If)$(bytes 5 "$(text 1 then_branch)$(bytes 6 "$inner")$(number 20 5)")")$(text 2 g)
done
damaged "nested" "$(model "$inner")"

# Tensors.
tensor() { damaged "$1" "$(model "$relu$(bytes 5 "$2$(text 8 w)")")"; }  # TEXT FIELDS
float=$(number 2 1)
tensor "64 bits" "$(number 1 $((1 << 62)))$(number 1 4)$float"
tensor "negative" "$(number 1 -1)$float"
tensor "no data" "$(number 1 $((1 << 40)))$float"
tensor "bytes of data" "$(number 1 4)$float$(text 9 short)"
tensor "999" "$(number 1 1)$(number 2 999)$(text 9 1234)"

# External data. A file outside must not be read by any command, whatever way leads to it.
mkdir inside
printf 'secret secret secret' >secret.bin
printf '0123456789abcdef' >inside/w.bin
ln -s ../secret.bin inside/link.bin
ln -s .. inside/up
mkfifo inside/fifo.bin
external() {  # CODE TEXT LOCATION [MORE ENTRIES]
  local weight
  weight=$(number 1 4)$float$(text 8 w)$(bytes 13 "$(text 1 location)$(text 2 "$3")")${4:-}$(number 14 1)
  write inside/m.onnx "$(model "$relu$(bytes 5 "$weight")")"
  [ "$1" = 0 ] || refused "$1" "$2" inside/m.onnx convert IN -o OUT
  linted "$1" "$2" inside/m.onnx
}
entry() { bytes 13 "$(text 1 "$1")$(text 2 "$2")"; }
external 0 "" w.bin
for location in ../secret.bin "$folder/secret.bin" link.bin up/secret.bin 'C:\w.bin' '\\host\w.bin' file:w.bin '~/w.bin' ''; do
  external 3 "" "$location"
done
external 6 "none.bin" none.bin
external 6 "fifo.bin" fifo.bin
external 3 "offset" w.bin "$(entry offset -1)"
external 3 "offset" w.bin "$(entry offset 0x0)"
external 3 "w.bin" w.bin "$(entry offset 9223372036854775807)"
external 3 "length" w.bin "$(entry length 15)"
external 3 "twice" w.bin "$(entry location w.bin)"
external 3 "unknown key" w.bin "$(entry __class__ x)"

# Graphs. All commands, since each goes on from there in its own way.
graph() {  # TEXT GRAPH [MORE]
  write graph.onnx "$(model "$2" "${3:-}")"
  refused_by_all 3 "$1" graph.onnx
}
graph "cycle" "$(node Abs b a)$(node Neg a b)$relu"
graph "'none'" "$(node Abs none a)$relu"
graph "'y'" "$(node Abs x y)$relu"
graph "no outputs" "$(node Relu x y)$(value 11 x)"
graph "input 1 (W) is missing" "$(node Conv x a)$relu"
graph "no more than 1" "$(bytes 1 "$(text 1 x)$(text 1 x)$(text 2 a)$(text 4 Abs)")$relu"
graph "branch is no graph" "$(bytes 1 "$(text 1 c)$(text 2 a)$(text 4 If)")$(bytes 11 "$(text 1 c)$(bytes 2 "$(bytes 1 "$(number 1 9)")")")$relu"
write missing.onnx "$(number 1 8)$opset"
refused_by_all 3 "no graph" missing.onnx
local_opset=$(bytes 8 "$(text 1 local)$(number 2 1)")
call() { bytes 7 "$(text 1 "$2")$(text 2 "$3")$(text 4 "$1")$(text 7 local)"; }
function_of() {  # NAME CALLS
  bytes 25 "$(text 1 "$1")$(text 10 local)$(text 4 a)$(text 5 b)$2$(bytes 9 "$(number 2 17)")$(bytes 9 "$(text 1 local)$(number 2 1)")"
}
graph "it calls" "$relu" "$local_opset$(function_of f "$(call g a b)")$(function_of g "$(call f a b)")"
doubling=
for ((i = 0; i < 30; ++i)); do doubling+=$(function_of "f$i" "$(call "f$((i + 1))" a c)$(call "f$((i + 1))" c b)"); done
graph "more than" "$relu" "$local_opset$doubling$(function_of f30 "$(bytes 7 "$(text 1 a)$(text 2 b)$(text 4 Abs)")")"

# Names are harmless where they are printed.
write names.onnx "$(model "$(node Relu $'\e[31m' y)$(value 11 x)$(value 12 y)")"
refused 3 '\x1b[31m' names.onnx convert IN -o OUT
write names.onnx "$(model "$(node Relu x $'::error::a\nb')$(value 11 x)$(value 12 $'::error::a\nb')")"
for command in "inspect names.onnx" "validate names.onnx --lint" "convert names.onnx -o kept.onnx" \
               "run names.onnx --random-inputs --output-dir kept"; do
  # shellcheck disable=SC2086 # words
  bounded "$HONE" $command >stdout.txt 2>stderr.txt || fail "$command: $(cat stderr.txt)"
  ! grep -q '^::error\|^b' stdout.txt stderr.txt || fail "$command prints a name as it is: $(cat stdout.txt stderr.txt)"
done

# What is read from a pipe is judged alike.
got=0
"$HONE" validate - --lint <page.onnx >stdout.txt 2>stderr.txt || got=$?
[ "$got" = 3 ] && grep -q HTML stdout.txt || fail "lint of stdin: $got"
