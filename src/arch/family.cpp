// Family files to Family values: one small reader per rule, and names looked up in tables, so that
// a word the program does not know is an error with its place and never a rule that does nothing.
#include "arch/family.hpp"

#include <algorithm>
#include <iterator>
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
constexpr std::pair<std::string_view, MetaType> kTypes[] = {
    {"u8", MetaType::u8},   {"i8", MetaType::i8},        {"u16", MetaType::u16},
    {"i16", MetaType::i16}, {"u32", MetaType::u32},      {"i32", MetaType::i32},
    {"f32", MetaType::f32}, {"bool", MetaType::boolean}, {"str", MetaType::string},
    {"u64", MetaType::u64}, {"i64", MetaType::i64},      {"f64", MetaType::f64}};
constexpr std::pair<std::string_view, KeyOperation> kKeyOperations[] = {
    {"base", KeyOperation::base},
    {"rope", KeyOperation::rope},
    {"file_type", KeyOperation::file_type},
    {"pooling_type", KeyOperation::pooling_type},
    {"classifier_labels", KeyOperation::classifier_labels}};
constexpr std::pair<std::string_view, FamilyPart> kParts[] = {
    {"language_model", FamilyPart::language_model}, {"projector", FamilyPart::projector}};
constexpr std::pair<std::string_view, Generator> kGenerators[] = {
    {"llama3_rope_factors", Generator::llama3_rope_factors}};

struct OperationWord {
  std::string_view word;
  TensorOperation operation;
  std::size_t least, most;  // arguments
};
constexpr OperationWord kOperations[] = {{"plus_one", TensorOperation::plus_one, 0, 0},
                                         {"neg_exp", TensorOperation::neg_exp, 0, 0},
                                         {"transpose", TensorOperation::transpose, 0, 0},
                                         {"squeeze", TensorOperation::squeeze, 0, 0},
                                         {"permute_rotary", TensorOperation::permute_rotary, 1, 1},
                                         {"halve_rotary", TensorOperation::halve_rotary, 2, 2},
                                         {"reshape", TensorOperation::reshape, 1, 4},
                                         {"slice", TensorOperation::slice, 2, 2},
                                         {"swap", TensorOperation::swap, 3, 4},
                                         {"scale", TensorOperation::scale, 1, 1},
                                         {"scale_rows", TensorOperation::scale_rows, 3, 3},
                                         {"pad_rows", TensorOperation::pad_rows, 1, 1},
                                         {"regroup", TensorOperation::regroup, 2, 9},
                                         {"stack", TensorOperation::stack, 0, 1}};
