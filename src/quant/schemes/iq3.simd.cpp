// The 3-bit grid types over the closed set; the definition is iq3.hpp and grid_search.hpp.
#include "quant/schemes/iq3.hpp"

#include "quant/kernels/grid_decode.hpp"
#include "quant/kernels/grid_search.hpp"
#include "quant/kernels/kernel.hpp"

namespace quantize::kernels::QUANTIZE_ISA {

extern const Kernel iq3_xxs;
extern const Kernel iq3_s;
const Kernel iq3_xxs{DType::iq3_xxs, encode_grid<schemes::BlockIQ3_XXS>,
                     decode_grid<schemes::BlockIQ3_XXS>};
const Kernel iq3_s{DType::iq3_s, encode_grid<schemes::BlockIQ3_S>,
                   decode_grid<schemes::BlockIQ3_S>};

}  // namespace quantize::kernels::QUANTIZE_ISA
