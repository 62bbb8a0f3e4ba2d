#include "plan/rules.hpp"

#include <algorithm>
#include <charconv>
#include <regex>

#include "quantize/escape.hpp"

namespace quantize {
namespace {

enum class Category {
  output,
  token_embedding,
  qkv,
  kv_b,
  v,
  k,
  q,
  attention_output,
  up,
  gate,
  down,
  other
};

bool contains(std::string_view text, std::string_view part) noexcept {
  return text.find(part) != std::string_view::npos;
}

// Exact names first, then the first part that the name contains.
Category category_of(std::string_view name) noexcept {
  struct Row {
    std::string_view part;
    Category category;
  };
  constexpr Row kParts[] = {
      {"attn_qkv.weight", Category::qkv}, {"attn_kv_b.weight", Category::kv_b},
      {"attn_v.weight", Category::v},     {"attn_k.weight", Category::k},
      {"attn_q.weight", Category::q},     {"attn_output.weight", Category::attention_output},
      {"ffn_up", Category::up},           {"ffn_gate", Category::gate},
      {"ffn_down", Category::down},
  };
  if (name == "output.weight") return Category::output;
  if (name == "token_embd.weight" || name == "per_layer_token_embd.weight")
    return Category::token_embedding;
  for (const Row& row : kParts) {
    if (contains(name, row.part)) return row.category;
  }
  return Category::other;
}

bool is_value_like(Category c) noexcept {
  return c == Category::v || c == Category::qkv || c == Category::kv_b;
}

// Names that the reference never quantizes.
bool is_excluded(std::string_view name, bool leave_output) noexcept {
  constexpr std::string_view kParts[] = {"_norm.weight",
                                         "ffn_gate_inp.weight",
                                         "ffn_gate_tid2eid.weight",
                                         "altup",
                                         "laurel",
                                         "per_layer_model_proj",
                                         "ssm_conv1d",
                                         "shortconv.conv.weight",
                                         "indexer.k_proj.weight",
                                         "indexer.q_proj.weight",
                                         "time_mix_first.weight",
                                         "time_mix_w0.weight",
                                         "time_mix_w1.weight",
                                         "time_mix_w2.weight",
                                         "time_mix_v0.weight",
                                         "time_mix_v1.weight",
                                         "time_mix_v2.weight",
                                         "time_mix_a0.weight",
                                         "time_mix_a1.weight",
                                         "time_mix_a2.weight",
                                         "time_mix_g1.weight",
                                         "time_mix_g2.weight",
                                         "time_mix_decay_w1.weight",
                                         "time_mix_decay_w2.weight",
                                         "time_mix_lerp_fused.weight",
                                         "attn_rel_b.weight",
                                         ".position_embd",
                                         "sam.pos_embd",
                                         "sam.neck.",
                                         "sam.net_",
                                         ".rel_pos",
                                         ".patch_embd",
                                         ".patch_merger",
                                         "a.rvq.codebook",
                                         "mm.a.code_embd"};
  if (name == "position_embd.weight" || name == "token_types.weight") return true;
  if (leave_output && name == "output.weight") return true;
  return std::any_of(std::begin(kParts), std::end(kParts),
                     [&](std::string_view part) { return contains(name, part); });
}

bool ends_with_weight(std::string_view name) noexcept {
  constexpr std::string_view kWeight = "weight";
  // The reference compares unsigned positions: a name of five characters without "weight" passes.
  return name.rfind(kWeight) == name.size() - kWeight.size();
}

std::size_t written_rank(const Shape& shape) noexcept {
  auto dims = shape.dims();
  while (dims.size() > 1 && dims.front() == 1) dims = dims.subspan(1);
  return std::max<std::size_t>(dims.size(), 1);
}

// Of n layers: the first and last eighth, and every third between.
bool in_more_bits(std::uint64_t i, std::uint64_t n) noexcept {
  return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
}

// Everything a rule may look at.
struct Situation {
  std::string_view preset;
  Category category{};
  std::uint64_t i = 0, n = 0;  // ordinal of this tensor among its kind (or its layer), and how many
  std::uint64_t queries_per_key = 0;
  std::uint64_t experts = 0;
  bool falcon = false;
  bool importance = false;
};

struct Rule {
  bool (*applies)(const Situation&);
  DType type;
  std::string_view reason;
};

using S = const Situation&;

bool preset_is(S s, std::string_view name) noexcept { return s.preset == name; }

// First match wins; no match keeps the preset's default type.
constexpr Rule kValueRules[] = {
    {[](S s) { return preset_is(s, "q2_k") && s.queries_per_key >= 4; }, DType::q4_k,
     "values shared by four or more query heads are worth two more bits"},
    {[](S s) { return preset_is(s, "q2_k"); }, DType::q3_k,
     "attention values carry more error than average"},
    {[](S s) { return preset_is(s, "q2_k_s") && s.queries_per_key >= 4; }, DType::q4_k,
     "values shared by four or more query heads are worth two more bits"},
    {[](S s) { return preset_is(s, "q3_k_m") && s.i < 2; }, DType::q5_k,
     "attention values of the first two layers"},
    {[](S s) { return preset_is(s, "q3_k_m"); }, DType::q4_k,
     "attention values carry more error than average"},
    {[](S s) { return preset_is(s, "q3_k_l"); }, DType::q5_k,
     "attention values carry more error than average"},
    {[](S s) {
       return (preset_is(s, "q4_k_m") || preset_is(s, "q5_k_m")) && in_more_bits(s.i, s.n);
     },
     DType::q6_k, "attention values of the outer eighths and every third layer between"},
    {[](S s) { return preset_is(s, "q4_k_s") && s.i < 4; }, DType::q5_k,
     "attention values of the first four layers"},
};
constexpr Rule kDownRules[] = {
    {[](S s) { return preset_is(s, "q2_k"); }, DType::q3_k,
     "down projections carry more error than average"},
    {[](S s) { return preset_is(s, "q2_k_s") && s.i < s.n / 8; }, DType::q4_k,
     "down projections of the first eighth"},
    {[](S s) { return preset_is(s, "q3_k_m") && s.i < s.n / 16; }, DType::q5_k,
     "down projections of the first sixteenth"},
    {[](S s) { return preset_is(s, "q3_k_m") && (!s.falcon || in_more_bits(s.i, s.n)); },
     DType::q4_k, "down projections carry more error than average"},
    {[](S s) { return preset_is(s, "q3_k_l"); }, DType::q5_k,
     "down projections carry more error than average"},
    {[](S s) { return preset_is(s, "q4_k_m") && in_more_bits(s.i, s.n); }, DType::q6_k,
     "down projections of the outer eighths and every third layer between"},
    {[](S s) { return preset_is(s, "q5_k_m") && in_more_bits(s.i, s.n); }, DType::q6_k,
     "down projections of the outer eighths and every third layer between"},
    {[](S s) { return preset_is(s, "q4_k_s") && !s.falcon && s.i < s.n / 8; }, DType::q5_k,
     "down projections of the first eighth"},
    {[](S s) { return preset_is(s, "q4_0") && s.importance && s.i < s.n / 8; }, DType::q4_1,
     "down projections of the first eighth, with importance weights"},
    {[](S s) { return preset_is(s, "q5_0") && s.importance && s.i < s.n / 8; }, DType::q5_1,
     "down projections of the first eighth, with importance weights"},
};
// Falcon shares one key and value among all heads and spends its bits elsewhere.
constexpr Rule kFalconDownRules[] = {
    {[](S s) { return preset_is(s, "q3_k_l"); }, DType::q4_k, "down projections of a falcon model"},
    {[](S s) { return preset_is(s, "q4_k_m") && s.i < s.n / 16; }, DType::q6_k,
     "down projections of the first sixteenth"},
    {[](S s) { return preset_is(s, "q4_k_m") && in_more_bits(s.i, s.n); }, DType::q5_k,
     "down projections of the outer eighths and every third layer between"},
    {[](S s) { return preset_is(s, "q4_k_m"); }, DType::q4_k, "down projections of a falcon model"},
};
constexpr Rule kAttentionOutputRules[] = {
    {[](S s) { return s.falcon && preset_is(s, "q3_k_l"); }, DType::q4_k,
     "attention output of a falcon model"},
    {[](S s) {
       return !s.falcon && s.experts == 8 &&
              (preset_is(s, "q2_k") || preset_is(s, "q3_k_s") || preset_is(s, "q3_k_m") ||
               preset_is(s, "q4_k_s") || preset_is(s, "q4_k_m"));
     },
     DType::q5_k, "attention output is small beside eight experts"},
    {[](S s) { return !s.falcon && s.experts != 8 && preset_is(s, "q2_k"); }, DType::q3_k,
     "attention output carries more error than average"},
    {[](S s) { return !s.falcon && s.experts != 8 && preset_is(s, "q3_k_m"); }, DType::q4_k,
     "attention output carries more error than average"},
    {[](S s) { return !s.falcon && s.experts != 8 && preset_is(s, "q3_k_l"); }, DType::q5_k,
     "attention output carries more error than average"},
};
constexpr Rule kKeyRules[] = {
    {[](S s) { return s.experts == 8; }, DType::q8_0, "keys are small beside eight experts"},
};

struct Choice {
  DType type;
  std::string_view reason;
};

template <std::size_t N>
void apply(const Rule (&rules)[N], S situation, Choice& choice) {
  for (const Rule& rule : rules) {
    if (rule.applies(situation)) {
      choice = {rule.type, rule.reason};
      return;
    }
  }
}

// The type that takes over where a row is not whole blocks.
std::optional<DType> substitute_for(DType type) noexcept {
  switch (type) {
    case DType::iq1_s:
    case DType::iq1_m:
    case DType::iq2_xxs:
    case DType::iq2_xs:
    case DType::iq2_s:
    case DType::iq3_xxs:
    case DType::iq3_s:
    case DType::iq4_xs:
      return DType::iq4_nl;
    case DType::q2_0:
    case DType::q2_k:
    case DType::q3_k:
    case DType::tq1_0:
    case DType::tq2_0:
      return DType::q4_0;
    case DType::q4_k:
      return DType::q5_0;
    case DType::q5_k:
      return DType::q5_1;
    case DType::q6_k:
      return DType::q8_0;
    default:
      return std::nullopt;
  }
}

void fit_to_shape(const RuleTensor& tensor, Decision& decision) {
  const std::uint64_t row = tensor.shape.row_values();
  const auto fits = [row](DType type) { return row % info(type).block_values == 0; };
  if (fits(decision.type)) return;
  const DType wanted = decision.type;
  DType type = wanted;
  if (info(wanted).block_values > 32) {
    const auto other = substitute_for(wanted);
    if (!other) {
      fail(ErrorCode::QZ03, {}, {},
           "tensor " + quoted(tensor.name) + " cannot be stored as " +
               std::string(info(wanted).name) + ", and no other type stands in for it",
           "rows of " + std::to_string(row),
           "multiples of " + std::to_string(info(wanted).block_values));
    }
    type = *other;
  }
  if (!fits(type)) type = DType::f16;
  decision.type = type;
  decision.wanted = wanted;
  decision.substitution = "rows of " + std::to_string(row) + " values are not whole blocks of " +
                          std::to_string(info(wanted).block_values);
}

// A --tensor-type pattern: an ECMAScript expression, searched for in the name, in lower case.
struct Pattern {
  std::string text;
  std::regex regex;
  DType type;
  bool matched = false;
};

std::vector<Pattern> compile_patterns(const Recipe& recipe) {
  std::vector<Pattern> patterns;
  for (const auto& [text, type_name] : recipe.tensor_types) {
    const auto type = type_from_name(type_name);
    if (!type || info(*type).gguf_id < 0) {
      fail(ErrorCode::USE04, {}, {}, "unknown tensor type in --tensor-type", type_name,
           "a type that 'quantize types' lists");
    }
    std::string lowered = text;
    for (char& c : lowered) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    try {
      patterns.push_back({text, std::regex(lowered, std::regex::ECMAScript), *type});
    } catch (const std::regex_error&) {
      fail(ErrorCode::USE04, {}, {}, "--tensor-type needs a regular expression", text);
    }
  }
  return patterns;
}

Pattern* match(std::vector<Pattern>& patterns, const std::string& name) {
  for (Pattern& pattern : patterns) {
    if (std::regex_search(name, pattern.regex)) {
      pattern.matched = true;
      return &pattern;
    }
  }
  return nullptr;
}

}  // namespace

std::int64_t layer_of(std::string_view name) noexcept {
  constexpr std::string_view kPrefix = "blk.";
  if (name.substr(0, kPrefix.size()) != kPrefix) return -1;
  std::int32_t layer = -1;
  const char* end = name.data() + name.size();
  const auto parsed = std::from_chars(name.data() + kPrefix.size(), end, layer);
  if (parsed.ec != std::errc{} || parsed.ptr == end || *parsed.ptr != '.' || layer < 0) return -1;
  return layer;
}

bool requires_importance(std::string_view name, DType type, const Preset& preset) noexcept {
  const Category category = category_of(name);
  if (category == Category::output || category == Category::token_embedding) return false;
  switch (type) {
    case DType::iq3_xxs:
    case DType::iq2_xxs:
    case DType::iq2_xs:
    case DType::iq2_s:
    case DType::iq1_m:
    case DType::iq1_s:
      return true;
    case DType::q2_k:
      return preset.name == "q2_k_s";
    default:
      return false;
  }
}

ModelFacts model_facts(const Model& model) {
  ModelFacts facts;
  facts.architecture = model.architecture;
  // Unsigned numbers of any width; of arrays the first element.
  const auto number = [&](std::string_view key) -> std::optional<std::uint64_t> {
    const MetaValue* value = model.metadata.find(facts.architecture + "." + std::string(key));
    if (!value) return std::nullopt;
    return std::visit(
        [](const auto& v) -> std::optional<std::uint64_t> {
          using T = std::decay_t<decltype(v)>;
          if constexpr (std::is_same_v<T, MetaArray>) {
            return std::visit(
                [](const auto& elements) -> std::optional<std::uint64_t> {
                  if constexpr (requires { elements.size(); }) {
                    using E = typename std::decay_t<decltype(elements)>::value_type;
                    if constexpr (std::is_integral_v<E> && !std::is_same_v<E, bool>) {
                      if (!elements.empty() && elements[0] >= 0)
                        return static_cast<std::uint64_t>(elements[0]);
                    }
                  }
                  return std::nullopt;
                },
                v);
          } else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
            if (v >= 0) return static_cast<std::uint64_t>(v);
            return std::nullopt;
          } else {
            return std::nullopt;
          }
        },
        *value);
  };
  const auto blocks = number("block_count");
  if (blocks) {
    facts.layers = *blocks;
  } else {  // an unknown architecture: as many as there are distinct block numbers
    std::vector<std::int64_t> seen;
    for (const ModelTensor& tensor : model.tensors) {
      if (const std::int64_t layer = layer_of(tensor.name); layer >= 0) seen.push_back(layer);
    }
    std::sort(seen.begin(), seen.end());
    facts.layers = static_cast<std::uint64_t>(std::unique(seen.begin(), seen.end()) - seen.begin());
  }
  const std::uint64_t appended = number("nextn_predict_layers").value_or(0);
  facts.main_layers = facts.layers - std::min(appended, facts.layers);
  facts.heads = number("attention.head_count").value_or(0);
  facts.kv_heads = number("attention.head_count_kv").value_or(facts.heads);
  facts.experts = number("expert_count").value_or(0);
  return facts;
}

