# For the tests of commands, which source it: they go on in an empty folder of their own, and have fail and expect.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

fail() { echo "FAILED: $*" >&2; exit 1; }

# expect CODE TEXT COMMAND...: ends with this code and says this on stderr (left in err.txt; stdout in out.txt)
expect() {
  local code=$1 text=$2 got=0
  shift 2
  "$@" >out.txt 2>err.txt </dev/null || got=$?
  [ "$got" = "$code" ] || fail "exit $got instead of $code: $* ($(head -c 300 err.txt))"
  [ -z "$text" ] || grep -qF -- "$text" err.txt || fail "no '$text' from $*: $(head -c 300 err.txt)"
}
