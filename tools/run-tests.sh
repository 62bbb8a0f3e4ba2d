#!/usr/bin/env bash
# Installs what the tests need, builds, runs them all.
#   tools/run-tests.sh [PRESET] [CTEST-OPTION...]     presets: release (default), clang, asan, tsan ...
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/packages.sh
install_packages "${build_packages[@]}" "${test_packages[@]}"
tools/oracles.sh
preset=${1:-release}
shift || true
cmake --preset "$preset"
cmake --build "build/$preset"
ctest --test-dir "build/$preset" --output-on-failure --no-tests=error -j "$(nproc)" "$@"
