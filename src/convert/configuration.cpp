// The flat object is made as text, by appending to config.json: a later member wins, and offsets
// of the outer fields stay what they are.
#include "convert/configuration.hpp"

#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "quantize/escape.hpp"

#include "core/checked.hpp"

namespace quantize {
namespace {

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
ValueRange range_of_field(std::string_view field) {
  static constexpr std::pair<std::string_view, ValueRange> fields[] = {
      {"num_hidden_layers", ValueRange::layers},  {"num_attention_heads", ValueRange::heads},
      {"num_key_value_heads", ValueRange::heads}, {"head_dim", ValueRange::head_size},
      {"hidden_size", ValueRange::size},          {"intermediate_size", ValueRange::size},
      {"vocab_size", ValueRange::vocabulary},     {"max_position_embeddings", ValueRange::context},
      {"num_local_experts", ValueRange::experts},
  };
  for (const auto& [name, range] : fields)
    if (name == field) return range;
  return ValueRange::any;
}

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

}  // namespace

Configuration::Configuration(const Directory& directory, Warnings& warnings)
    : file_(directory.path_of("config.json")) {
  auto text = directory.read("config.json", kMaxBytes);
  if (!text) fail(ErrorCode::CF01, file_, std::nullopt, "a model directory needs its config.json");
  text_ = std::move(*text);
  raw_ = JsonDocument::parse(text_, file_, {}, &warnings);
  if (!raw().is_object()) refuse(ErrorCode::CF03, raw(), "the configuration is not an object");

  outer_end_ = closing_brace(text_, raw().offset());
  // Multimodal configurations keep the language model's fields in one of these.
  for (const std::string_view key : {"text_config", "llm_config", "lm_config", "language_config"}) {
    const auto inner = raw().find(key);
    if (!inner || !inner->is_object() || inner->size() == 0) continue;
    inner_start_ = inner->offset() + 1;
    inner_end_ = closing_brace(text_, inner->offset());
  }
  assemble({});

  const auto names = find("architectures");
  if (!names) fail(ErrorCode::CF02, file_, std::nullopt, "\"architectures\" is missing");
  if (!names->is_array()) refuse(ErrorCode::CF03, *names, "\"architectures\" is not a list");
  const Json first = names->first_child();
  if (!first) refuse(ErrorCode::CF02, *names, "\"architectures\" is empty");
  if (!first.is_string()) refuse(ErrorCode::CF03, first, "the architecture's name is not a string");
  model_ = std::string(first.string());
}

void Configuration::assemble(const std::string& defaults) {
  std::string flat = text_.substr(0, static_cast<std::size_t>(outer_end_));
  auto member_list = [&, first = raw().size() == 0](std::string_view members) mutable {
    if (members.empty()) return;
    if (!first) flat += ',';
    first = false;
    flat += members;
  };
  member_list(std::string_view(text_).substr(static_cast<std::size_t>(inner_start_),
                                             static_cast<std::size_t>(inner_end_ - inner_start_)));
  member_list(defaults);
  flat += '}';
  flat_ = JsonDocument::parse(std::move(flat), file_, {}, nullptr);
}

void Configuration::inject(const Family& family) {
  const auto type = find("model_type");
  if (!type || !type->is_string()) return;
  const auto rules = family.defaults.find(type->string());
  if (rules == family.defaults.end()) return;
  std::string defaults;
  for (const DefaultRule& rule : rules->second) {
    const auto present = root().find(rule.key);
    if (present && (rule.from.empty() || !present->is_null())) continue;
    std::string value = rule.json;
    if (!rule.from.empty()) {
      const auto number = evaluate(rule.from);
      if (!number) continue;
      value = std::to_string(*number);
    }
    if (!defaults.empty()) defaults += ',';
    defaults += '"' + rule.key + "\":" + value;
  }
  assemble(defaults);
}

std::optional<std::uint64_t> Configuration::offset_of(const Json& value) const {
  std::uint64_t at = value.offset();
  if (at < outer_end_) return at;
  at -= outer_end_ + 1;
  if (at < inner_end_ - inner_start_) return inner_start_ + at;
  return std::nullopt;
}

void Configuration::refuse(ErrorCode code, const Json& value, std::string text,
                           std::string allowed) const {
  std::string found;
  if (value.is_number()) found = std::string(value.number_text());
  if (value.is_string()) found = quoted(value.string());
  fail(code, file_, offset_of(value), std::move(text), std::move(found), std::move(allowed));
}

void Configuration::refuse_model(std::string known) const {
  refuse(ErrorCode::CF06, find("architectures")->first_child(), "unknown architecture",
         std::move(known));
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

std::optional<std::uint64_t> Configuration::evaluate(std::string_view expression) const {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 40;
  while (!expression.empty()) {
    const std::size_t bar = expression.find('|');
    std::string_view chain = expression.substr(0, bar);
    expression = bar == std::string_view::npos ? std::string_view() : expression.substr(bar + 1);
    std::optional<std::uint64_t> result;
    char operation = '*';
    for (bool more = true; more;) {
      const std::size_t end = chain.find_first_of("*/");
      const std::string_view field = chain.substr(0, end);
      more = end != std::string_view::npos;
      const auto value = find(field);
      if (!value) {
        result.reset();
        break;
      }
      const std::uint64_t number = unsigned_of(*value, range_of_field(field));
      if (operation == '*') {
        result = checked_multiply(result.value_or(1), number);
        if (!result || *result > kMost)
          refuse(ErrorCode::CF04, *value, quoted(field) + " makes a size out of range");
      } else {
        if (number == 0 || *result % number != 0)
          refuse(ErrorCode::CF05, *value,
                 quoted(field) + " does not divide " + std::to_string(*result));
        result = *result / number;
      }
      if (more) {
        operation = chain[end];
        chain.remove_prefix(end + 1);
      }
    }
    if (result) return result;
  }
  return std::nullopt;
}

}  // namespace quantize
