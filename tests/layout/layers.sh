# Every source includes only its own layer and lower ones (tests/layout/layers.txt), private headers only of its own
# layer, and ONNX's and protobuf's headers only in lib/onnx (a layer with .proto files of its own may use protobuf).
set -euo pipefail
cd "$SOURCES"

declare -A rank=() allowed=()
while read -r first file layer _; do
  case $first in
    '' | '#') ;;
    except) allowed[$file $layer]=1 ;;
    *) rank[$first]=${#rank[@]} ;;
  esac
done <tests/layout/layers.txt

failures=0
complain() { echo "$*" >&2; failures=$((failures + 1)); }

for folder in lib/*/ include/hone/*/; do
  layer=$(basename "$folder")
  [ -n "${rank[$layer]:-}" ] || complain "$folder: no layer of this name in tests/layout/layers.txt"
done

while IFS=: read -r file line text; do
  layer=${file#lib/} && layer=${layer#include/hone/} && layer=${layer%%/*}
  header=${text#*[<\"]} && header=${header%%[>\"]*}
  case $header in
    hone/*/*)
      target=${header#hone/} && target=${target%%/*} ;;
    onnx/*.h)
      # <onnx/...> is ONNX's; "onnx/..." is a private header of the layer.
      if [[ $text == *\<* ]]; then
        [ "$layer" = onnx ] || [ -n "${allowed[$file onnx]:-}" ] || complain "$file:$line: $header belongs in lib/onnx"
        continue
      fi
      target=onnx ;;
    google/protobuf/*)
      if [ "$layer" != onnx ] && [ -z "$(find "lib/$layer" -name '*.proto')" ]; then
        complain "$file:$line: $header belongs in lib/onnx"
      fi
      continue ;;
    */*)
      target=${header%%/*}
      [ -n "${rank[$target]:-}" ] || continue  # some other library
      if [ "$target" != "$layer" ] && [ -z "${allowed[$file $target]:-}" ]; then
        complain "$file:$line: $header is private to $target"
        continue
      fi ;;
    *) continue ;;
  esac
  if [ -z "${rank[$target]:-}" ]; then
    complain "$file:$line: $header: no such layer"
  elif [ "${rank[$target]}" -gt "${rank[$layer]:-0}" ] && [ -z "${allowed[$file $target]:-}" ]; then
    complain "$file:$line: $layer includes $target, which is above it"
  fi
done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include' --include='*.h' --include='*.cpp' lib include/hone)

[ "$failures" = 0 ] || { echo "$failures includes break the order of layers" >&2; exit 1; }
