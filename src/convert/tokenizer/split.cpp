#include "convert/tokenizer/split.hpp"

#include <utility>

namespace quantize {
namespace {

struct Span {
  std::size_t first, last;
  bool match;
};

std::vector<Span> spans_of(std::u32string_view text, const FindMatch& find) {
  std::vector<Span> spans;
  std::size_t open = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::optional<std::size_t> length = find(text, at);
    if (!length) {
      ++at;
      continue;
    }
    if (open != at) spans.push_back({open, at, false});
    spans.push_back({at, at + *length, true});
    open = at + *length;
    at = *length == 0 ? at + 1 : open;
  }
  if (open != text.size()) spans.push_back({open, text.size(), false});
  return spans;
}

// Whether a span joins the one before it, given whether each is a match.
bool joins(SplitBehavior behavior, bool before, bool match) {
  switch (behavior) {
    case SplitBehavior::contiguous:
      return before == match;
    case SplitBehavior::merged_with_previous:
      return match && !before;
    case SplitBehavior::merged_with_next:
      return before && !match;
    case SplitBehavior::removed:
    case SplitBehavior::isolated:
      return false;
  }
  return false;
}

}  // namespace

std::optional<SplitBehavior> split_behavior(std::string_view name) {
  static constexpr std::pair<std::string_view, SplitBehavior> kNames[] = {
      {"Removed", SplitBehavior::removed},
      {"Isolated", SplitBehavior::isolated},
      {"Contiguous", SplitBehavior::contiguous},
      {"MergedWithPrevious", SplitBehavior::merged_with_previous},
      {"MergedWithNext", SplitBehavior::merged_with_next}};
  for (const auto& [known, behavior] : kNames)
    if (known == name) return behavior;
  return std::nullopt;
}

void split(std::vector<std::u32string>& pieces, const FindMatch& find, SplitBehavior behavior,
           bool invert) {
  std::vector<std::u32string> out;
  for (const std::u32string& piece : pieces) {
    std::vector<Span> joined;
    bool before = false;
    for (Span span : spans_of(piece, find)) {
      span.match = span.match != invert;
      if (behavior == SplitBehavior::removed && span.match) continue;
      if (!joined.empty() && joins(behavior, before, span.match))
        joined.back().last = span.last;
      else
        joined.push_back(span);
      before = span.match;
    }
    for (const Span& span : joined)
      if (span.first != span.last) out.push_back(piece.substr(span.first, span.last - span.first));
  }
  pieces = std::move(out);
}

}  // namespace quantize
