#include "convert/tokenizer/pre_tokenizer.hpp"

#include <algorithm>
#include <limits>
#include <string_view>
#include <unordered_map>

#include "core/sha256.hpp"
#include "core/utf8.hpp"

namespace quantize {
namespace {

using Text = std::u32string;

constexpr std::u32string_view kCheckString =
    U"\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n     \n\U0001F680 (normal) \U0001F636\u200D"
    U"\U0001F32B\uFE0F (multiple emojis concatenated) \u2705 \U0001F999\U0001F999 3 33 333 3333 "
    U"33333 333333 3333333 33333333 3.3 3..3 3...3 \u1780\u17B6\u1793\u17CB\u178F\u17C2\u1796"
    U"\u17B7\u179F\u17C1\u179F\u17A2\u17B6\u1785\U0001F601 ?\u6211\u60F3\u5728apple\u5DE5\u4F5C"
    U"1314151\u5929\uFF5E ------======= \u043D\u0435\u0449\u043E \u043D\u0430 \u0411\u044A\u043B"
    U"\u0433\u0430\u0440\u0441\u043A\u0438 ''''''```````\"\"\"\"......!!!!!!?????? I've been 'told "
    U"he's there, 'RE you sure? 'M not sure I'll make it, 'D you like some tea? We'Ve a'lL";

// Classes of the check string's 86 code points; no other text is ever matched.
bool is_space(char32_t c) { return c == U' ' || c == U'\t' || c == U'\n'; }
bool is_newline(char32_t c) { return c == U'\n' || c == U'\r'; }
bool is_number(char32_t c) { return c >= U'0' && c <= U'9'; }
bool is_upper(char32_t c) { return (c >= U'A' && c <= U'Z') || c == 0x411; }
bool is_lower(char32_t c) { return (c >= U'a' && c <= U'z') || (c >= 0x430 && c <= 0x44F); }
bool is_han(char32_t c) { return c >= 0x4E00 && c <= 0x9FFF; }
bool is_uncased(char32_t c) { return is_han(c) || (c >= 0x1780 && c <= 0x17B3); }
bool is_letter(char32_t c) { return is_upper(c) || is_lower(c) || is_uncased(c); }
bool is_nonspacing(char32_t c) { return c == 0x17B7 || c == 0x17CB || c == 0xFE0F; }
bool is_mark(char32_t c) { return is_nonspacing(c) || c == 0x17B6 || c == 0x17C1 || c == 0x17C2; }
bool is_ascii_punctuation(char32_t c) {
  return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
         (c >= 123 && c <= 126);
}
char32_t lower(char32_t c) { return is_upper(c) ? c + 32 : c; }

std::string to_utf8(std::u32string_view text) {
  std::string out;
  for (const char32_t c : text) {
    const auto put = [&](char32_t value) {
      out += static_cast<char>(static_cast<unsigned char>(value));
    };
    if (c < 0x80) {
      put(c);
    } else if (c < 0x800) {
      put(0xC0 | (c >> 6)), put(0x80 | (c & 63));
    } else if (c < 0x10000) {
      put(0xE0 | (c >> 12)), put(0x80 | ((c >> 6) & 63)), put(0x80 | (c & 63));
    } else {
      put(0xF0 | (c >> 18)), put(0x80 | ((c >> 12) & 63)), put(0x80 | ((c >> 6) & 63));
      put(0x80 | (c & 63));
    }
  }
  return out;
}

Text to_code_points(std::string_view text) {
  Text out;
  for (std::size_t at = 0; at < text.size();) {
    const utf8::Decoded d = utf8::decode(text, at);
    out += static_cast<char32_t>(d.code_point);
    at += d.length;
  }
  return out;
}

// --- Patterns that tokenizer.json files carry, by what tells them apart.

enum class Words : std::uint8_t { space, letters, marks, cased };
enum class Contractions : std::uint8_t { none, lower_first, any_case_first, any_case_suffix };

struct Pattern {
  std::string_view regex;
  std::string_view name;  // the class for an unknown digest
  Words words;
  Contractions contractions;
  std::size_t max_digits;
  bool slash;  // '/' may follow symbols
};

#define QUANTIZE_SYMBOLS_AND_SPACE R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"
#define QUANTIZE_SLASHED R"( ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"
#define QUANTIZE_ANY_CASE R"((?i:'s|'t|'re|'ve|'m|'ll|'d))"
#define QUANTIZE_LOWER_WORD \
  R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
#define QUANTIZE_UPPER_WORD \
  R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
constexpr std::size_t kAnyNumber = std::numeric_limits<std::size_t>::max();
constexpr Pattern kPatterns[] = {
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", "gpt-2",
     Words::space, Contractions::lower_first, kAnyNumber, false},
    {QUANTIZE_ANY_CASE R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)" QUANTIZE_SYMBOLS_AND_SPACE,
     "llama-bpe", Words::letters, Contractions::any_case_first, 3, false},
    {QUANTIZE_ANY_CASE R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)" QUANTIZE_SYMBOLS_AND_SPACE, "qwen2",
     Words::letters, Contractions::any_case_first, 1, false},
    {QUANTIZE_ANY_CASE
     R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     "qwen35", Words::marks, Contractions::any_case_first, 1, false},
    {QUANTIZE_LOWER_WORD QUANTIZE_ANY_CASE "?|" QUANTIZE_UPPER_WORD QUANTIZE_ANY_CASE
                                           R"(?|\p{N}{1,3}|)" QUANTIZE_SLASHED,
     "gpt-4o", Words::cased, Contractions::any_case_suffix, 3, true},
    {QUANTIZE_LOWER_WORD "|" QUANTIZE_UPPER_WORD R"(|\p{N}|)" QUANTIZE_SLASHED, "tekken",
     Words::cased, Contractions::none, 1, true},
};
#undef QUANTIZE_SYMBOLS_AND_SPACE
#undef QUANTIZE_SLASHED
#undef QUANTIZE_ANY_CASE
#undef QUANTIZE_LOWER_WORD
#undef QUANTIZE_UPPER_WORD

