#!/usr/bin/env bash
# clang-tidy with the project's rules (.clang-tidy) over the sources and tests; needs the package
# clang-tidy-14 and a configured build folder. A file takes about ten seconds, so that
#   tools/check/tidy.sh --changed [REF]
# looks only at files that differ from REF (main), committed or not. Files may also be named:
#   tools/check/tidy.sh [FILE...]
# BUILD names another build folder than build/release.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-build/release}
# What the build writes is included: without it every file is an error.
cmake --build "$build" --target src/embedded_families.cpp >/dev/null
# Kernels are compiled once per instruction set, with its own headers; selection is by name.
candidates() { grep -E '^(src|tests|tools)/.*\.cpp$' | grep -v '\.simd\.cpp$' || true; }
if [ "${1:-}" = --changed ]; then
  mapfile -t files < <({ git diff --name-only --diff-filter=d "${2:-main}"; git ls-files -o --exclude-standard; } | sort -u | candidates)
elif [ $# -ne 0 ]; then
  files=("$@")
else
  mapfile -t files < <(git ls-files | candidates)
fi
[ ${#files[@]} -ne 0 ] || exit 0
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 1 nice -n 10 clang-tidy-14 --quiet -p "$build" \
  --extra-arg=-Wno-unknown-warning-option --extra-arg=-Wno-unused-command-line-argument 2> >(grep -v 'warnings generated' >&2)
