// GPTQ and AWQ: matrices stored inputs by outputs, so that a run of rows becomes a run of columns.
// GPTQ packs codes along the inputs and zero points along the outputs; AWQ packs both along the
// outputs, eight to a word in an order of its own.
#include <array>
#include <cstring>
#include <vector>

#include "quant/checkpoint/formats.hpp"
#include "quant/checkpoint/integer_rows.hpp"
#include "quant/checkpoint/run_codecs.hpp"

namespace quantize {
namespace {

constexpr std::uint64_t kUnit = 32;  // rows and columns whose codes fill whole words at any width
// The first bit of output column j of eight in an AWQ word.
constexpr std::array<unsigned, 8> kAwqShift = {0, 16, 4, 20, 8, 24, 12, 28};

class TransposedFormat : public IntegerFormat {
 public:
  using IntegerFormat::IntegerFormat;
  std::uint64_t row_unit(const MatrixSize&) const override { return kUnit; }
  std::string refusal(const MatrixSize& size) const override {
    if (size.rows % kUnit != 0 || size.columns % kUnit != 0)
      return "its size " + std::to_string(size.rows) + " x " + std::to_string(size.columns) +
             " is not in multiples of 32";
    return IntegerFormat::refusal(size);
  }

 protected:
  WeightPart scale_part(const MatrixSize& size) const {
    const std::uint64_t groups = groups_of(size, group_);
    return {".scales", grid_.scale_type, Shape{groups, size.rows}, size.columns, 2, groups};
  }
  // Rows of words, which the file has as columns.
  static void put_transposed(const std::vector<std::uint32_t>& words, std::uint64_t rows,
                             std::byte* out) noexcept {
    run_codecs().transpose(words.data(), rows, words.size() / rows, out, rows);
  }
  void put_scales(const IntegerRows& rows, std::uint64_t groups, std::byte* out) const {
    const std::uint64_t count = rows.scales.size() / groups;
    for (std::uint64_t r = 0; r < count; ++r)
      for (std::uint64_t g = 0; g < groups; ++g)
        store_plain(grid_.scale_type, rows.scales[r * groups + g], out + (g * count + r) * 2);
  }
};

class Gptq final : public TransposedFormat {
 public:
  using TransposedFormat::TransposedFormat;

  std::vector<WeightPart> parts(const Matrix& matrix) const override {
    const MatrixSize& size = matrix.size;
    const std::uint64_t groups = groups_of(size, group_);
    const std::uint64_t lines = word_count(size.columns, grid_.bits);
    return {{".qweight", DType::i32, Shape{lines, size.rows}, size.columns, 4, lines},
            {".qzeros", DType::i32, Shape{groups, word_count(size.rows, grid_.bits)},
             kUnit * size.columns, std::uint64_t{grid_.bits} * 4, groups},
            scale_part(size),
            {".g_idx", DType::i32, Shape{size.columns}}};
  }

  void encode(const Matrix& matrix, const MatrixRows& input, std::span<std::byte* const> parts,
              float* decoded) const override {
    IntegerRows rows = quantize_rows(grid_, group_, input, decoded);
    const std::uint64_t groups = groups_of(matrix.size, group_);
    const std::uint64_t lines = word_count(input.columns, grid_.bits);
    std::vector<std::uint32_t> words(input.rows * lines);
    for (std::uint64_t r = 0; r < input.rows; ++r)
      pack_words(rows.codes.data() + r * input.columns, 1, input.columns, grid_.bits,
                 reinterpret_cast<std::byte*>(words.data() + r * lines), 1);
    put_transposed(words, input.rows, parts[0]);
    // Symmetric files are of the first version, which stores one less.
    if (grid_.symmetric) {
      for (std::uint8_t& zero : rows.zeros) --zero;
    }
    const std::uint64_t line = word_count(input.rows, grid_.bits) * 4;
    for (std::uint64_t g = 0; g < groups; ++g)
      pack_words(rows.zeros.data() + g, groups, input.rows, grid_.bits, parts[1] + g * line, 1);
    put_scales(rows, groups, parts[2]);
  }

  std::vector<std::byte> once(const Matrix& matrix, std::size_t, double) const override {
    std::vector<std::byte> bytes(matrix.size.columns * 4);
    for (std::uint64_t i = 0; i < matrix.size.columns; ++i) {
      const auto group = static_cast<std::int32_t>(group_ == 0 ? 0 : i / group_);
      std::memcpy(bytes.data() + i * 4, &group, sizeof group);
    }
    return bytes;
  }
};

class Awq final : public TransposedFormat {
 public:
  using TransposedFormat::TransposedFormat;

  std::vector<WeightPart> parts(const Matrix& matrix) const override {
    const MatrixSize& size = matrix.size;
    const std::uint64_t groups = groups_of(size, group_);
    return {{".qweight", DType::i32, Shape{size.columns, size.rows / 8}, 8 * size.columns, 4,
             size.columns},
            {".qzeros", DType::i32, Shape{groups, size.rows / 8}, 8 * size.columns, 4, groups},
            scale_part(size)};
  }

  void encode(const Matrix& matrix, const MatrixRows& input, std::span<std::byte* const> parts,
              float* decoded) const override {
    const IntegerRows rows = quantize_rows(grid_, group_, input, decoded);
    const std::uint64_t groups = groups_of(matrix.size, group_);
    put_words(rows.codes.data(), input.rows, input.columns, parts[0]);
    put_words(rows.zeros.data(), input.rows, groups, parts[1]);
    put_scales(rows, groups, parts[2]);
  }

 private:
  // `codes` are rows x width; a line of words for each column.
  static void put_words(const std::uint8_t* codes, std::uint64_t rows, std::uint64_t width,
                        std::byte* out) noexcept {
    std::vector<std::uint32_t> words(rows / 8 * width);
    for (std::uint64_t w = 0; w < rows / 8; ++w)
      run_codecs().interleave(codes + w * 8 * width, width, kAwqShift, words.data() + w * width);
    put_transposed(words, rows / 8, out);
  }
};

}  // namespace

WeightFormatPtr make_gptq(const IntegerGrid& grid, std::uint64_t group) {
  return std::make_shared<Gptq>(grid, group);
}
WeightFormatPtr make_awq(const IntegerGrid& grid, std::uint64_t group) {
  return std::make_shared<Awq>(grid, group);
}

}  // namespace quantize
