#include "support/quantize_rows.hpp"

#include <algorithm>

namespace quantize::test {

std::vector<std::byte> encode_rows(const Quantizer& quantizer, std::span<const float> values,
                                   std::uint64_t row_values, const float* importance,
                                   bool reference_quirks) {
  std::vector<std::byte> blocks(stored_bytes(quantizer.type, values.size()));
  EncodeInput input{values.data(), values.size() / row_values, row_values, importance, nullptr};
  input.reference_quirks = reference_quirks;
  quantizer.encode(input, blocks.data());
  return blocks;
}

std::ptrdiff_t first_difference(std::span<const std::byte> a, std::span<const std::byte> b) {
  const auto at = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return at.first == a.end() && at.second == b.end() ? -1 : at.first - a.begin();
}

}  // namespace quantize::test
