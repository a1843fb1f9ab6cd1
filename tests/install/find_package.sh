# An installed hone runs from anywhere, and another CMake project builds against it with find_package(hone).
# slow: compiles and links a program of its own
set -euo pipefail
# Another project would have to be built with the sanitizers, too.
grep -q 'CMAKE_CXX_FLAGS_DEBUG.*-fsanitize' "$BUILD/CMakeCache.txt" &&
  grep -q '^CMAKE_BUILD_TYPE:[A-Z]*=Debug' "$BUILD/CMakeCache.txt" && exit 77

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cmake --install "$BUILD" --prefix "$folder/prefix" >"$folder/log"
mv "$folder/prefix" "$folder/moved"

"$folder/moved/bin/hone" --version
[ "$(readlink "$folder/moved/bin/hone-prune")" = hone ]
# Libraries come from the install itself, not from the build's prefix.
if ldd "$folder/moved/bin/hone" | grep -E 'not found|\.cache/hone'; then exit 1; fi

cmake -S "$SOURCES/examples/library" -B "$folder/example" -G Ninja -DCMAKE_PREFIX_PATH="$folder/moved" >>"$folder/log" ||
  { cat "$folder/log"; exit 1; }
cmake --build "$folder/example"
"$folder/example/example"
