// The table of quantizers is the table of types read again: every row of types.def with the codec
// `scheme` names an object of that symbol in quant/schemes.
#include <algorithm>
#include <iterator>
#include <vector>

#include "quantize/quantizer.hpp"

#include "quant/decoded.hpp"
#include "quant/plain.hpp"

namespace quantize {

#define QUANTIZE_IF_plain(symbol)
#define QUANTIZE_IF_opaque(symbol)
#define QUANTIZE_IF_scheme(symbol) extern const Quantizer symbol;
#define QUANTIZE_TYPE(symbol, name, values, bytes, gguf, codec, safetensors) \
  QUANTIZE_IF_##codec(symbol)
namespace schemes {
#include "quantize/types.def"
}  // namespace schemes
#undef QUANTIZE_IF_scheme

namespace {

std::vector<Quantizer> make_table() {
#define QUANTIZE_IF_scheme(symbol) schemes::symbol,
  std::vector<Quantizer> table = {
#include "quantize/types.def"
  };
#undef QUANTIZE_IF_scheme
  for (const auto more : {plain_types(), decoded_types()}) {
    table.insert(table.end(), more.begin(), more.end());
  }
  std::sort(table.begin(), table.end(),
            [](const Quantizer& a, const Quantizer& b) { return a.type < b.type; });
  return table;
}
#undef QUANTIZE_TYPE
#undef QUANTIZE_IF_plain
#undef QUANTIZE_IF_opaque

}  // namespace

std::span<const Quantizer> quantizers() noexcept {
  static const std::vector<Quantizer> table = make_table();
  return table;
}

const Quantizer* find_quantizer(DType type) noexcept {
  const auto all = quantizers();
  const auto at =
      std::find_if(all.begin(), all.end(), [type](const Quantizer& q) { return q.type == type; });
  return at == all.end() ? nullptr : &*at;
}

}  // namespace quantize
