#include "convert/tokenizer/hf_vocabulary.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "convert/tokenizer/characters.hpp"
#include "convert/tokenizer/sentencepiece.hpp"
#include "core/utf8.hpp"

namespace quantize {
namespace {

constexpr std::string_view kTypes[] = {"bos", "eos", "unk", "sep", "pad", "cls", "mask"};

void check_text(std::string_view text, std::uint64_t offset, const std::string& file) {
  if (text.empty() || text.size() > kMaxTokenBytes)
    fail(ErrorCode::TK05, file, offset, "a token's length", std::to_string(text.size()),
         "1 to " + std::to_string(kMaxTokenBytes) + " bytes");
}

class Reader {
 public:
  explicit Reader(const TokenizerFiles& files) : files_(files) {}

  HfVocabulary run() {
    read_base();
    read_added_tokens();
    const std::vector<std::pair<std::string, bool>> specials = special_tokens();
    for (const auto& entry : specials) out_.special.insert(entry.first);
    read_config_tokens();
    for (const auto& [text, normalized] : specials) add({text, true, normalized, false});
    return std::move(out_);
  }

 private:
  void read_base() {
    const std::string& path = files_.vocabulary_path;
    if (files_.vocabulary && files_.vocabulary.is_array()) {  // [text, score] in the order of ids
      for (const Json entry : files_.vocabulary.children()) {
        const Json text = entry.is_array() ? entry.first_child() : Json();
        if (!text || !text.is_string())
          fail(ErrorCode::TK02, path, entry.offset(), "malformed token");
        check_text(text.string(), text.offset(), path);
        const auto id = static_cast<std::uint32_t>(out_.base.size());
        out_.base.emplace_hint(out_.base.end(), id, text.string());
        ids_.emplace(text.string(), id);
        if (id == kMaxTokens)
          fail(ErrorCode::TK02, path, entry.offset(), "too many tokens", {},
               std::to_string(kMaxTokens));
      }
      return;
    }
    if (!files_.vocabulary || !files_.vocabulary.is_object()) {
      const Json model = member(files_.tokenizer, "model");
      fail(ErrorCode::TK06, path, model ? std::optional(model.offset()) : std::nullopt,
           "the tokenizer's model has no vocabulary of the known form");
    }
    for (const Json entry : files_.vocabulary.children()) {
      check_text(entry.key(), entry.key_offset(), path);
      const std::uint32_t id = token_id(entry, path);
      if (!out_.base.emplace(id, entry.key()).second)
        fail(ErrorCode::TK02, path, entry.offset(), "two tokens have one id",
             std::string(entry.number_text()));
      ids_.emplace(entry.key(), id);
    }
  }

  // The id that the token has from now on; empty if it was added before.
  std::optional<std::uint32_t> add(AddedToken token) {
    if (!added_texts_.insert(token.text).second) return std::nullopt;
    const auto known = ids_.find(token.text);
    const auto base = static_cast<std::uint32_t>(out_.base.size());
    const std::uint32_t next =
        out_.added.empty() ? base : std::max(base, out_.added.rbegin()->first + 1);
    const std::uint32_t id = known != ids_.end() ? known->second : next;
    out_.added.insert_or_assign(id, std::move(token));
    return id;
  }

  void read_added_tokens() {
    const Json list = member(files_.tokenizer, "added_tokens");
    if (!list) return;
    const std::string& path = files_.tokenizer_path;
    for (const Json entry : list.children()) {
      const Json content = member(entry, "content");
      if (!content || !content.is_string())
        fail(ErrorCode::TK02, path, entry.offset(), "malformed added token");
      check_text(content.string(), content.offset(), path);
      const std::uint32_t stated = token_id(member(entry, "id"), path);
      const std::optional<std::uint32_t> id =
          add({std::string(content.string()), is_true(member(entry, "special")),
               !is_false(member(entry, "normalized")), true});
      if (id && *id != stated)
        files_.warnings.add(ErrorCode::TK02, path, entry.offset(),
                            "an added token gets another id than the file states",
                            std::to_string(stated), std::to_string(*id));
    }
  }

  // Named special tokens and whether each is normalized, in the order of their kinds.
  std::vector<std::pair<std::string, bool>> special_tokens() const {
    std::vector<std::pair<std::string, bool>> out;
    const auto take = [&](Json value) {
      const std::optional<std::string> text = token_text(value);
      if (!text || text->empty()) return;
      // A plain text becomes a token that is matched before normalizing.
      const bool normalized = value.is_object() && !is_false(member(value, "normalized"));
      if (std::none_of(out.begin(), out.end(), [&](const auto& o) { return o.first == *text; }))
        out.emplace_back(*text, normalized);
    };
    for (const std::string_view type : kTypes) {
      if (const Json named = files_.named_special(std::string(type) + "_token")) {
        take(named);
      } else if (const std::string_view text = class_default(files_.tokenizer_class, type);
                 !text.empty()) {
        out.emplace_back(text, false);
      }
    }
    for (const Json value : files_.additional_special()) take(value);
    return out;
  }

