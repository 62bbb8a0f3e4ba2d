#!/usr/bin/env bash
# Runs one case: run.sh COMMAND SHIM FOLDER. The folder holds
#   script   bash with pipefail, run in an empty directory with `quantize` on the path, $data the test data, $model
#            the sample model, $tiny one of a few kilobytes, $shim the library that makes calls fail
#            (fault_shim.cpp), without which the cases that use it are skipped; `stopped PID` waits until a process has stopped itself or ended
#   stdout, stderr   what it must print, line by line; a line is text or a pattern of the shell, and a
#            line of three dots stands for any lines. No file: nothing is printed.
#   status   the exit status; no file: 0
# With ACCEPT=1 what was printed replaces what was expected. A script that exits 77 is skipped.
set -u
command=$(realpath "$1")
folder=$(realpath "$3")
if [ -n "$2" ]; then shim=$(realpath "$2"); elif grep -q '\$shim' "$folder/script"; then
  echo "SKIPPED: no library can be preloaded into an emulated command" >&2
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/run"
ln -s "$command" "$work/bin/quantize"
export PATH="$work/bin:$PATH"
data=$(realpath "$folder/../../../data")
export data shim model="$data/techdoc-llama-3m" tiny="$data/../golden/convert/models/longrope"
stopped() { until grep -q '^State:.[TZ]' "/proc/$1/status"; do sleep 0.01; done; }
export -f stopped
(cd "$work/run" && bash -o pipefail "$folder/script" >"$work/stdout" 2>"$work/stderr" </dev/null)
status=$?
[ $status -eq 77 ] && { cat "$work/stderr"; exit 77; }

matches() {  # matches EXPECTED ACTUAL
  local -a expected=() actual=()
  mapfile -t expected <"$1"
  mapfile -t actual <"$2"
  local e=0 a=0
  while [ $e -lt ${#expected[@]} ]; do
    if [ "${expected[e]}" = "..." ]; then
      e=$((e + 1))
      [ $e -eq ${#expected[@]} ] && return 0
      # shellcheck disable=SC2053  # the right side is a pattern
      while [ $a -lt ${#actual[@]} ] && [[ ${actual[a]} != "${expected[e]}" && ${actual[a]} != ${expected[e]} ]]; do a=$((a + 1)); done
    fi
    [ $a -lt ${#actual[@]} ] || return 1
    # shellcheck disable=SC2053
    [[ ${actual[a]} == "${expected[e]}" || ${actual[a]} == ${expected[e]} ]] || return 1
    e=$((e + 1))
    a=$((a + 1))
  done
  [ $a -eq ${#actual[@]} ]
}

failed=0
for stream in stdout stderr; do
  if [ "${ACCEPT:-0}" = 1 ]; then
    if [ -s "$work/$stream" ]; then cp "$work/$stream" "$folder/$stream"; else rm -f "$folder/$stream"; fi
  fi
  wanted="$folder/$stream"
  [ -e "$wanted" ] || wanted=/dev/null
  if ! matches "$wanted" "$work/$stream"; then
    failed=1
    echo "--- $stream: expected"; cat "$wanted"
    echo "--- $stream: printed"; cat "$work/$stream"
  fi
done
[ "${ACCEPT:-0}" = 1 ] && { [ $status -eq 0 ] && rm -f "$folder/status" || echo $status >"$folder/status"; }
wanted=$(cat "$folder/status" 2>/dev/null || echo 0)
if [ "$status" != "$wanted" ]; then
  failed=1
  echo "--- status: expected $wanted, got $status"
  cat "$work/stderr"
fi
exit $failed
