// The runs of the weight formats over the closed set; the definition is run_codecs.cpp.
#include "quant/checkpoint/run_codecs.hpp"

#include <cstring>

#include "core/small_floats.hpp"
#include "quant/kernels/kernel.hpp"
#include "quant/kernels/small_floats.hpp"

namespace quantize::kernels::QUANTIZE_ISA {

GridScale search_scale(const IntegerGrid& grid, Range range, const float* values,
                       std::uint64_t count);  // scale_search.simd.cpp

namespace {

constexpr std::uint64_t kLanes = kNativeLanes;

F rounded(F x) { return (x + F::set(kRoundingShift)) - F::set(kRoundingShift); }

// Work on whole vectors, and on the rest with zeros behind it.
template <class Work>
void each_vector(const float* values, std::uint64_t count, Work work) {
  std::uint64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) work(F::load(values + i));
  if (i == count) return;
  float rest[kLanes] = {};
  std::memcpy(rest, values + i, (count - i) * sizeof(float));
  work(F::load(rest));
}

// And with codes (if there are any) and floats as results.
template <class Work>
void each_vector(const float* values, std::uint64_t count, std::uint8_t* codes, float* results,
                 Work work) {
  std::uint64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) work(F::load(values + i), codes + i, results + i);
  if (i == count) return;
  float rest[kLanes] = {}, out[kLanes];
  std::uint8_t bytes[kLanes];
  std::memcpy(rest, values + i, (count - i) * sizeof(float));
  work(F::load(rest), bytes, out);
  std::memcpy(results + i, out, (count - i) * sizeof(float));
  std::memcpy(codes + i, bytes, count - i);
}

float largest(const float* values, std::uint64_t count) noexcept {
  F most = F::set(0);
  each_vector(values, count, [&](F x) { most = max(abs(x), most); });
  return reduce_max(most);
}

// Work on every group, the last one perhaps shorter: its number, where it begins, its length.
template <class Work>
void each_group(std::uint64_t count, std::uint64_t group, Work work) {
  std::uint64_t g = 0, at = 0;
  for (; at + group <= count; at += group, ++g) work(g, at, group);
  if (at != count) work(g, at, count - at);
}

void largest_of_groups(const float* values, std::uint64_t count, std::uint64_t group,
                       float* out) noexcept {
  each_group(count, group, [&](std::uint64_t g, std::uint64_t at, std::uint64_t length) {
    F most = F::set(0);
    each_vector(values + at, length, [&](F x) { most = max(abs(x), most); });
    out[g] = reduce_max(most);
  });
}

Range extremes(const float* values, std::uint64_t count) noexcept {
  F low = F::set(0), high = F::set(0);
  each_vector(values, count, [&](F x) {
    low = min(x, low);
    high = max(x, high);
  });
  return {reduce_min(low), reduce_max(high)};
}

float halves(const float* values, std::uint64_t count, float* out) noexcept {
  F most = F::set(0);
  std::uint64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const F half = half_to_float(float_to_half(F::load(values + i)));
    store(out + i, half);
    most = max(abs(half), most);
  }
  if (i != count) {
    float rest[kLanes] = {};
    std::memcpy(rest, values + i, (count - i) * sizeof(float));
    const F half = half_to_float(float_to_half(F::load(rest)));
    store(rest, half);
    most = max(abs(half), most);
    std::memcpy(out + i, rest, (count - i) * sizeof(float));
  }
  return reduce_max(most);
}

struct Rounding {
  F scale, shift, low, high, offset, zero;
  explicit Rounding(const GridRounding& r)
      : scale(F::set(r.scale)),
        shift(F::set(r.shift)),
        low(F::set(r.low)),
        high(F::set(r.high)),
        offset(F::set(r.offset)),
        zero(F::set(r.zero)) {}
  F code(F x) const { return rounded(min(max(x / scale + shift, low), high)) + offset; }
  F decoded(F code) const { return scale * (code - zero); }
};

void grid(const GridRounding& given, const float* values, std::uint64_t count, std::uint8_t* codes,
          float* decoded) noexcept {
  const Rounding rounding(given);
  each_vector(values, count, codes, decoded, [&](F x, std::uint8_t* c, float* d) {
    const F code = rounding.code(x);
    store(c, truncate(code));
    store(d, rounding.decoded(code));
  });
}

void table(const SortedTable<16>& table, const float* inverses, const float* scales,
           std::uint64_t group, const float* values, std::uint64_t count, std::uint8_t* codes,
           float* decoded) noexcept {
  F bounds[15];
  for (int b = 0; b < 15; ++b) bounds[b] = F::set(table.bounds[b]);
  float code_bits[16];
  for (int k = 0; k < 16; ++k) {
    const std::int32_t code = table.codes[k];
    std::memcpy(code_bits + k, &code, sizeof code);
  }
  each_group(count, group, [&](std::uint64_t g, std::uint64_t at, std::uint64_t length) {
    const F inverse = F::set(inverses[g]), scale = F::set(scales[g]);
    each_vector(values + at, length, codes + at, decoded + at,
                [&](F value, std::uint8_t* c, float* d) {
                  const F x = value * inverse;
                  I index = I::set(0);
                  for (const F bound : bounds) index = increment(bound < x, index);
                  store(c, as_int(lookup16(code_bits, index)));
                  store(d, lookup16(table.values.data(), index) * scale);
                });
  });
}

