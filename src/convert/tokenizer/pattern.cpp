// Each node is asked to match at a place and to call what follows with every end that it can reach,
// best first: the first end with which all that follows agrees is the match.
#include "convert/tokenizer/pattern.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "convert/tokenizer/characters.hpp"

namespace quantize {

// Reads the pattern left to right; one function per level of the grammar.
class Pattern::Reader {
 public:
  explicit Reader(std::u32string text) : text_(std::move(text)) {}

  Node alternatives() {
    Node out{Node::Kind::alternatives, {}, {}, 1, 1, false, false};
    do out.parts.push_back(sequence());
    while (take(U'|'));
    return out;
  }

 private:
  bool more() const { return at_ < text_.size(); }
  bool take(char32_t c) {
    if (!more() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool take(std::u32string_view s) {
    if (text_.compare(at_, s.size(), s) != 0) return false;
    at_ += s.size();
    return true;
  }

  Node sequence() {
    Node out;
    while (more() && text_[at_] != U'|' && text_[at_] != U')') out.parts.push_back(quantified());
    return out;
  }

  Node quantified() {
    Node inner = atom();
    Node out{Node::Kind::repeat, {}, {}, 0, std::numeric_limits<std::size_t>::max(), false, false};
    if (take(U'*')) {
    } else if (take(U'+')) {
      out.min = 1;
    } else if (take(U'?')) {
      out.max = 1;
    } else if (take(U'{')) {
      out.min = out.max = number();
      if (take(U',')) out.max = number();
      take(U'}');
    } else {
      return inner;
    }
    out.possessive = take(U'+');
    out.parts.push_back(std::move(inner));
    return out;
  }

  std::size_t number() {
    std::size_t value = 0;
    while (more() && text_[at_] >= U'0' && text_[at_] <= U'9')
      value = value * 10 + (text_[at_++] - U'0');
    return value;
  }

  Node atom() {
    if (take(U'(')) {
      Node out;
      const bool fold = fold_;
      if (take(U"?=") || take(U"?!")) {
        out.kind = Node::Kind::ahead;
        out.inverted = text_[at_ - 1] == U'!';
      } else if (take(U"?i:")) {
        fold_ = true;
      } else {
        take(U"?:");
      }
      out.parts.push_back(alternatives());
      take(U')');
      fold_ = fold;
      return out;
    }
    if (take(U'$')) return {Node::Kind::end, {}, {}, 1, 1, false, false};
    if (take(U"\\b")) return {Node::Kind::boundary, {}, {}, 1, 1, false, false};
    Node out{Node::Kind::set, {}, {}, 1, 1, false, false};
    if (take(U'[')) {
      out.set = set();
    } else {
      out.set.items.push_back(item());
      Set::Item& only = out.set.items.front();
      if (fold_ && category(only.first) == "Ll")
        out.set.items.push_back({only.first - 32, only.first - 32, {}, nullptr, false});
    }
    return out;
  }

  Set set() {
    Set out;
    out.inverted = take(U'^');
    while (more() && !take(U']')) {
      if (take(U'[')) {
        out.items.push_back({0, 0, {}, std::make_shared<const Set>(set()), false});
        continue;
      }
      Set::Item next = item();
      if (next.name.empty() && at_ + 1 < text_.size() && text_[at_] == U'-' &&
          text_[at_ + 1] != U']') {
        ++at_;
        next.last = item().first;
      }
      out.items.push_back(next);
      if (fold_ && category(next.first) == "Ll")
        out.items.push_back({next.first - 32, next.last - 32, {}, nullptr, false});
    }
    return out;
  }

  // A character or a class of characters.
  Set::Item item() {
    const char32_t c = text_[at_++];
    if (c != U'\\') return {c, c, {}, nullptr, false};
    const char32_t escaped = text_[at_++];
    switch (escaped) {
      case U's':
        return {0, 0, "s", nullptr, false};
      case U'S':
        return {0, 0, "s", nullptr, true};
      case U'd':
        return {0, 0, "Nd", nullptr, false};
      case U'r':
        return {U'\r', U'\r', {}, nullptr, false};
      case U'n':
        return {U'\n', U'\n', {}, nullptr, false};
      case U't':
        return {U'\t', U'\t', {}, nullptr, false};
      case U'p': {
        const std::size_t first = ++at_;
        while (!take(U'}')) ++at_;
        return {0, 0, to_utf8(text_.substr(first, at_ - 1 - first)), nullptr, false};
      }
      default:
        return {escaped, escaped, {}, nullptr, false};
    }
  }

  std::u32string text_;
  std::size_t at_ = 0;
  bool fold_ = false;
};

Pattern::Pattern(std::string_view regex) : root_(Reader(to_code_points(regex)).alternatives()) {}

bool Pattern::Set::contains(char32_t c) const {
  const auto holds = [&](const Item& item) {
    if (item.nested) return item.nested->contains(c);
    if (item.name.empty()) return item.first <= c && c <= item.last;
    if (item.name == "s") return is_space(c) != item.inverted;
    if (item.name == "Han") return is_han(c);
    return category(c).starts_with(item.name);
  };
  return std::any_of(items.begin(), items.end(), holds) != inverted;
}

bool Pattern::run(const Node& node, std::u32string_view text, std::size_t at, const Next& next) {
  switch (node.kind) {
    case Node::Kind::set:
      return at < text.size() && node.set.contains(text[at]) && next(at + 1);
    case Node::Kind::sequence:
      return run_sequence(node, 0, text, at, next);
    case Node::Kind::alternatives:
      return std::any_of(node.parts.begin(), node.parts.end(),
                         [&](const Node& part) { return run(part, text, at, next); });
    case Node::Kind::repeat:
      return run_repeat(node, 0, text, at, next);
    case Node::Kind::ahead:
      return run(node.parts.front(), text, at, [](std::size_t) { return true; }) != node.inverted &&
             next(at);
    case Node::Kind::end:
      return (at == text.size() || text[at] == U'\n') && next(at);
    case Node::Kind::boundary: {
      const auto in_word = [&](std::size_t i) {
        return i < text.size() && (is_letter(text[i]) || is_number(text[i]) || text[i] == U'_' ||
                                   category(text[i])[0] == 'M');
      };
      return (at > 0 && in_word(at - 1)) != in_word(at) && next(at);
    }
  }
  return false;
}

bool Pattern::run_sequence(const Node& node, std::size_t part, std::u32string_view text,
                           std::size_t at, const Next& next) {
  if (part == node.parts.size()) return next(at);
  return run(node.parts[part], text, at,
             [&](std::size_t end) { return run_sequence(node, part + 1, text, end, next); });
}

bool Pattern::run_repeat(const Node& node, std::size_t done, std::u32string_view text,
                         std::size_t at, const Next& next) {
  const Node& part = node.parts.front();
  if (part.kind == Node::Kind::set) {  // by far the most: no recursion
    std::size_t count = 0;
    while (count < node.max && at + count < text.size() && part.set.contains(text[at + count]))
      ++count;
    for (;; --count) {
      if (count < node.min) return false;
      if (next(at + count)) return true;
      if (count == 0 || node.possessive) return false;
    }
  }
  if (done < node.max && run(part, text, at, [&](std::size_t end) {
        return end != at && run_repeat(node, done + 1, text, end, next);
      }))
    return true;
  return done >= node.min && next(at);
}

std::optional<std::size_t> Pattern::match(std::u32string_view text, std::size_t at) const {
  std::optional<std::size_t> length;
  run(root_, text, at, [&](std::size_t end) {
    length = end - at;
    return true;
  });
  return length;
}

}  // namespace quantize
