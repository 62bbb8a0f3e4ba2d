// The flat object is made as text, by appending to config.json: a later member wins, and offsets
// of the outer fields stay what they are.
#include "convert/configuration.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <span>
#include <utility>
#include <vector>

#include "quantize/escape.hpp"

#include "convert/scope.hpp"

namespace quantize {
namespace {

constexpr std::uint64_t kMostEntries = 1024;  // of a list that a default makes
constexpr std::uint64_t kMaxBytes = std::uint64_t{16} << 20;

struct Limits {
  std::uint64_t least, most;
  const char* text;
};

// Indexed by ValueRange.
constexpr std::array<Limits, 10> kLimits = {{
    {0, 0xFFFFFFFF, "0 to 4294967295"},  // any
    {1, 512, "1 to 512"},                // layers
    {0, 1024, "0 to 1024"},              // experts
    {1, 1048576, "1 to 1048576"},        // size
    {1, 65536, "1 to 65536"},            // heads
    {1, 65536, "1 to 65536"},            // head_size
    {1, 0x7FFFFFFF, "1 to 2147483647"},  // context
    {1, 4194304, "1 to 4194304"},        // vocabulary
    {0, 1, "above 0 and below 1"},       // epsilon
    {0, 0, "above 0"},                   // positive
}};

const Limits& limits(ValueRange range) { return kLimits[static_cast<std::size_t>(range)]; }

// What bounds a field that expressions read.
constexpr std::pair<std::string_view, ValueRange> kFields[] = {
    {"num_hidden_layers", ValueRange::layers},
    {"num_attention_heads", ValueRange::heads},
    {"num_key_value_heads", ValueRange::heads},
    {"head_dim", ValueRange::head_size},
    {"hidden_size", ValueRange::size},
    {"intermediate_size", ValueRange::size},
    {"vocab_size", ValueRange::vocabulary},
    {"max_position_embeddings", ValueRange::context},
    {"num_local_experts", ValueRange::experts},
    {"n_embd", ValueRange::size},
    {"n_head", ValueRange::heads},
    {"n_layer", ValueRange::layers},
};

// End of the object that starts at `start`: the place of its closing brace. The text is valid JSON.
std::uint64_t closing_brace(std::string_view text, std::uint64_t start) {
  std::uint64_t depth = 0;
  bool in_string = false;
  for (std::uint64_t i = start; i < text.size(); ++i) {
    const char c = text[static_cast<std::size_t>(i)];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      return i;
    }
  }
  return text.size();
}

// A computed value as JSON text; empty if there is none.
std::string json_of(const Operand& value) {
  switch (value.kind) {
    case Operand::Kind::integer:
      return std::to_string(value.integer);
    case Operand::Kind::real: {
      std::array<char, 40> digits{};
      const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value.real).ptr;
      return std::string(digits.data(), end);
    }
    case Operand::Kind::truth:
      return value.truth ? "true" : "false";
    case Operand::Kind::text:
      return '"' + value.text + '"';
    default:
      return {};
  }
}

}  // namespace

Configuration::Configuration(const Directory& directory, FamilyPart part, Warnings& warnings)
    : part_(part), file_(directory.path_of("config.json")) {
  auto text = directory.read("config.json", kMaxBytes);
  if (!text) fail(ErrorCode::CF01, file_, std::nullopt, "a model directory needs its config.json");
  text_ = std::move(*text);
  raw_ = JsonDocument::parse(text_, file_, {}, &warnings);
  if (!raw().is_object())
    fail(ErrorCode::CF03, file_, raw().offset(), "the configuration is not an object");

  const bool projector = part_ == FamilyPart::projector;
  outer_end_ = projector ? raw().offset() + 1 : closing_brace(text_, raw().offset());
  // Multimodal configurations keep the language model's fields in one of these.
  constexpr std::array<std::string_view, 4> kLanguage = {"text_config", "llm_config", "lm_config",
                                                         "language_config"};
  constexpr std::array<std::string_view, 1> kVision = {"vision_config"};
  const std::span<const std::string_view> keys =
      projector ? std::span<const std::string_view>(kVision) : kLanguage;
  for (const std::string_view key : keys) {
    const auto inner = raw().find(key);
    if (!inner || !inner->is_object() || inner->size() == 0) continue;
    inner_start_ = inner->offset() + 1;
    inner_end_ = closing_brace(text_, inner->offset());
  }
  if (projector && inner_end_ == 0)
    fail(ErrorCode::CF07, file_, std::nullopt,
         "the model has no vision part that --mmproj could write: there is no vision_config");
  assemble({});
  name_model();
}

// The class of this part, if it has one of its own, else the whole model's.
void Configuration::name_model() {
  auto names = find("architectures");
  if (!names && part_ == FamilyPart::projector) names = raw().find("architectures");
  if (!names) fail(ErrorCode::CF02, file_, std::nullopt, "\"architectures\" is missing");
  const bool outer = part_ == FamilyPart::projector && !find("architectures");
  const auto place = [&](const Json& value) {
    return outer ? std::optional(value.offset()) : offset_of(value);
  };
  if (!names->is_array())
    fail(ErrorCode::CF03, file_, place(*names), "\"architectures\" is not a list");
  const Json first = names->first_child();
  if (!first) fail(ErrorCode::CF02, file_, place(*names), "\"architectures\" is empty");
  if (!first.is_string())
    fail(ErrorCode::CF03, file_, place(first), "the architecture's name is not a string");
  model_ = std::string(first.string());
  model_offset_ = place(first).value_or(0);
}

