// Kept in step with the reference's rules even where they look odd, because ids and flags decide
// what a model sees first: a token given as an object never equals a template's text, for example.
#include "convert/tokenizer/special_tokens.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace quantize {
namespace {

using NamedTemplate = std::pair<std::string, std::string>;

constexpr std::uint64_t kMaxTemplateBytes = std::uint64_t{1} << 20;

struct KeyOfType {
  std::string_view type, key;
};
constexpr KeyOfType kIdKeys[] = {
    {"bos", "bos_token_id"},       {"eos", "eos_token_id"},     {"unk", "unknown_token_id"},
    {"sep", "seperator_token_id"}, {"pad", "padding_token_id"}, {"mask", "mask_token_id"},
    {"eot", "eot_token_id"},       {"eom", "eom_token_id"},
};

// A token as tokenizer_config.json names it: plain text, or an object whose content counts as a
// token but which is equal to no text.
struct Named {
  bool present = false;
  bool plain = false;
  std::string text;
  static Named of(Json value) {
    const std::optional<std::string> text = token_text(value);
    if (!text) return {};
    const bool plain = value.is_string();
    return {!plain || !text->empty(), plain, *text};
  }
  bool is(const std::string& other) const { return plain && present && text == other; }
};

template <class T>
T& slot(std::vector<std::pair<std::string, T>>& list, std::string_view name) {
  for (auto& entry : list)
    if (entry.first == name) return entry.second;
  return list.emplace_back(std::string(name), T{}).second;
}

std::optional<std::string> special_id(Json element) {
  const Json special = member(element, "SpecialToken");
  const Json id = member(special, "id");
  if (!id || !id.is_string() || id.string().empty()) return std::nullopt;
  return std::string(id.string());
}

std::string_view sequence_id(Json element) {
  const Json id = member(member(element, "Sequence"), "id");
  return id && id.is_string() ? id.string() : std::string_view();
}

std::string universal_newlines(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r') {
      out += '\n';
      if (i + 1 < text.size() && text[i + 1] == '\n') ++i;
    } else {
      out += text[i];
    }
  }
  return out;
}

class Builder {
 public:
  Builder(const SpecialTokensRequest& request, Metadata& metadata)
      : request_(request), files_(request.files), metadata_(metadata) {}

  void run() {
    if (request_.merges) append_merges();
    named_ = {{"bos", {}}, {"eos", {}}, {"unk", {}}, {"sep", {}},
              {"pad", {}}, {"cls", {}}, {"mask", {}}};
    for (auto& [type, named] : named_) named = Named::of(member(files_.config, type + "_token"));
    if (files_.tokenizer) read_post_processor();
    if (files_.config) ids_from_tokenizer_config();
    ids_from_config();
    if (request_.others != nullptr) ids_of_others();
    const bool none = ids_.empty();
    for (const SpareId& spare : request_.spare_ids)
      if (!has_id(spare.role) && (none || !spare.alone)) ids_.emplace_back(spare.role, spare.id);
    for (const auto& [type, id] : ids_) {
      const auto* row = std::find_if(std::begin(kIdKeys), std::end(kIdKeys),
                                     [&, &t = type](const KeyOfType& k) { return k.type == t; });
      if (row != std::end(kIdKeys)) metadata_.set("tokenizer.ggml." + std::string(row->key), id);
    }
    for (const auto& [type, value] : adds_)
      if (type == "bos" || type == "eos" || type == "sep")
        metadata_.set("tokenizer.ggml.add_" + type + "_token", value);
    if (files_.config) append_chat_template();
    read_normalizer(member(files_.tokenizer, "normalizer"));
    if (lowercase_) metadata_.append("tokenizer.ggml.normalizer.lowercase", *lowercase_);
    if (strip_accents_)
      metadata_.append("tokenizer.ggml.normalizer.strip_accents", *strip_accents_);
  }

