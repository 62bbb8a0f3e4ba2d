// The YAML front matter of README.md as a small tree. Whatever is wrong with it is a warning and
// no card: a model's description must not keep it from being converted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/directory.hpp"

namespace quantize {

struct CardNode {
  enum class Kind : std::uint8_t {
    null,
    text,
    other,
    list,
    mapping
  };  // other: number, truth, date
  Kind kind = Kind::null;
  std::string text;                                           // scalars
  std::vector<std::string> keys;                              // mappings: one per child
  std::vector<CardNode> children;                             // lists and mappings
  const CardNode* find(std::string_view key) const noexcept;  // the last of that name
};

CardNode read_model_card(const Directory& directory, Warnings& warnings);

}  // namespace quantize
