// One function per route; each either writes its keys or says that its files are not there, and
// the next route is tried.
#include "convert/vocabulary.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>

#include "convert/tokenizer/files.hpp"
#include "convert/tokenizer/hf_vocabulary.hpp"
#include "convert/tokenizer/pre_tokenizer.hpp"
#include "convert/tokenizer/sentencepiece.hpp"
#include "convert/tokenizer/special_tokens.hpp"
#include "convert/tokenizer/tekken.hpp"
#include "convert/tokenizer/tiktoken.hpp"
#include "core/base64.hpp"

namespace quantize {
namespace {

constexpr std::string_view kWordStart = "\u2581";
constexpr float kPaddingScore = -10000;
constexpr float kAddedScore = -1000;
constexpr std::string_view kChatEnd = "<|im_end|>";

enum TokenType : std::int32_t { normal = 1, unknown, control, user_defined, unused, byte };

struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<float> scores;
  std::vector<std::int32_t> types;

  explicit Vocabulary(std::uint64_t count = 0) {
    for (std::uint64_t i = 0; i < count; ++i)
      add("[PAD" + std::to_string(i) + "]", kPaddingScore, unused);
  }
  void add(std::string text, float score, std::int32_t type) {
    tokens.push_back(std::move(text));
    scores.push_back(score);
    types.push_back(type);
  }
  void set(std::size_t id, std::string text, float score, std::int32_t type) {
    tokens[id] = std::move(text);
    scores[id] = score;
    types[id] = type;
  }
};

bool looks_special(std::string_view text) {
  const auto wrapped = [&](std::string_view head, std::string_view tail) {
    return text.starts_with(head) && text.ends_with(tail);
  };
  return text == "<pad>" || text == "<mask>" || text == "<2mass>" || text == "[@BOS@]" ||
         wrapped("<|", "|>") || wrapped("<\uFF5C", "\uFF5C>") || wrapped("<unused", ">");
}

std::string word_starts_to_spaces(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (text.substr(at).starts_with(kWordStart)) {
      out += ' ';
      at += kWordStart.size();
    } else {
      out += text[at++];
    }
  }
  return out;
}

// "<0x", two hexadecimal digits, ">".
bool is_byte_token(std::string_view text) {
  const auto hex = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
  };
  return text.size() == 6 && text.starts_with("<0x") && text[5] == '>' && hex(text[3]) &&
         hex(text[4]);
}

class Routes {
 public:
  Routes(const VocabularyRequest& request, Metadata& metadata, Warnings& warnings)
      : request_(request),
        metadata_(metadata),
        warnings_(warnings),
        files_(request.directory, warnings, request.config) {}

  void run() {
    if (!request_.routes.empty() && request_.routes.front() == VocabularyRoute::tekken &&
        try_route(VocabularyRoute::tekken))
      return;
    const bool llama = std::find(request_.routes.begin(), request_.routes.end(),
                                 VocabularyRoute::sentencepiece) != request_.routes.end();
    if (llama)
      if (const Json prefix = member(files_.config, "add_prefix_space");
          prefix && prefix.is_boolean())
        metadata_.append("tokenizer.ggml.add_space_prefix", prefix.boolean());
    const bool found = std::any_of(request_.routes.begin(), request_.routes.end(),
                                   [&](VocabularyRoute route) { return try_route(route); });
    if (!found)
      fail(ErrorCode::TK01, request_.directory.path(), std::nullopt,
           "the directory has no tokenizer that this model family can use", {},
           "tokenizer.model or tokenizer.json");
    if (!llama) return;
    constexpr std::uint64_t kCodeLlama = 32016, kSmolLm = 49152;
    constexpr std::uint32_t kCodeLlamaEot = 32010;
    if (vocabulary_size() == kCodeLlama)
      metadata_.set("tokenizer.ggml.eot_token_id", kCodeLlamaEot);
    if (vocabulary_size() == kSmolLm) metadata_.set("tokenizer.ggml.add_bos_token", false);
  }

