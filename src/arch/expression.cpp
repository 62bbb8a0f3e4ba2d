// Recursive descent. How deep it goes and how many nodes it makes is limited, so that neither
// parsing nor evaluating can be driven further by a file.
#include "arch/expression.hpp"

#include <algorithm>
#include <charconv>
#include <span>
#include <utility>

#include "quantize/error.hpp"
#include "quantize/escape.hpp"

namespace quantize {
namespace {

using Op = Expression::Op;
using Node = std::uint16_t;

constexpr unsigned kMaxDepth = 24;
constexpr std::size_t kMaxNodes = 250;

struct Level {
  std::string_view sign;
  Op op;
};
// Longer signs first where one begins like another.
constexpr Level kComparisons[] = {{"==", Op::equal},      {"!=", Op::unequal},
                                  {"<=", Op::less_equal}, {">=", Op::greater_equal},
                                  {"<", Op::less},        {">", Op::greater}};
constexpr Level kAlternatives[] = {{"|", Op::either}};
constexpr Level kSums[] = {{"+", Op::add}, {"-", Op::subtract}};
constexpr Level kProducts[] = {
    {"*", Op::multiply}, {"//", Op::floor_divide}, {"/", Op::divide}, {"%", Op::remainder}};
constexpr std::span<const Level> kLevels[] = {kComparisons, kAlternatives, kSums, kProducts};

struct Function {
  std::string_view name;
  std::uint8_t arguments;
};
constexpr Function kFunctions[] = {
    {"int", 1},   {"len", 1},   {"min", 2},      {"max", 2},         {"sqrt", 1},
    {"log", 1},   {"ceil", 1},  {"floor", 1},    {"has", 1},         {"contains", 2},
    {"count", 2}, {"lower", 1}, {"has_file", 1}, {"has_tensor", 1},  {"normal_quantile", 1},
    {"log2", 1},  {"pow", 2},   {"round", 1},    {"first_value", 1}, {"letter", 2}};

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Parser {
 public:
  Parser(std::string_view text, const std::string& file, std::optional<std::uint64_t> offset)
      : text_(text), file_(file), offset_(offset) {
    out_.text = std::string(text);
  }

  Expression parse() {
    choice();
    blanks();
    if (at_ != text_.size()) refuse("unexpected text in an expression");
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(const char* what) const {
    fail(ErrorCode::CF06, file_,
         offset_ ? std::optional<std::uint64_t>(*offset_ + at_) : std::nullopt,
         std::string(what) + " " + quoted(out_.text));
  }

  void blanks() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool take(std::string_view sign) {
    blanks();
    if (text_.substr(at_, sign.size()) != sign) return false;
    const char next = at_ + sign.size() < text_.size() ? text_[at_ + sign.size()] : ' ';
    if (is_letter(sign.back()) && (is_letter(next) || is_digit(next))) return false;
    at_ += sign.size();
    return true;
  }
  void expect(std::string_view sign) {
    if (!take(sign)) refuse("a sign is missing in the expression");
  }

  Node add(Expression::Node node) {
    if (out_.nodes.size() >= kMaxNodes) refuse("too long an expression");
    out_.nodes.push_back(std::move(node));
    return static_cast<Node>(out_.nodes.size() - 1);
  }
  Node add(Op op, std::initializer_list<Node> in) {
    Expression::Node node;
    node.op = op;
    std::copy(in.begin(), in.end(), node.in.begin());
    node.inputs = static_cast<std::uint8_t>(in.size());
    return add(std::move(node));
  }

  Node choice() {
    if (++depth_ > kMaxDepth) refuse("too deep an expression");
    Node node = disjunction();
    if (take("?")) {
      const Node yes = choice();
      expect(":");
      const Node no = choice();
      node = add(Op::choose, {node, yes, no});
    }
    --depth_;
    return node;
  }
  Node disjunction() {
    Node node = conjunction();
    while (take("or")) node = add(Op::one_of, {node, conjunction()});
    return node;
  }
  Node conjunction() {
    Node node = negation();
    while (take("and")) node = add(Op::both, {node, negation()});
    return node;
  }
  Node negation() {
    bool negated = false;
    while (take("not")) negated = !negated;
    const Node node = binary(0);
    return negated ? add(Op::negation, {node}) : node;
  }
  // Signs of one level, from left to right.
  Node binary(std::size_t level) {
    if (level == std::size(kLevels)) return unary();
    Node node = binary(level + 1);
    for (bool more = true; more;) {
      more = false;
      for (const Level& row : kLevels[level])
        if (take(row.sign)) {
          node = add(row.op, {node, binary(level + 1)});
          more = true;
          break;
        }
    }
    return node;
  }
  Node unary() {
    bool negative = false;
    while (take("-")) negative = !negative;
    Node node = primary();
    while (take("[")) {
      node = add(Op::index, {node, choice()});
      expect("]");
    }
    return negative ? add(Op::negate, {node}) : node;
  }
  Node primary() {
    blanks();
    if (take("(")) {
      const Node node = choice();
      expect(")");
      return node;
    }
    const char first = at_ < text_.size() ? text_[at_] : '\0';
    if (first == '\'') return string();
    if (is_digit(first)) return number();
    if (is_letter(first)) return word();
    refuse("a value is missing in the expression");
  }
  Node string() {
    const std::size_t end = text_.find('\'', at_ + 1);
    if (end == std::string_view::npos) refuse("an unfinished string in the expression");
    Expression::Node node;
    node.op = Op::text;
    node.text = std::string(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return add(std::move(node));
  }
  Node number() {
    const char* const begin = text_.data() + at_;
    const char* const end = text_.data() + text_.size();
    Expression::Node node;
    node.op = Op::integer;
    auto result = std::from_chars(begin, end, node.integer);
    if (result.ec == std::errc() && result.ptr != end &&
        (*result.ptr == '.' || *result.ptr == 'e')) {
      node.op = Op::real;
      result = std::from_chars(begin, end, node.real);
    }
    if (result.ec != std::errc()) refuse("a number out of range in the expression");
    at_ += static_cast<std::size_t>(result.ptr - begin);
    return add(std::move(node));
  }
  Node word() {
    std::size_t end = at_;
    while (end < text_.size() &&
           (is_letter(text_[end]) || is_digit(text_[end]) || text_[end] == '.'))
      ++end;
    Expression::Node node;
    node.text = std::string(text_.substr(at_, end - at_));
    if (node.text == "true" || node.text == "false") {
      node.op = Op::truth;
      node.integer = node.text == "true";
      at_ = end;
      return add(std::move(node));
    }
    const std::size_t start = at_;
    at_ = end;
    node.op = Op::name;
    if (!take("(")) return add(std::move(node));
    const auto known = std::find_if(std::begin(kFunctions), std::end(kFunctions),
                                    [&](const Function& f) { return f.name == node.text; });
    if (known == std::end(kFunctions)) {
      at_ = start;
      refuse("unknown function in the expression");
    }
    node.op = Op::call;
    node.inputs = known->arguments;
    for (std::uint8_t i = 0; i < known->arguments; ++i) {
      if (i > 0) expect(",");
      node.in[i] = choice();
    }
    expect(")");
    return add(std::move(node));
  }

  std::string_view text_;
  const std::string& file_;
  std::optional<std::uint64_t> offset_;
  std::size_t at_ = 0;
  unsigned depth_ = 0;
  Expression out_;
};

Expression literal(Op op, std::int64_t integer, double real, std::string text) {
  Expression out;
  Expression::Node node;
  node.op = op;
  node.integer = integer;
  node.real = real;
  node.text = std::move(text);
  out.nodes.push_back(std::move(node));
  return out;
}

}  // namespace

Expression parse_expression(std::string_view text, const std::string& file,
                            std::optional<std::uint64_t> offset) {
  return Parser(text, file, offset).parse();
}

Expression integer_expression(std::int64_t value) { return literal(Op::integer, value, 0, {}); }
Expression real_expression(double value) { return literal(Op::real, 0, value, {}); }
Expression truth_expression(bool value) { return literal(Op::truth, value ? 1 : 0, 0, {}); }
Expression text_expression(std::string value) { return literal(Op::text, 0, 0, std::move(value)); }

}  // namespace quantize
