// Evaluation is eager but for alternatives and choices: a field that does not count is not looked
// at, so that it cannot be wrong.
#include "convert/scope.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "quantize/escape.hpp"
#include "quantize/quantizer.hpp"

#include "convert/metadata_keys.hpp"
#include "convert/rope.hpp"
#include "convert/value.hpp"

namespace quantize {
namespace {

using Kind = Operand::Kind;
using Op = Expression::Op;

constexpr std::int64_t kMost = std::int64_t{1} << 40;
constexpr std::uint64_t kMaxSideFile = std::uint64_t{64} << 20;  // tokenizer.json is the largest

Operand integer(std::int64_t value, const Json& at) {
  Operand out;
  out.kind = Kind::integer;
  out.integer = value;
  out.at = at;
  return out;
}
Operand real(double value, const Json& at) {
  Operand out;
  out.kind = Kind::real;
  out.real = value;
  out.at = at;
  return out;
}
Operand truth(bool value) {
  Operand out;
  out.kind = Kind::truth;
  out.truth = value;
  return out;
}
Operand text(std::string value, const Json& at = {}) {
  Operand out;
  out.kind = Kind::text;
  out.text = std::move(value);
  out.at = at;
  return out;
}

// The inverse of the error function by Newton's method, from an approximation good to 0.2%.
double inverse_erf(double y) {
  constexpr double kPi = 3.14159265358979323846, kFit = 0.147;
  if (y == 0 || std::fabs(y) >= 1) return y == 0 ? 0 : std::copysign(HUGE_VAL, y);
  const double log_rest = std::log(1 - y * y), t = 2 / (kPi * kFit) + log_rest / 2;
  double x = std::copysign(std::sqrt(std::sqrt(t * t - log_rest / kFit) - t), y);
  for (int i = 0; i < 4; ++i) x -= (std::erf(x) - y) * std::sqrt(kPi) / 2 * std::exp(x * x);
  return x;
}

// In the reference's steps, each rounded to single precision.
double normal_quantile(float probability) {
  const float y = 2.0f * probability - 1.0f;
  return static_cast<double>(static_cast<float>(inverse_erf(static_cast<double>(y))) * 1.41421354f);
}

bool same(const Operand& a, const Operand& b) {
  if (a.is_number() && b.is_number()) return a.number() == b.number();
  return a.kind == b.kind && a.text == b.text && a.truth == b.truth && a.kind != Kind::list;
}

}  // namespace

bool Operand::holds() const noexcept {
  switch (kind) {
    case Kind::missing:
      return false;
    case Kind::integer:
      return integer != 0;
    case Kind::real:
      return real != 0;
    case Kind::truth:
      return truth;
    case Kind::text:
      return !text.empty();
    case Kind::list:
      return bool(at.first_child());
  }
  return false;
}

class Scope::Evaluation {
 public:
  Evaluation(const Scope& scope, const Expression& expression, Numbers numbers)
      : scope_(scope), nodes_(expression.nodes), numbers_(numbers) {}

  // No deeper than the expression, whose size its parser limits.
  Operand of(std::size_t index) const {
    const Expression::Node& node = nodes_[index];
    switch (node.op) {
      case Op::integer:
        return integer(node.integer, {});
      case Op::real:
        return quantize::real(node.real, {});
      case Op::text:
        return text(node.text);
      case Op::truth:
        return truth(node.integer != 0);
      case Op::name:
        return name(node.text);
      case Op::index:
        return indexed(of(node.in[0]), of(node.in[1]));
      case Op::call:
        return call(node);
      case Op::negate:
        return negated(of(node.in[0]));
      case Op::either: {
        Operand first = of(node.in[0]);
        return first ? first : of(node.in[1]);
      }
      case Op::negation:
        return truth(!of(node.in[0]).holds());
      case Op::both:
        return truth(of(node.in[0]).holds() && of(node.in[1]).holds());
      case Op::one_of:
        return truth(of(node.in[0]).holds() || of(node.in[1]).holds());
      case Op::choose:
        return of(of(node.in[0]).holds() ? node.in[1] : node.in[2]);
      case Op::equal:
        return truth(same(of(node.in[0]), of(node.in[1])));
      case Op::unequal:
        return truth(!same(of(node.in[0]), of(node.in[1])));
      case Op::less:
      case Op::less_equal:
      case Op::greater:
      case Op::greater_equal:
        return compared(node.op, of(node.in[0]), of(node.in[1]));
      default:
        return arithmetic(node.op, of(node.in[0]), of(node.in[1]));
    }
  }