 private:
  bool try_route(VocabularyRoute route) {
    switch (route) {
      case VocabularyRoute::tekken:
        return tekken();
      case VocabularyRoute::sentencepiece:
      case VocabularyRoute::sentencepiece_plain:
        return sentencepiece(&Routes::set_added);
      case VocabularyRoute::sentencepiece_gemma:
        if (!sentencepiece(&Routes::set_added)) return false;
        metadata_.set("tokenizer.ggml.add_space_prefix", false);
        return true;
      case VocabularyRoute::sentencepiece_phi3:
        return files_.tokenizer_class != "GPT2Tokenizer" && sentencepiece(&Routes::set_stated);
      case VocabularyRoute::internlm2:
        return internlm2();
      case VocabularyRoute::internlm3:
        return internlm3();
      case VocabularyRoute::llama_hf:
        return llama_hf();
      case VocabularyRoute::gemma4:
        return gemma4();
      case VocabularyRoute::byte_level_bpe:
        return byte_level();
      case VocabularyRoute::tiktoken_kimi:
        return tiktoken_kimi();
      case VocabularyRoute::tiktoken_qwen:
        return tiktoken_qwen();
      case VocabularyRoute::wordpiece:
        return wordpiece();
      case VocabularyRoute::unigram:
        return unigram("tokenizer.model") || unigram("spiece.model");
      case VocabularyRoute::unigram_xlm_roberta:
        return xlm_roberta_sentencepiece() || xlm_roberta_json();
    }
    return false;
  }

  std::optional<std::uint64_t> vocabulary_size() const {
    const Json size = member(request_.config, "vocab_size");
    if (!size) return std::nullopt;
    const std::optional<std::uint64_t> value =
        size.is_number() ? size.as_u64() : std::optional<std::uint64_t>();
    if (!value || *value == 0 || *value > kMaxTokens)
      fail(ErrorCode::CF04, request_.directory.path_of("config.json"), size.offset(),
           "vocab_size is out of range", {}, "1 to " + std::to_string(kMaxTokens));
    return value;
  }

  void warn(ErrorCode code, const std::string& file, Json where, std::string text) {
    warnings_.add(code, file, where ? std::optional(where.offset()) : std::nullopt,
                  std::move(text));
  }

  // One token of text with an id below the vocabulary's size: the rows must exist in the weights.
  void check_rows(std::uint64_t count, const std::string& file) const {
    if (request_.embedding_rows != 0 && count > request_.embedding_rows)
      fail(ErrorCode::CF05, file, std::nullopt, "there are more tokens than embedding rows",
           std::to_string(count), std::to_string(request_.embedding_rows));
  }

  void append_lists(std::string model, std::string pre, Vocabulary& vocabulary, bool scores) {
    metadata_.append("tokenizer.ggml.model", std::move(model));
    if (!pre.empty()) metadata_.append("tokenizer.ggml.pre", std::move(pre));
    metadata_.append("tokenizer.ggml.tokens", MetaArray(std::move(vocabulary.tokens)));
    if (scores) metadata_.append("tokenizer.ggml.scores", MetaArray(std::move(vocabulary.scores)));
    metadata_.append("tokenizer.ggml.token_type", MetaArray(std::move(vocabulary.types)));
  }

  std::optional<SentencePieceModel> read_sentencepiece(const std::string& name) const {
    const std::optional<std::string> bytes =
        request_.directory.read(name, kMaxSentencePieceBytes, ErrorCode::SP09);
    if (!bytes) return std::nullopt;
    return parse_sentencepiece(*bytes, request_.directory.path_of(name));
  }

  Vocabulary from_pieces(const std::vector<SentencePiece>& pieces, std::uint64_t count,
                         const std::string& file) {
    if (pieces.size() > count)
      warn(ErrorCode::TK02, file, {}, "pieces beyond the vocabulary are left out");
    Vocabulary vocabulary(count);
    for (std::size_t id = 0; id < std::min<std::uint64_t>(count, pieces.size()); ++id) {
      std::int32_t type = static_cast<std::int32_t>(pieces[id].type);
      if (type == user_defined) type = normal;
      vocabulary.set(id, pieces[id].text, pieces[id].score, type);
    }
    return vocabulary;
  }

  using SetAdded = void (*)(Vocabulary&, std::uint64_t, const std::string&, bool);

  bool sentencepiece(SetAdded set) {
    std::optional<Vocabulary> vocabulary = sentencepiece_tokens(set);
    if (!vocabulary) return false;
    const std::uint64_t count = vocabulary->tokens.size();
    append_lists("llama", "default", *vocabulary, true);
    append_special_tokens({files_, request_.config, count, false}, metadata_);
    return true;
  }

