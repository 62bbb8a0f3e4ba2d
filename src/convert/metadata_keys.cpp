// The key block that most families share is a table in the reference's order; a family's own keys
// are expressions, converted to the type that the rule names.
#include "convert/metadata_keys.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "quantize/error.hpp"
#include "quantize/escape.hpp"

#include "convert/rope.hpp"

namespace quantize {
namespace {

constexpr std::uint64_t kMostEntries = 4096;  // of a list
constexpr std::uint64_t kMaxSideFile = std::uint64_t{1} << 20;

// ---- the shared block ------------------------------------------------------------------------

enum class Step : std::uint8_t { integer, integers, real, not_causal, rope, gating };

struct BaseKey {
  Step step;
  const char* key;
  ValueRange range;
  std::initializer_list<std::string_view> from;
};

const BaseKey kBaseKeys[] = {
    {Step::integer,
     "context_length",
     ValueRange::context,
     {"max_position_embeddings", "n_ctx", "n_positions", "max_length", "max_sequence_length",
      "model_max_length"}},
    {Step::integer, "embedding_length", ValueRange::size, {"hidden_size", "n_embd", "dim"}},
    {Step::integers,
     "feed_forward_length",
     ValueRange::size,
     {"prefix_dense_intermediate_size", "dense_intermediate_size", "intermediate_size", "n_inner",
      "hidden_dim"}},
    {Step::integers,
     "attention.head_count",
     ValueRange::heads,
     {"num_attention_heads", "n_head", "n_heads"}},
    {Step::integers,
     "attention.head_count_kv",
     ValueRange::heads,
     {"num_key_value_heads", "n_kv_heads"}},
    {Step::not_causal, "attention.causal", ValueRange::any, {"is_causal"}},
    {Step::rope, "", ValueRange::any, {}},
    {Step::real,
     "attention.layer_norm_rms_epsilon",
     ValueRange::epsilon,
     {"rms_norm_eps", "norm_eps"}},
    {Step::real,
     "attention.layer_norm_epsilon",
     ValueRange::epsilon,
     {"layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"}},
    {Step::integer,
     "expert_count",
     ValueRange::experts,
     {"num_local_experts", "num_experts", "n_routed_experts"}},
    {Step::integer,
     "expert_used_count",
     ValueRange::experts,
     {"num_experts_per_tok", "num_experts_per_token", "top_k_experts"}},
    {Step::integer, "expert_group_count", ValueRange::experts, {"n_group"}},
    {Step::integer, "expert_group_used_count", ValueRange::experts, {"topk_group"}},
    {Step::gating,
     "expert_gating_func",
     ValueRange::any,
     {"score_function", "scoring_func", "score_func", "moe_router_activation",
      "moe_router_activation_func", "expert_selection_fn"}},
    {Step::integer, "attention.key_length", ValueRange::head_size, {"head_dim"}},
    {Step::integer, "attention.value_length", ValueRange::head_size, {"head_dim"}},
};

void append_gating(const Configuration& configuration, const std::string& key, const Json& value,
                   Metadata& metadata) {
  static constexpr std::pair<std::string_view, std::uint32_t> functions[] = {
      {"softmax", 1}, {"sigmoid", 2}, {"sqrtsoftplus", 4}};
  if (value.is_string())
    for (const auto& [name, id] : functions)
      if (value.string() == name) return metadata.append(key, id);
  configuration.refuse(ErrorCode::CF06, value, "unknown function to choose experts",
                       "softmax, sigmoid, sqrtsoftplus");
}

void append_base(const Scope& scope, const std::string& prefix, std::uint32_t file_type,
                 Metadata& metadata, Warnings& warnings) {
  const Configuration& configuration = scope.configuration();
  if (const std::uint64_t layers = scope.layers(); layers > 0)
    metadata.append(prefix + "block_count", static_cast<std::uint32_t>(layers));
  for (const BaseKey& row : kBaseKeys) {
    if (row.step == Step::rope) {
      append_rope(configuration, prefix, metadata, warnings);
      continue;
    }
    const auto value = configuration.find(row.from);
    if (!value) continue;
    const std::string key = prefix + row.key;
    const auto number = [&](const Json& v) {
      return static_cast<std::uint32_t>(configuration.unsigned_of(v, row.range));
    };
    switch (row.step) {
      case Step::integers:
        if (value->is_array()) {  // one value per layer, 0 where it has no such part
          std::vector<std::int32_t> each;
          for (const Json v : value->children())
            each.push_back(v.as_u64() == 0 ? 0 : static_cast<std::int32_t>(number(v)));
          if (!each.empty()) metadata.append(key, MetaArray(std::move(each)));
          break;
        }
        [[fallthrough]];
      case Step::integer:
        metadata.append(key, number(*value));
        break;
      case Step::real:
        metadata.append(key, static_cast<float>(configuration.real_of(*value, row.range)));
        break;
      case Step::not_causal:
        if (value->is_boolean() && !value->boolean()) metadata.append(key, false);
        break;
      case Step::gating:
        append_gating(configuration, key, *value, metadata);
        break;
      case Step::rope:
        break;
    }
  }
  const auto experts = configuration.find({"num_local_experts", "num_experts", "n_routed_experts"});
  const auto used =
      configuration.find({"num_experts_per_tok", "num_experts_per_token", "top_k_experts"});
  if (experts && used &&
      configuration.unsigned_of(*used, ValueRange::experts) >
          configuration.unsigned_of(*experts, ValueRange::experts))
    configuration.refuse(ErrorCode::CF05, *used, "more experts are used than there are");
  metadata.append("general.file_type", file_type);
}

// ---- sentence-transformers ---------------------------------------------------------------------

void append_pooling(const Directory& directory, const std::string& prefix, Metadata& metadata,
                    Warnings& warnings) {
  const auto read = [&](const std::string& name) -> std::unique_ptr<JsonDocument> {
    auto text = directory.read(name, kMaxSideFile);
    return text ? JsonDocument::parse(std::move(*text), directory.path_of(name), {}, &warnings)
                : nullptr;
  };
  const auto modules = read("modules.json");
  if (!modules) return;
  for (const Json module : modules->root().children())
    if (const auto type = module.find("type");
        type && type->is_string() && type->string().ends_with("Dense"))
      warnings.add(ErrorCode::CF06, modules->file(), type->offset(),
                   "dense layers behind the pooling are left out");
  constexpr std::string_view ending = "Pooling";
  for (const Json module : modules->root().children()) {
    const auto type = module.find("type"), path = module.find("path");
    if (!type || !type->is_string() || !path || !path->is_string()) continue;
    const std::string_view name = type->string();
    if (name.size() < ending.size() || name.substr(name.size() - ending.size()) != ending) continue;
    const std::string folder(path->string());
    // The name comes from a file: one plain component, or it is not opened.
    const bool plain = !folder.empty() && folder.front() != '.' &&
                       folder.find_first_not_of(
                           "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                           "0123456789._-") == std::string::npos;
    if (!plain)
      fail(ErrorCode::CF06, modules->file(), path->offset(),
           "the pooling module's folder has an unusual name", quoted(folder));
    const std::string inner = folder + "/config.json", file = directory.path_of(inner);
    auto text = directory.read(inner, kMaxSideFile);
    if (!text) fail(ErrorCode::CF01, file, std::nullopt, "the pooling module has no configuration");
    const auto pooling = JsonDocument::parse(std::move(*text), file, {}, &warnings);
    static constexpr std::pair<std::string_view, std::string_view> modes[] = {
        {"pooling_mode_mean_tokens", "mean"},
        {"pooling_mode_cls_token", "cls"},
        {"pooling_mode_lasttoken", "lasttoken"}};
    const auto named = pooling->root().find("pooling_mode");
    std::uint32_t id = 0;
    for (const auto& [flag, mode] : modes) {
      ++id;
      const auto set = pooling->root().find(flag);
      if ((set && set->is_boolean() && set->boolean()) ||
          (named && named->is_string() && named->string() == mode))
        return metadata.append(prefix + "pooling_type", id);
    }
    fail(ErrorCode::CF06, file, pooling->root().offset(), "unknown kind of pooling", {},
         "mean, cls, lasttoken");
  }
}

}  // namespace

std::vector<std::string> classifier_labels(const Configuration& configuration) {
  const auto labels = configuration.find("id2label");
  if (!labels || !labels->is_object()) return {};
  std::vector<std::pair<std::uint64_t, std::string>> sorted;
  for (const Json label : labels->children()) {
    const std::string_view key = label.key();
    std::uint64_t id = 0;
    for (const char c : key)
      id = c >= '0' && c <= '9' && id < 1000000 ? id * 10 + static_cast<std::uint64_t>(c - '0')
                                                : 1000000;
    if (id >= 1000000 || key.empty() || !label.is_string())
      configuration.refuse(ErrorCode::CF03, label, "\"id2label\" does not map numbers to names");
    sorted.emplace_back(id, std::string(label.string()));
  }
  std::sort(sorted.begin(), sorted.end());
  if (sorted.size() == 2 && sorted[0].second == "LABEL_0") return {};
  std::vector<std::string> out;
  for (auto& entry : sorted) out.push_back(std::move(entry.second));
  return out;
}

namespace {

// Calls make() with a value of the C++ type of a metadata type.
template <class Make>
auto with_type(MetaType type, Make make) {
  switch (type) {
    case MetaType::u8:
      return make(std::uint8_t{});
    case MetaType::i8:
      return make(std::int8_t{});
    case MetaType::u16:
      return make(std::uint16_t{});
    case MetaType::i16:
      return make(std::int16_t{});
    case MetaType::i32:
      return make(std::int32_t{});
    case MetaType::f32:
      return make(float{});
    case MetaType::boolean:
      return make(bool{});
    case MetaType::string:
      return make(std::string{});
    case MetaType::u64:
      return make(std::uint64_t{});
    case MetaType::i64:
      return make(std::int64_t{});
    case MetaType::f64:
      return make(double{});
    default:
      return make(std::uint32_t{});
  }
}

class KeyWriter {
 public:
  KeyWriter(const Scope& scope, const KeyRule& rule) : scope_(scope), rule_(rule) {}

