#!/usr/bin/env bash
# What goes wrong around a command: signals, full disks, closed pipes, a kill in the middle of writing. No half-written file
# ever, old outputs survive, and the exit code says what it was.
. "$SOURCES/tests/tools/common.bash"
mounted= holder=
cleanup() {
  [ -z "$holder" ] || kill "$holder" 2>/dev/null || true
  [ -z "$mounted" ] || umount "$folder/disk" || true
  rm -rf "$folder"
}
trap cleanup EXIT
digits=(--data "$SOURCES/examples/digits/digits.csv.gz" --label digit --normalize scale=1/16)
header='<ir_version: 10, opset_import: ["": 21]>'

# 2 MB of weights; and a loop that does not end.
printf '%s\ng (float[4,512] x) => (float[4,1024] y) <float[512,1024] w> { y = MatMul (x, w) }\n' "$header" >big.onnxtxt
"$HONE" convert big.onnxtxt -o big.onnx --level 0 --no-history --quiet
printf '%s\ng (float[1] x) => (y) <int64 n = {1099511627776}> {
  z = Identity (x) y = Loop (n, , z) <body = b (int64 i, bool c, float[1] v) => (bool d, float[1] w) { d = Identity (c) w = Sin (v) }>
}\n' "$header" >loop.onnxtxt

# interrupted SIGNAL CODE COMMAND...: ends with this code soon after the signal, and leaves nothing in the folder `out`.
interrupted() {
  local signal=$1 code=$2 got=0 process
  shift 2
  rm -rf out && mkdir out
  "$HONE" "$@" <&0 >stdout.txt 2>stderr.txt &
  process=$!
  # A shell starts what runs beside it with SIGINT ignored: a signal before the command has its own handler would be lost.
  for _ in {1..200}; do
    local caught
    caught=$(sed -n 's/^SigCgt:[^0-9a-f]*//p' "/proc/$process/status" 2>/dev/null) || break
    ((0x${caught:-0} & 2)) && break
    sleep 0.1
  done
  sleep 0.7
  kill -0 "$process" 2>/dev/null || fail "ended before the signal: $*: $(cat stderr.txt)"
  kill -s "$signal" "$process"
  # Not a subshell that waits to kill it: one that is ended before it has dropped this shell's trap runs cleanup.
  for _ in {1..600}; do
    kill -0 "$process" 2>/dev/null || break
    sleep 0.1
  done
  kill -9 "$process" 2>/dev/null || true
  wait "$process" || got=$?
  [ "$got" = "$code" ] || fail "exit $got instead of $code after $signal: $*: $(cat stderr.txt)"
  [ -z "$(ls -A out)" ] || fail "left after $signal: $(ls -A out): $*"
}
mkfifo never
sleep infinity >never 2>/dev/null &
holder=$!
for signal in INT TERM; do
  [ $signal = INT ] && code=130 || code=143
  interrupted $signal $code run loop.onnxtxt --random-inputs --output-npz out/y.npz
  interrupted $signal $code finetune "$SOURCES/examples/mlp.onnxtxt" -o out/m.onnx "${digits[@]}" --init he --epochs 100000 --quiet
  interrupted $signal $code convert loop.onnxtxt -o out/m.onnx --verify always
  interrupted $signal $code quantize - -o out/m.onnx --mode dynamic <never  # a pipe that brings nothing
done
kill $holder
wait $holder 2>/dev/null || true
holder=

# Closed pipes: the signal that ends other filters, too.
got=0
env --default-signal=PIPE "$HONE" convert big.onnx -o - --level 0 2>stderr.txt | head -c 10 >/dev/null || got=${PIPESTATUS[0]}
[ $got = 141 ] || fail "exit $got into a closed pipe: $(cat stderr.txt)"

# Output over the input: whole, and the same as elsewhere.
cp big.onnx same.onnx
"$HONE" convert big.onnx -o other.onnx --no-history --quiet
"$HONE" convert same.onnx -o same.onnx --no-history --quiet
cmp same.onnx other.onnx

# A full device.
got=0
"$HONE" convert big.onnx -o /dev/full --quiet 2>stderr.txt || got=$?
[ $got = 6 ] && grep -q '/dev/full' stderr.txt || fail "exit $got on a full device: $(cat stderr.txt)"
got=0
"$HONE" inspect big.onnx --report /dev/full 2>stderr.txt >stdout.txt || got=$?
[ $got = 6 ] || fail "exit $got for a report on a full device"

# Killed while it writes (by the limit on file sizes, which no handler catches): the old output is whole, what was left
# goes when the next run writes there.
mkdir out2
cp other.onnx out2/m.onnx
got=0
( ulimit -c 0; ulimit -f 500; exec env --default-signal=XFSZ "$HONE" convert big.onnx -o out2/m.onnx --level 0 --quiet ) 2>/dev/null || got=$?
[ $got -gt 128 ] || fail "exit $got, and it should have been killed"
cmp out2/m.onnx other.onnx
[ "$(ls -A out2 | wc -l)" = 2 ] || fail "expected a temporary beside the output: $(ls -A out2)"
"$HONE" convert big.onnx -o out2/m.onnx --level 0 --quiet
[ "$(ls -A out2)" = m.onnx ] || fail "the temporary of a killed process stays: $(ls -A out2)"

# A full disk. Needs the right to mount one.
mkdir disk
if mount -t tmpfs -o size=1m none disk 2>/dev/null; then
  mounted=yes
  echo old >disk/m.onnx
  for options in "" "--external-data external"; do
    got=0
    # shellcheck disable=SC2086 # words
    "$HONE" convert big.onnx -o disk/m.onnx --level 0 --quiet $options 2>stderr.txt || got=$?
    [ $got = 6 ] && [ "$(cat disk/m.onnx)" = old ] || fail "exit $got on a full disk: $(cat stderr.txt)"
    [ "$(ls -A disk)" = m.onnx ] || fail "left on a full disk: $(ls -A disk)"
  done
else
  echo "no right to mount a small disk: a full one is not tested"
fi