 private:
  Operand name(const std::string& word) const {
    constexpr std::string_view kNumbers[] = {"n", "e", "i"};
    for (std::size_t k = 0; k < std::size(kNumbers); ++k)
      if (word == kNumbers[k] && k < numbers_.size())
        return integer(static_cast<std::int64_t>(numbers_[k]), {});
    return scope_.field(word);
  }

  Operand indexed(const Operand& list, const Operand& index) const {
    if (index.kind != Kind::integer || index.integer < 0) return {};
    return scope_.entry(list, static_cast<std::uint64_t>(index.integer));
  }

  Operand negated(Operand value) const {
    if (!value) return value;
    require_number(value);
    value.integer = -value.integer;
    value.real = -value.real;
    return value;
  }

  void require_number(const Operand& value) const {
    if (!value.is_number())
      scope_.refuse(
          ErrorCode::CF03, value,
          (value.at ? quoted(value.at.key()) : std::string("a value")) + " is not a number");
  }

  Operand compared(Op op, const Operand& a, const Operand& b) const {
    if (!a || !b) return truth(false);
    require_number(a);
    require_number(b);
    const double x = a.number(), y = b.number();
    return truth(op == Op::less         ? x < y
                 : op == Op::less_equal ? x <= y
                 : op == Op::greater    ? x > y
                                        : x >= y);
  }

  Operand arithmetic(Op op, const Operand& a, const Operand& b) const {
    if (!a || !b) return {};
    if (op == Op::add && a.kind == Kind::text && b.kind == Kind::text) return text(a.text + b.text);
    require_number(a);
    require_number(b);
    const Operand& blamed = b.at ? b : a;
    const auto out_of_range = [&] {
      scope_.refuse(ErrorCode::CF04, blamed,
                    (blamed.at ? quoted(blamed.at.key()) : std::string("a value")) +
                        " makes a size out of range");
    };
    const bool zero = b.number() == 0;
    if (zero && (op == Op::divide || op == Op::floor_divide || op == Op::remainder))
      scope_.refuse(ErrorCode::CF05, blamed, "division by zero");
    if (a.kind == Kind::integer && b.kind == Kind::integer) {
      const std::int64_t x = a.integer, y = b.integer;
      std::int64_t result = 0;
      bool overflow = false;
      // Dividing by -1 is the one quotient that can overflow.
      if (y == -1 && op != Op::add && op != Op::subtract && op != Op::multiply)
        return negated(op == Op::remainder ? integer(0, blamed.at) : a);
      const std::int64_t floored = y == 0 ? 0 : x / y - (x % y != 0 && (x < 0) != (y < 0));
      switch (op) {
        case Op::multiply:
          overflow = __builtin_mul_overflow(x, y, &result);
          break;
        case Op::add:
          overflow = __builtin_add_overflow(x, y, &result);
          break;
        case Op::subtract:
          overflow = __builtin_sub_overflow(x, y, &result);
          break;
        case Op::floor_divide:
          result = floored;
          break;
        case Op::remainder:
          result = x - floored * y;
          break;
        default:
          if (x % y != 0)
            scope_.refuse(ErrorCode::CF05, blamed,
                          (b.at ? quoted(b.at.key()) : std::to_string(y)) + " does not divide " +
                              std::to_string(x));
          result = x / y;
      }
      if (overflow || result > kMost || result < -kMost) out_of_range();
      return integer(result, blamed.at);
    }
    const double x = a.number(), y = b.number();
    double result = 0;
    switch (op) {
      case Op::multiply:
        result = x * y;
        break;
      case Op::add:
        result = x + y;
        break;
      case Op::subtract:
        result = x - y;
        break;
      case Op::floor_divide:
        result = std::floor(x / y);
        break;
      case Op::remainder:
        result = x - std::floor(x / y) * y;
        break;
      default:
        result = x / y;
    }
    if (!std::isfinite(result)) out_of_range();
    return quantize::real(result, blamed.at);
  }