 private:
  void append_merges() {
    std::vector<std::string> out;
    const Json merges = member(member(files_.tokenizer, "model"), "merges");
    if (merges && merges.is_array()) {
      for (const Json merge : merges.children()) {
        if (merge.is_string()) {
          out.emplace_back(merge.string());
          continue;
        }
        std::string joined;
        for (const Json part : merge.children()) {
          if (!joined.empty()) joined += ' ';
          if (!part.is_string()) continue;
          for (const char c : part.string())
            if (c == ' ')
              joined += "\u0120";
            else
              joined += c;
        }
        out.push_back(std::move(joined));
      }
    }
    if (out.empty()) out = files_.merges_of_text();
    if (!out.empty()) metadata_.append("tokenizer.ggml.merges", MetaArray(std::move(out)));
  }

  void read_post_processor() {
    const bool has_config = static_cast<bool>(files_.config);
    Named& bos = slot(named_, "bos");
    Named& eos = slot(named_, "eos");
    if (has_config && !bos.present && slot(named_, "cls").present) bos = slot(named_, "cls");
    if (has_config && !eos.present && slot(named_, "sep").present) eos = slot(named_, "sep");
    const Json post = member(files_.tokenizer, "post_processor");
    if (!post) return;
    const Json list = member(post, "processors");
    if (!list) {
      read_processor(post);
      return;
    }
    for (const Json processor : list.children()) read_processor(processor);
  }

  void read_processor(Json processor) {
    const Json type = member(processor, "type");
    if (!type || !type.is_string()) return;
    if (type.string() == "RobertaProcessing") {
      for (const std::string_view add : {"bos", "eos", "sep"}) slot(adds_, add) = true;
      if (!files_.config) return;
      for (const std::string_view name : {"cls", "sep"}) {
        const Json pair = member(processor, name);
        if (!slot(named_, name).present && pair && pair.is_array())
          slot(named_, name) = Named::of(pair.first_child());
      }
    } else if (type.string() == "TemplateProcessing") {
      read_template(member(processor, "single"), member(processor, "pair"));
    }
  }

  static std::vector<Json> elements(Json array) {
    std::vector<Json> out;
    if (array)
      for (const Json element : array.children()) out.push_back(element);
    return out;
  }

  void read_template(Json single_json, Json pair_json) {
    const bool has_config = static_cast<bool>(files_.config);
    const std::vector<Json> single = elements(single_json);
    std::vector<Json> pair = elements(pair_json);
    std::optional<std::string> first, last;
    if (single.size() > 1) {
      first = special_id(single.front());
      if (first) {
        Named bos = slot(named_, "bos"), cls = slot(named_, "cls");
        if (!has_config) {
          bos = {true, true, *first};
        } else if (!bos.is(*first) && !cls.is(*first)) {
          if (!bos.present) bos = {true, true, *first};
          if (!cls.present) cls = {true, true, *first};
        }
        slot(named_, "bos") = bos;
        slot(named_, "cls") = cls;
        slot(adds_, "bos") = bos.is(*first) || cls.is(*first);
      }
      last = special_id(single.back());
      if (last) {
        if (has_config && !slot(named_, "eos").is(*last)) {
          const Named old = slot(named_, "eos");
          for (const std::string_view spare : {"eot", "eom"}) {
            if (std::any_of(named_.begin(), named_.end(),
                            [&](const auto& entry) { return entry.first == spare; }))
              continue;
            slot(named_, spare) = old;
            break;
          }
        }
        slot(named_, "eos") = {true, true, *last};
        slot(adds_, "eos") = true;
      }
    }
    if (pair.empty()) return;
    if (first && special_id(pair.front()) == first) pair.erase(pair.begin());
    if (last && !pair.empty() && special_id(pair.back()) == last) pair.pop_back();
    if (pair.size() < 3 || sequence_id(pair.front()) != "A" || sequence_id(pair.back()) != "B")
      return;
    const auto separates = [&](Json element) {
      const std::optional<std::string> id = special_id(element);
      return id && (slot(named_, "sep").is(*id) || slot(named_, "eos").is(*id));
    };
    const bool add_sep = (separates(pair[1]) && !last) || (pair.size() == 4 && separates(pair[2]));
    slot(adds_, "sep") = add_sep;
    if (add_sep && has_config && !slot(named_, "sep").present)
      slot(named_, "sep") = slot(named_, "eos");
  }

