#include "quantize/selftest.hpp"

#include "quantize/isa.hpp"

#include "quant/selftest/golden.hpp"

namespace quantize {

std::vector<SelftestSet> run_selftest() {
  const selftest::GoldenHashes golden = selftest::golden_blocks();
  std::vector<SelftestSet> sets;
  for (const Isa& isa : isas()) {
    SelftestSet set;
    set.isa = isa.name;
    set.usable = isa.usable;
    if (isa.usable) {
      set.contracted = isa.is_contracted();
      for (const auto& [name, hash] : selftest::compute_golden_blocks(quantizers_of(isa.name))) {
        ++set.encodings;
        const auto at = golden.find(name);
        if (at == golden.end() || at->second != hash) set.differ.push_back(name);
      }
    }
    sets.push_back(set);
  }
  return sets;
}

}  // namespace quantize
