// The 2-bit grid types over the closed set; the definition is iq2.hpp and grid_search.hpp.
#include "quant/schemes/iq2.hpp"

#include "quant/kernels/grid_decode.hpp"
#include "quant/kernels/grid_search.hpp"
#include "quant/kernels/kernel.hpp"

namespace quantize::kernels::QUANTIZE_ISA {

extern const Kernel iq2_xxs;
extern const Kernel iq2_xs;
extern const Kernel iq2_s;
const Kernel iq2_xxs{DType::iq2_xxs, encode_grid<schemes::BlockIQ2_XXS>,
                     decode_grid<schemes::BlockIQ2_XXS>};
const Kernel iq2_xs{DType::iq2_xs, encode_grid<schemes::BlockIQ2_XS>,
                    decode_grid<schemes::BlockIQ2_XS>};
const Kernel iq2_s{DType::iq2_s, encode_grid<schemes::BlockIQ2_S>,
                   decode_grid<schemes::BlockIQ2_S>};

}  // namespace quantize::kernels::QUANTIZE_ISA
