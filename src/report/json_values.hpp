// How values are written into every JSON document of ours.
#pragma once

#include <cmath>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "core/utf8.hpp"
#include "report/summary.hpp"

namespace quantize::report {

using Object = nlohmann::ordered_json;

// A string that is not UTF-8 becomes { "hex": "..." }.
inline Object string(std::string_view text) {
  if (utf8::is_valid(text)) return std::string(text);
  std::string hex;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15u];
  }
  return Object{{"hex", hex}};
}

// JSON has no infinity: null.
inline Object number(double value) {
  return std::isfinite(value) ? Object(value) : Object(nullptr);
}

inline Object types_array(const Summary& summary) {
  Object types = Object::array();
  for (const TypeShare& share : summary.types) {
    types.push_back({{"type", share.type_name},
                     {"tensors", share.tensors},
                     {"values", share.values},
                     {"bytes", share.bytes}});
  }
  return types;
}

inline Object substitutions_array(const Summary& summary) {
  Object substitutions = Object::array();
  for (const Substitution& s : summary.substitutions) {
    substitutions.push_back({{"wanted", info(s.wanted).name},
                             {"type", info(s.type).name},
                             {"reason", string(s.reason)},
                             {"tensors", s.tensors},
                             {"values", s.values}});
  }
  return substitutions;
}

}  // namespace quantize::report