std::vector<Decision> decide_types(const std::vector<RuleTensor>& tensors, const ModelFacts& facts,
                                   const Recipe& recipe) {
  const Preset& preset = *recipe.target.preset;
  const bool pure = recipe.pure || recipe.target.pure;
  const DType default_type = preset.default_type;
  const bool copy = preset.name == "copy";
  const bool tied = std::none_of(tensors.begin(), tensors.end(),
                                 [](const RuleTensor& t) { return t.name == "output.weight"; });
  const auto value_like = static_cast<std::uint64_t>(
      std::count_if(tensors.begin(), tensors.end(),
                    [](const RuleTensor& t) { return is_value_like(category_of(t.name)); }));
  const bool many_layers_70b =
      facts.main_layers == 80 &&
      (((facts.architecture == "llama" || facts.architecture == "llama-embed") &&
        facts.heads != facts.kv_heads && facts.experts != 8) ||
       facts.architecture == "deci" || facts.architecture == "qwen2" ||
       facts.architecture == "olmo");
  std::vector<Pattern> patterns = compile_patterns(recipe);
  std::uint64_t next_value = 0;
  std::uint64_t next_down = 0;

  Situation situation;
  situation.preset = preset.name;
  situation.queries_per_key = facts.kv_heads == 0 ? 0 : facts.heads / facts.kv_heads;
  situation.experts = facts.experts;
  situation.falcon = facts.architecture == "falcon";
  situation.importance = recipe.importance && !recipe.importance->entries.empty();

  std::vector<Decision> decisions;
  decisions.reserve(tensors.size());
  for (const RuleTensor& tensor : tensors) {
    Decision decision;
    decision.type = tensor.stored_type;
    const Category category = category_of(tensor.name);
    if (copy) {
      decision.rule = "copied as it is";
    } else if (written_rank(tensor.shape) < 2) {
      decision.rule = "one dimension: kept";
    } else if (!ends_with_weight(tensor.name)) {
      decision.rule = "not a weight by its name: kept";
    } else if (is_excluded(tensor.name, recipe.leave_output_tensor)) {
      decision.rule = "small and sensitive: kept";
    } else {
      decision.quantizable = true;
    }
    if (!decision.quantizable) {
      decisions.push_back(std::move(decision));
      continue;
    }
    decision.type = default_type;
    decision.rule = "default of " + std::string(preset.label);
    Pattern* pattern = match(patterns, tensor.name);
    if (recipe.token_embedding_type && category == Category::token_embedding &&
        !(tensor.name == "per_layer_token_embd.weight" && pattern)) {
      decision.type = *recipe.token_embedding_type;
      decision.rule = "--token-embedding-type";
    } else if (recipe.output_tensor_type && category == Category::output) {
      decision.type = *recipe.output_tensor_type;
      decision.rule = "--output-tensor-type";
    } else if (is_quantized(default_type)) {
      if (pattern) {
        decision.type = pattern->type;
        decision.rule = "--tensor-type " + pattern->text;
      } else if (pure) {
        decision.rule = "--pure: the same type for all";
      } else {
        Choice choice{default_type, {}};
        if (category == Category::output || (category == Category::token_embedding && tied)) {
          if (recipe.output_tensor_type) {
            choice = {*recipe.output_tensor_type, "--output-tensor-type, for tied embeddings"};
          } else if (situation.falcon ||
                     tensor.shape.row_values() % info(default_type).block_values != 0) {
            choice = {DType::q8_0, "output layer whose rows the default does not fit"};
          } else if (default_type != DType::q8_0) {
            choice = {DType::q6_k, tied ? "tied embeddings are the output layer too"
                                        : "the output layer decides every token"};
          }
        } else if (is_value_like(category)) {
          situation.i = next_value++;
          situation.n = value_like;
          apply(kValueRules, situation, choice);
          if (many_layers_70b && (choice.type == DType::q3_k || choice.type == DType::q4_k)) {
            choice = {DType::q5_k,
                      "values of a 70B model are shared by eight heads: cheap and sensitive"};
          }
          if (facts.experts == 8) choice = {DType::q8_0, "values are small beside eight experts"};
        } else if (category == Category::k) {
          apply(kKeyRules, situation, choice);
        } else if (category == Category::down) {
          situation.i = next_down++;
          situation.n = facts.layers;
          if (facts.experts > 1) {
            const std::int64_t layer = layer_of(tensor.name);
            if (layer < 0 || static_cast<std::uint64_t>(layer) >= facts.layers) {
              fail(ErrorCode::CF05, {}, {},
                   "tensor " + quoted(tensor.name) + " names no layer of this model", {},
                   "0 to " + std::to_string(facts.layers) + " exclusive");
            }
            situation.i = static_cast<std::uint64_t>(layer);
          }
          if (situation.falcon && (preset.name == "q3_k_l" || preset.name == "q4_k_m")) {
            apply(kFalconDownRules, situation, choice);
          } else {
            apply(kDownRules, situation, choice);
          }
        } else if (category == Category::attention_output) {
          apply(kAttentionOutputRules, situation, choice);
        }
        decision.type = choice.type;
        if (!choice.reason.empty()) decision.rule = choice.reason;
      }
      fit_to_shape(tensor, decision);
    }
    decisions.push_back(std::move(decision));
  }
  for (const Pattern& pattern : patterns) {
    if (!pattern.matched && !recipe.allow_unmatched) {
      fail(ErrorCode::USE04, {}, {}, "--tensor-type pattern matches no tensor", pattern.text,
           "a pattern that matches, or --allow-unmatched");
    }
  }
  return decisions;
}

}  // namespace quantize