  bool has_id(std::string_view type) const {
    return std::any_of(ids_.begin(), ids_.end(),
                       [&](const auto& entry) { return entry.first == type; });
  }

  void set_id(const std::string& type, Json value, const std::string& file) {
    if (value && value.is_array() && !has_id(type))
      files_.warnings.add(ErrorCode::TK04, file, value.offset(),
                          "the ids of special token " + type +
                              " are a list, and no other place names one: none is written");
    if (!value || !value.is_number() || !value.is_integer()) return;
    const std::optional<std::uint64_t> id = value.as_u64();
    const std::uint64_t limit = request_.token_count.value_or(std::uint64_t{1} << 32);
    if (!id || *id >= limit) {
      files_.warnings.add(ErrorCode::TK04, file, value.offset(),
                          "the id of special token " + type + " is out of range and is left out",
                          std::string(value.number_text()), "below " + std::to_string(limit));
      return;
    }
    if (has_id(type)) return;
    ids_.emplace_back(type, static_cast<std::uint32_t>(*id));
  }

  void ids_from_tokenizer_config() {
    const Json added = member(files_.tokenizer, "added_tokens");
    for (const auto& [type, named] : named_) {
      const Json add = member(files_.config, "add_" + type + "_token");
      if (add && add.is_boolean()) slot(adds_, type) = add.boolean();
      if (!added || (named.text.empty() && !named.present)) continue;
      for (const Json token : added.children()) {
        if (token_text(token) != named.text) continue;
        set_id(type, member(token, "id"), files_.tokenizer_path);
        break;
      }
    }
  }

  void ids_from_config() {
    const std::string file = files_.directory.path_of("config.json");
    const Json text_config = member(request_.config, "text_config");
    for (const auto& entry : named_) {
      const std::string key = entry.first + "_token_id";
      Json value = member(request_.config, key);
      if (!value) value = member(text_config, key);
      set_id(entry.first, value, file);
    }
  }

  void ids_of_others() {
    const Json added = member(files_.tokenizer, "added_tokens");
    if (!added) return;
    for (const auto& [type, text] : *request_.others)
      for (const Json token : added.children())
        if (token_text(token) == text) set_id(type, member(token, "id"), files_.tokenizer_path);
  }

  void refuse_large_template(std::string_view text, std::string file) const {
    if (text.size() > kMaxTemplateBytes)
      fail(ErrorCode::TK05, std::move(file), std::nullopt, "the chat template is too large",
           std::to_string(text.size()), std::to_string(kMaxTemplateBytes) + " bytes");
  }

  void append_chat_template() {
    const std::optional<Json> own = files_.config.find("chat_template");
    if (own) {
      if (own->is_string()) {
        refuse_large_template(own->string(), files_.config_path);
        metadata_.append("tokenizer.chat_template", std::string(own->string()));
      } else if (own->is_array()) {
        append_list(*own);
      }
      return;
    }
    if (const auto text =
            files_.directory.read("chat_template.jinja", kMaxTemplateBytes, ErrorCode::TK05)) {
      append_additional();
      metadata_.append("tokenizer.chat_template", universal_newlines(*text));
    } else if (auto json = files_.directory.read("chat_template.json", 2 * kMaxTemplateBytes,
                                                 ErrorCode::TK05)) {
      const std::string path = files_.directory.path_of("chat_template.json");
      const auto document =
          JsonDocument::parse(std::move(*json), path, JsonRules{}, &files_.warnings);
      const Json value = member(document->root(), "chat_template");
      if (value && value.is_string()) {
        refuse_large_template(value.string(), path);
        metadata_.append("tokenizer.chat_template", std::string(value.string()));
      }
    }
  }

