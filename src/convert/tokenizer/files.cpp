#include "convert/tokenizer/files.hpp"

#include <algorithm>
#include <iterator>

#include "convert/tokenizer/sentencepiece.hpp"

namespace quantize {
namespace {

constexpr std::uint64_t kMaxConfigBytes = std::uint64_t{16} << 20;
constexpr std::uint64_t kMaxTokenizerBytes = std::uint64_t{256} << 20;

std::unique_ptr<JsonDocument> parse(const Directory& directory, std::string_view name,
                                    std::uint64_t max_bytes, Warnings& warnings) {
  std::optional<std::string> text = directory.read(name, max_bytes);
  if (!text) return nullptr;
  return JsonDocument::parse(std::move(*text), directory.path_of(name), JsonRules{}, &warnings);
}

// The class that the transformers library takes for a model type when no file names one.
struct ClassOfModel {
  std::string_view model_type, tokenizer_class;
};
constexpr ClassOfModel kClasses[] = {
    {"llama", "LlamaTokenizer"},
    {"mistral", "LlamaTokenizer"},
    {"mixtral", "LlamaTokenizer"},
    {"phi3", "LlamaTokenizer"},
    {"deepseek_v2", "LlamaTokenizer"},
    {"deepseek_v3", "LlamaTokenizer"},
    {"gemma", "GemmaTokenizer"},
    {"gemma2", "GemmaTokenizer"},
    {"gemma3_text", "GemmaTokenizer"},
    {"gemma3", "GemmaTokenizer"},
    {"qwen2", "Qwen2Tokenizer"},
    {"qwen2_moe", "Qwen2Tokenizer"},
    {"qwen3", "Qwen2Tokenizer"},
    {"qwen3_moe", "Qwen2Tokenizer"},
    {"gpt2", "GPT2Tokenizer"},
    {"starcoder2", "GPT2Tokenizer"},
    {"phi", "CodeGenTokenizer"},
    {"gpt_neox", "GPTNeoXTokenizer"},
    {"olmo", "GPTNeoXTokenizer"},
    {"stablelm", "GPTNeoXTokenizer"},
    {"cohere", "CohereTokenizer"},
    {"bloom", "BloomTokenizer"},
    {"bert", "BertTokenizer"},
    {"roberta", "RobertaTokenizer"},
    {"t5", "T5Tokenizer"},
    {"xlm-roberta", "XLMRobertaTokenizer"},
};

struct ClassDefault {
  std::string_view tokenizer_class, type, text;
};
constexpr ClassDefault kDefaults[] = {
    {"LlamaTokenizer", "bos", "<s>"},
    {"LlamaTokenizer", "eos", "</s>"},
    {"LlamaTokenizer", "unk", "<unk>"},
    {"CodeLlamaTokenizer", "bos", "<s>"},
    {"CodeLlamaTokenizer", "eos", "</s>"},
    {"CodeLlamaTokenizer", "unk", "<unk>"},
    {"GemmaTokenizer", "bos", "<bos>"},
    {"GemmaTokenizer", "eos", "<eos>"},
    {"GemmaTokenizer", "unk", "<unk>"},
    {"GemmaTokenizer", "pad", "<pad>"},
    {"Qwen2Tokenizer", "eos", "<|endoftext|>"},
    {"Qwen2Tokenizer", "pad", "<|endoftext|>"},
    {"GPT2Tokenizer", "bos", "<|endoftext|>"},
    {"GPT2Tokenizer", "eos", "<|endoftext|>"},
    {"GPT2Tokenizer", "unk", "<|endoftext|>"},
    {"CodeGenTokenizer", "bos", "<|endoftext|>"},
    {"CodeGenTokenizer", "eos", "<|endoftext|>"},
    {"CodeGenTokenizer", "unk", "<|endoftext|>"},
    {"GPTNeoXTokenizer", "bos", "<|endoftext|>"},
    {"GPTNeoXTokenizer", "eos", "<|endoftext|>"},
    {"GPTNeoXTokenizer", "unk", "<|endoftext|>"},
    {"CohereTokenizer", "bos", "<BOS_TOKEN>"},
    {"CohereTokenizer", "eos", "<|END_OF_TURN_TOKEN|>"},
    {"CohereTokenizer", "unk", "<UNK>"},
    {"BloomTokenizer", "bos", "<s>"},
    {"BloomTokenizer", "eos", "</s>"},
    {"BloomTokenizer", "unk", "<unk>"},
    {"BloomTokenizer", "pad", "<pad>"},
    {"BertTokenizer", "unk", "[UNK]"},
    {"BertTokenizer", "sep", "[SEP]"},
    {"BertTokenizer", "pad", "[PAD]"},
    {"BertTokenizer", "cls", "[CLS]"},
    {"BertTokenizer", "mask", "[MASK]"},
    {"RobertaTokenizer", "bos", "<s>"},
    {"RobertaTokenizer", "eos", "</s>"},
    {"RobertaTokenizer", "sep", "</s>"},
    {"RobertaTokenizer", "cls", "<s>"},
    {"RobertaTokenizer", "unk", "<unk>"},
    {"RobertaTokenizer", "pad", "<pad>"},
    {"RobertaTokenizer", "mask", "<mask>"},
    {"XLMRobertaTokenizer", "bos", "<s>"},
    {"XLMRobertaTokenizer", "eos", "</s>"},
    {"XLMRobertaTokenizer", "sep", "</s>"},
    {"XLMRobertaTokenizer", "cls", "<s>"},
    {"XLMRobertaTokenizer", "unk", "<unk>"},
    {"XLMRobertaTokenizer", "pad", "<pad>"},
    {"XLMRobertaTokenizer", "mask", "<mask>"},
};

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    constexpr std::string_view kDigits = "0123456789abcdef";
    if (c == '"' || c == '\\') {
      (out += '\\') += c;
    } else if (byte < 0x20) {
      ((out += "\\u00") += kDigits[byte >> 4]) += kDigits[byte & 15];
    } else {
      out += c;
    }
  }
  return out += '"';
}

