// The key block that most families share is a table in the reference's order; rotary scaling, which
// publishers spell in several ways, is the one part that needs code.
#include "convert/metadata_keys.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "quantize/error.hpp"
#include "quantize/escape.hpp"

namespace quantize {
namespace {

constexpr std::uint64_t kMaxSideFile = std::uint64_t{1} << 20;

// ---- rotary embeddings -----------------------------------------------------------------------

// rope_parameters (or rope_scaling) with what older configurations keep at the top level.
class Rope {
 public:
  explicit Rope(const Configuration& configuration) : configuration_(configuration) {
    const auto found = configuration.find({"rope_parameters", "rope_scaling"});
    if (found) {
      if (!found->is_object())
        configuration.refuse(ErrorCode::CF03, *found, "rotary scaling is not an object");
      parameters_ = *found;
    }
    const auto nested = [&](const char* key) {
      const auto value = parameters_ ? parameters_.find(key) : std::nullopt;
      return value && value->is_object() ? *value : Json();
    };
    const Json full = nested("full_attention");
    sliding_ = nested("sliding_attention");
    flat_ = !full && !sliding_;
    main_ = full ? full : parameters_;
  }

  std::optional<Json> get(std::string_view key) const {
    if (main_)
      if (const auto value = main_.find(key)) return value->is_null() ? std::nullopt : value;
    if (!flat_) return std::nullopt;
    if (key == "rope_theta")
      return configuration_.find({"global_rope_theta", "rope_global_theta", "rope_theta_global",
                                  "rope_theta", "rotary_emb_base"});
    if (key == "rope_type") return main_ ? get("type") : std::nullopt;
    if (key == "original_max_position_embeddings" || key == "partial_rotary_factor")
      return configuration_.find(key);
    return std::nullopt;
  }
  std::optional<Json> sliding_theta() const {
    if (sliding_) return sliding_.find("rope_theta");
    if (!flat_) return std::nullopt;
    return configuration_.find({"local_rope_theta", "rope_local_theta", "rope_theta_local",
                                "swa_rope_theta", "rope_local_base_freq"});
  }
  std::string type() const {
    const auto value = get("rope_type");
    if (!value) return {};
    if (!value->is_string())
      configuration_.refuse(ErrorCode::CF03, *value, "\"rope_type\" is not a string");
    return std::string(value->string());
  }
  Json parameters() const { return parameters_; }

