// Cutting text into pieces, with the behaviours that tokenizer.json names.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quantize {

// What becomes of a match and of the text between matches.
enum class SplitBehavior : std::uint8_t {
  removed,
  isolated,
  contiguous,
  merged_with_previous,
  merged_with_next
};
std::optional<SplitBehavior> split_behavior(std::string_view name);

// Length of the match at a place, if any. A match of length 0 cuts.
using FindMatch =
    std::function<std::optional<std::size_t>(std::u32string_view text, std::size_t at)>;

// Every piece cut by `find`; with `invert`, matches and what is between them change roles.
void split(std::vector<std::u32string>& pieces, const FindMatch& find, SplitBehavior behavior,
           bool invert = false);

// Characters for which `holds` is true are matches of their own.
template <class Predicate>
FindMatch each(Predicate holds) {
  return [holds](std::u32string_view text, std::size_t at) {
    return holds(text[at]) ? std::optional<std::size_t>(1) : std::nullopt;
  };
}

}  // namespace quantize
