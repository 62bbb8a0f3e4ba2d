// Element types: one row of types.def each, looked up by enumerator, name, GGUF id or safetensors
// spelling.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace quantize {

enum class DType : std::uint8_t {
#define QUANTIZE_TYPE(symbol, name, values, bytes, gguf, codec, safetensors) symbol,
#include "quantize/types.def"
#undef QUANTIZE_TYPE
};

enum class Codec : std::uint8_t { plain, scheme, opaque };

// Everything any layer may ask about an element type.
struct TypeInfo {
  DType type;
  std::string_view name;       // as GGUF tools spell it: "q4_K"
  std::uint32_t block_values;  // values that share one block; 1 for plain types
  std::uint32_t block_bytes;   // bytes of that block as stored
  std::int32_t gguf_id;        // -1: GGUF cannot carry it
  Codec codec;
  std::string_view safetensors_name;  // empty: safetensors cannot carry it
};

std::span<const TypeInfo> all_types() noexcept;
const TypeInfo& info(DType type) noexcept;
std::optional<DType> type_from_name(std::string_view name) noexcept;  // any case
std::optional<DType> type_from_gguf_id(std::uint32_t id) noexcept;
std::optional<DType> type_from_safetensors(std::string_view name) noexcept;  // exact case

// True for the block quantizers, coded or opaque, that GGUF calls quantized.
bool is_quantized(DType type) noexcept;

// Bytes of `values` values; `values` must be whole blocks (asserted). Checked for overflow (BUG01).
std::uint64_t stored_bytes(DType type, std::uint64_t values);

}  // namespace quantize
