#include "quant/selftest/golden.hpp"

#include <vector>

#include "quant/selftest/rows.hpp"

namespace quantize::selftest {
namespace {

// Every kind of row: three rows of 512 values each.
std::uint64_t hash_of_blocks(const Quantizer& quantizer, bool weighted) {
  constexpr std::size_t kColumns = 512;
  constexpr std::size_t kRows = 3;
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (int kind = 0; kind < static_cast<int>(RowKind::count); ++kind) {
    Random random(static_cast<std::uint64_t>(kind) + 1);
    std::vector<float> values;
    std::vector<float> row(kColumns);
    for (std::size_t r = 0; r < kRows; ++r) {
      fill_row(static_cast<RowKind>(kind), random, row);
      values.insert(values.end(), row.begin(), row.end());
    }
    const std::vector<float> importance = importance_row(random, kColumns);
    EncodeInput input;
    input.values = values.data();
    input.rows = kRows;
    input.row_values = kColumns;
    input.importance = weighted ? importance.data() : nullptr;
    std::vector<std::byte> blocks(stored_bytes(quantizer.type, values.size()));
    quantizer.encode(input, blocks.data());
    for (const std::byte b : blocks) {
      hash = (hash ^ std::to_integer<std::uint64_t>(b)) * 0x100000001B3U;
    }
  }
  return hash;
}

}  // namespace

GoldenHashes golden_blocks() {
#define QUANTIZE_GOLDEN(name, hash) {name, hash},
  return {
#include "quant/selftest/golden.def"
  };
#undef QUANTIZE_GOLDEN
}

GoldenHashes compute_golden_blocks(std::span<const Quantizer> table) {
  GoldenHashes hashes;
  for (const Quantizer& quantizer : table) {
    if (!quantizer.encode) continue;
    for (const bool weighted : {false, true}) {
      if (weighted && quantizer.importance == ImportanceUse::unused) continue;
      if (!weighted && quantizer.importance == ImportanceUse::required) continue;
      hashes[std::string(info(quantizer.type).name) + (weighted ? " weighted" : " plain")] =
          hash_of_blocks(quantizer, weighted);
    }
  }
  return hashes;
}

}  // namespace quantize::selftest
