// Exactness that a user can check: what every instruction set of this CPU encodes, against hashes
// that were made where the official library agreed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace quantize {

struct SelftestSet {
  std::string_view isa;
  bool usable = false;              // the rest says nothing if not
  bool contracted = false;          // compiled with fused multiply-adds: wrong
  std::uint64_t encodings = 0;      // a type plain or with importance weights is one
  std::vector<std::string> differ;  // those with another hash, or none: "q4_K weighted"

  bool passed() const noexcept { return !contracted && differ.empty(); }
};

// One entry per instruction set that was compiled, in the order of isas().
std::vector<SelftestSet> run_selftest();

}  // namespace quantize
