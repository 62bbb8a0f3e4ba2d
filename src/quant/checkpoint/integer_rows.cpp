#include "quant/checkpoint/integer_rows.hpp"

#include <cstring>

namespace quantize {

std::uint64_t groups_of(const MatrixSize& size, std::uint64_t group) noexcept {
  return group == 0 ? 1 : size.columns / group;
}

std::string group_refusal(const MatrixSize& size, std::uint64_t group) {
  if (group == 0 || size.columns % group == 0) return {};
  return "rows of " + std::to_string(size.columns) + " values are not whole groups of " +
         std::to_string(group);
}

IntegerRows quantize_rows(const IntegerGrid& grid, std::uint64_t group, const MatrixRows& rows,
                          float* decoded) {
  const std::uint64_t length = group == 0 ? rows.columns : group;
  const std::uint64_t runs = rows.rows * rows.columns / length;
  IntegerRows out;
  out.codes.resize(rows.rows * rows.columns);
  out.scales.resize(runs);
  out.zeros.resize(runs);
  for (std::uint64_t r = 0; r < runs; ++r) {
    const float* values = rows.values + r * length;
    const GridScale scale = fit_scale(grid, values, length);
    grid_codes(grid, scale, values, length, out.codes.data() + r * length, decoded + r * length);
    out.scales[r] = scale.scale;
    out.zeros[r] = static_cast<std::uint8_t>(static_cast<int>(scale.zero));
  }
  return out;
}

void pack_words(const std::uint8_t* codes, std::uint64_t code_stride, std::uint64_t count,
                unsigned bits, std::byte* words, std::uint64_t word_stride) noexcept {
  std::uint64_t pending = 0;
  unsigned filled = 0;
  const auto put = [&] {
    const auto word = static_cast<std::uint32_t>(pending);
    std::memcpy(words, &word, sizeof word);
    words += word_stride * sizeof word;
  };
  for (std::uint64_t i = 0; i < count; ++i) {
    pending |= std::uint64_t{codes[i * code_stride]} << filled;
    filled += bits;
    if (filled < 32) continue;
    put();
    pending >>= 32;
    filled -= 32;
  }
  if (filled != 0) put();
}

}  // namespace quantize
