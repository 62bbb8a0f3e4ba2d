// bitsandbytes: 8-bit rows (LLM.int8), and 4-bit codes of a table (NF4, FP4) in blocks of 64 of the
// flattened matrix, whose maxima are kept as floats or, doubly quantized, as codes of an 8-bit
// table after their mean is taken off.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <numeric>

#include "core/float16.hpp"
#include "core/small_floats.hpp"
#include "quant/checkpoint/formats.hpp"
#include "quant/checkpoint/run_codecs.hpp"

namespace quantize {
namespace {

constexpr std::uint64_t kBlock = 64;
constexpr std::uint64_t kNestedBlock = 256;  // maxima
constexpr float kSmallestMaximum = 1e-38F;   // bitsandbytes divides by no less
constexpr std::size_t kOffsetDigits = 24;    // of the mean in the JSON text, which has a fixed size

class BnbInt8 final : public WeightFormat {
 public:
  std::string_view name() const noexcept override { return "int8"; }
  std::vector<WeightPart> parts(const Matrix& matrix) const override {
    const MatrixSize& size = matrix.size;
    return {{".weight", DType::i8, Shape{size.rows, size.columns}, 1, 1},
            {".SCB", DType::f32, Shape{size.rows}, size.columns, 4},
            {".weight_format", DType::u8, Shape{}}};
  }
  void encode(const Matrix&, const MatrixRows& input, std::span<std::byte* const> parts,
              float* decoded) const override {
    const RunCodecs& codecs = run_codecs();
    for (std::uint64_t r = 0; r < input.rows; ++r) {
      float* out = decoded + r * input.columns;
      auto* codes = reinterpret_cast<std::uint8_t*>(parts[0]) + r * input.columns;
      // The official quantizer sees halves.
      const float largest = codecs.halves(input.values + r * input.columns, input.columns, out);
      std::memcpy(parts[1] + r * 4, &largest, sizeof largest);
      const float inverse = largest == 0 ? 0.0F : (1.0F / largest) * 127.0F;
      codecs.llm_int8(inverse, largest, out, input.columns, codes, out);
    }
  }
  std::vector<std::byte> once(const Matrix&, std::size_t, double) const override {
    return {std::byte{0}};  // row by row
  }
};

SortedTable<16> table_of(const std::array<float, 16>& values) {
  SortedTable<16> table;
  std::iota(table.codes.begin(), table.codes.end(), std::uint8_t{0});
  std::stable_sort(table.codes.begin(), table.codes.end(),
                   [&](std::uint8_t a, std::uint8_t b) { return values[a] < values[b]; });
  for (std::size_t i = 0; i < 16; ++i) table.values[i] = values[table.codes[i]];
  table.set_bounds();
  return table;
}

// `steps` values from 0.1 to 1, from both ends to the middle. The package takes them from PyTorch's
// linspace, whose vector code (AVX2 and wider) adds and multiplies with one rounding; in double
// nothing here is rounded before the end.
float linear_step(int index, int steps) {
  const float step = (1.0F - 0.1F) / static_cast<float>(steps - 1);
  const auto from = [step](float end, int count) {
    return static_cast<float>(static_cast<double>(end) + static_cast<double>(step) * count);
  };
  return index < steps / 2 ? from(0.1F, index) : from(1.0F, index + 1 - steps);
}

// The dynamic map of signed bytes: seven decades, each with twice the cells of the one below.
SortedTable<256> make_dynamic_map() {
  constexpr std::array<float, 7> kDecades = {1e-6F, 1e-5F, 1e-4F, 1e-3F, 1e-2F, 1e-1F, 1.0F};
  SortedTable<256> table;
  std::size_t count = 0;
  for (std::size_t i = 0; i < kDecades.size(); ++i) {
    const int steps = (1 << i) + 1;
    for (int k = 0; k + 1 < steps; ++k) {
      const float middle = (linear_step(k, steps) + linear_step(k + 1, steps)) / 2;
      table.values[count++] = kDecades[i] * middle;
      table.values[count++] = -kDecades[i] * middle;
    }
  }
  table.values[count++] = 0.0F;
  table.values[count++] = 1.0F;
  std::sort(table.values.begin(), table.values.end());
  for (std::size_t i = 0; i < count; ++i) table.codes[i] = static_cast<std::uint8_t>(i);
  table.set_bounds();
  return table;
}

const SortedTable<256>& dynamic_map() {
  static const SortedTable<256> table = make_dynamic_map();
  return table;
}

// The index of a value: how many bounds are below it.
template <std::size_t N>
std::size_t index_of(const SortedTable<N>& table, float x) noexcept {
  std::size_t index = 0;
  for (std::size_t step = N / 2; step != 0; step /= 2)
    index += x > table.bounds[index + step - 1] ? step : 0;
  return index;
}

class Bnb4bit final : public WeightFormat {
 public:
  Bnb4bit(bool nf4, bool nested)
      : name_(nf4 ? "nf4" : "fp4"),
        nested_(nested),
        values_(nf4 ? kNF4 : kBnbFP4),
        table_(table_of(nf4 ? kNF4 : kBnbFP4)),
        zero_code_(table_.codes[index_of(table_, 0)]) {}

