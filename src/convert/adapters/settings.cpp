#include "convert/adapters/settings.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include "quantize/escape.hpp"

namespace quantize::adapters {
namespace {

constexpr const char* kFile = "adapter_config.json";
constexpr std::uint64_t kMaxBytes = std::uint64_t{16} << 20;
constexpr std::uint64_t kMaxRank = 1 << 20;

// Settings that are read here, and those of training, which say nothing about the weights. Any
// other is harmless only while it is off.
constexpr std::string_view kUnderstood[] = {"alpha_pattern",
                                            "auto_mapping",
                                            "base_model_name_or_path",
                                            "bias",
                                            "eva_config",
                                            "exclude_modules",
                                            "fan_in_fan_out",
                                            "inference_mode",
                                            "init_lora_weights",
                                            "layers_pattern",
                                            "layers_to_transform",
                                            "lora_alpha",
                                            "lora_bias",
                                            "lora_dropout",
                                            "megatron_core",
                                            "modules_to_save",
                                            "peft_type",
                                            "peft_version",
                                            "qalora_group_size",
                                            "r",
                                            "rank_pattern",
                                            "revision",
                                            "runtime_config",
                                            "target_modules",
                                            "target_parameters",
                                            "task_type",
                                            "use_dora",
                                            "use_rslora"};

// Ways to begin that leave the model's own weights alone. PiSSA, OLoRA, CorDA, LoftQ and others
// replace them, and the adapter fits those only.
constexpr std::string_view kHarmlessBeginnings[] = {"gaussian", "eva", "orthogonal"};

bool is_off(Json value) {
  switch (value.kind()) {
    case JsonKind::null:
      return true;
    case JsonKind::boolean:
      return !value.boolean();
    case JsonKind::string:
      return value.string().empty();
    case JsonKind::object:
    case JsonKind::array:
      return !value.first_child();
    case JsonKind::number:
      return false;
  }
  return false;
}

class Reader {
 public:
  Reader(Json root, const std::string& file) : root_(root), file_(file) {}

  [[noreturn]] void refuse(ErrorCode code, Json at, const std::string& text, std::string found = {},
                           std::string allowed = {}) const {
    fail(code, file_, at.offset(), text, std::move(found), std::move(allowed));
  }
  std::optional<Json> find(std::string_view key) const {
    const auto value = root_.find(key);
    return value && value->is_null() ? std::nullopt : value;
  }
  bool flag(std::string_view key) const {
    const auto value = find(key);
    if (value && !value->is_boolean())
      refuse(ErrorCode::LR04, *value, what(key) + "no truth value");
    return value && value->boolean();
  }
  std::vector<std::string> names(std::string_view key) const {
    std::vector<std::string> out;
    const auto value = find(key);
    if (!value) return out;
    if (value->is_string()) return {std::string(value->string())};
    if (!value->is_array()) refuse(ErrorCode::LR04, *value, what(key) + "no list of names");
    for (const Json name : value->children()) {
      if (!name.is_string()) refuse(ErrorCode::LR04, name, what(key) + "no list of names");
      out.emplace_back(name.string());
    }
    return out;
  }
  std::uint64_t rank(Json value) const {
    const auto rank = value.as_u64();
    if (!rank || *rank == 0 || *rank > kMaxRank)
      refuse(ErrorCode::LR04, value, "a rank is no positive integer", text_of(value),
             "1 to " + std::to_string(kMaxRank));
    return *rank;
  }
  double alpha(Json value) const {
    const auto alpha = value.as_double();
    if (!alpha) refuse(ErrorCode::LR04, value, "an alpha is no number", text_of(value));
    return *alpha;
  }
  Json need(std::string_view key) const {
    const auto value = find(key);
    if (!value) refuse(ErrorCode::LR04, root_, std::string(key) + " is missing");
    return *value;
  }
  // Objects of name patterns, in the order of the file: the first that matches counts.
  std::vector<Json> patterns(std::string_view key) const {
    std::vector<Json> out;
    const auto value = find(key);
    if (!value) return out;
    if (!value->is_object()) refuse(ErrorCode::LR04, *value, what(key) + "no object");
    for (const Json entry : value->children()) out.push_back(entry);
    return out;
  }
  static std::string text_of(Json value) {
    return std::string(value.is_number()   ? value.number_text()
                       : value.is_string() ? value.string()
                                           : std::string_view());
  }

  void refuse_unknown() const {
    for (const Json setting : root_.children()) {
      const std::string_view key = setting.key();
      if (std::count(std::begin(kUnderstood), std::end(kUnderstood), key) == 0 && !is_off(setting))
        refuse(ErrorCode::LR05, setting,
               "the setting " + quoted(key) + " of this adapter is not supported");
    }
    const Json type = need("peft_type");
    if (!type.is_string() || type.string() != "LORA")
      refuse(ErrorCode::LR05, type, "this kind of adapter is not supported", text_of(type), "LORA");
    const auto beginning = find("init_lora_weights");
    if (beginning && !beginning->is_boolean() &&
        (!beginning->is_string() ||
         std::count(std::begin(kHarmlessBeginnings), std::end(kHarmlessBeginnings),
                    beginning->string()) == 0))
      refuse(ErrorCode::LR05, *beginning,
             "the adapter began with other weights of the model than those published (save it with "
             "path_initial_model_for_weight_conversion)",
             text_of(*beginning), "true, false, gaussian, eva, orthogonal");
  }

