# For scripts that feed bad files to the commands: bytes written as hexadecimal digits, and what every refusal must be.
# Sourced after common.bash.

# Bounds on every run: time, and memory. A build with the shadow memory of a sanitizer takes no limit of the system, and
# fills what it is allowed too slowly: it gets one of its own.
limit_memory=true
( ulimit -v 4000000 && "$HONE" --version >/dev/null 2>&1 ) || limit_memory=false
bounded() (
  if $limit_memory; then
    ulimit -v 4000000
  elif [[ " $* " != *" --max-memory "* ]]; then
    set -- "$@" --max-memory 1GB
  fi
  exec timeout -k 5 "${SECONDS_EACH:-60}" "$@"
)

# Protobuf, as digits: hex TEXT; varint N; number FIELD N; bytes FIELD DIGITS; text FIELD TEXT
hex() { printf %s "$1" | od -An -v -tx1 | tr -d ' \n'; }
varint() {
  local n=$1
  while ((n < 0 || n > 127)); do
    printf %02x $((n & 127 | 128))
    n=$((n >> 7 & 0x1ffffffffffffff))
  done
  printf %02x "$n"
}
number() { printf %s "$(varint $(($1 << 3)))$(varint "$2")"; }
bytes() { printf %s "$(varint $(($1 << 3 | 2)))$(varint $((${#2} / 2)))$2"; }
text() { bytes "$1" "$(hex "$2")"; }
write() { printf "$(printf %s "$2" | sed 's/../\\x&/g')" >"$1"; }  # write FILE DIGITS

# Parts of a model.
value() { bytes "$1" "$(text 1 "$2")$(bytes 2 "$(bytes 1 "$(number 1 1)$(bytes 2 "$(bytes 1 "$(number 1 4)")")")")"; }  # float[4]
node() {  # node OP INPUT OUTPUT [ATTRIBUTES]
  local digits
  digits=$(text 1 "$2")$(text 2 "$3")$(text 3 "n_$1")$(text 4 "$1")${4:-}
  bytes 1 "$digits"
}
opset=$(bytes 8 "$(number 2 17)")
model() { printf %s "$(number 1 8)$(bytes 7 "$1$(text 2 g)")$opset${2:-}"; }  # model GRAPH [MORE]
relu="$(node Relu x y)$(value 11 x)$(value 12 y)"

# refused CODE TEXT FILE [COMMAND...]: the command ends with this code, says one sentence with this text on stderr, and
# leaves no output. IN stands for the file, OUT for the output.
refused() {
  local code=$1 said=$2 file=$3 got=0
  shift 3
  rm -rf out.onnx
  local words=("${@/#IN/$file}")
  bounded "$HONE" "${words[@]/#OUT/out.onnx}" >stdout.txt 2>stderr.txt </dev/null || got=$?
  [ "$got" = "$code" ] || fail "$file: exit $got instead of $code: ${words[*]}: $(head -c 400 stderr.txt)"
  [ "$(grep -c '^hone: error: ' stderr.txt)" = 1 ] || fail "$file: not one sentence: ${words[*]}: $(head -c 400 stderr.txt)"
  [ -z "$said" ] || grep -qF -- "$said" stderr.txt || fail "$file: no '$said': ${words[*]}: $(head -c 400 stderr.txt)"
  [ ! -e out.onnx ] || fail "$file: an output was left: ${words[*]}"
}

# The same by every command that reads a model.
refused_by_all() {
  local code=$1 said=$2 file=$3
  refused "$code" "$said" "$file" convert IN -o OUT
  refused "$code" "$said" "$file" convert IN -o OUT --level 0
  refused "$code" "$said" "$file" run IN --random-inputs --output-npz OUT
  refused "$code" "$said" "$file" inspect IN
  refused "$code" "$said" "$file" prune IN -o OUT --sparsity 0.5
  refused "$code" "$said" "$file" quantize IN -o OUT --mode dynamic
  refused "$code" "$said" "$file" finetune IN -o OUT --data "$SOURCES/examples/digits/digits.csv.gz" --label digit
  linted "$code" "$said" "$file"
}

# linted CODE TEXT FILE: what lint says on stdout (or, for files that can't be opened, stderr).
linted() {
  local code=$1 said=$2 file=$3 got=0
  bounded "$HONE" validate "$file" --lint >stdout.txt 2>stderr.txt </dev/null || got=$?
  [ "$got" = "$code" ] || fail "$file: lint ends with $got instead of $code: $(head -c 400 stdout.txt stderr.txt)"
  [ -z "$said" ] || grep -qF -- "$said" stdout.txt stderr.txt || fail "$file: lint has no '$said': $(head -c 400 stdout.txt stderr.txt)"
  if [ "$code" = 3 ]; then grep -q '^error: ' stdout.txt || fail "$file: lint names no error: $(head -c 400 stdout.txt)"; fi
}
