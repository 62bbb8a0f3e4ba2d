#!/usr/bin/env bash
# From a fresh clone to a quantized model: installs what the build needs, builds, and quantizes the
# sample model to Q4_K_M (or runs the command with the given arguments).
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/packages.sh
install_packages "${build_packages[@]}" >&2
cmake -S . -B build/quickstart -G Ninja -DCMAKE_BUILD_TYPE=Release -DQUANTIZE_TESTS=OFF >&2
cmake --build build/quickstart >&2
if [ $# -gt 0 ]; then exec build/quickstart/quantize "$@"; fi
exec build/quickstart/quantize tests/data/techdoc-llama-3m --to q4_k_m --force
