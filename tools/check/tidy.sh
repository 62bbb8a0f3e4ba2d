#!/usr/bin/env bash
# clang-tidy with the project's rules (.clang-tidy) over the sources, or over the given ones; needs the
# package clang-tidy-14 and a configured build folder.
#   tools/check/tidy.sh [BUILD-FOLDER [FILE...]]
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:-build/release}
shift || true
if [ $# -eq 0 ]; then mapfile -t files < <(find src -name '*.cpp' ! -name '*.simd.cpp' | sort); else files=("$@"); fi
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 4 clang-tidy-14 --quiet -p "$build" \
  --extra-arg=-Wno-unknown-warning-option --extra-arg=-Wno-unused-command-line-argument