void e4m3(float scale, const float* values, std::uint64_t count, std::uint8_t* codes,
          float* decoded) noexcept {
  const F s = F::set(scale);
  each_vector(values, count, codes, decoded, [&](F x, std::uint8_t* c, float* d) {
    const I code = e4m3_code(x / s);
    store(c, code);
    store(d, e4m3_value(code) * s);
  });
}

// Ties go to even codes: every other bound belongs to the code above it.
I e2m1_code(F value) {
  const F x = abs(value);
  I code = increment(F::set(0.25F) < x, I::set(0));
  code = increment(F::set(0.75F) <= x, code);
  code = increment(F::set(1.25F) < x, code);
  code = increment(F::set(1.75F) <= x, code);
  code = increment(F::set(2.5F) < x, code);
  code = increment(F::set(3.5F) <= x, code);
  code = increment(F::set(5) < x, code);
  return code | (shift_right<28>(as_int(value + F::set(0))) & I::set(8));
}

void e2m1(const float* scales, std::uint64_t group, const float* values, std::uint64_t count,
          std::uint8_t* codes, float* decoded) noexcept {
  each_group(count, group, [&](std::uint64_t g, std::uint64_t at, std::uint64_t length) {
    const F scale = F::set(scales[g]);
    each_vector(values + at, length, codes + at, decoded + at, [&](F x, std::uint8_t* c, float* d) {
      const I code = e2m1_code(x / scale);
      store(c, code);
      store(d, lookup16(kE2M1.data(), code) * scale);
    });
  });
}

void llm_int8(float inverse, float most, const float* values, std::uint64_t count,
              std::uint8_t* codes, float* decoded) noexcept {
  const F by = F::set(inverse), back = F::set(most), limit = F::set(127);
  each_vector(values, count, codes, decoded, [&](F x, std::uint8_t* c, float* d) {
    const F code = rounded(x * by);
    const M held = abs(code) <= limit;
    store(c, truncate(select(held, code, F::set(0))));
    store(d, select(held, code * back / limit, as_float(I::set(0x7F800000))));
  });
}

// By tiles of a vector's width. Floats carry the bits; nothing is computed.
void transpose(const void* in, std::uint64_t rows, std::uint64_t columns, void* out,
               std::uint64_t step) noexcept {
  const auto* from = static_cast<const float*>(in);
  auto* to = static_cast<float*>(out);
  const std::uint64_t whole_rows = rows / kLanes * kLanes;
  const std::uint64_t whole_columns = columns / kLanes * kLanes;
  for (std::uint64_t c = 0; c < whole_columns; c += kLanes) {
    for (std::uint64_t r = 0; r < whole_rows; r += kLanes) {
      const float* lines[kLanes];
      for (std::uint64_t l = 0; l < kLanes; ++l) lines[l] = from + (r + l) * columns + c;
      kernels::transpose(lines, 0, to + c * step + r, static_cast<int>(step));
    }
  }
  for (std::uint64_t r = 0; r < rows; ++r)
    for (std::uint64_t c = r < whole_rows ? whole_columns : 0; c < columns; ++c)
      std::memcpy(to + c * step + r, from + r * columns + c, sizeof *to);
}

void interleave(const std::uint8_t* rows, std::uint64_t count,
                const std::array<unsigned, 8>& shifts, std::uint32_t* words) noexcept {
  std::int32_t factors[8];
  for (int j = 0; j < 8; ++j) factors[j] = static_cast<std::int32_t>(1U << shifts[j]);
  std::uint64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    I word = I::set(0);
    for (std::uint64_t j = 0; j < 8; ++j)
      word = word | I::load(rows + j * count + i) * I::set(factors[j]);
    std::int32_t lanes[kLanes];
    store(lanes, word);
    std::memcpy(words + i, lanes, sizeof lanes);
  }
  for (; i < count; ++i) {
    std::uint32_t word = 0;
    for (std::uint64_t j = 0; j < 8; ++j)
      word |= static_cast<std::uint32_t>(rows[j * count + i]) << shifts[j];
    words[i] = word;
  }
}

}  // namespace

extern const RunCodecs run_codecs;
const RunCodecs run_codecs = {largest, largest_of_groups, extremes,  halves,
                              grid,    search_scale,      table,     e4m3,
                              e2m1,    llm_int8,          transpose, interleave};

}  // namespace quantize::kernels::QUANTIZE_ISA