  // Nothing if a field is missing.
  std::optional<MetaValue> value() const {
    if (rule_.array) {
      if (auto array = list()) return MetaValue(std::move(*array));
      return std::nullopt;
    }
    const Operand operand = mapped(scope_.evaluate(rule_.from));
    if (!operand) return std::nullopt;
    return with_type(rule_.type,
                     [&](auto type) { return MetaValue(converted<decltype(type)>(operand)); });
  }

 private:
  std::string name(const Operand& value) const {
    return quoted(value.at && !value.at.key().empty() ? value.at.key()
                                                      : std::string_view(rule_.key));
  }

  template <class T>
  T converted(const Operand& value) const {
    const auto wrong = [&](const char* what) {
      scope_.refuse(ErrorCode::CF03, value, name(value) + " is not " + what);
    };
    if constexpr (std::is_same_v<T, std::string>) {
      if (value.kind != Operand::Kind::text) wrong("a string");
      return value.text;
    } else if constexpr (std::is_same_v<T, bool>) {
      if (value.kind != Operand::Kind::truth) wrong("true or false");
      return value.truth;
    } else if constexpr (std::is_floating_point_v<T>) {
      if (!value.is_number()) wrong("a number");
      if (value.at && value.at.is_number()) scope_.configuration().real_of(value.at, rule_.range);
      return static_cast<T>(value.number());
    } else {
      if (value.kind != Operand::Kind::integer) wrong("an integer");
      if (rule_.range != ValueRange::any && value.at && value.at.is_number())
        scope_.configuration().unsigned_of(value.at, rule_.range);
      const bool negative = value.integer < 0;
      if ((negative && std::is_unsigned_v<T>) ||
          static_cast<std::int64_t>(static_cast<T>(value.integer)) != value.integer)
        scope_.refuse(ErrorCode::CF04, value, name(value) + " is out of range");
      return static_cast<T>(value.integer);
    }
  }

