# hone --version prints one line and succeeds.
set -euo pipefail
[[ $("$HONE" --version) =~ ^hone\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
