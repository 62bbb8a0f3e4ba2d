// IQ2_XXS, IQ2_XS and IQ2_S as encoders; their blocks are described in iq2.hpp, the search in
// grid_search.hpp.
#include "quant/schemes/iq2.hpp"

namespace quantize::schemes {

extern const Quantizer iq2_xxs;
extern const Quantizer iq2_xs;
extern const Quantizer iq2_s;
const Quantizer iq2_xxs = grid_quantizer<BlockIQ2_XXS, 66>(DType::iq2_xxs, ImportanceUse::required);
const Quantizer iq2_xs = grid_quantizer<BlockIQ2_XS, 74>(DType::iq2_xs, ImportanceUse::required);
const Quantizer iq2_s = grid_quantizer<BlockIQ2_S, 82>(DType::iq2_s, ImportanceUse::optional);

}  // namespace quantize::schemes
