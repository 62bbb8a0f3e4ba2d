// The table of quantizers is the table of types read again: every row of types.def with the codec
// `scheme` names an object of that symbol in quant/schemes. Each instruction set has a copy of the
// table in which its kernels stand in for the definitions.
#include <algorithm>
#include <atomic>
#include <iterator>
#include <vector>

#include "quantize/isa.hpp"
#include "quantize/quantizer.hpp"

#include "quant/checkpoint/run_codecs.hpp"
#include "quant/contraction.hpp"
#include "quant/error_lanes.hpp"
#include "quant/kernels/kernel.hpp"
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

// One row per compiled set, written by the build: QUANTIZE_ISA_ROW(name, usable on this CPU).
#define QUANTIZE_ISA_ROW(name, probe) \
  namespace kernels::name {           \
  extern const KernelTable table;     \
  }
#include "quant/isa_rows.def"
#undef QUANTIZE_ISA_ROW

namespace {

std::vector<Quantizer> make_definitions() {
#define QUANTIZE_IF_scheme(symbol) schemes::symbol,
  std::vector<Quantizer> table = {
#include "quantize/types.def"
  };
#undef QUANTIZE_IF_scheme
  const auto plain = plain_types();
  table.insert(table.end(), plain.begin(), plain.end());
  std::sort(table.begin(), table.end(),
            [](const Quantizer& a, const Quantizer& b) { return a.type < b.type; });
  return table;
}
#undef QUANTIZE_TYPE
#undef QUANTIZE_IF_plain
#undef QUANTIZE_IF_opaque

struct Compiled {
  Isa isa;
  std::vector<Quantizer> quantizers;
  AddErrors add_errors;
  const RunCodecs* run_codecs;
};

Compiled with_kernels(Isa isa, const kernels::KernelTable& table,
                      const std::vector<Quantizer>& definitions) {
  Compiled compiled{isa, definitions, table.add_errors, table.run_codecs};
  for (std::size_t i = 0; i < table.count; ++i) {
    const kernels::Kernel& kernel = *table.kernels[i];
    for (Quantizer& quantizer : compiled.quantizers) {
      if (quantizer.type != kernel.type) continue;
      if (kernel.encode) quantizer.encode = kernel.encode;
      if (kernel.decode) quantizer.decode = kernel.decode;
    }
  }
  return compiled;
}

struct Registry {
  std::vector<Compiled> sets;
  std::vector<Isa> names;
  std::atomic<std::size_t> active{0};

  Registry() {
    const std::vector<Quantizer> definitions = make_definitions();
#define QUANTIZE_ISA_ROW(name, probe)                                                     \
  sets.push_back(with_kernels(                                                            \
      {#name, (probe) != 0,                                                               \
       +[]() noexcept { return is_contracted(kernels::name::table.multiply_then_add); }}, \
      kernels::name::table, definitions));
#include "quant/isa_rows.def"
#undef QUANTIZE_ISA_ROW
    sets.push_back({{"scalar", true, +[]() noexcept { return is_contracted(multiply_then_add); }},
                    definitions,
                    add_errors_by_definition,
                    &kRunCodecDefinitions});
    for (const Compiled& set : sets) names.push_back(set.isa);
    while (!names[active].usable) ++active;
  }
  // One past the end if there is none of that name.
  std::size_t find(std::string_view name) const noexcept {
    std::size_t at = 0;
    while (at < names.size() && names[at].name != name) ++at;
    return at;
  }
};

Registry& registry() noexcept {
  static Registry only;
  return only;
}

}  // namespace

std::span<const Isa> isas() noexcept { return registry().names; }

std::string_view active_isa() noexcept { return registry().names[registry().active].name; }

bool force_isa(std::string_view name) noexcept {
  Registry& all = registry();
  const std::size_t at = all.find(name);
  if (at == all.names.size() || !all.names[at].usable) return false;
  all.active = at;
  return true;
}

std::span<const Quantizer> quantizers_of(std::string_view name) noexcept {
  return registry().sets[registry().find(name)].quantizers;
}

AddErrors active_add_errors() noexcept { return registry().sets[registry().active].add_errors; }

AddErrors add_errors_of(std::string_view isa) noexcept {
  return registry().sets[registry().find(isa)].add_errors;
}

const RunCodecs& run_codecs() noexcept { return *registry().sets[registry().active].run_codecs; }

const RunCodecs& run_codecs_of(std::string_view isa) noexcept {
  return *registry().sets[registry().find(isa)].run_codecs;
}

std::span<const Quantizer> quantizers() noexcept {
  return registry().sets[registry().active].quantizers;
}

const Quantizer* find_quantizer(DType type) noexcept {
  const auto all = quantizers();
  const auto at =
      std::find_if(all.begin(), all.end(), [type](const Quantizer& q) { return q.type == type; });
  return at == all.end() ? nullptr : &*at;
}

}  // namespace quantize
