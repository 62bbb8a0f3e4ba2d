#include "convert/tensor_names.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

namespace quantize {
namespace {

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}
bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

// What no language model's file has: the parts of other modalities.
constexpr std::string_view kOtherModalities[] = {"mlp*",
                                                 "vit.*",
                                                 "vpm.*",
                                                 "siglip2.*",
                                                 "conformer.*",
                                                 "merger.*",
                                                 "resampler.*",
                                                 "sound_encoder.*",
                                                 "sound_projection.*",
                                                 "speech_embeddings.*",
                                                 "*visual.*",
                                                 "*vision.*",
                                                 "*audio.*",
                                                 "*talker.*",
                                                 "*vision_*",
                                                 "*audio_*",
                                                 "*token2wav.*",
                                                 "*code2wav.*",
                                                 "*projector.*",
                                                 "*pre_mm_projector_norm*",
                                                 "*image_newline*",
                                                 "*view_seperator*",
                                                 "*patch_embed*",
                                                 "*patch_merger.*",
                                                 "*patch_merge_mlp.*",
                                                 "*model.connector.*"};
// Buffers that are computed, in any file.
constexpr std::string_view kBuffers[] = {"*.attention.masked_bias", "*.attention.bias",
                                         "*.rotary_emb.inv_freq"};

std::string renamed(std::string name, const Family& family, const Scope& scope) {
  if (constexpr std::string_view old = "e_score_correction_bias"; ends_with(name, old))
    name.replace(name.size() - old.size(), old.size(), "e_score_correction.bias");
  name = replaced(std::move(name), "language_model.", "");
  for (const RenameRule& rule : family.renames) {
    if (!scope.holds(rule.when)) continue;
    if (!rule.anywhere.empty()) {
      name = replaced(std::move(name), rule.anywhere, rule.to);
    } else if (!rule.suffix.empty()) {
      if (ends_with(name, rule.suffix))
        name.replace(name.size() - rule.suffix.size(), rule.suffix.size(), rule.to);
    } else if (starts_with(name, rule.prefix)) {
      name.replace(0, rule.prefix.size(), filled_in(rule.to, scope, family, {}));
    }
  }
  return name;
}

NamePattern pattern_of(std::string_view name) {
  NamePattern out;
  while (true) {
    const std::string_view word = name.substr(0, name.find('.'));
    const bool number = !word.empty() && word.size() <= 6 && (word == "0" || word.front() != '0') &&
                        word.find_first_not_of("0123456789") == std::string_view::npos;
    if (number) {
      std::uint64_t value = 0;
      for (const char c : word) value = value * 10 + static_cast<std::uint64_t>(c - '0');
      out.numbers.push_back(value);
      out.text += "{}";
    } else {
      out.text += word;
    }
    if (word.size() == name.size()) return out;
    out.text += '.';
    name.remove_prefix(word.size() + 1);
  }
}

}  // namespace

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
  return text;
}

std::string filled_in(std::string_view text, const Scope& scope, const Family& family,
                      Numbers numbers) {
  std::string out;
  while (!text.empty()) {
    const std::size_t open = text.find('{'), close = text.find('}', open);
    if (close == std::string_view::npos) return out.append(text);
    out += text.substr(0, open);
    const std::string_view word = text.substr(open + 1, close - open - 1);
    const auto number =
        word == "n" && !numbers.empty()
            ? std::optional<std::uint64_t>(numbers[0])
            : scope.size(parse_expression(word, family.name, std::nullopt), numbers);
    out += std::to_string(number.value_or(0));
    text.remove_prefix(close + 1);
  }
  return out;
}

TensorNames::TensorNames(const Family& family, const Scope& scope)
    : family_(family), scope_(scope) {
  for (const TensorRule& rule : family.tensors)
    rules_[replaced(replaced(replaced(rule.from, "{n}", "{}"), "{e}", "{}"), "{i}", "{}")]
        .push_back(&rule);
}

TensorNames::Found TensorNames::find(std::string_view source_name,
                                     const std::function<bool(const DropRule&)>& holds) const {
  Found found;
  found.name = renamed(std::string(source_name), family_, scope_);
  found.pattern = pattern_of(found.name);
  found.dropped = dropped(found, holds);
  if (found.dropped) return found;
  auto at = rules_.find(found.pattern.text);
  for (const std::string_view end : {".weight", ".bias"})
    if (at == rules_.end() && ends_with(found.name, end)) {
      found.suffix = end;
      found.pattern =
          pattern_of(std::string_view(found.name).substr(0, found.name.size() - end.size()));
      at = rules_.find(found.pattern.text);
    }
  if (at != rules_.end()) found.rules = &at->second;
  return found;
}

bool TensorNames::knows(std::string_view source_name) const {
  const Found found = find(source_name);
  const auto named = [&](const DropRule& rule) { return matches_glob(rule.name, found.name); };
  return found.rules != nullptr || std::any_of(family_.drop.begin(), family_.drop.end(), named);
}

bool TensorNames::dropped(const Found& found,
                          const std::function<bool(const DropRule&)>& holds) const {
  const auto matches = [&](std::string_view glob) { return matches_glob(glob, found.name); };
  const auto rule_matches = [&](const DropRule& rule) {
    return matches(rule.name) && scope_.holds(rule.when, found.pattern.numbers) &&
           (!holds || holds(rule));
  };
  return std::any_of(std::begin(kBuffers), std::end(kBuffers), matches) ||
         (family_.part == FamilyPart::language_model &&
          std::any_of(std::begin(kOtherModalities), std::end(kOtherModalities), matches)) ||
         std::any_of(family_.drop.begin(), family_.drop.end(), rule_matches);
}

}  // namespace quantize
