#include "quant/checkpoint/run_codecs.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/float16.hpp"
#include "core/small_floats.hpp"

namespace quantize {
namespace {

constexpr float kRounder =
    12582912.0F;  // 1.5 x 2^23: a sum with it rounds to an integer, half even

float rounded(float x) noexcept { return (x + kRounder) - kRounder; }

// NaN becomes `low`.
float clamped(float x, float low, float high) noexcept {
  const float above = x > low ? x : low;
  return above < high ? above : high;
}

float largest(const float* values, std::uint64_t count) noexcept {
  float most = 0;
  for (std::uint64_t i = 0; i < count; ++i) most = std::max(most, std::fabs(values[i]));
  return most;
}

void largest_of_groups(const float* values, std::uint64_t count, std::uint64_t group,
                       float* out) noexcept {
  for (std::uint64_t at = 0; at < count; at += group)
    out[at / group] = largest(values + at, std::min(group, count - at));
}

Range extremes(const float* values, std::uint64_t count) noexcept {
  Range range;
  for (std::uint64_t i = 0; i < count; ++i) {
    range.low = values[i] < range.low ? values[i] : range.low;
    range.high = values[i] > range.high ? values[i] : range.high;
  }
  return range;
}

float halves(const float* values, std::uint64_t count, float* out) noexcept {
  for (std::uint64_t i = 0; i < count; ++i) out[i] = half_to_float(float_to_half(values[i]));
  return largest(out, count);
}

float grid_code(const GridRounding& r, float value) noexcept {
  return rounded(clamped(value / r.scale + r.shift, r.low, r.high)) + r.offset;
}

void grid(const GridRounding& r, const float* values, std::uint64_t count, std::uint8_t* codes,
          float* decoded) noexcept {
  for (std::uint64_t i = 0; i < count; ++i) {
    const float code = grid_code(r, values[i]);
    codes[i] = static_cast<std::uint8_t>(static_cast<int>(code));
    decoded[i] = r.scale * (code - r.zero);
  }
}

void table(const SortedTable<16>& table, const float* inverses, const float* scales,
           std::uint64_t group, const float* values, std::uint64_t count, std::uint8_t* codes,
           float* decoded) noexcept {
  for (std::uint64_t i = 0; i < count; ++i) {
    const float x = values[i] * inverses[i / group];
    std::size_t index = 0;
    for (const float bound : table.bounds) index += x > bound;
    codes[i] = table.codes[index];
    decoded[i] = table.values[index] * scales[i / group];
  }
}

void e4m3(float scale, const float* values, std::uint64_t count, std::uint8_t* codes,
          float* decoded) noexcept {
  for (std::uint64_t i = 0; i < count; ++i) {
    codes[i] = float_to_e4m3(values[i] / scale);
    decoded[i] = e4m3_to_float(codes[i]) * scale;
  }
}

void e2m1(const float* scales, std::uint64_t group, const float* values, std::uint64_t count,
          std::uint8_t* codes, float* decoded) noexcept {
  for (std::uint64_t i = 0; i < count; ++i) {
    const float scale = scales[i / group];
    codes[i] = float_to_e2m1(values[i] / scale);
    decoded[i] = kE2M1[codes[i]] * scale;
  }
}

void llm_int8(float inverse, float most, const float* values, std::uint64_t count,
              std::uint8_t* codes, float* decoded) noexcept {
  for (std::uint64_t i = 0; i < count; ++i) {
    const float code = rounded(values[i] * inverse);
    const bool held = std::fabs(code) <= 127.0F;
    codes[i] = static_cast<std::uint8_t>(held ? static_cast<int>(code) : 0);
    decoded[i] = held ? code * most / 127.0F : INFINITY;
  }
}

void transpose(const void* in, std::uint64_t rows, std::uint64_t columns, void* out,
               std::uint64_t step) noexcept {
  const auto* from = static_cast<const std::byte*>(in);
  auto* to = static_cast<std::byte*>(out);
  for (std::uint64_t r = 0; r < rows; ++r)
    for (std::uint64_t c = 0; c < columns; ++c)
      std::memcpy(to + (c * step + r) * 4, from + (r * columns + c) * 4, 4);
}

void interleave(const std::uint8_t* rows, std::uint64_t count,
                const std::array<unsigned, 8>& shifts, std::uint32_t* words) noexcept {
  for (std::uint64_t i = 0; i < count; ++i) {
    std::uint32_t word = 0;
    for (std::uint64_t j = 0; j < shifts.size(); ++j)
      word |= std::uint32_t{rows[j * count + i]} << shifts[j];
    words[i] = word;
  }
}

}  // namespace

const RunCodecs kRunCodecDefinitions = {
    largest, largest_of_groups, extremes,  halves,    grid, search_scale_by_definition, table, e4m3,
    e2m1,    llm_int8,          transpose, interleave};

}  // namespace quantize