class Matcher {
 public:
  Matcher(const Pattern& pattern, std::u32string_view text) : pattern_(pattern), text_(text) {}

  // Length of the match at `at`: at least 1, because every code point is in some branch.
  std::size_t match(std::size_t at) const {
    const bool leading = pattern_.contractions == Contractions::lower_first ||
                         pattern_.contractions == Contractions::any_case_first;
    if (leading)
      if (const std::size_t n = contraction(at)) return n;
    if (const std::size_t n = word(at)) return n;
    const std::size_t skip = pattern_.words == Words::space && is(at, U' ') ? 1 : 0;
    if (const std::size_t n = run(at + skip, is_number)) {
      return skip + std::min(n, pattern_.max_digits);
    }
    if (const std::size_t n = symbols(at)) return n;
    return spaces(at);
  }

 private:
  bool is(std::size_t at, char32_t c) const { return at < text_.size() && text_[at] == c; }
  template <class Predicate>
  std::size_t run(std::size_t at, Predicate holds) const {
    std::size_t end = at;
    while (end < text_.size() && holds(text_[end])) ++end;
    return end - std::min(at, end);
  }

  std::size_t contraction(std::size_t at) const {
    if (!is(at, U'\'')) return 0;
    const bool fold = pattern_.contractions != Contractions::lower_first;
    for (const std::u32string_view tail : {U"s", U"t", U"re", U"ve", U"m", U"ll", U"d"}) {
      if (text_.size() - at <= tail.size()) continue;
      bool same = true;
      for (std::size_t i = 0; i < tail.size(); ++i) {
        const char32_t c = text_[at + 1 + i];
        same = same && (fold ? lower(c) : c) == tail[i];
      }
      if (same) return tail.size() + 1;
    }
    return 0;
  }

  // The part of a word after its optional first character.
  std::size_t body(std::size_t at) const {
    if (pattern_.words == Words::marks)
      return run(at, [](char32_t c) { return is_letter(c) || is_mark(c); });
    if (pattern_.words != Words::cased) return run(at, is_letter);
    const auto not_lower = [](char32_t c) { return is_upper(c) || is_uncased(c) || is_mark(c); };
    const auto not_upper = [](char32_t c) { return is_lower(c) || is_uncased(c) || is_mark(c); };
    const std::size_t upper_run = run(at, not_lower);
    // At least one character must be left for the lower part; give back as little as possible.
    for (std::size_t n = upper_run + 1; n-- > 0;)
      if (const std::size_t rest = run(at + n, not_upper)) return n + rest;
    return 0;
  }
  std::size_t upper_body(std::size_t at) const {
    if (pattern_.words != Words::cased) return 0;
    return run(at, [](char32_t c) { return is_upper(c) || is_uncased(c) || is_mark(c); });
  }