  std::string_view name() const noexcept override { return name_; }

  std::uint64_t row_unit(const MatrixSize& size) const override {
    const std::uint64_t unit = nested_ ? kBlock * kNestedBlock : kBlock;
    return unit / std::gcd(size.columns, unit);
  }

  std::vector<WeightPart> parts(const Matrix& matrix) const override {
    const std::uint64_t values = matrix.size.values();
    const std::uint64_t blocks = (values + kBlock - 1) / kBlock;
    std::vector<WeightPart> parts = {
        {".weight", DType::u8, Shape{(values + 1) / 2, 1}, 2, 1},
        {".weight.absmax", nested_ ? DType::u8 : DType::f32, Shape{blocks}, kBlock,
         nested_ ? std::uint64_t{1} : std::uint64_t{4}},
        {".weight.quant_map", DType::f32, Shape{16}},
        {".weight.quant_state.bitsandbytes__" + name_, DType::u8, Shape{state(matrix, 0).size()}}};
    if (nested_) {
      parts.push_back({".weight.nested_absmax", DType::f32,
                       Shape{(blocks + kNestedBlock - 1) / kNestedBlock}, kBlock * kNestedBlock,
                       4});
      parts.push_back({".weight.nested_quant_map", DType::f32, Shape{256}});
    }
    return parts;
  }

  SurveyFold survey_fold() const noexcept override {
    return nested_ ? SurveyFold::sum : SurveyFold::none;
  }
  double survey(const float* values, std::uint64_t count) const override {
    double sum = 0;
    for (const float largest : block_maxima(values, count)) sum += static_cast<double>(largest);
    return sum;
  }
  double survey_result(double folded, const MatrixSize& size) const override {
    const std::uint64_t blocks = (size.values() + kBlock - 1) / kBlock;
    return static_cast<double>(static_cast<float>(folded / static_cast<double>(blocks)));
  }

  void encode(const Matrix&, const MatrixRows& input, std::span<std::byte* const> parts,
              float* decoded) const override {
    const std::uint64_t count = input.rows * input.columns;
    const std::vector<float> maxima = block_maxima(input.values, count);
    const std::vector<float> stored = store_maxima(maxima, input.survey, parts);
    std::vector<float> inverses(maxima.size());
    for (std::size_t i = 0; i < maxima.size(); ++i)
      inverses[i] = 1.0F / std::max(maxima[i], kSmallestMaximum);
    std::vector<std::uint8_t> codes(count + count % 2, zero_code_);
    run_codecs().table(table_, inverses.data(), stored.data(), kBlock, input.values, count,
                       codes.data(), decoded);
    for (std::size_t i = 0; i < codes.size() / 2; ++i)
      parts[0][i] = static_cast<std::byte>(codes[2 * i] << 4 | codes[2 * i + 1]);
  }

