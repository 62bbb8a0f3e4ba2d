#include "quantize/dtype.hpp"

#include <cassert>

#include "quantize/error.hpp"

#include "core/checked.hpp"

namespace quantize {
namespace {

constexpr TypeInfo kTypes[] = {
#define QUANTIZE_TYPE(symbol, name, values, bytes, gguf, codec, safetensors) \
  {DType::symbol, name, values, bytes, gguf, Codec::codec, safetensors},
#include "quantize/types.def"
#undef QUANTIZE_TYPE
};

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_any_case(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

template <class Predicate>
std::optional<DType> first_type(Predicate matches) noexcept {
  for (const TypeInfo& type : kTypes) {
    if (matches(type)) return type.type;
  }
  return std::nullopt;
}

}  // namespace

std::span<const TypeInfo> all_types() noexcept { return kTypes; }

const TypeInfo& info(DType type) noexcept { return kTypes[static_cast<std::size_t>(type)]; }

std::optional<DType> type_from_name(std::string_view name) noexcept {
  return first_type([&](const TypeInfo& t) { return equal_any_case(t.name, name); });
}

std::optional<DType> type_from_gguf_id(std::uint32_t id) noexcept {
  return first_type([&](const TypeInfo& t) {
    return t.gguf_id >= 0 && static_cast<std::uint32_t>(t.gguf_id) == id;
  });
}

std::optional<DType> type_from_safetensors(std::string_view name) noexcept {
  return first_type(
      [&](const TypeInfo& t) { return !t.safetensors_name.empty() && t.safetensors_name == name; });
}

bool is_quantized(DType type) noexcept {
  const TypeInfo& t = info(type);
  return t.gguf_id >= 0 && t.block_values > 1;
}

std::uint64_t stored_bytes(DType type, std::uint64_t values) {
  const TypeInfo& t = info(type);
  assert(values % t.block_values == 0);
  const auto bytes = checked_multiply(values / t.block_values, t.block_bytes);
  if (!bytes) fail(ErrorCode::BUG01, {}, {}, "the size of a tensor does not fit 64 bits");
  return *bytes;
}

}  // namespace quantize