 private:
  const Configuration& configuration_;
  Json parameters_, main_, sliding_;
  bool flat_ = true;
};

void append_rope(const Configuration& configuration, const std::string& prefix, Metadata& metadata,
                 Warnings& warnings) {
  const Rope rope(configuration);
  const auto real = [&](const char* key, const std::optional<Json>& value) {
    if (value)
      metadata.append(prefix + key,
                      static_cast<float>(configuration.real_of(*value, ValueRange::positive)));
  };
  const std::string type = rope.type();
  const auto factor = rope.get("factor");
  if ((type == "linear" || type == "yarn") && factor) {
    metadata.append(prefix + "rope.scaling.type", type);
    real("rope.scaling.factor", factor);
  }
  if (type == "yarn" && factor) {
    const auto original = rope.get("original_max_position_embeddings");
    if (!original)
      configuration.refuse(ErrorCode::CF02, rope.parameters(),
                           "\"original_max_position_embeddings\" is missing from yarn scaling");
    metadata.append(
        prefix + "rope.scaling.original_context_length",
        static_cast<std::uint32_t>(configuration.unsigned_of(*original, ValueRange::context)));
    real("rope.scaling.yarn_ext_factor", rope.get("extrapolation_factor"));
    const auto attention = rope.get("attention_factor");
    real("rope.scaling.yarn_attn_factor", attention ? attention : rope.get("attn_factor"));
    real("rope.scaling.yarn_beta_fast", rope.get("beta_fast"));
    real("rope.scaling.yarn_beta_slow", rope.get("beta_slow"));
  }
  if (type == "su" || type == "longrope")
    metadata.append(prefix + "rope.scaling.type", std::string("longrope"));
  static constexpr std::string_view known[] = {"",   "default",  "linear", "yarn",
                                               "su", "longrope", "llama3", "dynamic"};
  if (std::find(std::begin(known), std::end(known), type) == std::end(known))
    warnings.add(ErrorCode::CF06, configuration.file(),
                 configuration.offset_of(*rope.get("rope_type")),
                 "unknown rotary scaling " + quoted(type) + " has no key and is left out");
  if (const auto sections =
          rope.parameters() ? rope.parameters().find("mrope_section") : std::nullopt;
      sections && sections->is_array()) {
    std::vector<std::int32_t> values;
    for (const Json section : sections->children())
      values.push_back(
          static_cast<std::int32_t>(configuration.unsigned_of(section, ValueRange::size)));
    values.resize(4);
    metadata.append(prefix + "rope.dimension_sections", MetaArray(std::move(values)));
  }
  real("rope.freq_base", rope.get("rope_theta"));
  real("rope.freq_base_swa", rope.sliding_theta());
}

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
     "block_count",
     ValueRange::layers,
     {"n_layers", "num_hidden_layers", "n_layer", "num_layers"}},
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

void append_base(const Configuration& configuration, const std::string& prefix,
                 std::uint32_t file_type, Metadata& metadata, Warnings& warnings) {
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
        if (value->is_array()) {  // one value per layer
          std::vector<std::int32_t> each;
          for (const Json v : value->children())
            each.push_back(static_cast<std::int32_t>(number(v)));
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

std::vector<float> llama3_rope_factors(const Configuration& configuration) {
  const Rope rope(configuration);
  std::string type = rope.type();
  for (char& c : type) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  if (type != "llama3") return {};
  const auto number = [&](const char* key, double absent) {
    const auto value = rope.get(key);
    return value ? configuration.real_of(*value, ValueRange::positive) : absent;
  };
  const double base = number("rope_theta", 10000.0), factor = number("factor", 8.0);
  const double low = number("low_freq_factor", 1.0), high = number("high_freq_factor", 4.0);
  const double context = number("original_max_position_embeddings", 8192.0);
  const std::uint64_t size =
      configuration.evaluate("head_dim|hidden_size/num_attention_heads").value_or(0);

  // Single precision, step by step, as the reference's tensors compute it: a division of a number
  // by a tensor is the tensor's reciprocal times the number. The power is taken in double and
  // rounded once, which is the correctly rounded single precision power.
  const float longest = static_cast<float>(context / low),
              shortest = static_cast<float>(context / high);
  std::vector<float> factors;
  for (std::uint64_t i = 0; i < size; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(size);
    const float power = static_cast<float>(
        std::pow(static_cast<double>(static_cast<float>(base)), static_cast<double>(exponent)));
    const float frequency = 1.0f / power;
    const float wavelength = (1.0f / frequency) * 6.28318530717958647692f;
    if (wavelength < shortest) {
      factors.push_back(1.0f);
    } else if (wavelength > longest) {
      factors.push_back(static_cast<float>(factor));
    } else {
      const float cycles = (1.0f / wavelength) * static_cast<float>(context);
      const float smooth = (cycles - static_cast<float>(low)) / static_cast<float>(high - low);
      factors.push_back(1.0f / ((1.0f - smooth) / static_cast<float>(factor) + smooth));
    }
  }
  return factors;
}

void append_family_keys(const Family& family, const Configuration& configuration,
                        const Directory& directory, std::uint32_t file_type, Metadata& metadata,
                        Warnings& warnings) {
  const std::string prefix = family.architecture + ".";
  for (const KeyRule& rule : family.keys) {
    switch (rule.operation) {
      case KeyOperation::base:
        append_base(configuration, prefix, file_type, metadata, warnings);
        continue;
      case KeyOperation::pooling_type:
        append_pooling(directory, prefix, metadata, warnings);
        continue;
      case KeyOperation::classifier_labels:
        if (auto labels = classifier_labels(configuration); !labels.empty())
          metadata.append(prefix + "classifier.output_labels", MetaArray(std::move(labels)));
        continue;
      case KeyOperation::value:
        break;
    }
    const std::string key = prefix + rule.key;
    if (rule.constant) {
      metadata.append(key, *rule.constant);
    } else if (rule.type == MetaType::u32) {
      if (const auto value = configuration.evaluate(rule.from))
        metadata.append(key, static_cast<std::uint32_t>(*value));
    } else if (const auto value = configuration.find(rule.from)) {
      if (rule.type == MetaType::f32)
        metadata.append(key, static_cast<float>(configuration.real_of(*value, rule.range)));
      else if (rule.type == MetaType::boolean && value->is_boolean())
        metadata.append(key, value->boolean());
      else if (rule.type == MetaType::string && value->is_string())
        metadata.append(key, std::string(value->string()));
      else
        configuration.refuse(ErrorCode::CF03, *value, quoted(rule.from) + " has the wrong type");
    }
  }
}

}  // namespace quantize