  Operand call(const Expression::Node& node) const {
    const std::string& word = node.text;
    const Operand a = of(node.in[0]);
    const Operand b = node.inputs > 1 ? of(node.in[1]) : Operand();
    if (word == "has") return truth(bool(a));
    if (word == "has_file")
      return truth(a.kind == Kind::text && scope_.directory_.contains(a.text));
    if (word == "has_tensor") {
      const auto& tensors = scope_.source_.tensors();
      return truth(std::any_of(tensors.begin(), tensors.end(),
                               [&](const SourceTensor& t) { return t.name == a.text; }));
    }
    if (word == "first_value") return first_value(a);
    if (word == "letter") {
      const bool there = a.kind == Kind::text && b.kind == Kind::integer && b.integer >= 0 &&
                         static_cast<std::uint64_t>(b.integer) < a.text.size();
      return there ? text(a.text.substr(static_cast<std::size_t>(b.integer), 1)) : Operand();
    }
    if (word == "contains") {
      if (a.kind == Kind::text && b.kind == Kind::text)
        return truth(a.text.find(b.text) != std::string::npos);
      return truth(occurrences(a, b) > 0);
    }
    if (word == "count") return integer(occurrences(a, b), a.at);
    if (!a) return {};
    if (word == "len") {
      const std::size_t length = a.kind == Kind::list ? a.at.size() : a.text.size();
      return integer(static_cast<std::int64_t>(length), a.at);
    }
    if (word == "lower") {
      std::string lower = a.text;
      for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
      return text(std::move(lower), a.at);
    }
    require_number(a);
    if (word == "min" || word == "max") {
      if (!b) return {};
      require_number(b);
      return (word == "min") == (b.number() < a.number()) ? b : a;
    }
    if (word == "int" || word == "ceil" || word == "floor" || word == "round") {
      if (a.kind == Kind::integer) return a;
      const double whole = word == "int"     ? std::trunc(a.real)
                           : word == "ceil"  ? std::ceil(a.real)
                           : word == "floor" ? std::floor(a.real)
                                             : std::nearbyint(a.real);  // halves to even
      if (std::fabs(whole) > static_cast<double>(kMost))
        scope_.refuse(ErrorCode::CF04, a, "a value makes a size out of range");
      return integer(static_cast<std::int64_t>(whole), a.at);
    }
    const double x = a.number();
    if (word == "normal_quantile") {
      if (x < 0 || x > 1) scope_.refuse(ErrorCode::CF04, a, "a probability is out of range");
      return quantize::real(normal_quantile(static_cast<float>(x)), {});
    }
    if (word == "pow") {
      if (!b) return {};
      require_number(b);
      const double power = std::pow(x, b.number());
      if (!std::isfinite(power)) scope_.refuse(ErrorCode::CF04, a, "a value is out of range");
      return quantize::real(power, a.at);
    }
    if (x < 0 || (word != "sqrt" && x == 0))
      scope_.refuse(ErrorCode::CF04, a, "a value is out of range");
    return quantize::real(word == "sqrt"   ? std::sqrt(x)
                          : word == "log2" ? std::log2(x)
                                           : std::log(x),
                          a.at);
  }