std::string class_of(Json config, Json model_config) {
  for (const Json from : {config, model_config}) {
    const Json named = member(from, "tokenizer_class");
    if (!named || !named.is_string()) continue;
    std::string name(named.string());
    if (name.ends_with("Fast")) name.resize(name.size() - 4);
    return name;
  }
  const Json type = member(model_config, "model_type");
  for (const ClassOfModel& row : kClasses)
    if (type && type.is_string() && row.model_type == type.string())
      return std::string(row.tokenizer_class);
  return {};
}

// What a class does to text, for directories that have only its vocabulary and merges: the pattern
// that cuts (a word of split_patterns.def; none: that of the byte level itself), and whether a
// whole piece is looked up before merging.
struct ClassSteps {
  std::string_view tokenizer_class, pattern;
  bool composes, whole_pieces;
};
constexpr ClassSteps kSteps[] = {
    {"GPT2Tokenizer", "", false, false},           {"CodeGenTokenizer", "", false, false},
    {"Qwen2Tokenizer", "qwen2", true, false},      {"QWenTokenizer", "qwen2", true, true},
    {"TikTokenTokenizer", "kimi-k2", false, true},
};

// As a tokenizer.json says it; empty for other classes.
std::string steps_of(std::string_view tokenizer_class) {
  const auto* steps =
      std::find_if(std::begin(kSteps), std::end(kSteps),
                   [&](const ClassSteps& row) { return row.tokenizer_class == tokenizer_class; });
  if (steps == std::end(kSteps)) return {};
  static constexpr std::pair<std::string_view, std::string_view> kPatterns[] = {
#define QUANTIZE_SPLIT_PATTERN(word, regex) {word, regex},
#include "convert/tokenizer/split_patterns.def"
#undef QUANTIZE_SPLIT_PATTERN
  };
  std::string_view cut;
  for (const auto& [word, regex] : kPatterns)
    if (word == steps->pattern) cut = regex;
  std::string cuts = R"({"type": "ByteLevel"})";
  if (!cut.empty())
    cuts = R"({"type": "Sequence", "pretokenizers": [{"type": "Split", "behavior": "Isolated", )"
           R"("invert": false, "pattern": {"Regex": )" +
           quoted(cut) + R"(}}, {"type": "ByteLevel", "use_regex": false}]})";
  return R"({"normalizer": )" + std::string(steps->composes ? R"({"type": "NFC"})" : "null") +
         R"(, "pre_tokenizer": )" + cuts + R"(, "decoder": {"type": "ByteLevel"}, )" +
         R"("model": {"type": "BPE", "ignore_merges": )" +
         (steps->whole_pieces ? "true" : "false") + "}}";
}

}  // namespace

