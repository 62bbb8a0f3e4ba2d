// Q2_K over the closed set; the definition is q2_k.cpp.
#include "quant/schemes/q2_k.hpp"

#include "quant/kernels/affine_super_blocks.hpp"
#include "quant/kernels/decode.hpp"
#include "quant/kernels/kernel.hpp"

namespace quantize::kernels::QUANTIZE_ISA {
namespace {

struct Scheme {
  using BlockType = schemes::BlockQ2_K;
  static constexpr int kSubBlock = schemes::kSubBlock;
  static constexpr int kTop = 3;
  static constexpr int kScaleTop = 15;
  static constexpr bool kAbsolute = true;
  static constexpr float kMeanSquareFactor = 1;
  static constexpr GridStep kSteps = schemes::kSteps;
  static constexpr GridStep kStepsWithImportance = schemes::kStepsWithImportance;

  static void plain_weights(const float* x, float* weights) {
    for (int i = 0; i < kSubBlock * FF::kLanes; i += FF::kLanes) {
      store(weights + i, abs(FF::load(x + i)));
    }
  }
  static I limit_scale_code(I code) { return code & I::set(255); }
  // The byte that holds both is what counts: a scale beyond four bits spills into the minimum.
  static void settle(float* scale, float* min) {
    const I packed =
        (truncate(F::load(scale)) | shift_left<4>(truncate(F::load(min)))) & I::set(255);
    store(scale, to_float(packed & I::set(15)));
    store(min, to_float(shift_right<4>(packed)));
  }
  static void set_scales(BlockType& block, const int (&scales)[16], const int (&mins)[16]) {
    for (int j = 0; j < 16; ++j) {
      block.scales[j] = static_cast<std::uint8_t>(scales[j] | mins[j] << 4);
    }
  }
};

void encode(const EncodeInput& in, std::byte* out) noexcept {
  encode_affine_super_blocks<Scheme>(in, out);
}

// Values 32 * kQuarter ... of one half of a block.
template <int kQuarter>
void decode_quarter(const schemes::BlockQ2_K& block, int half, F scale, F min, float* x) {
  for (int i = 0; i < 32; i += kNativeLanes) {
    const int at = 128 * half + 32 * kQuarter + i;
    const I pairs = shift_right<2 * kQuarter>(I::load(block.codes + 32 * half + i)) & I::set(3);
    const int packed = block.scales[at / 16];
    const F sub_scale = scale * F::set(static_cast<float>(packed & 15));
    store(x + at, sub_scale * to_float(pairs) - min * F::set(static_cast<float>(packed >> 4)));
  }
}

void decode(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each<schemes::BlockQ2_K, kSuperBlock>(in, values, out,
                                               [](const schemes::BlockQ2_K& block, float* x) {
                                                 const F scale = half_in_every_lane(block.scale);
                                                 const F min = half_in_every_lane(block.min);
                                                 for (int half = 0; half < 2; ++half) {
                                                   decode_quarter<0>(block, half, scale, min, x);
                                                   decode_quarter<1>(block, half, scale, min, x);
                                                   decode_quarter<2>(block, half, scale, min, x);
                                                   decode_quarter<3>(block, half, scale, min, x);
                                                 }
                                               });
}

}  // namespace

extern const Kernel q2_k;
const Kernel q2_k{DType::q2_k, encode, decode};

}  // namespace quantize::kernels::QUANTIZE_ISA
