// Q4_K and Q5_K over the closed set; the definition is q4_k_q5_k.cpp.
#include "quant/schemes/q4_k_q5_k.hpp"

#include "quant/kernels/affine_super_blocks.hpp"
#include "quant/kernels/decode.hpp"
#include "quant/kernels/kernel.hpp"

namespace quantize::kernels::QUANTIZE_ISA {
namespace {

template <class Block>
struct Scheme {
  using BlockType = Block;
  static constexpr int kSubBlock = schemes::kSubBlock;
  static constexpr int kTop = Block::kTop;
  static constexpr int kScaleTop = 63;
  static constexpr bool kAbsolute = false;
  static constexpr float kMeanSquareFactor = 2;
  static constexpr GridStep kSteps = Block::kSteps;
  static constexpr GridStep kStepsWithImportance = schemes::kStepsWithImportance;

  // Weights of a group without importance: the sub-block's root mean square plus the magnitude.
  static void plain_weights(const float* x, float* weights) {
    FF sum = FF::set(0);
    for (int i = 0; i < kSubBlock * FF::kLanes; i += FF::kLanes) {
      const FF v = FF::load(x + i);
      sum = sum + v * v;
    }
    const FF average = sqrt(sum / FF::set(32));
    for (int i = 0; i < kSubBlock * FF::kLanes; i += FF::kLanes) {
      store(weights + i, average + abs(FF::load(x + i)));
    }
  }
  static I limit_scale_code(I code) { return min(code & I::set(255), I::set(63)); }
  static void settle(float*, float*) {}
  static void set_scales(Block& block, const int (&scales)[8], const int (&mins)[8]) {
    for (int j = 0; j < 8; ++j) block.sub.set(j, scales[j], mins[j]);
  }
};

template <class Block>
void encode(const EncodeInput& in, std::byte* out) noexcept {
  encode_affine_super_blocks<Scheme<Block>>(in, out);
}

I fifth_bits(const schemes::BlockQ4_K&, int, int) { return I::set(0); }
I fifth_bits(const schemes::BlockQ5_K& block, int j, int i) {
  return where_bits(I::load(block.fifth_bits + i), 1 << j, 16);
}

template <class Block>
void decode(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each<Block, kSuperBlock>(in, values, out, [](const Block& block, float* x) {
    const F scale = half_in_every_lane(block.scale);
    const F min = half_in_every_lane(block.min);
    // Sub-blocks 2c and 2c + 1 share 32 bytes of nibbles.
    for (int j = 0; j < 8; j += 2) {
      const auto number = [](int code) { return F::set(static_cast<float>(code)); };
      const F scales[] = {scale * number(block.sub.scale(j)),
                          scale * number(block.sub.scale(j + 1))};
      const F mins[] = {min * number(block.sub.min(j)), min * number(block.sub.min(j + 1))};
      for (int i = 0; i < 32; i += kNativeLanes) {
        const I bytes = I::load(block.nibbles + 16 * j + i);
        const I low = (bytes & I::set(15)) | fifth_bits(block, j, i);
        const I high = shift_right<4>(bytes) | fifth_bits(block, j + 1, i);
        store(x + 32 * j + i, scales[0] * to_float(low) - mins[0]);
        store(x + 32 * j + 32 + i, scales[1] * to_float(high) - mins[1]);
      }
    }
  });
}

}  // namespace

extern const Kernel q4_k;
extern const Kernel q5_k;
const Kernel q4_k{DType::q4_k, encode<schemes::BlockQ4_K>, decode<schemes::BlockQ4_K>};
const Kernel q5_k{DType::q5_k, encode<schemes::BlockQ5_K>, decode<schemes::BlockQ5_K>};

}  // namespace quantize::kernels::QUANTIZE_ISA
