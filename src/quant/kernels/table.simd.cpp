// The kernels of one instruction set as a table, and its contraction canary.
#include "quant/checkpoint/run_codecs.hpp"
#include "quant/kernels/kernel.hpp"
#include "quant/kernels/simd.hpp"

namespace quantize::kernels::QUANTIZE_ISA {

#define QUANTIZE_KERNEL(symbol) extern const Kernel symbol;
#include "quant/kernels/kernels.def"
#undef QUANTIZE_KERNEL
bool add_errors(ErrorLanes& lanes, const float* source, const float* result,
                std::uint64_t count) noexcept;
extern const RunCodecs run_codecs;

namespace {

#define QUANTIZE_KERNEL(symbol) &symbol,
const Kernel* const kKernels[] = {
#include "quant/kernels/kernels.def"
};
#undef QUANTIZE_KERNEL

float multiply_then_add(float a, float b, float c) noexcept {
  float lanes[kNativeLanes];
  store(lanes, F::set(a) * F::set(b) + F::set(c));
  return lanes[0];
}

}  // namespace

extern const KernelTable table;
const KernelTable table{kKernels, sizeof kKernels / sizeof kKernels[0], multiply_then_add,
                        add_errors, &run_codecs};

}  // namespace quantize::kernels::QUANTIZE_ISA