TokenizerFiles::TokenizerFiles(const Directory& from, Warnings& warn, Json model_config)
    : directory(from),
      warnings(warn),
      tokenizer_path(from.path_of("tokenizer.json")),
      config_path(from.path_of("tokenizer_config.json")),
      vocabulary_path(tokenizer_path),
      tokenizer_document_(parse(from, "tokenizer.json", kMaxTokenizerBytes, warn)),
      config_document_(parse(from, "tokenizer_config.json", kMaxConfigBytes, warn)) {
  if (config_document_) config = config_document_->root();
  tokenizer_class = class_of(config, model_config);
  if (!config || !config.is_object() || !config.find("added_tokens_decoder")) {
    special_map_document_ = parse(from, "special_tokens_map.json", kMaxConfigBytes, warn);
    added_tokens_document_ = parse(from, "added_tokens.json", kMaxConfigBytes, warn);
  }
  if (tokenizer_document_) {
    tokenizer = steps = tokenizer_document_->root();
    vocabulary = member(member(tokenizer, "model"), "vocab");
    return;
  }
  if (tokenizer_class == "BertTokenizer") {
    read_vocabulary_text();
    return;
  }
  std::string built_in = steps_of(tokenizer_class);
  if (built_in.empty()) return;
  vocabulary_document_ = parse(from, "vocab.json", kMaxTokenizerBytes, warn);
  if (!vocabulary_document_) return;
  vocabulary = vocabulary_document_->root();
  vocabulary_path = from.path_of("vocab.json");
  steps_document_ = JsonDocument::parse(std::move(built_in), tokenizer_class, JsonRules{}, &warn);
  steps = steps_document_->root();
}

// vocab.txt of a BERT: a token a line, whose number is its id.
void TokenizerFiles::read_vocabulary_text() {
  constexpr std::string_view kName = "vocab.txt";
  const std::optional<std::string> text = directory.read(kName, kMaxTokenizerBytes);
  if (!text) return;
  std::string list = "{", first = "0", last = "0";
  std::size_t id = 0;
  for (std::size_t at = 0; at < text->size(); ++id) {
    const std::size_t end = std::min(text->find('\n', at), text->size());
    std::string_view line = std::string_view(*text).substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::string number = std::to_string(id);
    if (line == "[CLS]") first = number;
    if (line == "[SEP]") last = number;
    if (id != 0) list += ',';
    list += quoted(line) + ':' + number;
    at = end + 1;
  }
  vocabulary_path = tokenizer_path = directory.path_of(kName);
  vocabulary_document_ = JsonDocument::parse(list + '}', vocabulary_path, JsonRules{}, &warnings);
  vocabulary = vocabulary_document_->root();
  const auto flag = [&](std::string_view key, const char* fallback) {
    const Json value = member(config, key);
    return std::string(!value || !value.is_boolean() ? fallback
                                                     : (value.boolean() ? "true" : "false"));
  };
  steps_document_ = JsonDocument::parse(
      R"({"normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": )" +
          flag("tokenize_chinese_chars", "true") + R"(, "strip_accents": )" +
          flag("strip_accents", "null") + R"(, "lowercase": )" + flag("do_lower_case", "true") +
          R"(}, "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": {"type": )"
          R"("BertProcessing", "cls": ["[CLS]", )" +
          first + R"(], "sep": ["[SEP]", )" + last +
          R"(]}, "model": {"type": "WordPiece", "unk_token": "[UNK]"}})",
      tokenizer_class, JsonRules{}, &warnings);
  steps = steps_document_->root();
}

