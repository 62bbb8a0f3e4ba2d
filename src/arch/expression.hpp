// The small expressions of family files: sizes, conditions and values that follow from a model's
// configuration ("head_dim|hidden_size/num_attention_heads"). Parsed here to a flat tree; what
// names mean is known where a configuration is (convert/scope.hpp).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quantize {

struct Expression {
  enum class Op : std::uint8_t {
    integer,
    real,
    text,
    truth,
    name,   // a field, "a.b.c" inside objects
    index,  // a list's entry; of anything else, the thing itself
    call,
    negate,
    multiply,
    divide,  // of integers: exactly, or the model is refused
    floor_divide,
    remainder,
    add,
    subtract,
    either,  // the first that is there
    equal,
    unequal,
    less,
    less_equal,
    greater,
    greater_equal,
    negation,
    both,
    one_of,
    choose
  };
  struct Node {
    Op op{};
    std::array<std::uint16_t, 3> in{};  // nodes that stand before this one
    std::uint8_t inputs = 0;
    std::int64_t integer = 0;  // also truth: 0 or 1
    double real = 0;
    std::string text;  // also the name of a field or function
  };

  std::string text;         // as written
  std::vector<Node> nodes;  // the last one is the result; none: no expression

  explicit operator bool() const noexcept { return !nodes.empty(); }
};

// From weak to strong: c ? a : b, or, and, not, comparisons, |, + -, * / // %, -x, x[i].
// CF06 with the place: `offset` is that of the text's first byte in `file`.
Expression parse_expression(std::string_view text, const std::string& file,
                            std::optional<std::uint64_t> offset);

Expression integer_expression(std::int64_t value);
Expression real_expression(double value);
Expression truth_expression(bool value);
Expression text_expression(std::string value);

}  // namespace quantize
