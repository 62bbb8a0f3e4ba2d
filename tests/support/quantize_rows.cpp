#include "support/quantize_rows.hpp"

#include <algorithm>

namespace quantize::test {

std::vector<std::byte> encode_rows(const Quantizer& quantizer, std::span<const float> values,
                                   std::uint64_t row_values, const float* importance,
                                   bool reference_quirks) {
  std::vector<std::byte> blocks(stored_bytes(quantizer.type, values.size()));
  EncodeInput input{values.data(), values.size() / row_values, row_values, importance, nullptr};
  input.reference_quirks = reference_quirks;
  std::vector<float> statistic;
  if (importance && quantizer.row_sum) {
    for (std::uint64_t row = 0; row < input.rows; ++row) {
      float sum = 0;
      quantizer.row_sum(values.data() + row * row_values, row_values, sum);
      statistic.push_back(quantizer.row_finish(sum, row_values));
    }
    input.row_statistic = statistic.data();
  }
  quantizer.encode(input, blocks.data());
  return blocks;
}

std::ptrdiff_t first_difference(std::span<const std::byte> a, std::span<const std::byte> b) {
  const auto at = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return at.first == a.end() && at.second == b.end() ? -1 : at.first - a.begin();
}

}  // namespace quantize::test