Json TokenizerFiles::named_special(std::string_view key) const {
  if (special_map_document_ && special_map_document_->root().is_object())
    if (const std::optional<Json> value = special_map_document_->root().find(key)) return *value;
  if (!config) return {};
  return config.find(key).value_or(Json{});
}

std::vector<Json> TokenizerFiles::additional_special() const {
  std::vector<Json> sources{config}, out;
  if (special_map_document_) sources.push_back(special_map_document_->root());
  for (const Json from : sources)
    if (const Json list = member(from, "additional_special_tokens"); list && list.is_array())
      for (const Json value : list.children()) out.push_back(value);
  return out;
}

Json TokenizerFiles::older_added_tokens() const {
  return added_tokens_document_ && added_tokens_document_->root().is_object()
             ? added_tokens_document_->root()
             : Json();
}

void TokenizerFiles::use_ranks(const std::string& file, std::string_view of_class,
                               std::vector<std::string> merges) {
  tokenizer_path = vocabulary_path = file;
  merges_of_ranks_ = std::move(merges);
  steps_document_ =
      JsonDocument::parse(steps_of(of_class), std::string(of_class), JsonRules{}, &warnings);
  steps = steps_document_->root();
}

std::vector<std::string> TokenizerFiles::merges_of_text() const {
  if (!merges_of_ranks_.empty()) return merges_of_ranks_;
  std::vector<std::string> out;
  const std::optional<std::string> text = directory.read("merges.txt", kMaxTokenizerBytes);
  if (!text) return out;
  constexpr std::string_view kBlank = " \t\r\v\f";
  for (std::size_t at = 0; at < text->size();) {
    const std::size_t end = std::min(text->find('\n', at), text->size());
    const std::string_view line = std::string_view(*text).substr(at, end - at);
    const bool comment = at == 0 && line.starts_with('#');
    at = end + 1;
    std::vector<std::string_view> parts;
    for (std::size_t i = 0; (i = line.find_first_not_of(kBlank, i)) != line.npos;) {
      const std::size_t stop = std::min(line.find_first_of(kBlank, i), line.size());
      parts.push_back(line.substr(i, stop - i));
      i = stop;
    }
    if (comment || parts.empty()) continue;
    if (parts.size() != 2) {
      warnings.add(ErrorCode::TK03, directory.path_of("merges.txt"), at,
                   "lines that do not have two parts are left out");
      continue;
    }
    out.push_back(std::string(parts[0]) + ' ' + std::string(parts[1]));
  }
  return out;
}

std::string_view class_default(std::string_view tokenizer_class, std::string_view type) {
  for (const ClassDefault& row : kDefaults)
    if (row.tokenizer_class == tokenizer_class && row.type == type) return row.text;
  return {};
}

Json member(Json object, std::string_view key) {
  if (!object || !object.is_object()) return {};
  const std::optional<Json> value = object.find(key);
  return value && !value->is_null() ? *value : Json{};
}

std::optional<std::string> token_text(Json value) {
  if (value && value.is_object()) value = member(value, "content");
  if (!value || !value.is_string()) return std::nullopt;
  return std::string(value.string());
}

bool is_true(Json value) { return value && value.is_boolean() && value.boolean(); }
bool is_false(Json value) { return value && value.is_boolean() && !value.boolean(); }

std::uint32_t token_id(Json value, const std::string& file) {
  const std::optional<std::uint64_t> id =
      value && value.is_number() ? value.as_u64() : std::optional<std::uint64_t>();
  if (!id || *id >= kMaxTokens) {
    fail(ErrorCode::TK02, file, value ? std::optional(value.offset()) : std::nullopt,
         "a token's id is not a number in range",
         value && value.is_number() ? std::string(value.number_text()) : std::string(),
         "0 to " + std::to_string(kMaxTokens - 1));
  }
  return static_cast<std::uint32_t>(*id);
}

std::optional<std::uint64_t> parse_index(std::string_view text) {
  std::uint64_t value = 0;
  if (text.empty() || text.size() > 7) return std::nullopt;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

}  // namespace quantize
