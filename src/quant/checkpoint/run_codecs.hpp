// What the weight formats do to runs of values: find their extremes, round them to codes, decode
// these again, pack. One table of functions per instruction set; the definitions are
// run_codecs.cpp, and the kernels (run_codecs.simd.cpp) give the same bits.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "quant/checkpoint/integer_grid.hpp"

namespace quantize {

// Values of a code table in ascending order, the code of each, and where one ends and the next
// begins: a number becomes the value whose index is the number of bounds below it.
template <std::size_t N>
struct SortedTable {
  std::array<float, N> values{};
  std::array<std::uint8_t, N> codes{};
  std::array<float, N - 1> bounds{};

  void set_bounds() {
    for (std::size_t i = 0; i + 1 < N; ++i) bounds[i] = (values[i] + values[i + 1]) / 2;
  }
};

struct RunCodecs {
  // The largest magnitude; NaN counts for nothing.
  float (*largest)(const float* values, std::uint64_t count) noexcept;
  // The same of every group of so many values; the last one may be shorter.
  void (*largest_of_groups)(const float* values, std::uint64_t count, std::uint64_t group,
                            float* out) noexcept;
  Range (*extremes)(const float* values, std::uint64_t count) noexcept;
  // Rounds to halves, as floats; returns their largest magnitude.
  float (*halves)(const float* values, std::uint64_t count, float* out) noexcept;

  // Codes, a byte each, and what they decode to.
  void (*grid)(const GridRounding& rounding, const float* values, std::uint64_t count,
               std::uint8_t* codes, float* decoded) noexcept;
  // The scale of ScaleRule::mse for values of that range.
  GridScale (*search_scale)(const IntegerGrid& grid, Range range, const float* values,
                            std::uint64_t count);
  // With an inverse and a scale for every group.
  void (*table)(const SortedTable<16>& table, const float* inverses, const float* scales,
                std::uint64_t group, const float* values, std::uint64_t count, std::uint8_t* codes,
                float* decoded) noexcept;
  void (*e4m3)(float scale, const float* values, std::uint64_t count, std::uint8_t* codes,
               float* decoded) noexcept;
  void (*e2m1)(const float* scales, std::uint64_t group, const float* values, std::uint64_t count,
               std::uint8_t* codes, float* decoded) noexcept;
  // LLM.int8: code = round(x x inverse), decoded as code x largest / 127. A code beyond 127 is 0
  // and decodes to infinity. `decoded` may be `values`.
  void (*llm_int8)(float inverse, float largest, const float* values, std::uint64_t count,
                   std::uint8_t* codes, float* decoded) noexcept;

  // Of numbers of 32 bits, whatever they are: out[column * step + row] = in[row * columns +
  // column].
  void (*transpose)(const void* in, std::uint64_t rows, std::uint64_t columns, void* out,
                    std::uint64_t step) noexcept;
  // words[i] = the sum of rows[j][i] << shifts[j], for rows of `count` codes one after the other.
  void (*interleave)(const std::uint8_t* rows, std::uint64_t count,
                     const std::array<unsigned, 8>& shifts, std::uint32_t* words) noexcept;
};

extern const RunCodecs kRunCodecDefinitions;
const RunCodecs& run_codecs() noexcept;  // of active_isa()
const RunCodecs& run_codecs_of(std::string_view isa) noexcept;

}  // namespace quantize
