#include "support/golden_blocks.hpp"

#include <fstream>

#include "support/quantize_rows.hpp"
#include "support/random.hpp"

namespace quantize::test {

std::string golden_blocks_path() {
  return std::string(QUANTIZE_TEST_DATA) + "/quant/golden_blocks.txt";
}

GoldenHashes read_golden_blocks() {
  GoldenHashes hashes;
  std::ifstream file(golden_blocks_path());
  std::string type;
  std::string mode;
  std::uint64_t hash = 0;
  while (file >> type >> mode >> std::hex >> hash) hashes[type + " " + mode] = hash;
  return hashes;
}

std::string golden_name(const Quantizer& quantizer, bool weighted) {
  return std::string(info(quantizer.type).name) + (weighted ? " weighted" : " plain");
}

// Every kind of row: three rows of 512 values each.
std::uint64_t hash_of_blocks(const Quantizer& quantizer, bool weighted) {
  constexpr std::size_t kColumns = 512;
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (int kind = 0; kind < static_cast<int>(RowKind::count); ++kind) {
    Random random(static_cast<std::uint64_t>(kind) + 1);
    std::vector<float> values;
    std::vector<float> row(kColumns);
    for (int r = 0; r < 3; ++r) {
      fill_row(static_cast<RowKind>(kind), random, row);
      values.insert(values.end(), row.begin(), row.end());
    }
    const std::vector<float> importance = importance_row(random, kColumns);
    for (const std::byte b :
         encode_rows(quantizer, values, kColumns, weighted ? importance.data() : nullptr)) {
      hash = (hash ^ std::to_integer<std::uint64_t>(b)) * 0x100000001B3U;
    }
  }
  return hash;
}

GoldenHashes compute_golden_blocks(std::span<const Quantizer> table) {
  GoldenHashes hashes;
  for (const Quantizer& quantizer : table) {
    if (!quantizer.encode) continue;
    for (const bool weighted : {false, true}) {
      if (weighted && quantizer.importance == ImportanceUse::unused) continue;
      if (!weighted && quantizer.importance == ImportanceUse::required) continue;
      hashes[golden_name(quantizer, weighted)] = hash_of_blocks(quantizer, weighted);
    }
  }
  return hashes;
}

}  // namespace quantize::test