  // A weight that the reference writes as metadata. {n} in the name is the number n.
  Operand first_value(const Operand& name) const {
    std::string wanted = name.text;
    if (const std::size_t at = wanted.find("{n}"); at != std::string::npos && !numbers_.empty())
      wanted.replace(at, 3, std::to_string(numbers_[0]));
    const auto& tensors = scope_.source_.tensors();
    const auto found = std::find_if(tensors.begin(), tensors.end(),
                                    [&](const SourceTensor& t) { return t.name == wanted; });
    const bool plain =
        found != tensors.end() &&
        (found->type == DType::f32 || found->type == DType::f16 || found->type == DType::bf16);
    if (!plain || found->shape.values() == 0) return {};
    const auto index = static_cast<std::size_t>(found - tensors.begin());
    std::vector<std::byte> raw(static_cast<std::size_t>(stored_bytes(found->type, 1)));
    fetch(*read_tensor(scope_.source_, index), scope_.source_, 0, 1, raw);
    float decoded = 0;
    find_quantizer(found->type)->decode(raw.data(), 1, &decoded);
    return quantize::real(static_cast<double>(decoded), {});
  }

  std::int64_t occurrences(const Operand& list, const Operand& value) const {
    std::int64_t count = 0;
    if (list.kind == Kind::list)
      for (const Json child : list.at.children()) count += same(scope_.operand_of(child), value);
    return count;
  }

