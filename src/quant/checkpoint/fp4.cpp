// E2M1 codes, two in a byte, the even column in the low half: MXFP4 with a power of two for each 32
// values, NVFP4 with an E4M3 scale for each 16 and a float for the tensor.
#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "core/small_floats.hpp"
#include "quant/checkpoint/formats.hpp"
#include "quant/checkpoint/integer_rows.hpp"
#include "quant/checkpoint/run_codecs.hpp"

namespace quantize {
namespace {

constexpr float kE2M1Max = 6.0F;
constexpr float kSmallestFloat = 0x1p-126F;

class Fp4 : public WeightFormat {
 public:
  explicit Fp4(std::uint64_t group) : group_(group) {}
  std::string refusal(const MatrixSize& size) const override {
    if (size.columns % group_ == 0) return {};
    return "rows of " + std::to_string(size.columns) + " values are not whole groups of " +
           std::to_string(group_);
  }

 protected:
  // `scale_of(largest, group)` gives the scale of a group and stores its code.
  template <class ScaleOf>
  void encode_groups(const MatrixRows& input, std::byte* packed, float* decoded,
                     ScaleOf scale_of) const {
    const RunCodecs& codecs = run_codecs();
    const std::uint64_t count = input.rows * input.columns;
    std::vector<float> scales(count / group_);
    std::vector<std::uint8_t> codes(count);
    codecs.largest_of_groups(input.values, count, group_, scales.data());
    for (std::size_t g = 0; g < scales.size(); ++g) scales[g] = scale_of(scales[g], g);
    codecs.e2m1(scales.data(), group_, input.values, count, codes.data(), decoded);
    pack_codes(codes.data(), count, 4, packed);
  }
  WeightPart code_part(const MatrixSize& size, const char* suffix) const {
    return {suffix, DType::u8, Shape{size.rows, size.columns / 2}, 2, 1};
  }
  WeightPart scale_part(const MatrixSize& size, DType type) const {
    return {".weight_scale", type, Shape{size.rows, size.columns / group_}, group_, 1};
  }

  std::uint64_t group_;
};

class Mxfp4 final : public Fp4 {
 public:
  Mxfp4() : Fp4(32) {}
  std::string_view name() const noexcept override { return "mxfp4"; }
  std::vector<WeightPart> parts(const Matrix& matrix) const override {
    return {code_part(matrix.size, ".weight_packed"), scale_part(matrix.size, DType::u8)};
  }
  void encode(const Matrix&, const MatrixRows& input, std::span<std::byte* const> parts,
              float* decoded) const override {
    encode_groups(input, parts[0], decoded, [&](float largest, std::size_t group) {
      // A maximum of 1.75 x 2^k and more counts as 2^(k + 1).
      const auto bits = std::bit_cast<std::uint32_t>(largest);
      const std::uint32_t exponent = (bits + (1U << 21)) >> 23;
      const auto code = static_cast<std::uint8_t>(exponent < 2 ? 0 : exponent - 2);
      parts[1][group] = std::byte{code};
      return e8m0_to_float(code);
    });
  }
};

class Nvfp4 final : public Fp4 {
 public:
  explicit Nvfp4(Nvfp4Container container) : Fp4(16), container_(container) {}
  std::string_view name() const noexcept override { return "nvfp4"; }
  SurveyFold survey_fold() const noexcept override { return SurveyFold::largest; }
  double survey(const float* values, std::uint64_t count) const override {
    return static_cast<double>(run_codecs().largest(values, count));
  }
  std::vector<WeightPart> parts(const Matrix& matrix) const override {
    const bool modelopt = container_ == Nvfp4Container::modelopt;
    return {code_part(matrix.size, modelopt ? ".weight" : ".weight_packed"),
            scale_part(matrix.size, DType::f8_e4m3),
            {modelopt ? ".weight_scale_2" : ".weight_global_scale", DType::f32,
             modelopt ? Shape{} : Shape{1}}};
  }
  void encode(const Matrix&, const MatrixRows& input, std::span<std::byte* const> parts,
              float* decoded) const override {
    const float global = tensor_scale(input.survey);
    const bool multiplies = container_ == Nvfp4Container::modelopt;
    encode_groups(input, parts[0], decoded, [&](float largest, std::size_t group) {
      const float wanted =
          multiplies ? largest / (kE2M1Max * global) : global * (largest / kE2M1Max);
      std::uint8_t code = float_to_e4m3(wanted);
      // ModelOpt takes 2^-9, for zeros 1; compressed-tensors the step of E4M3.
      if (code == 0) code = !multiplies ? 0x20 : wanted == 0 ? 0x38 : 0x01;
      const float stored = e4m3_to_float(code);
      parts[1][group] = std::byte{code};
      return multiplies ? stored * global : stored / global;
    });
  }
  std::vector<std::byte> once(const Matrix&, std::size_t, double survey) const override {
    std::vector<std::byte> bytes(4);
    store_plain(DType::f32, tensor_scale(survey), bytes.data());
    return bytes;
  }

 private:
  // compressed-tensors divides by it, ModelOpt multiplies.
  float tensor_scale(double survey) const noexcept {
    const float largest = std::max(static_cast<float>(survey), kSmallestFloat);
    if (container_ == Nvfp4Container::modelopt) return largest / (kE2M1Max * kE4M3Max);
    const float scale = kE4M3Max * kE2M1Max / largest;
    return std::isfinite(scale) ? scale : 1.0F;
  }

  Nvfp4Container container_;
};

}  // namespace

WeightFormatPtr make_mxfp4() { return std::make_shared<Mxfp4>(); }
WeightFormatPtr make_nvfp4(Nvfp4Container container) { return std::make_shared<Nvfp4>(container); }

}  // namespace quantize
