// Integer formats of compressed-tensors: int-quantized (a byte per weight, signed) and
// pack-quantized (dense codes along the inputs, offset by 2^(bits - 1); zero points packed along
// the outputs in the same way).
#include <cstring>

#include "quant/checkpoint/formats.hpp"
#include "quant/checkpoint/integer_rows.hpp"

namespace quantize {
namespace {

constexpr std::uint64_t kZeroRows = 32;  // rows whose packed zero points fill whole words

class CompressedTensorsFormat : public IntegerFormat {
 public:
  CompressedTensorsFormat(const IntegerGrid& grid, std::uint64_t group)
      : IntegerFormat(grid, group) {
    grid_.rounds_sum = true;
  }

 protected:
  // Scales have the model's own type.
  IntegerGrid grid_for(const Matrix& matrix) const {
    IntegerGrid grid = grid_;
    grid.scale_type = matrix.type;
    return grid;
  }
  WeightPart scale_part(const Matrix& matrix) const {
    const std::uint64_t groups = groups_of(matrix.size, group_);
    return {".weight_scale", matrix.type, Shape{matrix.size.rows, groups}, matrix.size.columns,
            stored_bytes(matrix.type, groups)};
  }
  static void put_scales(const Matrix& matrix, const IntegerRows& rows, std::byte* out) {
    const std::uint64_t step = stored_bytes(matrix.type, 1);
    for (std::size_t i = 0; i < rows.scales.size(); ++i)
      store_plain(matrix.type, rows.scales[i], out + i * step);
  }
};

class IntQuantized final : public CompressedTensorsFormat {
 public:
  using CompressedTensorsFormat::CompressedTensorsFormat;

  std::vector<WeightPart> parts(const Matrix& matrix) const override {
    const MatrixSize& size = matrix.size;
    const std::uint64_t groups = groups_of(size, group_);
    std::vector<WeightPart> parts = {{".weight", DType::i8, Shape{size.rows, size.columns}, 1, 1},
                                     scale_part(matrix)};
    if (!grid_.symmetric)
      parts.push_back(
          {".weight_zero_point", DType::i8, Shape{size.rows, groups}, size.columns, groups});
    return parts;
  }

  void encode(const Matrix& matrix, const MatrixRows& input, std::span<std::byte* const> parts,
              float* decoded) const override {
    const IntegerRows rows = quantize_rows(grid_for(matrix), group_, input, decoded);
    put_signed(rows.codes, parts[0]);
    put_scales(matrix, rows, parts[1]);
    if (!grid_.symmetric) put_signed(rows.zeros, parts[2]);
  }

 private:
  void put_signed(const std::vector<std::uint8_t>& codes, std::byte* out) const {
    const auto offset = static_cast<std::uint8_t>(1U << (grid_.bits - 1U));
    for (std::size_t i = 0; i < codes.size(); ++i)
      out[i] = static_cast<std::byte>(codes[i] - offset);
  }
};

class PackQuantized final : public CompressedTensorsFormat {
 public:
  using CompressedTensorsFormat::CompressedTensorsFormat;

  std::uint64_t row_unit(const MatrixSize&) const override {
    return grid_.symmetric ? 1 : kZeroRows;
  }

  std::vector<WeightPart> parts(const Matrix& matrix) const override {
    const MatrixSize& size = matrix.size;
    const std::uint64_t groups = groups_of(size, group_);
    const std::uint64_t words = word_count(size.columns, grid_.bits);
    std::vector<WeightPart> parts = {
        {".weight_packed", DType::i32, Shape{size.rows, words}, size.columns, words * 4},
        scale_part(matrix),
        {".weight_shape", DType::i64, Shape{2}}};
    if (!grid_.symmetric)
      parts.push_back({".weight_zero_point", DType::i32,
                       Shape{word_count(size.rows, grid_.bits), groups}, kZeroRows * size.columns,
                       std::uint64_t{grid_.bits} * groups * 4});
    return parts;
  }

  void encode(const Matrix& matrix, const MatrixRows& input, std::span<std::byte* const> parts,
              float* decoded) const override {
    const IntegerRows rows = quantize_rows(grid_for(matrix), group_, input, decoded);
    const std::uint64_t words = word_count(input.columns, grid_.bits);
    for (std::uint64_t r = 0; r < input.rows; ++r)
      pack_words(rows.codes.data() + r * input.columns, 1, input.columns, grid_.bits,
                 parts[0] + r * words * 4, 1);
    put_scales(matrix, rows, parts[1]);
    if (grid_.symmetric) return;
    const std::uint64_t groups = groups_of(matrix.size, group_);
    for (std::uint64_t g = 0; g < groups; ++g)
      pack_words(rows.zeros.data() + g, groups, input.rows, grid_.bits, parts[3] + g * 4, groups);
  }

  std::vector<std::byte> once(const Matrix& matrix, std::size_t, double) const override {
    const std::int64_t shape[2] = {static_cast<std::int64_t>(matrix.size.rows),
                                   static_cast<std::int64_t>(matrix.size.columns)};
    std::vector<std::byte> bytes(sizeof shape);
    std::memcpy(bytes.data(), shape, sizeof shape);
    return bytes;
  }
};

}  // namespace

WeightFormatPtr make_int_quantized(const IntegerGrid& grid, std::uint64_t group) {
  return std::make_shared<IntQuantized>(grid, group);
}
WeightFormatPtr make_pack_quantized(const IntegerGrid& grid, std::uint64_t group) {
  return std::make_shared<PackQuantized>(grid, group);
}

}  // namespace quantize
