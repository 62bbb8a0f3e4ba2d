// A matcher for the split patterns that this program knows (split_patterns.def), by backtracking.
// Its input is a constant of this program, never a pattern from a file: those are compared as text.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quantize {

class Pattern {
 public:
  // The part of the usual syntax that the known patterns need: alternatives, groups ((?:), (?i:),
  // (?=), (?!)), sets with ranges, categories and nested sets, greedy and possessive quantifiers,
  // $, \b, \s, \S, \d.
  explicit Pattern(std::string_view regex);

  // Length of the match that begins at `at`; empty if none does.
  std::optional<std::size_t> match(std::u32string_view text, std::size_t at) const;

 private:
  struct Set {
    struct Item {
      char32_t first = 0, last = 0;  // a range, unless `name` has a category (or "s", "Han")
      std::string name = {};
      std::shared_ptr<const Set> nested = nullptr;
      bool inverted = false;
    };
    std::vector<Item> items;
    bool inverted = false;
    bool contains(char32_t c) const;
  };
  struct Node {
    enum class Kind { set, sequence, alternatives, repeat, ahead, end, boundary };
    Kind kind = Kind::sequence;
    Set set;
    std::vector<Node> parts;
    std::size_t min = 1, max = 1;
    bool possessive = false, inverted = false;
  };
  using Next = std::function<bool(std::size_t)>;
  class Reader;

  static bool run(const Node& node, std::u32string_view text, std::size_t at, const Next& next);
  static bool run_sequence(const Node& node, std::size_t part, std::u32string_view text,
                           std::size_t at, const Next& next);
  static bool run_repeat(const Node& node, std::size_t done, std::u32string_view text,
                         std::size_t at, const Next& next);

  Node root_;
};

}  // namespace quantize