  std::optional<Vocabulary> sentencepiece_tokens(SetAdded set) {
    const std::string file = request_.directory.path_of("tokenizer.model");
    const std::optional<SentencePieceModel> model = read_sentencepiece("tokenizer.model");
    if (!model) return std::nullopt;
    const std::vector<SentencePiece>& pieces = model->pieces;
    const std::uint64_t count = vocabulary_size().value_or(pieces.size());
    check_rows(count, file);
    Vocabulary vocabulary = from_pieces(pieces, count, file);
    if (const Json list = member(member(files_.tokenizer, "model"), "vocab");
        list && list.is_object())
      for (const Json entry : list.children()) {
        const std::optional<std::uint64_t> id =
            entry.is_number() ? entry.as_u64() : std::optional<std::uint64_t>();
        if (id && *id < pieces.size() && pieces[*id].text != entry.key())
          warn(ErrorCode::TK06, files_.tokenizer_path, entry,
               "tokenizer.json disagrees with tokenizer.model, which is used");
      }
    add_from_added_tokens_json(vocabulary);
    const auto add = [&](std::optional<std::uint64_t> id, Json entry, const std::string& path) {
      const std::optional<std::string> text = token_text(entry);
      if (!id || !text) fail(ErrorCode::TK02, path, entry.offset(), "malformed added token");
      if (*id < count)
        set(vocabulary, *id, *text, is_true(member(entry, "special")));
      else
        warn(ErrorCode::TK02, path, entry, "added tokens beyond the vocabulary are left out");
    };
    if (const Json decoder = member(files_.config, "added_tokens_decoder");
        decoder && decoder.is_object())
      for (const Json entry : decoder.children())
        add(parse_index(entry.key()), entry, files_.config_path);
    const Json stated = member(files_.tokenizer, "added_tokens");
    if (set == &Routes::set_stated && stated)
      for (const Json entry : stated.children())
        add(token_id(member(entry, "id"), files_.tokenizer_path), entry, files_.tokenizer_path);
    return vocabulary;
  }

  // Conversations end with a token of their own, which takes the place of the end of text.
  void end_with_chat(std::optional<std::uint64_t> id) {
    const char* const key = "tokenizer.ggml.eos_token_id";
    if (id && metadata_.find(key)) metadata_.set(key, static_cast<std::uint32_t>(*id));
  }