constexpr unsigned kMaxInclusions = 8;

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
  Expression expression(const Json& value) const {
    const std::string written = text(value);
    return parse_expression(written, file_, value.offset() + 1);
  }
  Expression expression(const Json& object, std::string_view key) const {
    const auto value = object.find(key);
    return value ? expression(*value) : Expression();
  }
  std::vector<Expression> expressions(const Json& object, std::string_view key) const {
    std::vector<Expression> out;
    for (const Json value : list(object, key)) out.push_back(expression(value));
    return out;
  }
  // A number, string or truth value as it stands.
  Expression constant(const Json& value) const {
    if (value.is_boolean()) return truth_expression(value.boolean());
    if (value.is_string()) return text_expression(std::string(value.string()));
    if (!value.is_number()) refuse(ErrorCode::CF03, value, "expected one value");
    if (value.is_integer())
      if (const auto integer = value.as_i64()) return integer_expression(*integer);
    const auto real = value.as_double();
    if (!real) refuse(ErrorCode::CF04, value, "the number is not finite");
    return real_expression(*real);
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
  const std::string& file() const noexcept { return file_; }
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

// A value as JSON text again. The reader has limited how deep values are nested.
void append_json(const Json& value, std::string& out) {
  const auto string = [&](std::string_view text) {
    out += '"';
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  };
  const bool object = value.is_object();
  switch (value.kind()) {
    case JsonKind::null:
      out += "null";
      break;
    case JsonKind::boolean:
      out += value.boolean() ? "true" : "false";
      break;
    case JsonKind::number:
      out += value.number_text();
      break;
    case JsonKind::string:
      string(value.string());
      break;
    case JsonKind::object:
    case JsonKind::array:
      out += object ? '{' : '[';
      for (const Json child : value.children()) {
        if (out.back() != '{' && out.back() != '[') out += ',';
        if (object) {
          string(child.key());
          out += ':';
        }
        append_json(child, out);
      }
      out += object ? '}' : ']';
      break;
  }
}

KeyRule read_key(const Reader& reader, const Json& value) {
  KeyRule rule;
  if (value.is_string()) {  // a bare operation
    rule.operation = reader.named<KeyOperation>(kKeyOperations, value);
    return rule;
  }
  reader.only(value, {"key", "type", "from", "value", "each", "map", "range", "when", "required"});
  rule.key = reader.needed(value, "key");
  rule.range = reader.named<ValueRange>(kRanges, value, "range", ValueRange::any);
  rule.when = reader.expression(value, "when");
  rule.required = reader.flag(value, "required");
  if (const auto type = value.find("type")) {
    std::string word = reader.text(*type);
    rule.array = word.size() > 2 && word.compare(word.size() - 2, 2, "[]") == 0;
    if (rule.array) word.resize(word.size() - 2);
    const auto known = std::find_if(std::begin(kTypes), std::end(kTypes),
                                    [&](const auto& row) { return row.first == word; });
    if (known == std::end(kTypes))
      reader.refuse(ErrorCode::CF06, *type, "unknown type " + quoted(word));
    rule.type = known->second;
  }
  if (const auto constant = value.find("value")) {
    if (constant->is_array()) {
      rule.array = true;
      for (const Json element : constant->children())
        rule.elements.push_back(reader.constant(element));
    } else {
      rule.from = reader.constant(*constant);
    }
    const Json one = constant->is_array() ? constant->first_child() : *constant;
    if (one.is_boolean()) rule.type = MetaType::boolean;
    if (one.is_string()) rule.type = MetaType::string;
    return rule;
  }
  const auto from = value.find("from");
  if (!from) reader.refuse(ErrorCode::CF02, value, "member \"from\" is missing");
  rule.from = reader.expression(*from);
  rule.each = reader.expression(value, "each");
  if (rule.each) rule.array = true;
  if (const auto map = value.find("map")) {
    if (!map->is_object()) reader.refuse(ErrorCode::CF03, *map, "expected an object");
    for (const Json entry : map->children())
      rule.map.emplace_back(std::string(entry.key()), reader.constant(entry));
  }
  return rule;
}

TensorStep read_step(const Reader& reader, const Json& value) {
  // "name", {"name": argument} or {"name": [arguments]}; beside it "take" of regroup.
  Json word = value, arguments;
  TensorStep step;
  if (value.is_object()) {
    for (const Json member : value.children())
      if (member.key() != "take") arguments = member;
    if (!arguments) reader.refuse(ErrorCode::CF02, value, "an operation is missing");
    word = arguments;
  }
  const std::string name = value.is_object() ? std::string(arguments.key()) : reader.text(value);
  const auto known = std::find_if(std::begin(kOperations), std::end(kOperations),
                                  [&](const OperationWord& row) { return row.word == name; });
  if (known == std::end(kOperations))
    reader.refuse(ErrorCode::CF06, word, "unknown operation " + quoted(name));
  step.operation = known->operation;
  const auto argument = [&](const Json& at) {
    const bool rest =
        step.operation == TensorOperation::reshape && at.is_string() && at.string() == "*";
    step.arguments.push_back(rest ? Expression() : reader.expression(at));
  };
  if (arguments && arguments.is_array())
    for (const Json at : arguments.children()) argument(at);
  else if (arguments)
    argument(arguments);
  if (step.arguments.size() < known->least || step.arguments.size() > known->most)
    reader.refuse(ErrorCode::CF03, word, "operation " + quoted(name) + " with other arguments");
  if (value.is_object()) {
    reader.only(value, {known->word, "take"});
    for (const Json at : reader.list(value, "take")) {
      const auto piece = at.is_number() ? at.as_u64() : std::nullopt;
      if (!piece || *piece + 1 >= step.arguments.size())
        reader.refuse(ErrorCode::CF04, at, "no such piece");
      step.take.push_back(*piece);
    }
  }
  return step;
}

TensorRule read_tensor_rule(const Reader& reader, const Json& value) {
  TensorRule rule;
  if (value.is_string()) {  // "from -> to"
    constexpr std::string_view arrow = " -> ";
    const std::string_view text = value.string();
    const std::size_t at = text.find(arrow);
    if (at == std::string_view::npos)
      reader.refuse(ErrorCode::CF03, value, "expected \"FROM -> TO\"");
    rule.from = std::string(text.substr(0, at));
    rule.to = std::string(text.substr(at + arrow.size()));
    return rule;
  }
  reader.only(value, {"from", "to", "shape", "apply", "group", "when", "store", "required",
                      "bias_required"});
  rule.from = reader.needed(value, "from");
  const auto to = value.find("to");
  if (!to || !to->is_null()) rule.to = reader.needed(value, "to");
  rule.shape = reader.expressions(value, "shape");
  if (const auto apply = value.find("apply")) {
    if (apply->is_array())
      for (const Json step : apply->children()) rule.steps.push_back(read_step(reader, step));
    else
      rule.steps.push_back(read_step(reader, *apply));
  }
  rule.group = reader.member(value, "group");
  rule.when = reader.expression(value, "when");
  const auto store = value.find("store");
  const std::string kept = reader.member(value, "store");
  rule.follows_file_type = kept == "output";
  rule.f16_in_f16_files = kept == "f16_or_f32";
  if (store && !rule.follows_file_type) {
    rule.store = rule.f16_in_f16_files ? DType::f32 : type_from_name(kept);
    if (rule.store != DType::f32 && rule.store != DType::f16 && rule.store != DType::bf16)
      reader.refuse(ErrorCode::CF06, *store,
                    "tensors are stored as f32, f16, bf16, f16_or_f32 or output");
  }
  rule.required = reader.flag(value, "required");
  rule.bias_required = reader.flag(value, "bias_required");
  return rule;
}

RenameRule read_rename(const Reader& reader, const Json& value) {
  reader.only(value, {"prefix", "suffix", "anywhere", "to", "when"});
  return {reader.member(value, "prefix"), reader.member(value, "suffix"),
          reader.member(value, "anywhere"), reader.needed(value, "to"),
          reader.expression(value, "when")};
}

DropRule read_drop(const Reader& reader, const Json& value) {
  if (!value.is_object()) return {reader.text(value), {}, false, {}};
  reader.only(value, {"name", "when", "zero", "equal_to"});
  return {reader.needed(value, "name"), reader.expression(value, "when"),
          reader.flag(value, "zero"), reader.member(value, "equal_to")};
}

Refusal read_refusal(const Reader& reader, const Json& value) {
  reader.only(value, {"what", "when"});
  return {reader.needed(value, "what"),
          parse_expression(reader.needed(value, "when"), reader.file(),
                           value.find("when")->offset() + 1)};
}

GeneratedTensor read_generated(const Reader& reader, const Json& value) {
  if (!value.is_object())
    return {reader.named<Generator>(kGenerators, value), "rope_freqs.weight", {}, {}, {}};
  reader.only(value, {"to", "from", "each", "when"});
  return {Generator::values, reader.needed(value, "to"), reader.expression(value, "from"),
          reader.expression(value, "each"), reader.expression(value, "when")};
}

FieldRule read_field(const Reader& reader, std::string field, const Json& value) {
  FieldRule rule;
  rule.field = std::move(field);
  if (value.is_object() && value.find("from")) {
    reader.only(value, {"from", "each", "when"});
    rule.from = reader.expression(value, "from");
    rule.each = reader.expression(value, "each");
    rule.when = reader.expression(value, "when");
  } else {
    append_json(value, rule.json);
  }
  return rule;
}

FieldRule read_set(const Reader& reader, const Json& value) {
  reader.only(value, {"field", "value", "from", "each", "when"});
  FieldRule rule;
  rule.field = reader.needed(value, "field");
  rule.when = reader.expression(value, "when");
  rule.each = reader.expression(value, "each");
  if (const auto constant = value.find("value"))
    append_json(*constant, rule.json);
  else
    rule.from = parse_expression(reader.needed(value, "from"), reader.file(),
                                 value.find("from")->offset() + 1);
  return rule;
}

std::vector<Choice> read_choices(const Reader& reader, const Json& value) {
  std::vector<Choice> out;
  const auto one = [&](const Json& choice) {
    if (!choice.is_object()) {
      out.push_back({reader.text(choice), {}});
      return;
    }
    reader.only(choice, {"is", "when"});
    out.push_back({reader.needed(choice, "is"), reader.expression(choice, "when")});
  };
  if (value.is_array())
    for (const Json choice : value.children()) one(choice);
  else
    one(value);
  return out;
}

// A family before the names of its layers are written out.
struct Draft {
  Family family;
  std::string layer = "model.layers.{n}", block = "blk.{n}";
};

Draft read_draft(std::string text, std::string file, unsigned inclusions, Warnings& warnings);

Draft included(const Reader& reader, const Json& name, unsigned inclusions, Warnings& warnings) {
  const std::string word = reader.text(name);
  if (inclusions >= kMaxInclusions) reader.refuse(ErrorCode::CF06, name, "too many inclusions");
  for (std::size_t i = 0; i < embedded_families_count; ++i)
    if (embedded_families[i].name == word)
      return read_draft(std::string(embedded_families[i].text), word + ".json", inclusions + 1,
                        warnings);
  reader.refuse(ErrorCode::CF06, name, "unknown family " + quoted(word));
}

// Replaces a list where the file has one.
template <class T, class Read>
void replace(const Reader& reader, const Json& root, std::string_view key, std::vector<T>& into,
             Read read) {
  if (!root.find(key)) return;
  into.clear();
  for (const Json value : reader.list(root, key)) into.push_back(read(reader, value));
}

Draft read_draft(std::string text, std::string file, unsigned inclusions, Warnings& warnings) {
  JsonRules rules;
  rules.duplicates_are_errors = true;
  const auto document = JsonDocument::parse(std::move(text), file, rules, &warnings);
  const Json root = document->root();
  const Reader reader(std::move(file));
  reader.only(root, {"about",          "name",       "part",      "include",         "architecture",
                     "models",         "defaults",   "set",       "layers",          "layer",
                     "block",          "required",   "relations", "rename",          "drop",
                     "without",        "first_keys", "keys",      "more_keys",       "last_keys",
                     "tensors",        "generate",   "embedding", "vocabulary_keys", "vocabulary",
                     "special_tokens", "refuse"});
  Draft draft;
  if (const auto include = root.find("include"))
    draft = included(reader, *include, inclusions, warnings);
  Family& family = draft.family;
  const auto member = [&](std::string_view key, std::string& into) {
    if (root.find(key) || into.empty()) into = reader.needed(root, key);
  };
  family.name = reader.needed(root, "name");
  family.part = reader.named<FamilyPart>(kParts, root, "part", family.part);
  family.models = reader.texts(root, "models");
  if (family.part == FamilyPart::language_model) member("embedding", family.embedding);
  member("layer", draft.layer);
  member("block", draft.block);
  const auto architecture = root.find("architecture");
  if (architecture) family.architectures = read_choices(reader, *architecture);
  if (family.architectures.empty())
    reader.refuse(ErrorCode::CF02, root, "member \"architecture\" is missing");
  if (const auto vocabulary = root.find("vocabulary"))
    family.vocabulary = read_choices(reader, *vocabulary);
  if (root.find("layers")) family.layers = reader.expression(root, "layers");
  const auto expression = [](const Reader& r, const Json& value) { return r.expression(value); };
  replace(reader, root, "required", family.required, expression);
  replace(reader, root, "relations", family.relations, expression);
  replace(reader, root, "first_keys", family.first_keys, read_key);
  replace(reader, root, "keys", family.keys, read_key);
  for (const Json value : reader.list(root, "more_keys"))
    family.keys.push_back(read_key(reader, value));
  replace(reader, root, "vocabulary_keys", family.vocabulary_keys, read_key);
  replace(reader, root, "last_keys", family.last_keys, read_key);
  replace(reader, root, "generate", family.generate, read_generated);
  for (const Json value : reader.list(root, "set")) family.set.push_back(read_set(reader, value));
  for (const Json value : reader.list(root, "rename"))
    family.renames.push_back(read_rename(reader, value));
  for (const Json value : reader.list(root, "refuse"))
    family.refusals.push_back(read_refusal(reader, value));
  for (const Json value : reader.list(root, "drop"))
    family.drop.push_back(read_drop(reader, value));
  for (const std::string& name : reader.texts(root, "without"))
    family.tensors.erase(
        std::remove_if(family.tensors.begin(), family.tensors.end(),
                       [&](const TensorRule& rule) { return matches_glob(name, rule.from); }),
        family.tensors.end());
  std::vector<TensorRule> own;
  for (const Json value : reader.list(root, "tensors"))
    own.push_back(read_tensor_rule(reader, value));
  std::vector<TensorRule>& all = family.tensors;
  all.erase(std::remove_if(all.begin(), all.end(),
                           [&](const TensorRule& old) {
                             return std::any_of(
                                 own.begin(), own.end(),
                                 [&](const TensorRule& rule) { return rule.from == old.from; });
                           }),
            all.end());
  std::move(own.begin(), own.end(), std::back_inserter(all));
  if (const auto defaults = root.find("defaults"))
    for (const Json type : defaults->children()) {
      std::vector<FieldRule>& fields = family.defaults[std::string(type.key())];
      fields.clear();
      for (const Json value : type.children())
        fields.push_back(read_field(reader, std::string(value.key()), value));
    }
  if (const auto tokens = root.find("special_tokens")) {
    family.special_tokens.clear();
    for (const Json value : tokens->children())
      family.special_tokens.emplace_back(std::string(value.key()), reader.text(value));
  }
  return draft;
}

}  // namespace

Family parse_family(std::string text, std::string file, Warnings& warnings) {
  Draft draft = read_draft(std::move(text), std::move(file), 0, warnings);
  for (TensorRule& rule : draft.family.tensors) {
    if (!rule.from.empty() && rule.from.front() == '.') rule.from.insert(0, draft.layer);
    if (!rule.to.empty() && rule.to.front() == '.') rule.to.insert(0, draft.block);
  }
  return std::move(draft.family);
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

const Family* find_family(std::string_view model, FamilyPart part) noexcept {
  for (const Family& family : builtin_families())
    if (family.part == part &&
        std::find(family.models.begin(), family.models.end(), model) != family.models.end())
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