  // additional_chat_templates/NAME.jinja
  void append_additional() {
    constexpr std::string_view kFolder = "additional_chat_templates", kSuffix = ".jinja";
    if (!files_.directory.contains(kFolder)) return;
    const Directory folder(files_.directory.path_of(kFolder), files_.directory.follow_symlinks());
    std::vector<NamedTemplate> named;
    for (const std::string& file : folder.names())
      if (file.size() > kSuffix.size() && file.ends_with(kSuffix))
        if (const auto text = folder.read(file, kMaxTemplateBytes, ErrorCode::TK05))
          named.emplace_back(file.substr(0, file.size() - kSuffix.size()),
                             universal_newlines(*text));
    append_named(std::move(named));
  }

  // [{name, template}], the default last.
  void append_list(Json list) {
    std::optional<std::string> fallback;
    std::vector<NamedTemplate> named;
    for (const Json entry : list.children()) {
      const Json name = member(entry, "name");
      const Json text = member(entry, "template");
      if (!name || !name.is_string() || !text || !text.is_string()) continue;
      refuse_large_template(text.string(), files_.config_path);
      if (name.string() == "default")
        fallback = std::string(text.string());
      else
        named.emplace_back(name.string(), std::string(text.string()));
    }
    append_named(std::move(named));
    if (fallback) metadata_.append("tokenizer.chat_template", std::move(*fallback));
  }

  // Sorted by name: the reference's order is that of a hash set.
  void append_named(std::vector<NamedTemplate> named) {
    for (auto& entry : named) {
      std::string& name = entry.first;
      // One underscore for a character, however many bytes it has.
      std::erase_if(name, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; });
      for (char& c : name)
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))) c = '_';
    }
    std::sort(named.begin(), named.end());
    std::vector<std::string> names;
    for (auto& [name, text] : named) {
      if (names.empty() || names.back() != name) names.push_back(name);
      metadata_.set("tokenizer.chat_template." + name, std::move(text));
    }
    if (!names.empty()) metadata_.append("tokenizer.chat_templates", MetaArray(std::move(names)));
  }

  void read_normalizer(Json root) {
    std::vector<Json> open{root};  // depth first, in order
    while (!open.empty()) {
      const Json normalizer = open.back();
      open.pop_back();
      const Json type = member(normalizer, "type");
      if (!type || !type.is_string()) continue;
      if (type.string() == "Lowercase") {
        lowercase_ = true;
      } else if (type.string() == "StripAccents") {
        strip_accents_ = true;
      } else if (type.string() == "BertNormalizer") {
        const Json lower = member(normalizer, "lowercase");
        const Json strip = member(normalizer, "strip_accents");
        if (lower && lower.is_boolean()) lowercase_ = lower.boolean();
        if (strip && strip.is_boolean()) strip_accents_ = strip.boolean();
      } else if (type.string() == "Sequence") {
        std::vector<Json> members = elements(member(normalizer, "normalizers"));
        open.insert(open.end(), members.rbegin(), members.rend());
      }
    }
  }

  const SpecialTokensRequest& request_;
  const TokenizerFiles& files_;
  Metadata& metadata_;
  std::vector<std::pair<std::string, Named>> named_;
  std::vector<std::pair<std::string, std::uint32_t>> ids_;
  std::vector<std::pair<std::string, bool>> adds_;
  std::optional<bool> lowercase_, strip_accents_;
};

}  // namespace

void append_special_tokens(const SpecialTokensRequest& request, Metadata& metadata) {
  Builder(request, metadata).run();
}

}  // namespace quantize
