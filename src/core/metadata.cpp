#include "quantize/metadata.hpp"

#include <algorithm>

namespace quantize {

MetaType meta_type(const MetaValue& value) noexcept { return static_cast<MetaType>(value.index()); }

MetaType element_type(const MetaArray& array) noexcept {
  return static_cast<MetaType>(array.index());
}

std::uint64_t element_count(const MetaArray& array) noexcept {
  return std::visit(
      [](const auto& elements) -> std::uint64_t {
        if constexpr (requires { elements.size(); }) {
          return elements.size();
        } else {
          return 0;
        }
      },
      array);
}

std::string_view meta_type_name(MetaType type) noexcept {
  constexpr std::string_view kNames[] = {"u8",   "i8",  "u16", "i16", "u32", "i32", "f32",
                                         "bool", "str", "arr", "u64", "i64", "f64"};
  return kNames[static_cast<std::size_t>(type)];
}

const MetaValue* Metadata::find(std::string_view key) const noexcept {
  const auto at = std::find_if(entries_.begin(), entries_.end(),
                               [&](const Entry& e) { return e.first == key; });
  return at == entries_.end() ? nullptr : &at->second;
}

void Metadata::set(std::string_view key, MetaValue value) {
  const auto at = std::find_if(entries_.begin(), entries_.end(),
                               [&](const Entry& e) { return e.first == key; });
  if (at == entries_.end()) {
    append(std::string(key), std::move(value));
  } else {
    at->second = std::move(value);
  }
}

void Metadata::set_at_end(std::string_view key, MetaValue value) {
  erase(key);
  append(std::string(key), std::move(value));
}

void Metadata::erase(std::string_view key) {
  entries_.erase(std::remove_if(entries_.begin(), entries_.end(),
                                [&](const Entry& e) { return e.first == key; }),
                 entries_.end());
}

}  // namespace quantize
