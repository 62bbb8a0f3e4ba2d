// The weight formats of checkpoints, one file per container.
#pragma once

#include <memory>

#include "quant/checkpoint/integer_grid.hpp"
#include "quant/checkpoint/weight_format.hpp"

namespace quantize {

using WeightFormatPtr = std::shared_ptr<const WeightFormat>;

// Values that share a scale along a row; 0: the whole row.
WeightFormatPtr make_int_quantized(const IntegerGrid& grid, std::uint64_t group);
WeightFormatPtr make_pack_quantized(const IntegerGrid& grid, std::uint64_t group);
WeightFormatPtr make_gptq(const IntegerGrid& grid, std::uint64_t group);
WeightFormatPtr make_awq(const IntegerGrid& grid, std::uint64_t group);

WeightFormatPtr make_bnb_int8();
WeightFormatPtr make_bnb_4bit(bool nf4, bool double_quantized);

enum class Fp8Scale : std::uint8_t { tensor, channel, block };
WeightFormatPtr make_fp8(Fp8Scale scale);

WeightFormatPtr make_mxfp4();
enum class Nvfp4Container : std::uint8_t { compressed_tensors, modelopt };
WeightFormatPtr make_nvfp4(Nvfp4Container container);

}  // namespace quantize
