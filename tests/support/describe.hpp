// Metadata as golden data writes it down (tools/golden/convert/describe.py): [key, type, value].
#pragma once

#include <cstdio>
#include <cstring>
#include <string>

#include <nlohmann/json.hpp>

#include "quantize/metadata.hpp"

#include "core/sha256.hpp"

namespace quantize::test {

using Text = nlohmann::json;

inline constexpr std::size_t kLongestArray = 16;

inline std::string bits_of(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  char text[9];
  std::snprintf(text, sizeof text, "%08x", bits);
  return text;
}

inline Text plain(const std::string& value) { return value; }
inline Text plain(float value) { return bits_of(value); }
template <class T>
Text plain(T value) {
  return value;
}

inline void add_bytes(std::string& out, const std::string& value) {
  const std::uint64_t size = value.size();
  out.append(reinterpret_cast<const char*>(&size), sizeof size);
  out += value;
}
template <class T>
void add_bytes(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

inline Text describe(const MetaArray& array) {
  return std::visit(
      [](const auto& values) -> Text {
        if constexpr (std::is_same_v<std::decay_t<decltype(values)>, std::monostate>) {
          return nullptr;
        } else {
          if (values.size() > kLongestArray) {
            std::string bytes;
            for (auto&& value : values) add_bytes(bytes, value);
            return {{"count", values.size()}, {"sha256", sha256_hex(bytes)}};
          }
          Text out = Text::array();
          for (auto&& value : values) out.push_back(plain(value));
          return out;
        }
      },
      array);
}

inline Text describe(const Metadata::Entry& entry) {
  const std::string type(meta_type_name(meta_type(entry.second)));
  if (const auto* array = std::get_if<MetaArray>(&entry.second))
    return {entry.first, "arr " + std::string(meta_type_name(element_type(*array))),
            describe(*array)};
  return std::visit(
      [&](const auto& value) -> Text {
        if constexpr (std::is_same_v<std::decay_t<decltype(value)>, MetaArray>)
          return nullptr;
        else
          return {entry.first, type, plain(value)};
      },
      entry.second);
}

}  // namespace quantize::test
