// The definition of TQ1_0 and TQ2_0; the blocks are drawn in tq1_0_tq2_0.hpp.
#include "quant/schemes/tq1_0_tq2_0.hpp"

namespace quantize::schemes {
namespace {

template <class Block>
void encode_block(const float* x, const float*, float, Block& block) noexcept {
  const float magnitude = largest_magnitude(x, Block::kValues);
  const float inverse = magnitude != 0 ? 1.0F / magnitude : 0.0F;
  std::uint8_t digits[Block::kValues];
  for (int e = 0; e < Block::kValues; ++e) {
    // Of an infinite product only the low byte counts, 0: the digit is 1.
    digits[e] = static_cast<std::uint8_t>(round_half_away(x[e] * inverse) + 1);
  }
  block.set_digits(digits);
  block.scale = float_to_half(magnitude);
}

template <class Block>
void encode(const EncodeInput& in, std::byte* out) noexcept {
  for_each_block<Block, Block::kValues>(in, out, encode_block<Block>);
}

}  // namespace

extern const Quantizer tq1_0;
extern const Quantizer tq2_0;
const Quantizer tq1_0{DType::tq1_0,
                      ImportanceUse::unused,
                      nullptr,
                      nullptr,
                      encode<BlockTQ1_0>,
                      decode_blocks<BlockTQ1_0>,
                      first_infinite_scale<BlockTQ1_0>};
const Quantizer tq2_0{DType::tq2_0,
                      ImportanceUse::unused,
                      nullptr,
                      nullptr,
                      encode<BlockTQ2_0>,
                      decode_blocks<BlockTQ2_0>,
                      first_infinite_scale<BlockTQ2_0>};

}  // namespace quantize::schemes
