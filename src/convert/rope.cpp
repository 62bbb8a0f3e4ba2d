// What is asked for is looked up where it may be, newest spelling first.
#include "convert/rope.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "quantize/error.hpp"
#include "quantize/escape.hpp"

namespace quantize {

Rope::Rope(const Configuration& configuration) : configuration_(configuration) {
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

std::optional<Json> Rope::get(std::string_view key) const {
  if (main_)
    if (const auto value = main_.find(key)) return value->is_null() ? std::nullopt : value;
  if (!flat_) return std::nullopt;
  if (key == "rope_theta")
    return configuration_.find({"global_rope_theta", "rope_global_theta", "rope_theta_global",
                                "rope_theta", "rotary_emb_base"});
  if (key == "rope_type") return main_ ? get("type") : std::nullopt;
  if (key == "original_max_position_embeddings") return configuration_.find(key);
  if (key == "partial_rotary_factor")
    return configuration_.find({"partial_rotary_factor", "rope_pct", "rope_percent"});
  return std::nullopt;
}
std::optional<Json> Rope::sliding_theta() const {
  if (sliding_) return sliding_.find("rope_theta");
  if (!flat_) return std::nullopt;
  return configuration_.find({"local_rope_theta", "rope_local_theta", "rope_theta_local",
                              "swa_rope_theta", "rope_local_base_freq"});
}
std::string Rope::type() const {
  const auto value = get("rope_type");
  if (!value) return {};
  if (!value->is_string())
    configuration_.refuse(ErrorCode::CF03, *value, "\"rope_type\" is not a string");
  return std::string(value->string());
}
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
  const auto whole = [&](const char* key, ValueRange range) {
    const auto value = configuration.find(key);
    return value ? configuration.unsigned_of(*value, range) : 0;
  };
  std::uint64_t size = whole("head_dim", ValueRange::head_size);
  if (const std::uint64_t heads = whole("num_attention_heads", ValueRange::heads);
      size == 0 && heads != 0)
    size = whole("hidden_size", ValueRange::size) / heads;

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

}  // namespace quantize