  std::vector<std::byte> once(const Matrix& matrix, std::size_t index,
                              double survey) const override {
    if (index == 2) return bytes_of(values_.data(), sizeof values_);
    if (index == 5) return bytes_of(dynamic_map().values.data(), sizeof dynamic_map().values);
    const std::string text = state(matrix, survey);
    return bytes_of(text.data(), text.size());
  }

 private:
  static std::vector<float> block_maxima(const float* values, std::uint64_t count) {
    std::vector<float> maxima((count + kBlock - 1) / kBlock);
    run_codecs().largest_of_groups(values, count, kBlock, maxima.data());
    return maxima;
  }

  static std::vector<std::byte> bytes_of(const void* data, std::size_t size) {
    const auto* bytes = static_cast<const std::byte*>(data);
    return {bytes, bytes + size};
  }

  // Writes the maxima of blocks; returns them as a loader will have them.
  std::vector<float> store_maxima(const std::vector<float>& maxima, double survey,
                                  std::span<std::byte* const> parts) const {
    if (!nested_) {
      std::memcpy(parts[1], maxima.data(), maxima.size() * 4);
      return maxima;
    }
    const SortedTable<256>& map = dynamic_map();
    const auto offset = static_cast<float>(survey);
    std::vector<float> stored(maxima.size());
    for (std::size_t at = 0; at < maxima.size(); at += kNestedBlock) {
      const std::size_t count = std::min<std::size_t>(kNestedBlock, maxima.size() - at);
      for (std::size_t i = at; i < at + count; ++i) stored[i] = maxima[i] - offset;
      const float largest = run_codecs().largest(stored.data() + at, count);
      std::memcpy(parts[4] + at / kNestedBlock * 4, &largest, sizeof largest);
      const float inverse = 1.0F / std::max(largest, kSmallestMaximum);
      for (std::size_t i = at; i < at + count; ++i) {
        const std::size_t index = index_of(map, stored[i] * inverse);
        parts[1][i] = static_cast<std::byte>(index);
        stored[i] = map.values[index] * largest + offset;
      }
    }
    return stored;
  }

  // What does not fit tensors, as JSON. Blanks fill it up to a size that no value changes.
  std::string state(const Matrix& matrix, double offset) const {
    const char* type = matrix.type == DType::f32   ? "float32"
                       : matrix.type == DType::f16 ? "float16"
                                                   : "bfloat16";
    std::string text = "{\"quant_type\": \"" + name_ + "\", \"blocksize\": 64, \"dtype\": \"" +
                       type + "\", \"shape\": [" + std::to_string(matrix.size.rows) + ", " +
                       std::to_string(matrix.size.columns) + "]";
    if (!nested_) return text + "}";
    std::array<char, 40> digits{};
    std::snprintf(digits.data(), digits.size(), "%.17g", offset);
    std::string number(digits.data());
    if (number.find_first_of(".e") == std::string::npos) number += ".0";
    text +=
        ", \"nested_blocksize\": 256, \"nested_dtype\": \"float32\", \"nested_offset\": " + number +
        "}";
    return text + std::string(kOffsetDigits - std::min(kOffsetDigits, number.size()), ' ');
  }

  std::string name_;
  bool nested_;
  std::array<float, 16> values_;
  SortedTable<16> table_;
  std::uint8_t zero_code_;  // fills the last byte
};

}  // namespace

WeightFormatPtr make_bnb_int8() { return std::make_shared<BnbInt8>(); }
WeightFormatPtr make_bnb_4bit(bool nf4, bool double_quantized) {
  return std::make_shared<Bnb4bit>(nf4, double_quantized);
}

}  // namespace quantize
