#include "plan/rules.hpp"

#include <algorithm>
#include <charconv>
#include <regex>
#include <span>

#include "quantize/escape.hpp"

#include "arch/image_models.hpp"
#include "plan/image_rules.hpp"

namespace quantize {
namespace {

// What a tensor is for, by its name. Bits, so that a group of rules can name several.
enum Category : std::uint32_t {
  kOutput = 1,
  kTokenEmbedding = 2,
  kQkv = 4,
  kKvB = 8,
  kValue = 16,
  kKey = 32,
  kQuery = 64,
  kAttentionOutput = 128,
  kUp = 256,
  kGate = 512,
  kDown = 1024,
  kOther = 2048,
  kValueLike = kQkv | kKvB | kValue,
  kAny = 4095
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
      {"attn_qkv.weight", kQkv}, {"attn_kv_b.weight", kKvB},
      {"attn_v.weight", kValue}, {"attn_k.weight", kKey},
      {"attn_q.weight", kQuery}, {"attn_output.weight", kAttentionOutput},
      {"ffn_up", kUp},           {"ffn_gate", kGate},
      {"ffn_down", kDown},
  };
  if (name == "output.weight") return kOutput;
  if (name == "token_embd.weight" || name == "per_layer_token_embd.weight") return kTokenEmbedding;
  for (const Row& row : kParts) {
    if (contains(name, row.part)) return row.category;
  }
  return kOther;
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

// Everything a rule may look at.
struct Situation {
  std::string_view preset;
  Category category{};
  std::uint64_t i = 0, n = 0;  // ordinal of this tensor among its kind (or its layer), and how many
  std::uint64_t queries_per_key = 0;
  std::uint64_t experts = 0;
  bool falcon = false;
  bool roles_decide = false;  // not every stack of matrices is experts: their roles say it
  bool importance = false;
  bool stacked = false;  // more than one matrix
  bool fits = false;     // rows are whole blocks of the default type
};
using S = const Situation&;

bool always(S) noexcept { return true; }
bool is_tied(S s) noexcept { return s.category == kTokenEmbedding; }
bool is_falcon(S s) noexcept { return s.falcon; }
bool does_not_fit(S s) noexcept { return !s.fits; }
bool is_plain(S s) noexcept { return !s.importance; }
bool has_four_queries(S s) noexcept { return s.queries_per_key >= 4; }
bool has_eight_experts(S s) noexcept { return s.experts == 8; }
bool is_first_two(S s) noexcept { return s.i < 2; }
bool is_first_four(S s) noexcept { return s.i < 4; }
bool is_first_eighth(S s) noexcept { return s.i < s.n / 8; }
bool is_first_sixteenth(S s) noexcept { return s.i < s.n / 16; }
bool is_middle(S s) noexcept { return s.i >= s.n / 8 && s.i < 7 * s.n / 8; }
// The first and last eighth, and every third between.
bool is_outer_or_third(S s) noexcept {
  return s.i < s.n / 8 || s.i >= 7 * s.n / 8 || (s.i - s.n / 8) % 3 == 2;
}

struct Rule {
  std::string_view presets;  // words; empty: all
  bool (*applies)(S);
  DType type;
  std::string_view reason;
};

// In every table the first match wins; no match keeps the preset's default type.
#define QUANTIZE_VERY_LOW "iq1_s iq1_m iq2_xxs iq2_xs iq2_s iq2_m"
constexpr std::string_view kVeryLow = QUANTIZE_VERY_LOW;
// Presets whose rules never ask for the layer that a name gives.
constexpr std::string_view kIgnoreNames = QUANTIZE_VERY_LOW " mxfp4_moe nvfp4";

constexpr Rule kOutputRules[] = {
    {"q8_0", always, DType::q8_0, ""},
    {"mxfp4_moe nvfp4", always, DType::q8_0, "the output layer decides every token"},
    {"", is_falcon, DType::q8_0, "output layer of a falcon model"},
    {"", does_not_fit, DType::q8_0, "output layer whose rows the default does not fit"},
    {QUANTIZE_VERY_LOW " iq3_xxs", always, DType::q5_k, "the output layer decides every token"},
    {"", is_tied, DType::q6_k, "tied embeddings are the output layer too"},
    {"", always, DType::q6_k, "the output layer decides every token"},
};
constexpr Rule kExpertRules[] = {
    {"",
     [](S s) {
       return s.stacked && (!s.roles_decide || (s.category & (kUp | kGate | kDown)) != 0);
     },
     DType::mxfp4, "experts"},
    {"", always, DType::q8_0, "not experts"},
};
constexpr Rule kEmbeddingRules[] = {
    {"iq1_s iq1_m iq2_xxs iq2_xs", always, DType::q2_k, "embeddings need no importance weights"},
    {"iq2_s iq2_m iq3_xxs", always, DType::iq3_s, "embeddings need no importance weights"},
    {"tq1_0 tq2_0 q2_0", always, DType::q4_k, "embeddings were not trained to few levels"},
};

constexpr Rule kVeryLowValueRules[] = {
    {"", [](S s) { return s.queries_per_key >= 4 || s.experts >= 4; }, DType::q4_k,
     "values are small beside the queries or experts that share them"},
    {"iq2_s iq2_m", always, DType::iq3_s, "attention values carry more error than average"},
    {"", always, DType::q2_k, "attention values carry more error than average"},
};
constexpr Rule kVeryLowKeyRules[] = {
    {"", has_eight_experts, DType::q4_k, "keys are small beside eight experts"},
};
constexpr Rule kVeryLowDownRules[] = {
    {"iq2_s iq2_m", is_first_eighth, DType::iq3_s, "down projections of the first eighth"},
    {"", is_first_eighth, DType::q2_k, "down projections of the first eighth"},
};
constexpr Rule kVeryLowAttentionOutputRules[] = {
    {"", has_eight_experts, DType::q5_k, "attention output is small beside eight experts"},
    {"iq1_s iq1_m", always, DType::iq2_xxs, "attention output carries more error than average"},
    {"iq2_s iq2_m", always, DType::iq3_s, "attention output carries more error than average"},
};

constexpr Rule kValueRules[] = {
    {"q2_k q2_k_s iq3_xxs iq3_xs iq3_s", has_four_queries, DType::q4_k,
     "values shared by four or more query heads are worth more bits"},
    {"iq4_nl iq4_xs", has_four_queries, DType::q5_k,
     "values shared by four or more query heads are worth more bits"},
    {"q2_k", always, DType::q3_k, "attention values carry more error than average"},
    {"iq3_xxs", is_plain, DType::iq3_s,
     "attention values carry more error than average without importance weights"},
    {"iq3_m", always, DType::q4_k, "attention values carry more error than average"},
    {"q3_k_m", is_first_two, DType::q5_k, "attention values of the first two layers"},
    {"q3_k_m", always, DType::q4_k, "attention values carry more error than average"},
    {"q3_k_l", always, DType::q5_k, "attention values carry more error than average"},
    {"q4_k_m q5_k_m", is_outer_or_third, DType::q6_k,
     "attention values of the outer eighths and every third layer between"},
    {"q4_k_s", is_first_four, DType::q5_k, "attention values of the first four layers"},
};
constexpr Rule kKeyRules[] = {
    {"", has_eight_experts, DType::q8_0, "keys are small beside eight experts"},
    {"iq3_xs", always, DType::iq3_xxs, "keys bear fewer bits than average"},
    {"iq3_xxs", always, DType::iq2_s, "keys bear fewer bits than average"},
};
constexpr Rule kQueryRules[] = {
    {"iq3_xs", always, DType::iq3_xxs, "queries bear fewer bits than average"},
    {"iq3_xxs", always, DType::iq2_s, "queries bear fewer bits than average"},
};
// Falcon shares one key and value among all heads and spends its bits elsewhere.
constexpr Rule kDownRules[] = {
    {"q2_k", always, DType::q3_k, "down projections carry more error than average"},
    {"q2_k_s", is_first_eighth, DType::q4_k, "down projections of the first eighth"},
    {"iq3_xxs", [](S s) { return is_plain(s) && is_first_eighth(s); }, DType::q4_k,
     "down projections of the first eighth, without importance weights"},
    {"iq3_xxs", is_plain, DType::q3_k, "down projections without importance weights"},
    {"q3_k_m", is_first_sixteenth, DType::q5_k, "down projections of the first sixteenth"},
    {"q3_k_m", [](S s) { return !s.falcon || is_outer_or_third(s); }, DType::q4_k,
     "down projections carry more error than average"},
    {"iq3_m",
     [](S s) { return is_first_eighth(s) || (has_eight_experts(s) && is_outer_or_third(s)); },
     DType::q4_k, "down projections of the layers that matter most"},
    {"q3_k_l", is_falcon, DType::q4_k, "down projections of a falcon model"},
    {"q3_k_l", always, DType::q5_k, "down projections carry more error than average"},
    {"q4_k_m", [](S s) { return s.falcon && is_first_sixteenth(s); }, DType::q6_k,
     "down projections of the first sixteenth"},
    {"q4_k_m", [](S s) { return s.falcon && is_outer_or_third(s); }, DType::q5_k,
     "down projections of the outer eighths and every third layer between"},
    {"q4_k_m q5_k_m",
     [](S s) { return !(s.falcon && s.preset == "q4_k_m") && is_outer_or_third(s); }, DType::q6_k,
     "down projections of the outer eighths and every third layer between"},
    {"q4_k_s", [](S s) { return !s.falcon && is_first_eighth(s); }, DType::q5_k,
     "down projections of the first eighth"},
    {"iq4_nl iq4_xs", [](S s) { return is_plain(s) && is_first_eighth(s); }, DType::q5_k,
     "down projections of the first eighth, without importance weights"},
    {"q4_0", [](S s) { return s.importance && is_first_eighth(s); }, DType::q4_1,
     "down projections of the first eighth, with importance weights"},
    {"q5_0", [](S s) { return s.importance && is_first_eighth(s); }, DType::q5_1,
     "down projections of the first eighth, with importance weights"},
};
constexpr Rule kAttentionOutputRules[] = {
    {"q3_k_l", is_falcon, DType::q4_k, "attention output of a falcon model"},
    {"q2_k q3_k_s q3_k_m q4_k_s q4_k_m iq3_xxs iq3_xs iq3_s iq3_m iq4_nl iq4_xs",
     [](S s) { return !s.falcon && has_eight_experts(s); }, DType::q5_k,
     "attention output is small beside eight experts"},
    {"q2_k", [](S s) { return !s.falcon && !has_eight_experts(s); }, DType::q3_k,
     "attention output carries more error than average"},
    {"iq3_xxs", [](S s) { return !s.falcon && !has_eight_experts(s); }, DType::iq3_s,
     "attention output carries more error than average"},
    {"q3_k_m iq3_m", [](S s) { return !s.falcon && !has_eight_experts(s); }, DType::q4_k,
     "attention output carries more error than average"},
    {"q3_k_l", [](S s) { return !s.falcon && !has_eight_experts(s); }, DType::q5_k,
     "attention output carries more error than average"},
};
constexpr Rule kGateAndUpRules[] = {
    {"iq3_xs", is_middle, DType::iq3_xxs, "the middle layers bear fewer bits"},
};

// The table that a tensor's category and the preset lead to; the first match again.
struct RuleGroup {
  std::uint32_t categories;
  std::string_view presets;
  std::span<const Rule> rules;
};
constexpr RuleGroup kGroups[] = {
    {kOutput, "", kOutputRules},
    {kAny, "mxfp4_moe", kExpertRules},
    {kAny, "nvfp4", {}},
    {kTokenEmbedding, "", kEmbeddingRules},
    {kValueLike, kVeryLow, kVeryLowValueRules},
    {kKey, kVeryLow, kVeryLowKeyRules},
    {kDown, kVeryLow, kVeryLowDownRules},
    {kAttentionOutput, kVeryLow, kVeryLowAttentionOutputRules},
    {kAny, kVeryLow, {}},
    {kValueLike, "", kValueRules},
    {kKey, "", kKeyRules},
    {kQuery, "", kQueryRules},
    {kDown, "", kDownRules},
    {kAttentionOutput, "", kAttentionOutputRules},
    {kGate | kUp, "", kGateAndUpRules},
};

// Whether `name` is one of the words; all names are if there are no words.
bool is_listed(std::string_view words, std::string_view name) noexcept {
  if (words.empty()) return true;
  for (std::size_t at = words.find(name); at != words.npos; at = words.find(name, at + 1)) {
    const std::size_t end = at + name.size();
    if ((at == 0 || words[at - 1] == ' ') && (end == words.size() || words[end] == ' '))
      return true;
  }
  return false;
}

struct Choice {
  DType type;
  std::string_view reason;
};

// `as`: the category that the tensor is treated as (tied embeddings are an output layer).
void apply_rules(Category as, S situation, Choice& choice) {
  const auto group = std::find_if(std::begin(kGroups), std::end(kGroups), [&](const RuleGroup& g) {
    return (g.categories & as) != 0 && is_listed(g.presets, situation.preset);
  });
  if (group == std::end(kGroups)) return;
  for (const Rule& rule : group->rules) {
    if (is_listed(rule.presets, situation.preset) && rule.applies(situation)) {
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
    case DType::nvfp4:  // the reference has none, and no preset that needs one
      return DType::q8_0;
    default:
      return std::nullopt;
  }
}

// Image models have no substitutes: what does not fit stays F16.
void fit_to_shape(const RuleTensor& tensor, bool image, Decision& decision) {
  const std::uint64_t row = tensor.shape.row_values();
  const auto fits = [row](DType type) { return row % info(type).block_values == 0; };
  if (fits(decision.type)) return;
  const DType wanted = decision.type;
  DType type = wanted;
  if (image) {
    type = DType::f16;
  } else if (info(wanted).block_values > 32) {
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
  bool matched;  // or need not be
};

std::vector<Pattern> compile_patterns(const Recipe& recipe) {
  std::vector<Pattern> patterns;
  for (const TensorTypeRule& rule : recipe.tensor_types) {
    const auto type = type_from_name(rule.type);
    if (!type || info(*type).gguf_id < 0) {
      fail(ErrorCode::USE04, {}, {}, "unknown tensor type in --tensor-type", rule.type,
           "a type that 'quantize types' lists");
    }
    std::string lowered = rule.pattern;
    for (char& c : lowered) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    try {
      patterns.push_back({rule.pattern, std::regex(lowered, std::regex::ECMAScript), *type,
                          rule.may_match_nothing || recipe.allow_unmatched});
    } catch (const std::regex_error&) {
      fail(ErrorCode::USE04, {}, {}, "--tensor-type needs a regular expression", rule.pattern);
    }
  }
  return patterns;
}

// Models of about 70 billion weights, as the reference knows them.
bool is_seventy_billion(const ModelFacts& facts) noexcept {
  const std::string_view name = facts.architecture;
  if (name == "jais2") return facts.main_layers == 68;
  if (facts.main_layers != 80) return false;
  if (name == "llama" || name == "llama-embed")
    return facts.heads != facts.kv_heads && facts.experts != 8;
  return name == "deci" || name == "qwen2" || name == "olmo";
}

// The layer that a tensor's name gives. CF05 if it gives none of this model.
std::uint64_t layer_in(const std::string& name, const ModelFacts& facts) {
  const std::int64_t layer = layer_of(name);
  if (layer < 0 || static_cast<std::uint64_t>(layer) >= facts.layers) {
    fail(ErrorCode::CF05, {}, {}, "tensor " + quoted(name) + " names no layer of this model", {},
         "0 to " + std::to_string(facts.layers) + " exclusive");
  }
  return static_cast<std::uint64_t>(layer);
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

// The reference's mixture: what a preset gives a tensor that nothing else decides about. Counts the
// tensors that it is asked about, in order.
class Mixture {
 public:
  Mixture(const std::vector<RuleTensor>& tensors, const ModelFacts& facts, const Recipe& recipe)
      : facts_(facts), recipe_(recipe), preset_(*recipe.target.preset) {
    tied_ = std::none_of(tensors.begin(), tensors.end(),
                         [](const RuleTensor& t) { return t.name == "output.weight"; });
    values_ = static_cast<std::uint64_t>(
        std::count_if(tensors.begin(), tensors.end(),
                      [](const RuleTensor& t) { return (category_of(t.name) & kValueLike) != 0; }));
    situation_.preset = preset_.name;
    situation_.queries_per_key = facts.kv_heads == 0 ? 0 : facts.heads / facts.kv_heads;
    situation_.experts = facts.experts;
    situation_.falcon = facts.architecture == "falcon";
    situation_.roles_decide = facts.architecture == "bailingmoe3";
    situation_.importance = recipe.importance && !recipe.importance->entries.empty();
  }

  Choice choose(const RuleTensor& tensor, Category category) {
    const DType default_type = preset_.default_type;
    situation_.category = category;
    situation_.stacked = tensor.shape.matrices() > 1;
    situation_.fits = tensor.shape.row_values() % info(default_type).block_values == 0;
    count(tensor, category);
    Choice choice{default_type, {}};
    const bool is_output = category == kOutput || (category == kTokenEmbedding && tied_);
    if (is_output && recipe_.output_tensor_type) {
      return {*recipe_.output_tensor_type, "--output-tensor-type, for tied embeddings"};
    }
    apply_rules(is_output ? kOutput : category, situation_, choice);
    if ((category & kValueLike) == 0 || is_listed(kIgnoreNames, preset_.name)) return choice;
    if (facts_.experts == 8) return {DType::q8_0, "values are small beside eight experts"};
    if (is_seventy_billion(facts_) && (choice.type == DType::q3_k || choice.type == DType::q4_k)) {
      return {DType::q5_k, "values of a 70B model are shared by eight heads: cheap and sensitive"};
    }
    return choice;
  }

 private:
  void count(const RuleTensor& tensor, Category category) {
    situation_.n = facts_.layers;
    if ((category & kValueLike) != 0) {
      situation_.i = next_value_++;
      situation_.n = values_;
    } else if (category == kDown || category == kGate || category == kUp) {
      situation_.i = (category == kDown ? next_down_ : category == kGate ? next_gate_ : next_up_)++;
      if (facts_.experts > 1 && !is_listed(kIgnoreNames, preset_.name))
        situation_.i = layer_in(tensor.name, facts_);
    }
  }

  const ModelFacts& facts_;
  const Recipe& recipe_;
  const Preset& preset_;
  bool tied_ = false;
  std::uint64_t values_ = 0;  // how many value-like tensors there are
  std::uint64_t next_value_ = 0, next_down_ = 0, next_gate_ = 0, next_up_ = 0;
  Situation situation_;
};

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
  if ((category_of(name) & (kOutput | kTokenEmbedding)) != 0) return false;
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

namespace {

// A number that is not negative, of any width; of arrays the first element.
std::optional<std::uint64_t> first_count(const MetaValue& value) {
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
        }
        return std::nullopt;
      },
      value);
}

}  // namespace

ModelFacts model_facts(const Model& model, const Recipe& recipe) {
  ModelFacts facts;
  facts.architecture = model.architecture;
  // --override-kv replaces numbers, not arrays; of several for one key the reference takes the
  // first here.
  const auto number = [&](std::string_view name) -> std::optional<std::uint64_t> {
    const std::string key = facts.architecture + "." + std::string(name);
    const MetaValue* value = model.metadata.find(key);
    if (!value || !std::holds_alternative<MetaArray>(*value)) {
      for (const auto& [overridden, replacement] : recipe.override_kv) {
        const auto* replaced = std::get_if<std::uint32_t>(&replacement);
        if (overridden == key && replaced) return *replaced;
      }
    }
    if (!value) return std::nullopt;
    const std::optional<std::uint64_t> count = first_count(*value);
    if (!count) {
      fail(ErrorCode::GG24, std::string(model.source->path()), model.source->metadata_offset(key),
           "key " + quoted(key) + " has a type that it cannot have",
           std::string(meta_type_name(meta_type(*value))), "a number of 0 or more");
    }
    return count;
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
  // Two architectures run more layers than their files count.
  if (facts.architecture == "nanbeige") facts.layers *= number("num_loops").value_or(1);
  if (facts.architecture == "graniteswitch") ++facts.layers;
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
  const bool copy = keeps_types(preset);
  std::vector<Pattern> patterns = compile_patterns(recipe);
  Mixture mixture(tensors, facts, recipe);
  const ImageModel* image = find_image_model(facts.architecture);
  ImageMixture image_mixture(preset.name, default_type);
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
    } else if (image && (written_rank(tensor.shape) != 2 || image->is_kept(tensor.name))) {
      decision.rule = "an image model's input, output or convolution: kept";
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
    if (recipe.token_embedding_type && category == kTokenEmbedding &&
        !(tensor.name == "per_layer_token_embd.weight" && pattern)) {
      decision.type = *recipe.token_embedding_type;
      decision.rule = "--token-embedding-type";
    } else if (recipe.output_tensor_type && category == kOutput) {
      decision.type = *recipe.output_tensor_type;
      decision.rule = "--output-tensor-type";
    } else if (is_quantized(default_type)) {
      if (pattern) {
        decision.type = pattern->type;
        decision.rule = "--tensor-type " + pattern->text;
      } else if (pure) {
        decision.rule = "--pure: the same type for all";
      } else if (image) {
        const ImageChoice choice = image_mixture.choose(tensor.name);
        decision.type = choice.type;
        if (!choice.reason.empty()) decision.rule = choice.reason;
      } else {
        const Choice choice = mixture.choose(tensor, category);
        decision.type = choice.type;
        if (!choice.reason.empty()) decision.rule = choice.reason;
      }
      fit_to_shape(tensor, image != nullptr, decision);
    }
    decisions.push_back(std::move(decision));
  }
  for (const Pattern& pattern : patterns) {
    if (!pattern.matched) {
      fail(ErrorCode::USE04, {}, {}, "--tensor-type pattern matches no tensor", pattern.text,
           "a pattern that matches, --allow-unmatched, or a recipe line that ends in '?'");
    }
  }
  return decisions;
}

}  // namespace quantize
