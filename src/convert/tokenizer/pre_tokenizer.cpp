#include "convert/tokenizer/pre_tokenizer.hpp"

#include <algorithm>
#include <limits>
#include <string_view>
#include <unordered_map>

#include "quantize/near_names.hpp"

#include "convert/tokenizer/characters.hpp"
#include "convert/tokenizer/pattern.hpp"
#include "convert/tokenizer/split.hpp"
#include "core/sha256.hpp"

namespace quantize {

const std::u32string_view kCheckString =
    U"\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n     \n\U0001F680 (normal) \U0001F636\u200D"
    U"\U0001F32B\uFE0F (multiple emojis concatenated) \u2705 \U0001F999\U0001F999 3 33 333 3333 "
    U"33333 333333 3333333 33333333 3.3 3..3 3...3 \u1780\u17B6\u1793\u17CB\u178F\u17C2\u1796"
    U"\u17B7\u179F\u17C1\u179F\u17A2\u17B6\u1785\U0001F601 ?\u6211\u60F3\u5728apple\u5DE5\u4F5C"
    U"1314151\u5929\uFF5E ------======= \u043D\u0435\u0449\u043E \u043D\u0430 \u0411\u044A\u043B"
    U"\u0433\u0430\u0440\u0441\u043A\u0438 ''''''```````\"\"\"\"......!!!!!!?????? I've been 'told "
    U"he's there, 'RE you sure? 'M not sure I'll make it, 'D you like some tea? We'Ve a'lL";

namespace {

using Text = std::u32string;

constexpr std::string_view kWordStart = "\u2581";
constexpr char32_t kWordStartCharacter = U'\u2581';

// A split pattern and the word for it in shapes.
struct SplitPattern {
  std::string_view word;
  std::string regex;
  Pattern pattern;
};

// \r, \n and \t are written both ways, as characters and as escapes.
std::string plain_newlines(std::string_view regex) {
  std::string out;
  for (std::size_t i = 0; i < regex.size(); ++i) {
    if (regex[i] != '\\' || i + 1 == regex.size()) {
      out += regex[i];
      continue;
    }
    const char escaped = regex[++i];
    if (escaped == 'r' || escaped == 'n' || escaped == 't')
      out += escaped == 'r' ? '\r' : escaped == 'n' ? '\n' : '\t';
    else
      (out += '\\') += escaped;
  }
  return out;
}

const std::vector<SplitPattern>& split_patterns() {
  static const std::vector<SplitPattern> patterns = [] {
    std::vector<SplitPattern> out;
#define QUANTIZE_SPLIT_PATTERN(word, regex) \
  out.push_back({word, plain_newlines(regex), Pattern(regex)});
#include "convert/tokenizer/split_patterns.def"
#undef QUANTIZE_SPLIT_PATTERN
    return out;
  }();
  return patterns;
}

const SplitPattern& byte_level_pattern() { return split_patterns().front(); }

// The class of a shape: the words of the steps that cut, in order. The runtime knows several names
// for most classes, all of which cut alike; this is the plainest.
struct Shape {
  std::string_view words, name;
};
constexpr Shape kShapes[] = {
    {"gpt-2", "gpt-2"},
    {"llama3", "smaug-bpe"},
    {"llama3 ignore_merges", "llama-bpe"},
    {"qwen2", "qwen2"},
    {"qwen35", "qwen35"},
    {"ufakzeka", "ufakzeka"},
    {"gpt-4o", "gpt-4o"},
    {"tekken", "tekken"},
    {"kimi-k2", "kimi-k2"},
    {"jais-2", "jais-2"},
    {"bailingmoe", "bailingmoe"},
    {"seed-coder", "seed-coder"},
    {"exaone-moe", "exaone-moe"},
    {"bloom", "bloom"},
    {"bloom digits", "viking"},
    {"digits bloom", "viking"},
    {"digits gpt-2", "starcoder"},
    {"number gpt-2", "starcoder"},
    {"3-numbers han-kana deepseek-v3", "deepseek-v3"},
    {"3-numbers han-kana spark2_5 digits", "spark2_5"},
    {"sentinels image-tokens layout digits marks gpt-2", "chameleon"},
    {"newline cased-words wide-punctuation trailing-spaces cjk digits", "deepseek-llm"},
    {"newline words punctuation cjk digits", "deepseek-coder"},
    {"marks gpt-2 digit-runs 3-digits", "falcon"},
    {"numbers thousands", "superbpe"},
    {"grouped-digits gpt-4o", "tiny_aya"},
    {"3-numbers number-runs", "minicpm5"},
    {"lines qwen2", "laguna"},
    {"youtu-scripts gpt-4o-digit", "youtu"},
    {"replaced-spaces", "gemma4"},
    {"bert", "jina-v2-en"},
};

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>()(text);
  }
};

