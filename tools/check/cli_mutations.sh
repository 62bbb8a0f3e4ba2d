#!/usr/bin/env bash
# Do the cases of tests/cli notice a command that misbehaves? Runs each with wrappers around the command
# that break one thing, and lists the cases that pass all the same although the thing was there to be
# broken (a first run records what a case's calls printed, wrote and returned). Slow; not in CI.
#   tools/check/cli_mutations.sh [CASE...]
# BUILD names another build folder than build/release. Exits 1 if a case passed that should not have.
set -u
cd "$(dirname "$0")/../.."
build=$(realpath "${BUILD:-build/release}")
export REAL="$build/quantize"
shim="$build/tests/cli/libfault_shim.so"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LOG="$work/log"

wrapper() {  # wrapper NAME, its text on standard input
  { echo '#!/usr/bin/env bash'; cat; } >"$work/$1"
  chmod +x "$work/$1"
}
# What this call makes of each kind goes to $LOG, a word each.
wrapper probe <<'X'
before=$(mktemp) out=$(mktemp) err=$(mktemp)
"$REAL" "$@" >"$out" 2>"$err"
status=$?
{
  [ $status -ne 0 ] && echo fails
  [ $status -eq 0 ] && echo works
  [ -s "$out" ] && echo stdout
  [ -s "$err" ] && echo stderr
  find . -type f -size +0 -newer "$before" ! -name '*.json' | grep -q . && echo file
} >>"$LOG"
cat "$out"; cat "$err" >&2
rm -f "$before" "$out" "$err"
exit $status
X
wrapper always-succeeds <<<'"$REAL" "$@"; exit 0'
wrapper always-fails <<<'"$REAL" "$@"; exit 99'
wrapper no-stdout <<<'exec "$REAL" "$@" >/dev/null'
wrapper no-stderr <<<'exec "$REAL" "$@" 2>/dev/null'
wrapper stdout-on-stderr <<<'exec "$REAL" "$@" >&2'
wrapper stderr-on-stdout <<<'exec "$REAL" "$@" 2>&1'
# One bit of every file that the call wrote, another each time.
wrapper flipped-bit <<'X'
before=$(mktemp)
"$REAL" "$@"
status=$?
find . -type f -size +0 -newer "$before" ! -name '*.json' | while read -r file; do
  at=$(((RANDOM * 32768 + RANDOM) % $(stat -c %s "$file")))
  byte=$(od -An -tu1 -j $at -N 1 "$file")
  printf "\\x$(printf %x $((byte ^ 1)))" | dd of="$file" bs=1 seek=$at conv=notrunc status=none
done
rm -f "$before"
exit $status
X
declare -A needs=([always-succeeds]=fails [always-fails]=works [no-stdout]=stdout [no-stderr]=stderr
  [stdout-on-stderr]=stdout [stderr-on-stdout]=stderr [flipped-bit]=file)

# What cases may pass with: they are about names, modes, refusals and sizes, not about what is in a file;
# what they throw away themselves; or they see both streams as one, as a terminal does.
declare -A excused=([flipped-bit]="checkpoint-leftover checkpoint-permissions cli-10-option-twice-same inspect
    name-template near-names out-08-no-space out-20-output-is-input out-21-symlink-to-input out-22-hard-link
    out-29-leftover out-30-umask-022 out-31-umask-077 out-32-mode-kept out-42-little-address-space
    out-49-input-read-only plan-equals-file plan-of-quantized requantize-allowed requantize-refused
    skip-existing split"
  [no-stdout]="checkpoint-leftover out-29-leftover"
  [stderr-on-stdout]=out-28-terminal [stdout-on-stderr]=out-28-terminal)

bad=0
for folder in tests/cli/cases/*/; do
  name=$(basename "$folder")
  if [ $# -ne 0 ] && [[ " $* " != *" $name "* ]]; then continue; fi
  grep -q '\$shim' "$folder/script" && continue  # the wrapper itself would meet the faults
  : >"$LOG"
  tests/cli/run.sh "$work/probe" "$shim" "$folder" >/dev/null 2>&1
  for mutation in "${!needs[@]}"; do
    grep -qx "${needs[$mutation]}" "$LOG" || continue
    [[ " ${excused[$mutation]:-} " =~ [[:space:]]"$name"[[:space:]] ]] && continue
    if tests/cli/run.sh "$work/$mutation" "$shim" "$folder" >/dev/null 2>&1; then
      echo "$name passes with $mutation"
      bad=1
    fi
  done
done
exit $bad
