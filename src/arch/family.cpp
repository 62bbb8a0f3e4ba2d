// Family files to Family values: one small reader per rule, and names looked up in tables, so that
// a word the program does not know is an error with its place and never a rule that does nothing.
#include "arch/family.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "quantize/escape.hpp"

#include "core/embedded.hpp"

namespace quantize {
namespace {

template <class T>
using Names = std::span<const std::pair<std::string_view, T>>;

constexpr std::pair<std::string_view, ValueRange> kRanges[] = {
    {"any", ValueRange::any},         {"layers", ValueRange::layers},
    {"experts", ValueRange::experts}, {"size", ValueRange::size},
    {"heads", ValueRange::heads},     {"head_size", ValueRange::head_size},
    {"context", ValueRange::context}, {"vocabulary", ValueRange::vocabulary},
    {"epsilon", ValueRange::epsilon}, {"positive", ValueRange::positive},
};
constexpr std::pair<std::string_view, MetaType> kTypes[] = {{"u32", MetaType::u32},
                                                            {"f32", MetaType::f32},
                                                            {"bool", MetaType::boolean},
                                                            {"str", MetaType::string}};
constexpr std::pair<std::string_view, KeyOperation> kKeyOperations[] = {
    {"base", KeyOperation::base},
    {"pooling_type", KeyOperation::pooling_type},
    {"classifier_labels", KeyOperation::classifier_labels}};
constexpr std::pair<std::string_view, TensorOperation> kTensorOperations[] = {
    {"permute_rotary", TensorOperation::permute_rotary},
    {"plus_one", TensorOperation::plus_one},
    {"transpose", TensorOperation::transpose},
    {"stack", TensorOperation::stack}};
constexpr std::pair<std::string_view, GeneratedTensor> kGenerated[] = {
    {"llama3_rope_factors", GeneratedTensor::llama3_rope_factors}};

// Reads members of one document; every complaint names the place.
class Reader {
 public:
  explicit Reader(std::string file) : file_(std::move(file)) {}

  [[noreturn]] void refuse(ErrorCode code, const Json& at, std::string text) const {
    fail(code, file_, at ? std::optional(at.offset()) : std::nullopt, std::move(text));
  }
  std::string text(const Json& value) const {
    if (!value.is_string()) refuse(ErrorCode::CF03, value, "expected a string");
    return std::string(value.string());
  }
  std::string member(const Json& object, std::string_view key) const {
    const auto value = object.find(key);
    return value ? text(*value) : std::string();
  }
  std::string needed(const Json& object, std::string_view key) const {
    const auto value = object.find(key);
    if (!value) refuse(ErrorCode::CF02, object, "member " + quoted(key) + " is missing");
    return text(*value);
  }
  bool flag(const Json& object, std::string_view key) const {
    const auto value = object.find(key);
    if (value && !value->is_boolean()) refuse(ErrorCode::CF03, *value, "expected true or false");
    return value && value->boolean();
  }
  std::vector<std::string> texts(const Json& object, std::string_view key) const {
    std::vector<std::string> out;
    for (const Json value : list(object, key)) out.push_back(text(value));
    return out;
  }
  Json::Range list(const Json& object, std::string_view key) const {
    const auto value = object.find(key);
    if (!value) return {Json()};
    if (!value->is_array()) refuse(ErrorCode::CF03, *value, "expected a list");
    return value->children();
  }
  template <class T>
  T named(Names<T> names, const Json& value) const {
    const std::string word = text(value);
    for (const auto& [name, meaning] : names)
      if (name == word) return meaning;
    refuse(ErrorCode::CF06, value, "unknown name " + quoted(word));
  }
  template <class T>
  T named(Names<T> names, const Json& object, std::string_view key, T absent) const {
    const auto value = object.find(key);
    return value ? named(names, *value) : absent;
  }
  // A typing error in a key must not become a rule that is silently weaker.
  void only(const Json& object, std::initializer_list<std::string_view> known) const {
    if (!object.is_object()) refuse(ErrorCode::CF03, object, "expected an object");
    for (const Json value : object.children())
      if (std::find(known.begin(), known.end(), value.key()) == known.end())
        refuse(ErrorCode::CF06, value, "unknown member " + quoted(value.key()));
  }