class Encoder {
 public:
  Encoder(const TokenizerFiles& files, const HfVocabulary& vocabulary)
      : files_(files), vocabulary_(vocabulary), tokenizer_(files.steps) {
    model_ = member(tokenizer_, "model");
    for (const auto& [id, text] : vocabulary.base) ids_.emplace(text, id);
    for (const auto& [id, token] : vocabulary.added) ids_.emplace(token.text, id);
    const Json unknown = member(model_, "unk_token");
    if (unknown && unknown.is_string()) unknown_ = find(unknown.string());
  }

  // The class of the file's shape.
  std::string shape() const {
    const std::string suffix = is_true(member(model_, "ignore_merges")) ? " ignore_merges" : "";
    for (const std::string& words : {shape_ + suffix, shape_})
      for (const Shape& known : kShapes)
        if (known.words == words) return std::string(known.name);
    const Json root = member(tokenizer_, "pre_tokenizer");
    unsupported("its steps are in no known order", root ? root : tokenizer_);
  }

  // Without the ids around a text.
  std::vector<std::uint32_t> encode(std::u32string_view text) {
    std::vector<Part> parts{{Text(text), false}};
    split_added(parts, false);
    for (Part& part : parts)
      if (!part.token) normalize(member(tokenizer_, "normalizer"), part.text);
    split_added(parts, true);
    std::vector<std::uint32_t> out;
    const std::string_view kind = type_of(model_);
    if (kind == "BPE" && merges_.empty()) read_merges();
    for (const Part& part : parts) {
      if (part.token) {
        out.push_back(ids_.at(to_utf8(part.text)));
        continue;
      }
      if (part.text.empty()) continue;
      std::vector<Text> pieces{part.text};
      pre_tokenize(pieces);
      for (const Text& piece : pieces) {
        if (kind == "BPE") {
          encode_bpe(piece, out);
        } else if (kind == "WordPiece") {
          encode_wordpiece(piece, out);
        } else {
          unsupported("tokenizer model " + std::string(kind), model_);
        }
      }
    }
    return out;
  }

  std::vector<std::uint32_t> encode_check_string() {
    std::vector<std::uint32_t> out = encode(kCheckString);
    surround(out);
    return out;
  }

  // SHA-256 of the check string's ids as the reference prints them.
  std::string digest() {
    std::string list = "[";
    for (const std::uint32_t id : encode_check_string()) {
      if (list.size() > 1) list += ", ";
      list += std::to_string(id);
    }
    return sha256_hex(list + "]");
  }

  void read_merges() {
    const Json merges = member(model_, "merges");
    if (!merges) {
      for (const std::string& line : files_.merges_of_text()) add_merge(halves(line), {});
      return;
    }
    for (const Json merge : merges.children()) {
      std::vector<std::string_view> parts;
      if (merge.is_string()) {
        parts = halves(merge.string());
      } else {
        for (const Json part : merge.children())
          if (part.is_string()) parts.push_back(part.string());
      }
      add_merge(parts, merge);
    }
  }

 private:
  struct Part {
    Text text;
    bool token;
  };

  static std::string_view type_of(Json value) {
    const Json type = member(value, "type");
    return type && type.is_string() ? type.string() : std::string_view();
  }
  [[noreturn]] void unsupported(const std::string& what, Json where) const {
    fail(ErrorCode::TK06, files_.tokenizer_path,
         where ? std::optional(where.offset()) : std::nullopt,
         "the pre-tokenizer cannot be recognised: " + what + "; name it with --pre");
  }

