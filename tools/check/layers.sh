#!/usr/bin/env bash
# Which layer may include which, and that sources are ASCII: fails with the lines that break a rule.
#   tools/check/layers.sh [ROOT]
set -eu
cd "${1:-$(dirname "$0")/../..}"

# layer: what it may include besides itself, the public headers and core
declare -A allowed=(
  [core]=""
  [formats]=""
  [quant]=""
  [arch]=""
  [report]=""
  [convert]="formats arch quant"
  [plan]="arch quant convert formats/gguf/layout.hpp formats/safetensors/layout.hpp"
  [pipeline]="quant convert plan report formats/gguf formats/safetensors/layout.hpp"
)
bad=0
for layer in "${!allowed[@]}"; do
  while IFS=: read -r file line text; do
    path=${text#*\"}
    path=${path%%\"*}
    ok=0
    for prefix in quantize core "$layer" ${allowed[$layer]}; do
      case $path in "$prefix" | "$prefix"/*) ok=1 ;; esac
    done
    [ $ok = 1 ] || { echo "$file:$line: $layer must not include \"$path\""; bad=1; }
  done < <(grep -rHnE '^#include "' "src/$layer" --include='*.hpp' --include='*.cpp' 2>/dev/null || true)
done
# The command sees the public headers only; its own are beside it.
while IFS=: read -r file line text; do
  path=${text#*\"}
  path=${path%%\"*}
  case $path in quantize/*) continue ;; esac
  [ -e "src/cli/$path" ] || { echo "$file:$line: cli must not include \"$path\""; bad=1; }
done < <(grep -rHnE '^#include "' src/cli || true)
# Third-party types stay inside.
if grep -rnE '#include <(nlohmann|CLI|spdlog|yaml|openssl)' include; then bad=1; fi
if LC_ALL=C grep -rnP '[^\x00-\x7F]' include src tools --include='*.hpp' --include='*.cpp' \
  --include='*.def' --include='*.sh' --include='CMakeLists.txt' --include='*.cmake'; then
  echo "the lines above are not ASCII"
  bad=1
fi
exit $bad