 private:
  std::string file_;
};

std::string scalar_text(const Reader& reader, const Json& value) {
  switch (value.kind()) {
    case JsonKind::null:
      return "null";
    case JsonKind::boolean:
      return value.boolean() ? "true" : "false";
    case JsonKind::number:
      return std::string(value.number_text());
    default:
      reader.refuse(ErrorCode::CF03, value, "a default is a number, true, false or null");
  }
}

KeyRule read_key(const Reader& reader, const Json& value) {
  KeyRule rule;
  if (value.is_string()) {  // a bare operation
    rule.operation = reader.named<KeyOperation>(kKeyOperations, value);
    return rule;
  }
  reader.only(value, {"key", "type", "from", "constant", "range"});
  rule.key = reader.needed(value, "key");
  rule.type = reader.named<MetaType>(kTypes, value, "type", MetaType::u32);
  rule.range = reader.named<ValueRange>(kRanges, value, "range", ValueRange::any);
  if (value.find("constant")) {
    rule.constant = reader.flag(value, "constant");
    rule.type = MetaType::boolean;
  } else {
    rule.from = reader.needed(value, "from");
  }
  return rule;
}

TensorRule read_tensor_rule(const Reader& reader, const Json& value) {
  reader.only(value, {"from", "to", "shape", "apply", "heads", "required", "bias_required"});
  TensorRule rule;
  rule.from = reader.needed(value, "from");
  rule.to = reader.needed(value, "to");
  rule.shape = reader.texts(value, "shape");
  rule.operation =
      reader.named<TensorOperation>(kTensorOperations, value, "apply", TensorOperation::none);
  if (rule.operation == TensorOperation::permute_rotary) rule.heads = reader.needed(value, "heads");
  rule.required = reader.flag(value, "required");
  rule.bias_required = reader.flag(value, "bias_required");
  return rule;
}

RenameRule read_rename(const Reader& reader, const Json& value) {
  reader.only(value, {"prefix", "suffix", "anywhere", "to", "model", "labelled"});
  return {reader.member(value, "prefix"),   reader.member(value, "suffix"),
          reader.member(value, "anywhere"), reader.needed(value, "to"),
          reader.member(value, "model"),    reader.flag(value, "labelled")};
}

void read_defaults(const Reader& reader, const Json& types, Family& family) {
  for (const Json type : types.children()) {
    std::vector<DefaultRule>& rules = family.defaults[std::string(type.key())];
    for (const Json value : type.children()) {
      DefaultRule rule{std::string(value.key()), {}, {}};
      if (value.is_object())
        rule.from = reader.needed(value, "from");
      else
        rule.json = scalar_text(reader, value);
      rules.push_back(std::move(rule));
    }
  }
}

}  // namespace

Family parse_family(std::string text, std::string file, Warnings& warnings) {
  JsonRules rules;
  rules.duplicates_are_errors = true;
  const auto document = JsonDocument::parse(std::move(text), file, rules, &warnings);
  const Json root = document->root();
  const Reader reader(std::move(file));
  reader.only(root, {"about", "name", "architecture", "models", "defaults", "required", "relations",
                     "rename", "drop", "keys", "tensors", "generate", "embedding", "vocabulary"});
  Family family;
  family.name = reader.needed(root, "name");
  family.architecture = reader.needed(root, "architecture");
  family.models = reader.texts(root, "models");
  family.required = reader.texts(root, "required");
  family.relations = reader.texts(root, "relations");
  family.drop = reader.texts(root, "drop");
  family.embedding = reader.needed(root, "embedding");
  family.vocabulary = reader.texts(root, "vocabulary");
  for (const Json value : reader.list(root, "rename"))
    family.renames.push_back(read_rename(reader, value));
  for (const Json value : reader.list(root, "keys")) family.keys.push_back(read_key(reader, value));
  for (const Json value : reader.list(root, "tensors"))
    family.tensors.push_back(read_tensor_rule(reader, value));
  for (const Json value : reader.list(root, "generate"))
    family.generate.push_back(reader.named<GeneratedTensor>(kGenerated, value));
  if (const auto defaults = root.find("defaults")) read_defaults(reader, *defaults, family);
  return family;
}

const std::vector<Family>& builtin_families() {
  static const std::vector<Family> families = [] {
    std::vector<Family> all;
    Warnings warnings;
    for (std::size_t i = 0; i < embedded_families_count; ++i)
      all.push_back(parse_family(std::string(embedded_families[i].text),
                                 std::string(embedded_families[i].name) + ".json", warnings));
    return all;
  }();
  return families;
}

const Family* find_family(std::string_view model) noexcept {
  for (const Family& family : builtin_families())
    if (std::find(family.models.begin(), family.models.end(), model) != family.models.end())
      return &family;
  return nullptr;
}

bool matches_glob(std::string_view pattern, std::string_view text) noexcept {
  // Greedy with one point of return, the last "*": linear space, quadratic time at worst.
  std::size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace quantize