  void split_added(std::vector<Part>& parts, bool normalized) const {
    std::vector<Text> tokens;
    for (const auto& entry : vocabulary_.added)
      if (entry.second.normalized == normalized)
        tokens.push_back(to_code_points(entry.second.text));
    std::stable_sort(tokens.begin(), tokens.end(),
                     [](const Text& a, const Text& b) { return a.size() > b.size(); });
    // Only tokens that occur matter, which are few.
    std::erase_if(tokens, [&](const Text& token) {
      return std::none_of(parts.begin(), parts.end(), [&](const Part& part) {
        return !part.token && part.text.find(token) != Text::npos;
      });
    });
    std::vector<Part> out;
    for (Part& part : parts) {
      Text open;
      for (std::size_t at = 0; !part.token && at < part.text.size();) {
        const auto hit = std::find_if(tokens.begin(), tokens.end(), [&](const Text& token) {
          return part.text.compare(at, token.size(), token) == 0;
        });
        if (hit == tokens.end()) {
          open += part.text[at++];
          continue;
        }
        if (!open.empty()) out.push_back({std::move(open), false});
        open.clear();
        out.push_back({*hit, true});
        at += hit->size();
      }
      if (part.token) out.push_back(std::move(part));
      if (!open.empty()) out.push_back({std::move(open), false});
    }
    parts = std::move(out);
  }

  void normalize(Json root, Text& text) {
    std::vector<Json> open;
    if (root) open.push_back(root);
    while (!open.empty()) {
      const Json step = open.back();
      open.pop_back();
      const std::string_view type = type_of(step);
      if (type == "Sequence") {
        const std::size_t first = open.size();
        if (const Json list = member(step, "normalizers"))
          for (const Json inner : list.children()) open.push_back(inner);
        std::reverse(open.begin() + static_cast<std::ptrdiff_t>(first), open.end());
      } else if (type == "NFC" || type == "NFD") {
        // The check string is in both forms.
      } else if (type == "NFKC" || type == "NFKD") {
        std::replace(text.begin(), text.end(), char32_t{0xFF5E}, U'~');
      } else if (type == "Replace") {
        const Json from = member(member(step, "pattern"), "String");
        const Json to = member(step, "content");
        if (!from || !from.is_string() || from.string() != " " || !to || !to.is_string() ||
            to.string() != kWordStart)
          unsupported("a replacement other than of spaces", step);
        std::replace(text.begin(), text.end(), U' ', kWordStartCharacter);
        replaced_spaces_ = true;
      } else if (type == "Prepend") {
        const Json prefix = member(step, "prepend");
        if (!prefix || !prefix.is_string() || prefix.string() != kWordStart)
          unsupported("a prefix other than of a word", step);
        text.insert(text.begin(), kWordStartCharacter);
      } else if (type == "Lowercase") {
        std::transform(text.begin(), text.end(), text.begin(), lower);
      } else if (type == "StripAccents") {
        std::erase_if(text, is_nonspacing);
      } else if (type == "BertNormalizer") {
        normalize_bert(step, text);
      } else {
        unsupported("normalizer " + std::string(type), step);
      }
    }
  }

  static void normalize_bert(Json step, Text& text) {
    const auto flag = [&](std::string_view name, bool fallback) {
      const Json value = member(step, name);
      return value && value.is_boolean() ? value.boolean() : fallback;
    };
    const bool fold = flag("lowercase", true);
    const bool clean = flag("clean_text", true);
    const bool strip = flag("strip_accents", fold);
    const bool pad_han = flag("handle_chinese_chars", true);
    Text out;
    for (char32_t c : text) {
      if (clean && c == 0x200D) continue;
      if (clean && is_space(c)) c = U' ';
      if (strip && is_nonspacing(c)) continue;
      if (pad_han && is_han(c)) {
        out += {U' ', c, U' '};
      } else {
        out += fold ? lower(c) : c;
      }
    }
    text = std::move(out);
  }

  void pre_tokenize(std::vector<Text>& pieces) {
    const Json root = member(tokenizer_, "pre_tokenizer");
    std::vector<Json> steps;
    if (type_of(root) == "Sequence") {
      if (const Json list = member(root, "pretokenizers"))
        for (const Json step : list.children()) steps.push_back(step);
    } else if (root) {
      steps.push_back(root);
    }
    shape_.clear();
    for (const Json step : steps) apply(step, steps.size() == 1, pieces);
    if (shape_.empty() && replaced_spaces_) note("replaced-spaces");
  }

  void note(std::string_view word) {
    if (!shape_.empty()) shape_ += ' ';
    shape_ += word;
  }

