// The definition of MXFP4 and NVFP4; the blocks are drawn in mxfp4_nvfp4.hpp.
#include "quant/schemes/mxfp4_nvfp4.hpp"

namespace quantize::schemes {
namespace {

void encode_mxfp4(const EncodeInput& in, std::byte* out) noexcept {
  const auto encode_block = [&in](const float* x, const float*, float, BlockMXFP4& block) {
    block.exponent =
        BlockMXFP4::exponent_of(largest_magnitude(x, BlockMXFP4::kValues), in.reference_quirks);
    const float scale = BlockMXFP4::scale_of(block.exponent);
    std::uint8_t codes[BlockMXFP4::kValues];
    for (int e = 0; e < BlockMXFP4::kValues; ++e) codes[e] = nearest_level(x[e], scale);
    pack_nibbles(codes, block.nibbles);
  };
  for_each_block<BlockMXFP4, BlockMXFP4::kValues>(in, out, encode_block);
}

void encode_nvfp4(const EncodeInput& in, std::byte* out) noexcept {
  const auto encode_block = [](const float* x, const float*, float, BlockNVFP4& block) {
    for (int group = 0; group < 4; ++group) {
      const float* values = x + BlockNVFP4::kGroup * group;
      const int code = BlockNVFP4::scale_code(largest_magnitude(values, BlockNVFP4::kGroup) / 6.0F);
      const float scale = BlockNVFP4::scale(code);
      block.scales[group] = static_cast<std::uint8_t>(code);
      for (int i = 0; i < 8; ++i) {
        block.nibbles[8 * group + i] = static_cast<std::uint8_t>(
            nearest_level(values[i], scale) | nearest_level(values[i + 8], scale) << 4);
      }
    }
  };
  for_each_block<BlockNVFP4, BlockNVFP4::kValues>(in, out, encode_block);
}

std::optional<std::uint64_t> first_invalid_mxfp4(const std::byte* in,
                                                 std::uint64_t count) noexcept {
  return first_block_that_is_not<BlockMXFP4>(in, count,
                                             [](const BlockMXFP4& b) { return b.exponent != 255; });
}

// Every byte is a scale.
std::optional<std::uint64_t> first_invalid_nvfp4(const std::byte*, std::uint64_t) noexcept {
  return std::nullopt;
}

}  // namespace

extern const Quantizer mxfp4;
extern const Quantizer nvfp4;
const Quantizer mxfp4{DType::mxfp4,
                      ImportanceUse::unused,
                      nullptr,
                      nullptr,
                      encode_mxfp4,
                      decode_blocks<BlockMXFP4>,
                      first_invalid_mxfp4};
const Quantizer nvfp4{DType::nvfp4,
                      ImportanceUse::unused,
                      nullptr,
                      nullptr,
                      encode_nvfp4,
                      decode_blocks<BlockNVFP4>,
                      first_invalid_nvfp4};

}  // namespace quantize::schemes
