// Q4_K and Q5_K over the closed set; the definition is q4_k_q5_k.cpp.
#include "quant/schemes/q4_k_q5_k.hpp"

#include "quant/kernels/affine_super_blocks.hpp"
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

}  // namespace

extern const Kernel q4_k;
extern const Kernel q5_k;
const Kernel q4_k{DType::q4_k, encode<schemes::BlockQ4_K>, nullptr};
const Kernel q5_k{DType::q5_k, encode<schemes::BlockQ5_K>, nullptr};

}  // namespace quantize::kernels::QUANTIZE_ISA
