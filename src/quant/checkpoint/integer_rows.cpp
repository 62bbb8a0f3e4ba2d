#include "quant/checkpoint/integer_rows.hpp"

#include <algorithm>
#include <cstring>

#include "quant/checkpoint/run_codecs.hpp"

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
  const RunCodecs& codecs = run_codecs();
  IntegerRows out;
  out.codes.resize(rows.rows * rows.columns);
  out.scales.resize(runs);
  out.zeros.resize(runs);
  for (std::uint64_t r = 0; r < runs; ++r) {
    const float* values = rows.values + r * length;
    const GridScale scale = fit_scale(grid, values, length);
    codecs.grid(rounding_of(grid, scale), values, length, out.codes.data() + r * length,
                decoded + r * length);
    out.scales[r] = scale.scale;
    out.zeros[r] = static_cast<std::uint8_t>(static_cast<int>(scale.zero));
  }
  return out;
}

namespace {

// Eight codes, a byte each, side by side.
std::uint64_t join(std::uint64_t eight, unsigned bits) noexcept {
  constexpr std::uint64_t kBytes = 0x00FF00FF00FF00FF, kPairs = 0x0000FFFF0000FFFF,
                          kFours = 0x00000000FFFFFFFF;
  eight = (eight & kBytes) | (eight & ~kBytes) >> (8 - bits);
  eight = (eight & kPairs) | (eight & ~kPairs) >> (16 - 2 * bits);
  return (eight & kFours) | (eight & ~kFours) >> (32 - 4 * bits);
}

}  // namespace

void pack_codes(const std::uint8_t* codes, std::uint64_t count, unsigned bits,
                std::byte* packed) noexcept {
  std::byte* const end = packed + (count * bits + 7) / 8;
  // Eight bytes are stored wherever there is room, of which `bits` stay.
  for (; count >= 8 && end - packed >= 8; count -= 8, codes += 8, packed += bits) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, codes, 8);
    eight = join(eight, bits);
    std::memcpy(packed, &eight, 8);
  }
  for (; count != 0; packed += bits) {
    const std::uint64_t some = std::min<std::uint64_t>(count, 8);
    std::uint64_t eight = 0;
    std::memcpy(&eight, codes, some);
    eight = join(eight, bits);
    std::memcpy(packed, &eight, (some * bits + 7) / 8);
    codes += some;
    count -= some;
  }
}

void pack_words(const std::uint8_t* codes, std::uint64_t code_stride, std::uint64_t count,
                unsigned bits, std::byte* words, std::uint64_t word_stride) noexcept {
  if (code_stride == 1 && word_stride == 1) {
    const std::uint64_t bytes = (count * bits + 7) / 8;
    pack_codes(codes, count, bits, words);
    std::memset(words + bytes, 0, word_count(count, bits) * 4 - bytes);
    return;
  }
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