  // In the order of their stated ids.
  void read_config_tokens() {
    std::map<std::uint64_t, AddedToken> sorted;
    if (const Json older = files_.older_added_tokens())
      for (const Json entry : older.children()) {
        const std::string text(entry.key());
        const bool special = out_.special.contains(text);
        if (!text.empty() && entry.is_number())
          sorted[entry.as_u64().value_or(kMaxTokens)] = {text, special, !special, false};
      }
    const Json list = member(files_.config, "added_tokens_decoder");
    if (!list || !list.is_object()) {
      for (auto& entry : sorted) add(std::move(entry.second));
      return;
    }
    for (const Json entry : list.children()) {
      const std::optional<std::uint64_t> id = parse_index(entry.key());
      const std::optional<std::string> text = token_text(entry);
      if (!id || !text || text->empty()) continue;
      sorted[*id] = {*text, is_true(member(entry, "special")) || out_.special.contains(*text),
                     !is_false(member(entry, "normalized")), false};
    }
    for (auto& entry : sorted) add(std::move(entry.second));
  }

  const TokenizerFiles& files_;
  HfVocabulary out_;
  std::unordered_map<std::string_view, std::uint32_t> ids_;  // of the base
  std::unordered_set<std::string> added_texts_;
};

// Byte letters to the bytes they stand for; the text itself if another character occurs.
std::string from_byte_letters(const std::string& text) {
  static const std::map<char32_t, char> bytes = [] {
    std::map<char32_t, char> out;
    for (unsigned byte = 0; byte < 256; ++byte)
      out[byte_letter(static_cast<unsigned char>(byte))] = static_cast<char>(byte);
    return out;
  }();
  std::string out;
  for (const char32_t c : to_code_points(text)) {
    const auto byte = bytes.find(c);
    if (byte == bytes.end()) return text;
    out += byte->second;
  }
  return to_utf8(to_code_points(out));  // what is not UTF-8 becomes U+FFFD
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

std::string apply(Json decoder, std::string text) {
  const Json type = member(decoder, "type");
  const std::string_view name = type && type.is_string() ? type.string() : std::string_view();
  if (name == "ByteLevel") return from_byte_letters(text);
  if (name == "Metaspace") {
    text = replaced(std::move(text), "\u2581", " ");
    return text.starts_with(' ') ? text.substr(1) : text;
  }
  if (name == "Replace") {
    const Json from = member(member(decoder, "pattern"), "String");
    const Json to = member(decoder, "content");
    if (from && from.is_string() && !from.string().empty() && to && to.is_string())
      return replaced(std::move(text), from.string(), to.string());
  }
  if (name == "Strip") {
    const Json content = member(decoder, "content");
    const Json start = member(decoder, "start");
    std::uint64_t count = start && start.is_number() ? start.as_u64().value_or(0) : 0;
    if (content && content.is_string() && !content.string().empty())
      for (; count > 0 && text.starts_with(content.string()); --count)
        text.erase(0, content.string().size());
  }
  return text;
}

}  // namespace

HfVocabulary read_hf_vocabulary(const TokenizerFiles& files) { return Reader(files).run(); }

std::string decoded(const AddedToken& token, const TokenizerFiles& files) {
  if (token.normalized) return token.text;
  std::string text = token.text;
  const Json decoder = member(files.steps, "decoder");
  if (const Json list = member(decoder, "decoders")) {
    for (const Json step : list.children()) text = apply(step, std::move(text));
  } else if (decoder) {
    text = apply(decoder, std::move(text));
  }
  if (is_true(member(files.config, "clean_up_tokenization_spaces")))
    for (const auto& [from, to] :
         std::initializer_list<std::pair<std::string_view, std::string_view>>{{" .", "."},
                                                                              {" ?", "?"},
                                                                              {" !", "!"},
                                                                              {" ,", ","},
                                                                              {" ' ", "'"},
                                                                              {" n't", "n't"},
                                                                              {" 'm", "'m"},
                                                                              {" 's", "'s"},
                                                                              {" 've", "'ve"},
                                                                              {" 're", "'re"}})
      text = replaced(std::move(text), from, to);
  return text;
}

}  // namespace quantize
