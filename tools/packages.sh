# Debian packages by name; sourced by quickstart.sh and run-tests.sh.
build_packages=(g++ cmake ninja-build pkg-config nlohmann-json3-dev libcli11-dev libspdlog-dev
                libyaml-dev libssl-dev)
test_packages=(libgtest-dev libgmock-dev libbenchmark-dev clang-14 clang-format-14 libclang-rt-14-dev
               npm python3 python3-venv ca-certificates)
# For the preset arm64.
cross_packages=(g++-aarch64-linux-gnu qemu-user libc6:arm64 libstdc++6:arm64 libspdlog-dev:arm64
                libyaml-dev:arm64 libssl-dev:arm64)

# Installs what is not there yet; needs root only if something is missing.
install_packages() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  # A command that is already there by another way is as good as its package.
  if command -v npm >/dev/null; then missing=("${missing[@]/#npm/}"); fi
  local wanted=()
  for package in "${missing[@]}"; do [ -z "$package" ] || wanted+=("$package"); done
  [ ${#wanted[@]} -eq 0 ] && return
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${wanted[@]}"
}