  bool internlm2() {
    const std::string file = request_.directory.path_of("tokenizer.model");
    const std::optional<SentencePieceModel> model = read_sentencepiece("tokenizer.model");
    if (!model) return false;
    const std::uint64_t size = vocabulary_size().value_or(model->pieces.size());
    Vocabulary vocabulary = from_pieces(model->pieces, size, file);
    for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
      std::string& text = vocabulary.tokens[id];
      if (text.starts_with("[UNUSED")) vocabulary.types[id] = unused;
      if (text == std::string_view("\0", 1)) text = "\U0001F409";  // text would end there
    }
    add_behind_from_added_tokens_json(vocabulary);
    const std::uint64_t count = vocabulary.tokens.size();
    check_rows(count, file);
    std::optional<std::uint64_t> chat_end;
    const auto set = [&](std::optional<std::uint64_t> id, Json entry, const std::string& path) {
      const std::optional<std::string> text = token_text(entry);
      if (!id || !text) fail(ErrorCode::TK02, path, entry.offset(), "malformed added token");
      if (*id >= count)
        return warn(ErrorCode::TK02, path, entry,
                    "added tokens beyond the vocabulary are left out");
      if (*text == kChatEnd) chat_end = id;
      set_stated(vocabulary, *id, *text, is_true(member(entry, "special")));
    };
    if (const Json decoder = member(files_.config, "added_tokens_decoder");
        decoder && decoder.is_object())
      for (const Json entry : decoder.children())
        set(parse_index(entry.key()), entry, files_.config_path);
    if (const Json stated = member(files_.tokenizer, "added_tokens"))
      for (const Json entry : stated.children())
        set(token_id(member(entry, "id"), files_.tokenizer_path), entry, files_.tokenizer_path);
    append_lists("llama", "default", vocabulary, true);
    metadata_.append("tokenizer.ggml.add_space_prefix", model->add_dummy_prefix);
    append_special_tokens({files_, request_.config, count, false}, metadata_);
    end_with_chat(chat_end);
    return true;
  }

  bool internlm3() {
    std::optional<Vocabulary> vocabulary = sentencepiece_tokens(&Routes::set_added);
    if (!vocabulary) return false;
    const std::uint64_t count = vocabulary->tokens.size();
    append_lists("llama", "default", *vocabulary, true);
    if (const Json prefix = member(files_.config, "add_prefix_space");
        prefix && prefix.is_boolean())
      metadata_.append("tokenizer.ggml.add_space_prefix", prefix.boolean());
    append_special_tokens({files_, request_.config, count, false}, metadata_);
    if (const Json decoder = member(files_.config, "added_tokens_decoder");
        decoder && decoder.is_object())
      for (const Json entry : decoder.children())
        if (token_text(entry) == kChatEnd && is_true(member(entry, "special")))
          end_with_chat(parse_index(entry.key()));
    return true;
  }

  static void set_stated(Vocabulary& vocabulary, std::uint64_t id, const std::string& text,
                         bool special) {
    vocabulary.set(id, text, kAddedScore, special ? control : user_defined);
  }

  static void set_added(Vocabulary& vocabulary, std::uint64_t id, const std::string& text,
                        bool special) {
    if (special || looks_special(text)) {
      vocabulary.set(id, text, kAddedScore, control);
    } else {
      vocabulary.set(id, word_starts_to_spaces(text), kAddedScore, user_defined);
    }
  }

  std::unique_ptr<JsonDocument> read_added_tokens_json() {
    constexpr std::uint64_t kMaxBytes = std::uint64_t{16} << 20;
    std::optional<std::string> text = request_.directory.read("added_tokens.json", kMaxBytes);
    if (!text) return nullptr;
    const std::string file = request_.directory.path_of("added_tokens.json");
    auto document = JsonDocument::parse(std::move(*text), file, JsonRules{}, &warnings_);
    if (!document->root().is_object())
      fail(ErrorCode::TK02, file, document->root().offset(), "added tokens that are not an object");
    return document;
  }

  void add_from_added_tokens_json(Vocabulary& vocabulary) {
    const auto document = read_added_tokens_json();
    if (!document) return;
    const std::string file = request_.directory.path_of("added_tokens.json");
    for (const Json entry : document->root().children()) {
      const std::uint32_t id = token_id(entry, file);
      if (id < vocabulary.tokens.size())
        vocabulary.set(id, std::string(entry.key()), kAddedScore, user_defined);
      else
        warn(ErrorCode::TK02, file, entry, "added tokens beyond the vocabulary are left out");
    }
  }

  // At the end, whatever their ids.
  void add_behind_from_added_tokens_json(Vocabulary& vocabulary) {
    const auto document = read_added_tokens_json();
    if (!document) return;
    for (const Json entry : document->root().children())
      vocabulary.add(std::string(entry.key()), kAddedScore, user_defined);
  }

  std::string_view model_type() const {
    const Json type = member(member(files_.steps, "model"), "type");
    return type && type.is_string() ? type.string() : std::string_view();
  }

  bool has_byte_fallback() const {
    const Json model = member(files_.tokenizer, "model");
    const Json decoder = member(member(files_.tokenizer, "decoder"), "type");
    return model_type() == "BPE" && is_true(member(model, "byte_fallback")) && decoder &&
           decoder.is_string() && decoder.string() == "Sequence";
  }

  Vocabulary listed() {
    const HfVocabulary source = read_hf_vocabulary(files_);
    const std::uint64_t count = id_count(source.base, source.added);
    check_rows(count, files_.tokenizer_path);
    Vocabulary vocabulary(count);
    for (const auto& [id, view] : source.base) {
      const std::string text(view);
      if (text.starts_with("<0x") && text.ends_with(">") && !is_byte_token(text))
        fail(ErrorCode::TK07, files_.tokenizer_path, byte_offset(text), "malformed byte token",
             text, "<0xHH>");
      vocabulary.set(id, text, kAddedScore,
                     is_byte_token(text)             ? byte
                     : source.special.contains(text) ? control
                                                     : normal);
    }
    for (const auto& [id, token] : source.added)
      if (id >= source.base.size())
        vocabulary.set(id, token.text, kAddedScore,
                       source.special.contains(token.text) ? control : user_defined);
    return vocabulary;
  }

  bool llama_hf() {
    if (!has_byte_fallback()) return false;
    Vocabulary vocabulary = listed();
    const std::uint64_t count = vocabulary.tokens.size();
    append_lists("llama", "default", vocabulary, true);
    append_special_tokens({files_, request_.config, count, false}, metadata_);
    return true;
  }

  bool gemma4() {
    if (!has_byte_fallback()) return false;
    Vocabulary vocabulary = listed();
    // Always shown, so that programs can read them in the output.
    static constexpr std::string_view kShown[] = {
        "<|channel>",       "<channel|>",       "<|tool_call>", "<tool_call|>",
        "<|tool_response>", "<tool_response|>", "<|\"|>"};
    for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i)
      if (std::find(std::begin(kShown), std::end(kShown), vocabulary.tokens[i]) != std::end(kShown))
        vocabulary.types[i] = user_defined;
    append_lists("gemma4", {}, vocabulary, true);
    append_special_tokens({files_, request_.config, std::nullopt, true}, metadata_);
    metadata_.set("tokenizer.ggml.add_space_prefix", false);
    metadata_.set("tokenizer.ggml.add_bos_token", true);
    return true;
  }

  std::optional<std::uint64_t> byte_offset(std::string_view text) const {
    const std::optional<Json> entry = member(member(files_.tokenizer, "model"), "vocab").find(text);
    return entry ? std::optional(entry->key_offset()) : std::nullopt;
  }

  // One more than the highest id. Ids below it that no token has are reported.
  std::uint64_t id_count(const std::map<std::uint32_t, std::string_view>& base,
                         const std::map<std::uint32_t, AddedToken>& added) {
    std::uint64_t count = 0, used = base.size();
    if (!base.empty()) count = base.rbegin()->first + std::uint64_t{1};
    if (!added.empty()) count = std::max(count, added.rbegin()->first + std::uint64_t{1});
    for (const auto& entry : added) used += base.contains(entry.first) ? 0U : 1U;
    if (used < count)
      warnings_.add(ErrorCode::TK02, files_.vocabulary_path, std::nullopt,
                    "the ids have gaps, which are filled with unused tokens",
                    std::to_string(count - used), "0");
    return count;
  }

  // Steps shared by byte-level BPE and WordPiece: every id of the vocabulary, gaps filled.
  Vocabulary by_id(const HfVocabulary& source) {
    const std::optional<std::uint64_t> size = vocabulary_size();
    std::map<std::uint32_t, AddedToken> added;
    for (const auto& [id, token] : source.added) {
      if (size && id >= *size && !token.of_tokenizer) {
        warn(ErrorCode::TK02, files_.config_path, {},
             "tokens that only the configuration names are left out: they are beyond vocab_size");
        continue;
      }
      added.emplace(id, token);
    }
    const std::uint64_t needed = id_count(source.base, added);
    const std::uint64_t count = size.value_or(needed);
    if (needed > count)
      fail(ErrorCode::TK02, files_.vocabulary_path, std::nullopt, "an id is beyond vocab_size",
           std::to_string(needed - 1), "below " + std::to_string(count));
    check_rows(count, files_.vocabulary_path);
    Vocabulary vocabulary(count);
    for (const auto& [id, text] : source.base) vocabulary.set(id, std::string(text), 0, normal);
    for (const auto& [id, token] : added)
      set_added(vocabulary, id, decoded(token, files_), token.special);
    return vocabulary;
  }

  std::string pre_name(const HfVocabulary& source) const {
    return request_.pre_tokenizer ? given_pre_tokenizer(files_, source, *request_.pre_tokenizer)
                                  : pre_tokenizer_name(files_, source);
  }

  bool byte_level() {
    if (!files_.vocabulary && !files_.tokenizer) return false;
    if (model_type() != "BPE") unsupported_model();
    const HfVocabulary source = read_hf_vocabulary(files_);
    Vocabulary vocabulary = by_id(source);
    if (request_.pre_tokenizer) check_merges(files_, source);
    append_lists("gpt2", pre_name(source), vocabulary, false);
    append_special_tokens({files_, request_.config, std::nullopt, true, &request_.special_tokens},
                          metadata_);
    return true;
  }

  [[noreturn]] void unsupported_model() const {
    const Json type = member(member(files_.tokenizer, "model"), "type");
    fail(ErrorCode::TK06, files_.tokenizer_path, type ? std::optional(type.offset()) : std::nullopt,
         "unknown tokenizer model", std::string(model_type()));
  }

  void append_segment_count() {
    const Json segments = member(request_.config, "type_vocab_size");
    const auto segment_count = segments && segments.is_number() ? segments.as_u64() : std::nullopt;
    metadata_.append("tokenizer.ggml.token_type_count",
                     static_cast<std::uint32_t>(segment_count.value_or(1)));
  }

  bool wordpiece() {
    if (!files_.tokenizer && !files_.vocabulary) return false;
    if (model_type() != "WordPiece") unsupported_model();
    const HfVocabulary source = read_hf_vocabulary(files_);
    Vocabulary vocabulary = by_id(source);
    for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
      std::string& text = vocabulary.tokens[id];
      if (vocabulary.types[id] == control) continue;
      if (text.starts_with("##")) {
        text.erase(0, 2);
      } else {
        text.insert(0, kWordStart);
      }
    }
    append_segment_count();
    const std::uint64_t count = vocabulary.tokens.size();
    append_lists("bert", pre_name(source), vocabulary, false);
    append_special_tokens({files_, request_.config, count, false}, metadata_);
    return true;
  }

  bool tekken() {
    if (files_.tokenizer) return false;
    const std::optional<Tekken> model = read_tekken(request_.directory, warnings_);
    if (!model) return false;
    const std::string file = request_.directory.path_of("tekken.json");
    check_rows(model->special.size() + model->tokens.size(), file);
    std::vector<std::string> tokens = model->special;
    for (const std::string& bytes : model->tokens) tokens.push_back(to_byte_letters(bytes));
    std::vector<std::int32_t> types(tokens.size(), normal);
    std::fill_n(types.begin(), model->special.size(), control);
    metadata_.append("tokenizer.ggml.model", std::string("gpt2"));
    metadata_.append("tokenizer.ggml.pre", std::string("tekken"));
    metadata_.append("tokenizer.ggml.merges", MetaArray(model->merges(file)));
    const std::optional<std::uint32_t> end = model->special_id("</s>");
    for (const auto& [key, id] :
         {std::pair("bos_token_id", model->special_id("<s>")), std::pair("eos_token_id", end),
          std::pair("unknown_token_id", model->special_id("<unk>")),
          std::pair("padding_token_id", model->special_id("<pad>"))})
      if (id || end) metadata_.append(std::string("tokenizer.ggml.") + key, id ? *id : *end);
    // The reference writes whole numbers here.
    std::vector<std::int32_t> scores(tokens.size(), 0);
    metadata_.append("tokenizer.ggml.tokens", MetaArray(std::move(tokens)));
    metadata_.append("tokenizer.ggml.scores", MetaArray(std::move(scores)));
    metadata_.append("tokenizer.ggml.token_type", MetaArray(std::move(types)));
    metadata_.append("tokenizer.ggml.add_bos_token", true);
    metadata_.append("tokenizer.ggml.add_eos_token", false);
    if (model->version == "v3" || model->version == "v7")  // names that the runtime knows
      metadata_.append("tokenizer.chat_template", "mistral-" + model->version + "-tekken");
    else
      warn(ErrorCode::TK06, file, {},
           "no chat template is written: this version's is not part of the model's files");
    return true;
  }

  // A tiktoken file and what the code of `of_class` adds: `special_count` special tokens after the
  // file's, whose texts `special` gives by their place and id.
  bool tiktoken(std::string_view name, std::string_view of_class, std::uint64_t special_count,
                const std::function<std::string(std::uint64_t, std::uint64_t)>& special,
                const std::function<std::vector<SpareId>(std::uint32_t)>& spare_ids) {
    if (files_.tokenizer) return false;
    std::optional<Tiktoken> model = read_tiktoken(request_.directory, name, warnings_);
    if (!model) return false;
    const std::string file = request_.directory.path_of(name);
    files_.use_ranks(file, of_class, model->merges);
    const std::uint64_t ranks = model->tokens.size();
    const std::uint64_t count = vocabulary_size().value_or(ranks + special_count);
    if (ranks > count)
      fail(ErrorCode::TK02, file, std::nullopt, "an id is beyond vocab_size",
           std::to_string(ranks - 1), "below " + std::to_string(count));
    check_rows(count, file);
    HfVocabulary source;
    Vocabulary vocabulary(count);
    for (std::uint32_t id = 0; id < ranks; ++id) {
      source.base.emplace_hint(source.base.end(), id, model->tokens[id]);
      vocabulary.set(id, model->tokens[id], 0, normal);
    }
    for (std::uint64_t i = 0; i < special_count && ranks + i < count; ++i)
      vocabulary.set(ranks + i, special(i, ranks + i), 0, control);
    append_lists("gpt2", pre_name(source), vocabulary, false);
    metadata_.append("tokenizer.ggml.merges", MetaArray(std::move(model->merges)));
    append_special_tokens({files_, request_.config, std::nullopt, false, nullptr,
                           spare_ids(static_cast<std::uint32_t>(ranks))},
                          metadata_);
    return true;
  }

  // Kimi: 256 tokens, of which tokenizer_config.json names some.
  bool tiktoken_kimi() {
    const Json named = member(files_.config, "added_tokens_decoder");
    const auto special = [&](std::uint64_t, std::uint64_t id) {
      const std::string number = std::to_string(id);
      return token_text(member(named, number)).value_or("<|reserved_token_" + number + "|>");
    };
    constexpr std::uint64_t kSpecial = 256;
    return tiktoken("tiktoken.model", "TikTokenTokenizer", kSpecial, special,
                    [](std::uint32_t) { return std::vector<SpareId>(); });
  }

  // The first Qwen: the first special token serves for every role.
  bool tiktoken_qwen() {
    static constexpr std::string_view kNamed[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
    constexpr std::uint64_t kExtra = 205;
    const auto special = [](std::uint64_t i, std::uint64_t) {
      return i < std::size(kNamed) ? std::string(kNamed[i])
                                   : "<|extra_" + std::to_string(i - std::size(kNamed)) + "|>";
    };
    return tiktoken("qwen.tiktoken", "QWenTokenizer", std::size(kNamed) + kExtra, special,
                    [](std::uint32_t first) {
                      return std::vector<SpareId>{
                          {"bos", first, true}, {"eos", first, true}, {"unk", first, false}};
                    });
  }

  void append_unigram(Vocabulary& vocabulary, bool add_space_prefix, bool remove_whitespaces,
                      const std::string& normalizer_table, bool count_segments) {
    const std::uint64_t count = vocabulary.tokens.size();
    append_lists("t5", "default", vocabulary, true);
    metadata_.append("tokenizer.ggml.add_space_prefix", add_space_prefix);
    if (count_segments) append_segment_count();
    metadata_.append("tokenizer.ggml.remove_extra_whitespaces", remove_whitespaces);
    if (!normalizer_table.empty())
      metadata_.append(
          "tokenizer.ggml.precompiled_charsmap",
          MetaArray(std::vector<std::uint8_t>(normalizer_table.begin(), normalizer_table.end())));
    append_special_tokens({files_, request_.config, count, false}, metadata_);
  }

  // T5 and its relatives.
  bool unigram(const std::string& name) {
    const std::string file = request_.directory.path_of(name);
    const std::optional<SentencePieceModel> model = read_sentencepiece(name);
    if (!model) return false;
    using Algorithm = SentencePieceModel::Algorithm;
    if (model->algorithm == Algorithm::bpe && name == "tokenizer.model")
      return sentencepiece(&Routes::set_added);
    require_unigram(*model, file);
    const std::uint64_t count = vocabulary_size().value_or(model->pieces.size());
    check_rows(count, file);
    Vocabulary vocabulary = from_pieces(model->pieces, count, file);
    add_from_added_tokens_json(vocabulary);
    append_unigram(vocabulary, model->add_dummy_prefix, model->remove_extra_whitespaces,
                   model->normalizer_table, false);
    return true;
  }

  static void require_unigram(const SentencePieceModel& model, const std::string& file) {
    if (model.algorithm != SentencePieceModel::Algorithm::unigram)
      fail(ErrorCode::TK06, file, std::nullopt, "the model's algorithm", {}, "unigram");
  }

  // The first four ids are fairseq's, and with them all others move by one.
  bool xlm_roberta_sentencepiece() {
    const std::string name = "sentencepiece.bpe.model";
    const std::string file = request_.directory.path_of(name);
    const std::optional<SentencePieceModel> model = read_sentencepiece(name);
    if (!model) return false;
    require_unigram(*model, file);
    const std::uint64_t count =
        std::max<std::uint64_t>(vocabulary_size().value_or(0), model->pieces.size());
    check_rows(count, file);
    const Vocabulary pieces = from_pieces(model->pieces, count, file);
    Vocabulary vocabulary;
    for (const char* text : {"<s>", "<pad>", "</s>"}) vocabulary.add(text, 0, control);
    vocabulary.add("<unk>", 0, unknown);
    for (std::size_t id = 3; id + 1 < pieces.tokens.size(); ++id)
      vocabulary.add(pieces.tokens[id], pieces.scores[id], pieces.types[id]);
    append_unigram(vocabulary, model->add_dummy_prefix, model->remove_extra_whitespaces,
                   model->normalizer_table, true);
    return true;
  }

  bool xlm_roberta_json() {
    if (!files_.tokenizer) return false;
    if (model_type() != "Unigram") unsupported_model();
    const HfVocabulary source = read_hf_vocabulary(files_);
    const std::uint64_t count =
        std::max<std::uint64_t>(vocabulary_size().value_or(0), source.base.size());
    check_rows(count, files_.tokenizer_path);
    Vocabulary vocabulary(count);
    std::uint32_t id = 0;
    const std::uint32_t unknown_id = unigram_unknown(source);
    for (const Json entry : files_.vocabulary.children()) {
      const Json score = entry.first_child().next_sibling();
      const std::optional<double> value =
          score && score.is_number() ? score.as_double() : std::nullopt;
      if (!value)
        fail(ErrorCode::TK02, files_.tokenizer_path, entry.offset(), "a token without a score");
      std::string text(entry.first_child().string());
      const std::int32_t type = id == unknown_id                ? unknown
                                : source.special.contains(text) ? control
                                : source.added.contains(id)     ? user_defined
                                                                : normal;
      vocabulary.set(id++, std::move(text), static_cast<float>(*value), type);
    }
    append_unigram(vocabulary, is_true(member(files_.config, "add_prefix_space")),
                   is_true(member(files_.config, "clean_up_tokenization_spaces")),
                   precompiled_table(), true);
    return true;
  }

  std::uint32_t unigram_unknown(const HfVocabulary& source) const {
    const std::optional<std::string> text = token_text(member(files_.config, "unk_token"));
    for (const auto& [id, token] : source.added)
      if (text && token.text == *text) return id;
    constexpr std::uint32_t kUsual = 3;
    const Json stated = member(member(files_.tokenizer, "model"), "unk_id");
    return stated ? token_id(stated, files_.tokenizer_path) : kUsual;
  }

  std::string precompiled_table() const {
    const Json root = member(files_.tokenizer, "normalizer");
    std::vector<Json> steps{root};
    if (const Json list = member(root, "normalizers"))
      for (const Json step : list.children()) steps.push_back(step);
    for (const Json step : steps) {
      const Json table = member(step, "precompiled_charsmap");
      if (!table || !table.is_string()) continue;
      std::optional<std::string> bytes = decode_base64(table.string());
      if (!bytes)
        fail(ErrorCode::TK06, files_.tokenizer_path, table.offset(),
             "the normalizer's table is not base64");
      return std::move(*bytes);
    }
    return {};
  }

  const VocabularyRequest& request_;
  Metadata& metadata_;
  Warnings& warnings_;
  TokenizerFiles files_;
};

}  // namespace

