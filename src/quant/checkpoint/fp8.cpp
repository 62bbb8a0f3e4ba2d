// E4M3 codes with a scale for the tensor, for each row, or for each tile of 128 x 128 values.
#include <algorithm>

#include "core/small_floats.hpp"
#include "quant/checkpoint/formats.hpp"
#include "quant/checkpoint/run_codecs.hpp"

namespace quantize {
namespace {

constexpr std::uint64_t kTile = 128;

float scale_of(float largest, DType type) noexcept {
  const float scale = round_to_type(type, largest / kE4M3Max);
  return scale == 0 ? smallest_scale(type) : scale;
}

void put_codes(const float* values, std::uint64_t count, float scale, std::byte* codes,
               float* decoded) noexcept {
  run_codecs().e4m3(scale, values, count, reinterpret_cast<std::uint8_t*>(codes), decoded);
}

class Fp8 final : public WeightFormat {
 public:
  explicit Fp8(Fp8Scale scale) : scale_(scale) {}
  std::string_view name() const noexcept override { return "f8_e4m3"; }

  std::uint64_t row_unit(const MatrixSize&) const override {
    return scale_ == Fp8Scale::block ? kTile : 1;
  }
  SurveyFold survey_fold() const noexcept override {
    return scale_ == Fp8Scale::tensor ? SurveyFold::largest : SurveyFold::none;
  }
  double survey(const float* values, std::uint64_t count) const override {
    return static_cast<double>(run_codecs().largest(values, count));
  }

  std::vector<WeightPart> parts(const Matrix& matrix) const override {
    const MatrixSize& size = matrix.size;
    WeightPart codes{".weight", DType::f8_e4m3, Shape{size.rows, size.columns}, 1, 1};
    switch (scale_) {
      case Fp8Scale::tensor:
        return {codes, {".weight_scale", matrix.type, Shape{1}}};
      case Fp8Scale::channel:
        return {codes,
                {".weight_scale", matrix.type, Shape{size.rows, 1}, size.columns,
                 stored_bytes(matrix.type, 1)}};
      case Fp8Scale::block:
        break;
    }
    return {codes,
            {".weight_scale_inv", DType::f32, Shape{tiles(size.rows), tiles(size.columns)},
             kTile * size.columns, 4 * tiles(size.columns)}};
  }

  void encode(const Matrix& matrix, const MatrixRows& input, std::span<std::byte* const> parts,
              float* decoded) const override {
    if (scale_ == Fp8Scale::tensor) {
      put_codes(input.values, input.rows * input.columns,
                scale_of(static_cast<float>(input.survey), matrix.type), parts[0], decoded);
      return;
    }
    if (scale_ == Fp8Scale::block) {
      encode_tiles(input, parts, decoded);
      return;
    }
    for (std::uint64_t r = 0; r < input.rows; ++r) {
      const std::uint64_t at = r * input.columns;
      const float scale =
          scale_of(run_codecs().largest(input.values + at, input.columns), matrix.type);
      put_codes(input.values + at, input.columns, scale, parts[0] + at, decoded + at);
      store_plain(matrix.type, scale, parts[1] + r * stored_bytes(matrix.type, 1));
    }
  }

  std::vector<std::byte> once(const Matrix& matrix, std::size_t, double survey) const override {
    std::vector<std::byte> bytes(stored_bytes(matrix.type, 1));
    store_plain(matrix.type, scale_of(static_cast<float>(survey), matrix.type), bytes.data());
    return bytes;
  }

 private:
  static std::uint64_t tiles(std::uint64_t length) { return (length + kTile - 1) / kTile; }

  static void encode_tiles(const MatrixRows& input, std::span<std::byte* const> parts,
                           float* decoded) {
    const std::uint64_t across = tiles(input.columns);
    for (std::uint64_t row = 0; row < input.rows; row += kTile) {
      const std::uint64_t last = std::min(row + kTile, input.rows);
      for (std::uint64_t t = 0; t < across; ++t) {
        const std::uint64_t column = t * kTile;
        const std::uint64_t width = std::min(kTile, input.columns - column);
        float largest = 0;
        for (std::uint64_t r = row; r < last; ++r)
          largest = std::max(
              largest, run_codecs().largest(input.values + r * input.columns + column, width));
        const float scale = scale_of(largest, DType::f32);
        for (std::uint64_t r = row; r < last; ++r) {
          const std::uint64_t at = r * input.columns + column;
          put_codes(input.values + at, width, scale, parts[0] + at, decoded + at);
        }
        store_plain(DType::f32, scale, parts[1] + (row / kTile * across + t) * 4);
      }
    }
  }

  Fp8Scale scale_;
};

}  // namespace

WeightFormatPtr make_fp8(Fp8Scale scale) { return std::make_shared<Fp8>(scale); }

}  // namespace quantize
