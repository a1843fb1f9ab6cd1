#!/usr/bin/env bash
# slow
# alone
# Large graphs cost what is in them: four times the nodes, about four times the work. Work is processor time, so that a
# busy machine does not count; a quadratic step would make it sixteen times.
. "$SOURCES/tests/tools/common.bash"
TIMEFORMAT='%U %S'

chain() {  # nodes that depend on one another
  awk -v n="$1" 'BEGIN {
    print "<ir_version: 10, opset_import: [\"\": 21]>\ng (float[2,3] v0) => (float[2,3] v" n ") {"
    for (i = 1; i <= n; ++i) print "v" i " = " (i % 3 == 0 ? "Sin" : i % 3 == 1 ? "Cos" : "Atan") " (v" (i - 1) ")"
    print "}" }'
}
wide() {  # nodes beside each other, and one that takes them all
  awk -v n="$1" 'BEGIN {
    print "<ir_version: 10, opset_import: [\"\": 21]>\ng (float[2,3] x) => (float[2,3] y) <float[2,3] c> {"
    for (i = 1; i <= n; ++i) print "a" i " = Add (x, b" i ")"
    printf "y = Sum (a1"
    for (i = 2; i <= n; ++i) printf ", a%d", i
    print ")\n}" }' | awk -v n="$1" '{ if (/<float\[2,3\] c>/) {
      printf "g (float[2,3] x"; for (i = 1; i <= n; ++i) printf ", float[2,3] b%d", i; print ") => (float[2,3] y) {" } else print }'
}
functions() {  # functions that call each other once, n of them in chains of 50
  awk -v n="$1" 'BEGIN {
    print "<ir_version: 10, opset_import: [\"\": 21, \"local\": 1]>\ng (float[2,3] x) => (float[2,3] y) {\nt0 = Identity (x)"
    for (i = 0; i < n / 50; ++i) print "t" (i + 1) " = local.f" (i * 50) " (t" i ")"
    print "y = Neg (t" int(n / 50) ")\n}"
    for (i = 0; i < n; ++i) {
      print "<domain: \"local\", opset_import: [\"\": 21, \"local\": 1]>\nf" i " (a) => (b) {"
      print (i % 50 == 49 ? "b = Sin (a)" : "c = local.f" (i + 1) " (a)\nb = Cos (c)") "\n}" } }'
}

# scales KIND SMALL COMMAND...: the command on KIND of size 4 * SMALL against SMALL; IN is the model.
scales() {
  local kind=$1 small=$2 times=() size
  shift 2
  for size in "$small" $((4 * small)); do
    "$kind" "$size" >text.onnxtxt
    "$HONE" convert text.onnxtxt -o in.onnx --level 0 --no-history --quiet
    { time timeout 300 "$HONE" "${@/#IN/in.onnx}" >/dev/null 2>err.txt; } 2>time.txt || fail "$kind $size: $* ($(head -c 300 err.txt))"
    times+=("$(awk '{ print $1 + $2 }' time.txt)")
  done
  echo "$kind: $* takes ${times[0]} s for $small, ${times[1]} s for four times as many"
  # A fixed part of 20 ms for starting; 8 is twice what it should be and half of what a square would give.
  awk -v a="${times[0]}" -v b="${times[1]}" 'BEGIN { exit !(b <= 8 * a + 0.02) }' || fail "$kind: ${times[*]} s: $*"
}
for kind in chain wide functions; do
  size=10000
  [ $kind = functions ] && size=1000
  scales $kind $size convert IN -o out.onnx --verify never
  scales $kind $size validate IN --lint
done