  const Scope& scope_;
  const std::vector<Expression::Node>& nodes_;
  Numbers numbers_;
};

Scope::Scope(const Family& family, const Configuration& configuration, const Directory& directory,
             const Source& source)
    : family_(family), configuration_(configuration), directory_(directory), source_(source) {}

Scope::~Scope() = default;

Operand Scope::operand_of(const Json& value) const {
  switch (value.kind()) {
    case JsonKind::null:
      return {};
    case JsonKind::boolean: {
      Operand out = truth(value.boolean());
      out.at = value;
      return out;
    }
    case JsonKind::string:
      return text(std::string(value.string()), value);
    case JsonKind::number:
      if (value.is_integer()) {
        if (const auto number = value.as_i64()) return integer(*number, value);
        configuration_.unsigned_of(value, ValueRange::any);  // refuses
      }
      return quantize::real(configuration_.real_of(value, ValueRange::any), value);
    case JsonKind::object:
    case JsonKind::array: {
      Operand out;
      out.kind = Kind::list;
      out.at = value;
      return out;
    }
  }
  return {};
}

Json Scope::side_file(std::string_view name) const {
  auto& document = files_[std::string(name)];
  const std::string file = std::string(name) + ".json";
  if (!document)
    document = JsonDocument::parse(directory_.read(file, kMaxSideFile).value_or("{}"),
                                   directory_.path_of(file), {}, nullptr);
  return document->root();
}

std::optional<Json> Scope::preprocessor(std::string_view key) const {
  constexpr std::pair<std::string_view, std::string_view> kPlaces[] = {
      {"processor_config", "image_processor"},
      {"processor_config", {}},
      {"preprocessor_config", "media_proc_cfg"},
      {"preprocessor_config", {}}};
  for (const auto& [file, inner] : kPlaces) {
    std::optional<Json> place = side_file(file);
    if (!inner.empty() && place->is_object()) place = place->find(inner);
    if (place && place->is_object() && place->find(key)) return place;
  }
  return std::nullopt;
}

Operand Scope::field(std::string_view name) const {
  if (name == "layers") return integer(static_cast<std::int64_t>(layers()), {});
  if (name == "experts") return integer(static_cast<std::int64_t>(experts()), {});
  if (name == "model") return text(std::string(configuration_.model()));
  if (name == "labelled") return truth(!classifier_labels(configuration_).empty());

  const std::size_t dot = name.find('.');
  const std::string_view head = name.substr(0, dot);
  std::string_view rest = dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
  std::optional<Json> value;
  if (dot == std::string_view::npos) {
    value = configuration_.find(name);
    if (value && value->is_number()) configuration_.check_field(*value);
  } else if (head == "rope") {
    const std::string_view key = rest.substr(0, rest.find('.'));
    value = Rope(configuration_).get(key);
    rest.remove_prefix(std::min(rest.size(), key.size() + 1));
    if (!value) {
      // Objects beside the parameters: rope.full_attention.rope_theta.
      const Json parameters = Rope(configuration_).parameters();
      value = parameters ? parameters.find(key) : std::nullopt;
    }
  } else if (head == "raw") {
    value = configuration_.raw();
  } else if (head == "text") {
    // Of text_config, else the outer field: what a projector asks of its language model.
    const std::string_view key = rest.substr(0, rest.find('.'));
    const auto inner = configuration_.raw().find("text_config");
    value = inner && inner->is_object() && inner->find(key) ? inner : configuration_.raw();
  } else if (head == "preprocessor") {
    value = preprocessor(rest.substr(0, rest.find('.')));
  } else if (head == "tokenizer" || head == "tokenizer_config" || head == "generation_config") {
    value = side_file(head);
  } else {
    value = configuration_.find(head);
  }
  while (value && !rest.empty()) {
    const std::string_view key = rest.substr(0, rest.find('.'));
    value = value->is_object() ? value->find(key) : std::nullopt;
    rest.remove_prefix(std::min(rest.size(), key.size() + 1));
  }
  return value ? operand_of(*value) : Operand();
}

Operand Scope::entry(const Operand& list, std::uint64_t index) const {
  if (list.kind != Kind::list) return list;
  for (const Json child : list.at.children())
    if (index-- == 0) return operand_of(child);
  return {};
}

Operand Scope::evaluate(const Expression& expression, Numbers numbers) const {
  if (!expression) return {};
  return Evaluation(*this, expression, numbers).of(expression.nodes.size() - 1);
}

bool Scope::holds(const Expression& when, Numbers numbers) const {
  return !when || evaluate(when, numbers).holds();
}

std::optional<std::uint64_t> Scope::size(const Expression& expression, Numbers numbers) const {
  const Operand value = evaluate(expression, numbers);
  if (!value) return std::nullopt;
  const std::string name =
      value.at && !value.at.key().empty() ? quoted(value.at.key()) : quoted(expression.text);
  if (value.kind != Kind::integer) refuse(ErrorCode::CF03, value, name + " is not an integer");
  if (value.integer < 0 || value.integer > kMost)
    refuse(ErrorCode::CF04, value, name + " makes a size out of range");
  return static_cast<std::uint64_t>(value.integer);
}

std::optional<double> Scope::real(const Expression& expression, Numbers numbers) const {
  const Operand value = evaluate(expression, numbers);
  if (!value) return std::nullopt;
  if (!value.is_number())
    refuse(ErrorCode::CF03, value, quoted(expression.text) + " is not a number");
  return value.number();
}

std::uint64_t Scope::layers() const {
  if (family_.layers) {
    const std::uint64_t count = size(family_.layers).value_or(0);
    if (count > 512) refuse(ErrorCode::CF04, {}, "the number of layers is out of range");
    return count;
  }
  const auto count =
      configuration_.find({"n_layers", "num_hidden_layers", "n_layer", "num_layers"});
  return count ? configuration_.unsigned_of(*count, ValueRange::layers) : 0;
}

std::uint64_t Scope::experts() const {
  const auto count = configuration_.find({"num_local_experts", "num_experts", "n_routed_experts"});
  return count ? configuration_.unsigned_of(*count, ValueRange::experts) : 0;
}

const std::string& Scope::first_of(const std::vector<Choice>& choices) const {
  for (const Choice& choice : choices)
    if (holds(choice.when)) return choice.word;
  refuse(ErrorCode::CF06, {},
         "no architecture of family " + quoted(family_.name) + " fits the configuration");
}

void Scope::refuse(ErrorCode code, const Operand& value, std::string text,
                   std::string allowed) const {
  if (value.at) configuration_.refuse(code, value.at, std::move(text), std::move(allowed));
  fail(code, configuration_.file(), std::nullopt, std::move(text), {}, std::move(allowed));
}

}  // namespace quantize