  void apply(Json step, bool alone, std::vector<Text>& pieces) {
    const std::string_view type = type_of(step);
    if (type == "Split") {
      split_by_pattern(step, pieces);
    } else if (type == "ByteLevel") {
      byte_level(step, alone, pieces);
    } else if (type == "Digits") {
      const bool single = is_true(member(step, "individual_digits"));
      split(pieces, each(is_number), single ? SplitBehavior::isolated : SplitBehavior::contiguous);
      note(single ? "digits" : "digit-runs");
    } else if (type == "Punctuation") {
      split(pieces, each(is_punctuation), behavior_of(step, SplitBehavior::isolated));
      note("marks");
    } else if (type == "WhitespaceSplit" || type == "BertPreTokenizer") {
      split(pieces, each(is_space), SplitBehavior::removed);
      if (type == "BertPreTokenizer") split(pieces, each(is_punctuation), SplitBehavior::isolated);
      note(type == "BertPreTokenizer" ? "bert" : "spaces");
    } else {
      unsupported("pre-tokenizer " + std::string(type), step);
    }
  }

  SplitBehavior behavior_of(Json step, std::optional<SplitBehavior> fallback) const {
    const Json name = member(step, "behavior");
    if (!name && fallback) return *fallback;
    const auto behavior = name && name.is_string() ? split_behavior(name.string()) : std::nullopt;
    if (!behavior) unsupported("an unknown behaviour", name ? name : step);
    return *behavior;
  }

  void split_by_pattern(Json step, std::vector<Text>& pieces) {
    const SplitBehavior behavior = behavior_of(step, std::nullopt);
    const bool invert = is_true(member(step, "invert"));
    const Json plain = member(member(step, "pattern"), "String");
    if (plain && plain.is_string() && plain.string() == " ") {
      split(pieces, each([](char32_t c) { return c == U' '; }), behavior, invert);
      if (!replaced_spaces_) note("single-spaces");
      return;
    }
    const Json regex = member(member(step, "pattern"), "Regex");
    const std::string text = regex && regex.is_string() ? plain_newlines(regex.string()) : "";
    for (const SplitPattern& known : split_patterns()) {
      if (known.regex != text) continue;
      split_by(known, pieces, behavior, invert);
      note(known.word);
      return;
    }
    unsupported("an unknown pattern", regex ? regex : step);
  }

  static void split_by(const SplitPattern& known, std::vector<Text>& pieces, SplitBehavior behavior,
                       bool invert) {
    split(
        pieces,
        [&](std::u32string_view text, std::size_t at) { return known.pattern.match(text, at); },
        behavior, invert);
  }

  void byte_level(Json step, bool alone, std::vector<Text>& pieces) {
    const bool prefix = is_true(member(alone ? files_.config : step, "add_prefix_space"));
    if (prefix)
      for (Text& piece : pieces)
        if (piece.front() != U' ') piece.insert(piece.begin(), U' ');
    const Json use_regex = member(step, "use_regex");
    if (!use_regex || is_true(use_regex)) {
      split_by(byte_level_pattern(), pieces, SplitBehavior::isolated, false);
      note(byte_level_pattern().word);
    }
    for (Text& piece : pieces) {
      Text letters;
      for (const char byte : to_utf8(piece))
        letters += byte_letter(static_cast<unsigned char>(byte));
      piece = std::move(letters);
    }
  }

  const std::uint32_t* find(std::string_view text) const {
    const auto at = ids_.find(text);
    return at == ids_.end() ? nullptr : &at->second;
  }

  static std::vector<std::string_view> halves(std::string_view text) {
    const std::size_t space = text.find(' ');
    if (space == text.npos || text.find(' ', space + 1) != text.npos) return {};
    return {text.substr(0, space), text.substr(space + 1)};
  }

  // `where`: the merge in tokenizer.json; none for merges.txt.
  void add_merge(const std::vector<std::string_view>& parts, Json where) {
    const auto refuse = [&](const char* what) {
      fail(ErrorCode::TK03, where ? files_.tokenizer_path : files_.directory.path_of("merges.txt"),
           where ? std::optional(where.offset()) : std::nullopt, what);
    };
    if (parts.size() != 2 || parts[0].empty() || parts[1].empty())
      refuse("a merge must have two parts");
    const std::uint32_t* left = find(parts[0]);
    const std::uint32_t* right = find(parts[1]);
    const std::uint32_t* joined = find(std::string(parts[0]).append(parts[1]));
    if (!left || !right || !joined) refuse("a merge names a token that does not exist");
    const auto rank = static_cast<std::uint32_t>(merges_.size());
    merges_.insert_or_assign(pair_of(*left, *right), Merge{rank, *joined});
  }

  static std::uint64_t pair_of(std::uint32_t left, std::uint32_t right) {
    return (std::uint64_t{left} << 32) | right;
  }