  std::size_t word(std::size_t at) const {
    const char32_t first = text_[at];
    const bool may_lead = pattern_.words == Words::space
                              ? first == U' '
                              : !is_newline(first) && !is_letter(first) && !is_number(first);
    std::size_t length = 0;
    for (const auto part : {&Matcher::body, &Matcher::upper_body}) {
      if (may_lead)
        if (const std::size_t n = (this->*part)(at + 1)) length = n + 1;
      if (length == 0) length = (this->*part)(at);
      if (length != 0) break;
    }
    if (length != 0 && pattern_.contractions == Contractions::any_case_suffix)
      length += contraction(at + length);
    return length;
  }

  std::size_t symbols(std::size_t at) const {
    const std::size_t skip = is(at, U' ') ? 1 : 0;
    const bool marks = pattern_.words == Words::marks;
    const std::size_t n = run(at + skip, [&](char32_t c) {
      return !is_space(c) && !is_letter(c) && !is_number(c) && !(marks && is_mark(c));
    });
    if (n == 0) return 0;
    std::size_t length = skip + n;
    if (pattern_.words != Words::space)
      length += run(at + length,
                    [&](char32_t c) { return is_newline(c) || (pattern_.slash && c == U'/'); });
    return length;
  }

  std::size_t spaces(std::size_t at) const {
    const std::size_t n = run(at, is_space);
    if (n == 0) return 1;
    if (pattern_.words != Words::space)
      for (std::size_t i = n; i-- > 0;)
        if (is_newline(text_[at + i])) return i + 1;
    return at + n == text_.size() || n == 1 ? n : n - 1;
  }

  const Pattern& pattern_;
  std::u32string_view text_;
};

std::vector<Text> split(const std::vector<Text>& pieces, const Pattern& pattern) {
  std::vector<Text> out;
  for (const Text& piece : pieces) {
    const Matcher matcher(pattern, piece);
    for (std::size_t at = 0; at < piece.size();) {
      const std::size_t length = matcher.match(at);
      out.push_back(piece.substr(at, length));
      at += length;
    }
  }
  return out;
}

// Pieces cut around each code point that `alone` picks; `dropped` ones vanish.
template <class Alone, class Dropped>
std::vector<Text> isolate(const std::vector<Text>& pieces, Alone alone, Dropped dropped) {
  std::vector<Text> out;
  for (const Text& piece : pieces) {
    Text open;
    const auto close = [&] {
      if (!open.empty()) out.push_back(std::move(open));
      open.clear();
    };
    for (const char32_t c : piece) {
      if (dropped(c)) {
        close();
      } else if (alone(c)) {
        close();
        out.push_back(Text(1, c));
      } else {
        open += c;
      }
    }
    close();
  }
  return out;
}

// The printable stand-in of every byte: itself where printable, else the next from U+0100.
char32_t byte_letter(unsigned char byte) {
  const auto printable = [](unsigned b) {
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  };
  if (printable(byte)) return byte;
  char32_t next = 0x100;
  for (unsigned b = 0; b < byte; ++b)
    if (!printable(b)) ++next;
  return next;
}

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>()(text);
  }
};

class Encoder {
 public:
  explicit Encoder(const TokenizerFiles& files) : files_(files), tokenizer_(files.tokenizer) {
    model_ = member(tokenizer_, "model");
    const Json vocabulary = member(model_, "vocab");
    if (!vocabulary || !vocabulary.is_object()) unsupported("model without a vocabulary", model_);
    for (const Json entry : vocabulary.children())
      ids_.insert_or_assign(entry.key(), token_id(entry, files.tokenizer_path));
    const Json added = member(tokenizer_, "added_tokens");
    if (added)
      for (const Json entry : added.children()) {
        const Json content = member(entry, "content");
        if (content && content.is_string())
          ids_.insert_or_assign(content.string(),
                                token_id(member(entry, "id"), files.tokenizer_path));
      }
  }

  // The class of the file's shape.
  const std::string& shape() const { return shape_; }