void Configuration::assemble(const std::string& defaults) {
  std::string flat = text_.substr(0, static_cast<std::size_t>(outer_end_));
  const bool has_outer = part_ == FamilyPart::language_model && raw().size() != 0;
  auto member_list = [&, first = !has_outer](std::string_view members) mutable {
    if (members.empty()) return;
    if (!first) flat += ',';
    first = false;
    flat += members;
  };
  inner_at_ = outer_end_ + (has_outer ? 1 : 0);
  member_list(std::string_view(text_).substr(static_cast<std::size_t>(inner_start_),
                                             static_cast<std::size_t>(inner_end_ - inner_start_)));
  member_list(defaults);
  flat += '}';
  flat_ = JsonDocument::parse(std::move(flat), file_, {}, nullptr);
}

void Configuration::inject(const Family& family, const Scope& scope) {
  std::string added;
  const auto add = [&](const FieldRule& rule, bool replace) {
    const auto present = root().find(rule.field);
    if (!replace && present && (!rule.from || !present->is_null())) return;
    if (!scope.holds(rule.when)) return;
    std::string value = rule.json;
    if (rule.from) {
      std::vector<std::uint64_t> number(1);
      std::uint64_t count = 1;
      if (rule.each)
        count = std::min<std::uint64_t>(scope.size(rule.each).value_or(0), kMostEntries);
      for (; number[0] < count; ++number[0]) {
        const std::string one = json_of(scope.evaluate(rule.from, number));
        if (one.empty()) return;
        value += (number[0] == 0 ? "" : ",") + one;
      }
      if (rule.each) value = "[" + value + "]";
    }
    added += (added.empty() ? "\"" : ",\"") + rule.field + "\":" + value;
    assemble(added);  // later rules see it
  };
  const auto type = find("model_type");
  const std::string word = type && type->is_string() ? std::string(type->string()) : "*";
  const auto defaults_of = [&](std::string_view type_word) {
    const auto rules = family.defaults.find(type_word);
    if (rules != family.defaults.end())
      for (const FieldRule& rule : rules->second) add(rule, false);
  };
  defaults_of(word);
  if (word != "*") defaults_of("*");
  for (const FieldRule& rule : family.set) add(rule, true);
}

std::optional<std::uint64_t> Configuration::offset_of(const Json& value) const {
  const std::uint64_t at = value.offset();
  if (value.document() != flat_.get() || at < outer_end_) return at;
  if (at >= inner_at_ && at - inner_at_ < inner_end_ - inner_start_)
    return inner_start_ + (at - inner_at_);
  return std::nullopt;
}

void Configuration::refuse(ErrorCode code, const Json& value, std::string text,
                           std::string allowed) const {
  std::string found;
  if (value.is_number()) found = std::string(value.number_text());
  if (value.is_string()) found = quoted(value.string());
  const std::string& file = value ? value.document()->file() : file_;
  fail(code, file, offset_of(value), std::move(text), std::move(found), std::move(allowed));
}

void Configuration::refuse_model(std::string text, std::string known) const {
  fail(ErrorCode::CF06, file_, model_offset_, std::move(text), quoted(model_), std::move(known));
}

std::optional<Json> Configuration::find(std::initializer_list<std::string_view> keys) const {
  for (const std::string_view key : keys)
    if (const auto value = root().find(key)) {
      if (value->is_null()) return std::nullopt;
      return value;
    }
  return std::nullopt;
}

std::uint64_t Configuration::unsigned_of(const Json& value, ValueRange range) const {
  const std::string name = quoted(value.key());
  if (!value.is_number() || !value.is_integer())
    refuse(ErrorCode::CF03, value, name + " is not an integer");
  const Limits& allowed = limits(range);
  if (const auto negative = value.as_i64(); negative && *negative < 0)
    refuse(ErrorCode::CF04, value, name + " is out of range", allowed.text);
  const auto number = value.as_u64();
  if (!number) refuse(ErrorCode::JS05, value, name + " does not fit 64 bits", allowed.text);
  if (*number < allowed.least || *number > allowed.most)
    refuse(ErrorCode::CF04, value, name + " is out of range", allowed.text);
  return *number;
}

double Configuration::real_of(const Json& value, ValueRange range) const {
  const std::string name = quoted(value.key());
  if (!value.is_number()) refuse(ErrorCode::CF03, value, name + " is not a number");
  const auto number = value.as_double();
  if (!number || std::isinf(static_cast<float>(*number)))
    refuse(ErrorCode::JS05, value, name + " is not a finite number");
  const bool ok = range == ValueRange::epsilon    ? *number > 0 && *number < 1
                  : range == ValueRange::positive ? *number > 0
                                                  : true;
  if (!ok) refuse(ErrorCode::CF04, value, name + " is out of range", limits(range).text);
  return *number;
}

void Configuration::check_field(const Json& value) const {
  for (const auto& [name, range] : kFields)
    if (name == value.key()) unsigned_of(value, range);
}

}  // namespace quantize
