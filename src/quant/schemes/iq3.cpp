// IQ3_XXS and IQ3_S as encoders; their blocks are described in iq3.hpp, the search in
// grid_search.hpp.
#include "quant/schemes/iq3.hpp"

namespace quantize::schemes {

extern const Quantizer iq3_xxs;
extern const Quantizer iq3_s;
const Quantizer iq3_xxs = grid_quantizer<BlockIQ3_XXS, 98>(DType::iq3_xxs, ImportanceUse::optional);
const Quantizer iq3_s = grid_quantizer<BlockIQ3_S, 110>(DType::iq3_s, ImportanceUse::optional);

}  // namespace quantize::schemes