  // Tokens <0xHH> of every byte, if all exist.
  void append_bytes(std::string_view text, std::vector<std::uint32_t>& word) const {
    const std::size_t first = word.size();
    for (const char c : text) {
      constexpr std::string_view digits = "0123456789ABCDEF";
      const auto byte = static_cast<unsigned char>(c);
      const std::uint32_t* id =
          find(std::string("<0x") + digits[byte >> 4] + digits[byte & 15] + '>');
      if (!id) {
        word.resize(first);
        return;
      }
      word.push_back(*id);
    }
  }

  // The check string is short, so the plain quadratic definition serves.
  void encode_bpe(const Text& piece, std::vector<std::uint32_t>& out) const {
    if (is_true(member(model_, "ignore_merges")))
      if (const std::uint32_t* whole = find(to_utf8(piece))) {
        out.push_back(*whole);
        return;
      }
    std::vector<std::uint32_t> word;
    bool unknown_before = false;
    for (const char32_t c : piece) {
      const std::string text = to_utf8(std::u32string_view(&c, 1));
      const std::size_t known = word.size();
      if (const std::uint32_t* id = find(text))
        word.push_back(*id);
      else if (is_true(member(model_, "byte_fallback")))
        append_bytes(text, word);
      const bool unknown = word.size() == known;
      if (unknown && unknown_ && !(unknown_before && is_true(member(model_, "fuse_unk"))))
        word.push_back(*unknown_);
      unknown_before = unknown;
    }
    while (word.size() > 1) {
      std::size_t best = word.size();
      Merge merge{std::numeric_limits<std::uint32_t>::max(), 0};
      for (std::size_t i = 0; i + 1 < word.size(); ++i) {
        const auto at = merges_.find(pair_of(word[i], word[i + 1]));
        if (at == merges_.end() || at->second.rank >= merge.rank) continue;
        best = i;
        merge = at->second;
      }
      if (best == word.size()) break;
      word[best] = merge.joined;
      word.erase(word.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
    out.insert(out.end(), word.begin(), word.end());
  }

  void encode_wordpiece(const Text& word, std::vector<std::uint32_t>& out) const {
    const std::size_t first = out.size();
    for (std::size_t at = 0; at < word.size();) {
      std::size_t end = word.size();
      const std::uint32_t* id = nullptr;
      for (; end > at; --end) {
        const std::string text = to_utf8(std::u32string_view(word).substr(at, end - at));
        if ((id = find(at == 0 ? text : "##" + text))) break;
      }
      if (!id) {
        out.resize(first);
        if (unknown_) out.push_back(*unknown_);
        return;
      }
      out.push_back(*id);
      at = end;
    }
  }

  // What goes before and after: the classes below decide by flags, all others by the file.
  void surround(std::vector<std::uint32_t>& ids) const {
    const std::string& name = files_.tokenizer_class;
    const bool adds_bos = name == "LlamaTokenizer" || name == "CodeLlamaTokenizer" ||
                          name == "GemmaTokenizer" || name == "CohereTokenizer";
    if (adds_bos || name == "GPTNeoXTokenizer") {
      const auto wanted = [&](std::string_view flag, bool fallback) {
        const Json value = member(files_.config, flag);
        return value && value.is_boolean() ? value.boolean() : fallback;
      };
      const auto id_of = [&](std::string_view type) -> const std::uint32_t* {
        const std::optional<std::string> text =
            token_text(files_.named_special(std::string(type) + "_token"));
        return find(text ? *text : class_default(name, type));
      };
      if (wanted("add_bos_token", adds_bos))
        if (const std::uint32_t* id = id_of("bos")) ids.insert(ids.begin(), *id);
      if (wanted("add_eos_token", false))
        if (const std::uint32_t* id = id_of("eos")) ids.push_back(*id);
      return;
    }
    const Json post = member(tokenizer_, "post_processor");
    if (!post) return;
    if (const Json list = member(post, "processors")) {
      for (const Json step : list.children()) process(step, ids);
    } else {
      process(post, ids);
    }
  }

  void process(Json step, std::vector<std::uint32_t>& ids) const {
    const std::string_view type = type_of(step);
    std::vector<std::uint32_t> before, after;
    if (type == "BertProcessing" || type == "RobertaProcessing") {
      const auto id_of = [&](std::string_view key, std::vector<std::uint32_t>& into) {
        const Json pair = member(step, key);
        if (const Json text = pair ? pair.first_child() : Json())
          into.push_back(token_id(text.next_sibling(), files_.tokenizer_path));
      };
      id_of("cls", before);
      id_of("sep", after);
    } else if (type == "TemplateProcessing") {
      bool seen = false;
      if (const Json single = member(step, "single"))
        for (const Json element : single.children()) {
          if (member(element, "Sequence")) seen = true;
          const Json id = member(member(element, "SpecialToken"), "id");
          if (!id || !id.is_string()) continue;
          const Json ids_json = member(member(member(step, "special_tokens"), id.string()), "ids");
          if (!ids_json) continue;
          for (const Json one : ids_json.children())
            (seen ? after : before).push_back(token_id(one, files_.tokenizer_path));
        }
    }
    ids.insert(ids.begin(), before.begin(), before.end());
    ids.insert(ids.end(), after.begin(), after.end());
  }

  struct Merge {
    std::uint32_t rank, joined;
  };

  const TokenizerFiles& files_;
  const HfVocabulary& vocabulary_;
  Json tokenizer_, model_;
  const std::uint32_t* unknown_ = nullptr;
  std::unordered_map<std::string_view, std::uint32_t, TextHash> ids_;
  std::unordered_map<std::uint64_t, Merge> merges_;
  std::string shape_;  // words of the steps done
  bool replaced_spaces_ = false;
};

struct Row {
  std::string_view digest, name;
};
constexpr Row kRows[] = {
#define QUANTIZE_PRE_TOKENIZER(digest, name) {digest, name},
#include "convert/tokenizer/pre_tokenizers.def"
#undef QUANTIZE_PRE_TOKENIZER
};

}  // namespace

std::vector<std::uint32_t> encode_check_string(const TokenizerFiles& files,
                                               const HfVocabulary& vocabulary) {
  return Encoder(files, vocabulary).encode_check_string();
}

std::vector<std::vector<std::uint32_t>> encode_texts(const TokenizerFiles& files,
                                                     const HfVocabulary& vocabulary,
                                                     const std::vector<std::u32string>& texts) {
  Encoder encoder(files, vocabulary);
  std::vector<std::vector<std::uint32_t>> out;
  for (const std::u32string& text : texts) out.push_back(encoder.encode(text));
  return out;
}

void check_merges(const TokenizerFiles& files, const HfVocabulary& vocabulary) {
  Encoder(files, vocabulary).read_merges();
}

std::string checked_pre_tokenizer(const std::string& name) {
  // Beyond those of the table, names that no digest gives.
  std::vector<std::string_view> known = {"default", "whitespace", "llada-moe"};
  for (const Row& row : kRows)
    if (std::find(known.begin(), known.end(), row.name) == known.end()) known.push_back(row.name);
  if (std::find(known.begin(), known.end(), name) != known.end()) return name;
  const std::string close = near_names(name, known);
  fail(ErrorCode::USE04, {}, {}, "unknown pre-tokenizer", name,
       close.empty() ? "a name that llama.cpp knows, such as gpt-2, llama-bpe or qwen2" : close);
}

std::string pre_tokenizer_name(const TokenizerFiles& files, const HfVocabulary& vocabulary) {
  Encoder encoder(files, vocabulary);
  const std::string digest = encoder.digest();
  const auto row = std::find_if(std::rbegin(kRows), std::rend(kRows),
                                [&](const Row& r) { return r.digest == digest; });
  if (row != std::rend(kRows)) return std::string(row->name);
  const std::string shape = encoder.shape();
  files.warnings.add(ErrorCode::TK06, files.tokenizer_path, std::nullopt,
                     "a tokenizer that is not known by its digest; its steps are those of " + shape,
                     digest);
  return shape;
}

std::string given_pre_tokenizer(const TokenizerFiles& files, const HfVocabulary& vocabulary,
                                const std::string& name) {
  checked_pre_tokenizer(name);
  std::string digest, known;
  try {
    digest = Encoder(files, vocabulary).digest();
  } catch (const Error& error) {  // steps that are not known: no digest, and nothing to compare
    if (error.code() != ErrorCode::TK06) throw;
  }
  for (const Row& row : kRows) {
    if (row.digest != digest) continue;
    if (row.name == name) return name;
    known = row.name;
  }
  if (!known.empty())
    files.warnings.add(ErrorCode::TK06, files.tokenizer_path, std::nullopt,
                       "the pre-tokenizer is taken to be " + name +
                           ", as --pre says, although the tokenizer is known by its digest",
                       known, name);
  return name;
}

}  // namespace quantize
