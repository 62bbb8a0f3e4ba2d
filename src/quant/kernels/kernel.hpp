// What one instruction set offers for one type. A null function means: the scalar definition
// serves.
#pragma once

#include "quantize/quantizer.hpp"

#include "quant/error_lanes.hpp"

namespace quantize {
struct RunCodecs;
}  // namespace quantize

namespace quantize::kernels {

struct Kernel {
  DType type{};
  decltype(Quantizer::encode) encode = nullptr;
  decltype(Quantizer::decode) decode = nullptr;
};

// One compiled set of kernels.
struct KernelTable {
  const Kernel* const* kernels;
  std::size_t count;
  // a * b + c in two roundings, as this set was compiled (see quant/contraction.hpp).
  float (*multiply_then_add)(float a, float b, float c) noexcept;
  AddErrors add_errors;
  const RunCodecs* run_codecs;
};

}  // namespace quantize::kernels
