// Presets, aliases, and how a target that a user typed is looked up.
#include <algorithm>
#include <string>
#include <vector>

#include "quantize/near_names.hpp"
#include "quantize/plan.hpp"

#include "plan/checkpoint.hpp"
#include "plan/rules.hpp"

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
    {"iq4_nl", "IQ4_NL", 25, DType::iq4_nl, "4 bits on a curve, in blocks of 32: fits most rows"},
    {"iq4_xs", "IQ4_XS", 30, DType::iq4_xs, "smaller than Q4_K_S at about its quality"},
    {"mxfp4_moe", "MXFP4_MOE", 38, DType::mxfp4,
     "experts in 4-bit floats, all else in Q8_0; for mixtures of experts"},
    {"nvfp4", "NVFP4", 39, DType::nvfp4, "4-bit floats for hardware that computes with them"},
    {"q3_k_l", "Q3_K_L", 13, DType::q3_k, "visible loss; attention and output better protected"},
    {"q3_k_m", "Q3_K_M", 12, DType::q3_k, "visible loss"},
    {"q3_k_s", "Q3_K_S", 11, DType::q3_k, "large loss"},
    {"iq3_m", "IQ3_M", 27, DType::iq3_s, "better than Q3_K_M at less size"},
    {"iq3_s", "IQ3_S", 26, DType::iq3_s, "better than Q3_K_S at its size"},
    {"iq3_xs", "IQ3_XS", 22, DType::iq3_s, "smaller than IQ3_S; queries and keys in IQ3_XXS", true},
    {"iq3_xxs", "IQ3_XXS", 23, DType::iq3_xxs, "about 3 bits; visible loss", true},
    {"q2_k", "Q2_K", 10, DType::q2_k, "very large loss; for what fits no other way"},
    {"q2_k_s", "Q2_K_S", 21, DType::q2_k, "smaller than Q2_K", true},
    {"iq2_m", "IQ2_M", 29, DType::iq2_s, "better than Q2_K at less size", true},
    {"iq2_s", "IQ2_S", 28, DType::iq2_xs, "about 2.5 bits; large loss", true},
    {"iq2_xs", "IQ2_XS", 20, DType::iq2_xs, "about 2.3 bits; large loss", true},
    {"iq2_xxs", "IQ2_XXS", 19, DType::iq2_xxs, "about 2 bits; very large loss", true},
    {"iq1_m", "IQ1_M", 31, DType::iq1_m, "about 1.8 bits; a last resort", true},
    {"iq1_s", "IQ1_S", 24, DType::iq1_s, "about 1.6 bits; the smallest for ordinary models", true},
    {"tq2_0", "TQ2_0", 37, DType::tq2_0, "for models trained to three levels; fast to decode"},
    {"tq1_0", "TQ1_0", 36, DType::tq1_0, "for models trained to three levels; smallest"},
    {"q2_0", "Q2_0", 41, DType::q2_0, "for models trained to four levels"},
    {"q1_0", "Q1_0", 40, DType::q1_0, "for models trained to two levels"},
    {"lossless", "LOSSLESS", -1, DType::f32,
     "every value as it is, in the smallest type whose grid has it"},
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

// By name or alias.
const Preset* preset_named(std::string_view name) {
  for (const TargetAlias& alias : kAliases) {
    if (alias.name == name) name = alias.preset;
  }
  const auto at = std::find_if(std::begin(kPresets), std::end(kPresets),
                               [name](const Preset& preset) { return preset.name == name; });
  return at == std::end(kPresets) ? nullptr : &*at;
}

// The preset whose file type stands for a file of one block type: the one of its name if its
// default is that type (the preset IQ2_S is not made of the type), else the first such.
const Preset* preset_of(DType type) {
  const Preset* named = preset_named(lowered(info(type).name));
  if (named && named->default_type == type) return named;
  const auto at = std::find_if(std::begin(kPresets), std::end(kPresets), [type](const Preset& p) {
    return p.default_type == type && p.file_type >= 0;
  });
  return at == std::end(kPresets) ? nullptr : &*at;
}

std::string near_misses(std::string_view name) {
  std::vector<std::string_view> known;
  for (const Preset& preset : kPresets) known.push_back(preset.name);
  for (const TargetAlias& alias : kAliases) known.push_back(alias.name);
  for (const CheckpointName& checkpoint : checkpoint_names()) known.push_back(checkpoint.name);
  const std::string list = near_names(name, known);
  return list.empty() ? "a name that 'quantize types' lists" : list + " (see 'quantize types')";
}

}  // namespace

std::span<const Preset> presets() noexcept { return kPresets; }
std::span<const TargetAlias> target_aliases() noexcept { return kAliases; }

std::uint32_t guessed_file_type(DType most_frequent) {
  const Preset* named = preset_named(lowered(info(most_frequent).name));
  return named ? static_cast<std::uint32_t>(named->file_type) : 0;
}

bool is_lossless(const Recipe& recipe) noexcept {
  const Preset* preset = recipe.target.preset;  // none for checkpoints
  return recipe.lossless || (preset && preset->name == "lossless");
}

Target find_target(std::string_view text) {
  const std::string name = lowered(text);
  constexpr std::string_view kType = "type:";
  const bool pure = name.compare(0, kType.size(), kType) == 0;
  const std::string_view wanted =
      pure ? std::string_view(name).substr(kType.size()) : std::string_view(name);
  if (!pure) {
    if (const Preset* preset = preset_named(wanted))
      return {preset, false, std::string(preset->label)};
  }
  if (const auto type = type_from_name(wanted)) {
    if (const Preset* preset = preset_of(*type)) return {preset, true, uppered(info(*type).name)};
  }
  if (auto checkpoint = find_checkpoint(name)) {
    const std::string label = checkpoint->label;
    return {nullptr, false, label, nullptr, std::move(checkpoint)};
  }
  fail(ErrorCode::USE04, {}, {}, "unknown target", std::string(text), near_misses(name));
}

}  // namespace quantize
