// The instruction sets that the encoders were compiled for. All give the same bytes; they differ in
// speed only.
#pragma once

#include <span>
#include <string_view>

#include "quantize/quantizer.hpp"

namespace quantize {

struct Isa {
  std::string_view name;  // avx512, avx2, sse2, neon, scalar
  bool usable = false;    // by this CPU
  // Whether multiplications and additions were compiled to round separately, as they must.
  bool (*is_contracted)() noexcept = nullptr;
};

// Best first; "scalar", the definition of every type, is last and always usable.
std::span<const Isa> isas() noexcept;

// What quantizers() and find_quantizer() hand out: the best usable one, unless forced.
std::string_view active_isa() noexcept;

// False if the name is unknown or this CPU cannot run it. Not while other threads encode.
bool force_isa(std::string_view name) noexcept;

// The table of one instruction set; `name` must be that of an entry of isas().
std::span<const Quantizer> quantizers_of(std::string_view name) noexcept;

}  // namespace quantize