  // "none", "all", "lora_only".
  bool biases() const {
    const auto bias = find("bias");
    if (!bias) return false;
    const std::string_view word = bias->is_string() ? bias->string() : std::string_view();
    if (word != "none" && word != "all" && word != "lora_only")
      refuse(ErrorCode::LR04, *bias, "bias is no known word", text_of(*bias),
             "none, all, lora_only");
    return word != "none";
  }

 private:
  static std::string what(std::string_view key) { return std::string(key) + " is "; }

  Json root_;
  const std::string& file_;
};

}  // namespace

bool NamePattern::Atom::holds(char c) const noexcept {
  const bool is_digit = c >= '0' && c <= '9';
  switch (kind) {
    case Kind::any:
      return true;
    case Kind::digit:
      return is_digit;
    case Kind::word:
      return is_digit || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    case Kind::character:
      return c == character;
  }
  return false;
}

NamePattern::NamePattern(Json entry, const std::string& file) {
  const std::string_view text = entry.key();
  const auto refuse = [&] {
    fail(ErrorCode::LR05, file, entry.key_offset(),
         "a pattern of names uses more of regular expressions than is supported", std::string(text),
         "characters, \".\", \"\\d\", \"\\w\", \"*\", \"+\", \"?\"");
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '^' && i == 0) {
      anchored_ = true;
    } else if (c == '$' && i + 1 == text.size()) {
      continue;
    } else if (c == '*' || c == '+' || c == '?') {
      if (atoms_.empty() || atoms_.back().optional || atoms_.back().repeated) refuse();
      atoms_.back().optional = c != '+';
      atoms_.back().repeated = c != '?';
    } else if (c == '\\') {
      if (++i == text.size()) refuse();
      const char escaped = text[i];
      Atom atom;
      atom.character = escaped;
      if (escaped == 'd') {
        atom.kind = Atom::Kind::digit;
      } else if (escaped == 'w') {
        atom.kind = Atom::Kind::word;
      } else if (Atom{Atom::Kind::word}.holds(escaped)) {
        refuse();
      }
      atoms_.push_back(atom);
    } else if (std::string_view("()[]{}|^$").find(c) != std::string_view::npos) {
      refuse();
    } else {
      atoms_.push_back({c == '.' ? Atom::Kind::any : Atom::Kind::character, c});
    }
  }
}

bool NamePattern::matches_all(std::string_view text) const {
  // reached[i]: the first i atoms match the text so far.
  std::vector<char> reached(atoms_.size() + 1, 0);
  const auto skip_optional = [&](std::vector<char>& at) {
    for (std::size_t i = 0; i < atoms_.size(); ++i)
      if (at[i] && atoms_[i].optional) at[i + 1] = 1;
  };
  reached[0] = 1;
  skip_optional(reached);
  for (const char c : text) {
    std::vector<char> next(reached.size(), 0);
    for (std::size_t i = 0; i < atoms_.size(); ++i) {
      if (!atoms_[i].holds(c)) continue;
      if (reached[i]) next[i + 1] = 1;
      if (reached[i + 1] && atoms_[i].repeated) next[i + 1] = 1;
    }
    skip_optional(next);
    reached = std::move(next);
  }
  return reached.back() != 0;
}

bool NamePattern::matches(std::string_view name) const {
  if (matches_all(name)) return true;
  for (std::size_t dot = name.find('.'); !anchored_ && dot != std::string_view::npos;
       dot = name.find('.', dot + 1))
    if (matches_all(name.substr(dot + 1))) return true;
  return false;
}

std::uint64_t Settings::rank_of(std::string_view module) const {
  for (const auto& rule : ranks_)
    if (rule.pattern.matches(module)) return rule.value;
  return rank_;
}

double Settings::scale_of(std::string_view module) const {
  double alpha = alpha_;
  for (const auto& rule : alphas_)
    if (rule.pattern.matches(module)) {
      alpha = rule.value;
      break;
    }
  const auto rank = static_cast<double>(rank_of(module));
  return alpha / (rank_stabilized ? std::sqrt(rank) : rank);
}

Settings read_settings(const Directory& directory, Warnings& warnings) {
  Settings out;
  out.file = directory.path_of(kFile);
  auto text = directory.read(kFile, kMaxBytes);
  if (!text) fail(ErrorCode::CF01, out.file, {}, "an adapter needs this file");
  const auto document = JsonDocument::parse(std::move(*text), out.file, {}, &warnings);
  const Reader reader(document->root(), out.file);
  if (!document->root().is_object())
    reader.refuse(ErrorCode::LR04, document->root(), "the settings are no object");
  reader.refuse_unknown();
  out.dora = reader.flag("use_dora");
  out.rank_stabilized = reader.flag("use_rslora");
  out.transposed = reader.flag("fan_in_fan_out");
  out.biases = reader.biases();
  out.saved_modules = reader.names("modules_to_save");
  out.parameters = reader.names("target_parameters");
  out.rank_ = reader.rank(reader.need("r"));
  out.alpha_ = reader.alpha(reader.need("lora_alpha"));
  for (const Json entry : reader.patterns("rank_pattern"))
    out.ranks_.push_back({NamePattern(entry, out.file), reader.rank(entry)});
  for (const Json entry : reader.patterns("alpha_pattern"))
    out.alphas_.push_back({NamePattern(entry, out.file), reader.alpha(entry)});
  return out;
}

}  // namespace quantize::adapters
