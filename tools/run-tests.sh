#!/usr/bin/env bash
# Installs what the tests need, builds, runs them all.
#   tools/run-tests.sh [PRESET] [CTEST-OPTION...]     presets: release (default), clang, asan, tsan, arm64 ...
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/packages.sh
install_packages "${build_packages[@]}" "${test_packages[@]}"
preset=${1:-release}
shift || true
if [ "$preset" = arm64 ]; then
  dpkg --print-foreign-architectures | grep -q '^arm64$' || dpkg --add-architecture arm64
  install_packages "${cross_packages[@]}"
else
  tools/oracles.sh
fi
cmake --preset "$preset"
cmake --build "build/$preset"
ctest --test-dir "build/$preset" --output-on-failure --no-tests=error -j "$(nproc)" "$@"
