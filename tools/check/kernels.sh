#!/usr/bin/env bash
# What the tests of the kernels' bytes cannot see in their object files:
#   - a weak symbol: a function compiled for one instruction set that the linker may pick for all;
#   - a fused multiply-add, which rounds once where the definition rounds twice.
#   tools/check/kernels.sh OBJECT...
set -euo pipefail
status=0
for object in "$@"; do
  if weak=$(nm --demangle "$object" | grep -E ' [VWu] '); then
    echo "$object: weak symbols:" "$weak" >&2
    status=1
  fi
  fused=$(objdump --disassemble "$object" | grep -cE '\s(vf(n?m)(add|sub)|fml[as]|fn?m(add|sub))' || true)
  if [ "$fused" != 0 ]; then
    echo "$object: $fused fused multiply-adds" >&2
    status=1
  fi
done
exit $status