std::optional<VocabularyRoute> vocabulary_route(std::string_view name) {
  static constexpr std::pair<std::string_view, VocabularyRoute> kNames[] = {
      {"tekken", VocabularyRoute::tekken},
      {"sentencepiece", VocabularyRoute::sentencepiece},
      {"sentencepiece_plain", VocabularyRoute::sentencepiece_plain},
      {"sentencepiece_gemma", VocabularyRoute::sentencepiece_gemma},
      {"sentencepiece_phi3", VocabularyRoute::sentencepiece_phi3},
      {"internlm2", VocabularyRoute::internlm2},
      {"internlm3", VocabularyRoute::internlm3},
      {"llama_hf", VocabularyRoute::llama_hf},
      {"gemma4", VocabularyRoute::gemma4},
      {"byte_level_bpe", VocabularyRoute::byte_level_bpe},
      {"tiktoken_kimi", VocabularyRoute::tiktoken_kimi},
      {"tiktoken_qwen", VocabularyRoute::tiktoken_qwen},
      {"wordpiece", VocabularyRoute::wordpiece},
      {"unigram", VocabularyRoute::unigram},
      {"unigram_xlm_roberta", VocabularyRoute::unigram_xlm_roberta}};
  for (const auto& [known, route] : kNames)
    if (known == name) return route;
  return std::nullopt;
}

void append_vocabulary(const VocabularyRequest& request, Metadata& metadata, Warnings& warnings) {
  Routes(request, metadata, warnings).run();
}

}  // namespace quantize
