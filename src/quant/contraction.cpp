#include "quant/contraction.hpp"

#include <cfloat>
#include <limits>

#ifdef __FAST_MATH__
#error "fast-math changes the quantized bytes"
#endif

namespace quantize {

static_assert(std::numeric_limits<float>::is_iec559, "the encoders are defined over IEEE 754");
static_assert(FLT_EVAL_METHOD == 0, "excess precision changes the quantized bytes");

float multiply_then_add(float a, float b, float c) noexcept { return a * b + c; }

}  // namespace quantize
