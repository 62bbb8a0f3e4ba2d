// Presets, aliases, and how a target that a user typed is looked up.
#include <algorithm>
#include <string>
#include <vector>

#include "quantize/plan.hpp"

#include "core/near_names.hpp"

namespace quantize {
namespace {

// general.file_type ids are llama.cpp's. Copy keeps what the input says.
constexpr Preset kPresets[] = {
    {"f32", "F32", 0, DType::f32, "every weight as a 32-bit float; no loss"},
    {"f16", "F16", 1, DType::f16, "half precision; overflows above 65504"},
    {"bf16", "BF16", 32, DType::bf16, "16 bits with the range of a 32-bit float"},
    {"q8_0", "Q8_0", 7, DType::q8_0, "practically no loss; good for everything that fits"},
    {"q6_k", "Q6_K", 18, DType::q6_k, "very small loss"},
    {"q5_k_m", "Q5_K_M", 17, DType::q5_k, "small loss; sensitive tensors in Q6_K"},
    {"q5_k_s", "Q5_K_S", 16, DType::q5_k, "small loss"},
    {"q5_1", "Q5_1", 9, DType::q5_1, "older 5-bit type with a minimum per block"},
    {"q5_0", "Q5_0", 8, DType::q5_0, "older 5-bit type"},
    {"q4_k_m", "Q4_K_M", 15, DType::q4_k,
     "the usual choice: good quality at a quarter of the size"},
    {"q4_k_s", "Q4_K_S", 14, DType::q4_k, "a little smaller than Q4_K_M, a little worse"},
    {"q4_1", "Q4_1", 3, DType::q4_1, "older 4-bit type with a minimum per block"},
    {"q4_0", "Q4_0", 2, DType::q4_0, "older 4-bit type, simple and fast to decode"},
    {"q3_k_l", "Q3_K_L", 13, DType::q3_k, "visible loss; attention and output better protected"},
    {"q3_k_m", "Q3_K_M", 12, DType::q3_k, "visible loss"},
    {"q3_k_s", "Q3_K_S", 11, DType::q3_k, "large loss"},
    {"q2_k", "Q2_K", 10, DType::q2_k, "very large loss; for what fits no other way"},
    {"q2_k_s", "Q2_K_S", 21, DType::q2_k, "smaller than Q2_K; needs an importance matrix"},
    {"copy", "COPY", -1, DType::f32, "tensors as they are; GGUF to GGUF"},
};

constexpr TargetAlias kAliases[] = {
    {"fp32", "f32", "32-bit floats"},
    {"fp16", "f16", "16-bit floats"},
    {"int8", "q8_0", "8-bit integers in blocks of 32"},
    {"int4", "q4_0", "4-bit integers in blocks of 32"},
    {"q2k", "q2_k", ""},
    {"q3_k", "q3_k_m", ""},
    {"q4_k", "q4_k_m", ""},
    {"q5_k", "q5_k_m", ""},
};

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::string uppered(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

const Preset* preset_named(std::string_view name) {
  for (const Preset& preset : kPresets) {
    if (preset.name == name) return &preset;
  }
  return nullptr;
}

std::string near_misses(std::string_view name) {
  std::vector<std::string_view> known;
  for (const Preset& preset : kPresets) known.push_back(preset.name);
  for (const TargetAlias& alias : kAliases) known.push_back(alias.name);
  const std::string list = near_names(name, known);
  return list.empty() ? "a name that 'quantize types' lists" : list + " (see 'quantize types')";
}

}  // namespace

std::span<const Preset> presets() noexcept { return kPresets; }
std::span<const TargetAlias> target_aliases() noexcept { return kAliases; }

Target find_target(std::string_view text) {
  const std::string name = lowered(text);
  constexpr std::string_view kType = "type:";
  const bool pure = name.compare(0, kType.size(), kType) == 0;
  const std::string_view wanted =
      pure ? std::string_view(name).substr(kType.size()) : std::string_view(name);
  if (!pure) {
    if (const Preset* preset = preset_named(wanted))
      return {preset, false, std::string(preset->label)};
    for (const TargetAlias& alias : kAliases) {
      if (alias.name == wanted) {
        const Preset* preset = preset_named(alias.preset);
        return {preset, false, std::string(preset->label)};
      }
    }
  }
  // A block type: the first preset with that default stands for its file type.
  if (const auto type = type_from_name(wanted)) {
    for (const Preset& preset : kPresets) {
      if (preset.default_type == *type && preset.file_type >= 0)
        return {&preset, true, uppered(info(*type).name)};
    }
  }
  fail(ErrorCode::USE04, {}, {}, "unknown target", std::string(text), near_misses(name));
}

}  // namespace quantize