  std::vector<std::uint32_t> encode() {
    std::vector<Part> parts{{Text(kCheckString), false}};
    split_added(parts, false);
    for (Part& part : parts)
      if (!part.token) normalize(member(tokenizer_, "normalizer"), part.text);
    split_added(parts, true);
    std::vector<std::uint32_t> out;
    const std::string_view kind = type_of(model_);
    if (kind == "BPE") read_merges();
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
    surround(out);
    return out;
  }

  void read_merges() {
    const Json merges = member(model_, "merges");
    if (!merges) return;
    std::uint32_t rank = 0;
    for (const Json merge : merges.children()) {
      std::vector<std::string_view> parts;
      if (merge.is_string()) {
        const std::string_view text = merge.string();
        const std::size_t space = text.find(' ');
        if (space != text.npos && text.find(' ', space + 1) == text.npos)
          parts = {text.substr(0, space), text.substr(space + 1)};
      } else {
        for (const Json part : merge.children())
          if (part.is_string()) parts.push_back(part.string());
      }
      if (parts.size() != 2 || parts[0].empty() || parts[1].empty())
        bad_merge(merge, "a merge must have two parts");
      const std::uint32_t* left = find(parts[0]);
      const std::uint32_t* right = find(parts[1]);
      const std::uint32_t* joined = find(std::string(parts[0]).append(parts[1]));
      if (!left || !right || !joined) bad_merge(merge, "a merge names a token that does not exist");
      merges_.insert_or_assign(pair_of(*left, *right), Merge{rank++, *joined});
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
    if (const Json added = member(tokenizer_, "added_tokens"))
      for (const Json entry : added.children()) {
        const std::optional<std::string> content = token_text(entry);
        if (content && !content->empty() && is_true(member(entry, "normalized")) == normalized)
          tokens.push_back(to_code_points(*content));
      }
    std::stable_sort(tokens.begin(), tokens.end(),
                     [](const Text& a, const Text& b) { return a.size() > b.size(); });
    // Only tokens that occur matter, which are few.
    std::erase_if(tokens, [](const Text& t) { return kCheckString.find(t) == kCheckString.npos; });
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

  void normalize(Json root, Text& text) const {
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
    if (!root) unsupported("no pre-tokenizer", tokenizer_);
    std::vector<Json> steps;
    if (type_of(root) == "Sequence") {
      if (const Json list = member(root, "pretokenizers"))
        for (const Json step : list.children()) steps.push_back(step);
    } else {
      steps.push_back(root);
    }
    shape_.clear();
    for (const Json step : steps) {
      const std::string_view type = type_of(step);
      if (type == "Split") {
        split_by_pattern(step, pieces);
      } else if (type == "ByteLevel") {
        byte_level(step, steps.size() == 1, pieces);
      } else if (type == "Digits") {
        if (!is_true(member(step, "individual_digits"))) unsupported("runs of digits", step);
        pieces = isolate(pieces, is_number, [](char32_t) { return false; });
        shape_ = "starcoder";
      } else if (type == "BertPreTokenizer") {
        pieces = isolate(pieces, is_ascii_punctuation, is_space);
        shape_ = "jina-v2-en";
      } else {
        unsupported("pre-tokenizer " + std::string(type), step);
      }
    }
    if (shape_.empty()) unsupported("no known step", root);
  }

  void split_by_pattern(Json step, std::vector<Text>& pieces) {
    const Json regex = member(member(step, "pattern"), "Regex");
    const Json behavior = member(step, "behavior");
    const Json invert = member(step, "invert");
    const bool isolated =
        behavior && behavior.is_string() && !is_true(invert) && behavior.string() == "Isolated";
    const bool kept =
        behavior && behavior.is_string() && is_true(invert) && behavior.string() == "Removed";
    if (regex && regex.is_string() && (isolated || kept))
      for (const Pattern& pattern : kPatterns)
        if (pattern.regex == regex.string()) {
          pieces = split(pieces, pattern);
          shape_ = pattern.name;
          if (shape_ == "llama-bpe" && !is_true(member(model_, "ignore_merges")))
            shape_ = "smaug-bpe";
          return;
        }
    unsupported("an unknown pattern", regex ? regex : step);
  }

  void byte_level(Json step, bool alone, std::vector<Text>& pieces) {
    const bool prefix = is_true(member(alone ? files_.config : step, "add_prefix_space"));
    if (prefix)
      for (Text& piece : pieces)
        if (piece.front() != U' ') piece.insert(piece.begin(), U' ');
    const Json use_regex = member(step, "use_regex");
    if (!use_regex || is_true(use_regex)) {
      pieces = split(pieces, kPatterns[0]);
      if (shape_.empty()) shape_ = kPatterns[0].name;
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

  [[noreturn]] void bad_merge(Json merge, const char* what) const {
    fail(ErrorCode::TK03, files_.tokenizer_path, merge.offset(), what);
  }

  static std::uint64_t pair_of(std::uint32_t left, std::uint32_t right) {
    return (std::uint64_t{left} << 32) | right;
  }

  // Pieces of the check string are short, so the plain quadratic definition serves.
  void encode_bpe(const Text& piece, std::vector<std::uint32_t>& out) const {
    if (is_true(member(model_, "ignore_merges")))
      if (const std::uint32_t* whole = find(to_utf8(piece))) {
        out.push_back(*whole);
        return;
      }
    std::vector<std::uint32_t> word;
    for (const char32_t c : piece)
      if (const std::uint32_t* id = find(to_utf8(std::u32string_view(&c, 1)))) word.push_back(*id);
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
    const Json unknown = member(model_, "unk_token");
    const std::uint32_t* unknown_id =
        find(unknown && unknown.is_string() ? unknown.string() : std::string_view("[UNK]"));
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
        if (unknown_id) out.push_back(*unknown_id);
        return;
      }
      out.push_back(*id);
      at = end;
    }
  }

  // What goes before and after: the classes below decide by flags, all others by the file.
  void surround(std::vector<std::uint32_t>& ids) const {
    const Json class_json = member(files_.config, "tokenizer_class");
    std::string_view name =
        class_json && class_json.is_string() ? class_json.string() : std::string_view();
    if (name.ends_with("Fast")) name.remove_suffix(4);
    const bool adds_bos = name == "LlamaTokenizer" || name == "CodeLlamaTokenizer" ||
                          name == "GemmaTokenizer" || name == "CohereTokenizer";
    if (adds_bos || name == "GPTNeoXTokenizer") {
      const auto wanted = [&](std::string_view flag, bool fallback) {
        const Json value = member(files_.config, flag);
        return value && value.is_boolean() ? value.boolean() : fallback;
      };
      const auto id_of = [&](std::string_view key) -> const std::uint32_t* {
        const std::optional<std::string> text = token_text(member(files_.config, key));
        return text ? find(*text) : nullptr;
      };
      if (wanted("add_bos_token", adds_bos))
        if (const std::uint32_t* id = id_of("bos_token")) ids.insert(ids.begin(), *id);
      if (wanted("add_eos_token", false))
        if (const std::uint32_t* id = id_of("eos_token")) ids.push_back(*id);
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
        if (const Json pair = member(step, key))
          into.push_back(token_id(pair.first_child().next_sibling(), files_.tokenizer_path));
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
  Json tokenizer_, model_;
  std::unordered_map<std::string_view, std::uint32_t, TextHash> ids_;
  std::unordered_map<std::uint64_t, Merge> merges_;
  std::string shape_;
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

std::vector<std::uint32_t> encode_check_string(const TokenizerFiles& files) {
  return Encoder(files).encode();
}

void check_merges(const TokenizerFiles& files) { Encoder(files).read_merges(); }

std::string pre_tokenizer_name(const TokenizerFiles& files) {
  Encoder encoder(files);
  std::string list = "[";
  for (const std::uint32_t id : encoder.encode()) {
    if (list.size() > 1) list += ", ";
    list += std::to_string(id);
  }
  const std::string digest = sha256_hex(list + "]");
  const auto row = std::find_if(std::rbegin(kRows), std::rend(kRows),
                                [&](const Row& r) { return r.digest == digest; });
  if (row != std::rend(kRows)) return std::string(row->name);
  files.warnings.add(ErrorCode::TK06, files.tokenizer_path, std::nullopt,
                     "a tokenizer that is not known by its digest; treated as " + encoder.shape(),
                     digest);
  return encoder.shape();
}

}  // namespace quantize