  std::optional<MetaArray> list() const {
    std::vector<Operand> operands;
    for (const Expression& element : rule_.elements) operands.push_back(scope_.evaluate(element));
    if (rule_.each) {
      const auto count = scope_.size(rule_.each);
      if (!count) return std::nullopt;
      if (*count > kMostEntries)
        scope_.refuse(ErrorCode::CF04, {}, quoted(rule_.key) + " has too many entries");
      for (std::uint64_t n = 0; n < *count; ++n) {
        operands.push_back(mapped(scope_.evaluate(rule_.from, {&n, 1})));
        if (!operands.back()) return std::nullopt;
      }
    } else if (rule_.from) {
      const Operand field = scope_.evaluate(rule_.from);
      if (!field) return std::nullopt;
      if (field.kind != Operand::Kind::list)
        scope_.refuse(ErrorCode::CF03, field, name(field) + " is not a list");
      std::uint64_t n = 0;
      for ([[maybe_unused]] const Json entry : field.at.children()) {
        operands.push_back(mapped(scope_.entry(field, n++)));
        if (!operands.back())
          scope_.refuse(ErrorCode::CF03, field, name(field) + " has an entry without a value");
      }
    }
    if (operands.empty()) return std::nullopt;
    return with_type(rule_.type, [&](auto type) {
      using T = decltype(type);
      std::vector<T> values;
      for (const Operand& operand : operands) values.push_back(converted<T>(operand));
      return MetaArray(std::move(values));
    });
  }

  Operand mapped(Operand value) const {
    if (rule_.map.empty() || !value) return value;
    const std::string word = value.kind == Operand::Kind::text    ? value.text
                             : value.kind == Operand::Kind::truth ? (value.truth ? "true" : "false")
                             : value.kind == Operand::Kind::integer ? std::to_string(value.integer)
                                                                    : std::string();
    std::string known;
    for (const auto& [from, to] : rule_.map) {
      if (from == word || from == "*") return scope_.evaluate(to);
      known += (known.empty() ? "" : ", ") + from;
    }
    scope_.refuse(ErrorCode::CF06, value, "unknown value of " + name(value), known);
  }

  const Scope& scope_;
  const KeyRule& rule_;
};

bool has_namespace(const std::string& key) {
  static constexpr std::string_view kNamespaces[] = {"general.", "tokenizer.", "diffusion.",
                                                     "xielu."};
  return std::any_of(std::begin(kNamespaces), std::end(kNamespaces),
                     [&](std::string_view start) { return key.starts_with(start); });
}

}  // namespace

void append_family_keys(const std::vector<KeyRule>& rules, const std::string& architecture,
                        const Scope& scope, const Directory& directory, std::uint32_t file_type,
                        Metadata& metadata, Warnings& warnings) {
  const std::string prefix = architecture + ".";
  for (const KeyRule& rule : rules) {
    if (!scope.holds(rule.when)) continue;
    switch (rule.operation) {
      case KeyOperation::base:
        append_base(scope, prefix, file_type, metadata, warnings);
        break;
      case KeyOperation::rope:
        append_rope(scope.configuration(), prefix, metadata, warnings);
        break;
      case KeyOperation::file_type:
        metadata.set("general.file_type", file_type);
        break;
      case KeyOperation::pooling_type:
        append_pooling(directory, prefix, metadata, warnings);
        break;
      case KeyOperation::classifier_labels:
        if (auto labels = classifier_labels(scope.configuration()); !labels.empty())
          metadata.append(prefix + "classifier.output_labels", MetaArray(std::move(labels)));
        break;
      case KeyOperation::value:
        if (auto value = KeyWriter(scope, rule).value())
          metadata.set(has_namespace(rule.key) ? rule.key : prefix + rule.key, std::move(*value));
        else if (rule.required)
          scope.refuse(ErrorCode::CF02, {}, quoted(rule.from.text) + " is missing");
        break;
    }
  }
}

}  // namespace quantize
