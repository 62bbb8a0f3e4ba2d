#include "convert/tokenizer/tekken.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "convert/tokenizer/characters.hpp"
#include "convert/tokenizer/files.hpp"
#include "convert/tokenizer/hf_vocabulary.hpp"
#include "convert/tokenizer/sentencepiece.hpp"
#include "core/base64.hpp"

namespace quantize {
namespace {

constexpr std::string_view kFile = "tekken.json";
constexpr std::uint64_t kMaxBytes = std::uint64_t{256} << 20;
constexpr std::size_t kBytes = 256;

// Those of files older than v11, which do not list them.
constexpr std::string_view kSpecial[] = {
    "<unk>",
    "<s>",
    "</s>",
    "[INST]",
    "[/INST]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
    "[TOOL_CALLS]",
    "[IMG]",
    "<pad>",
    "[IMG_BREAK]",
    "[IMG_END]",
    "[PREFIX]",
    "[MIDDLE]",
    "[SUFFIX]",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "[TOOL_CONTENT]",
};

std::uint64_t count_of(Json config, std::string_view key, const std::string& file) {
  const Json value = member(config, key);
  const std::optional<std::uint64_t> count =
      value && value.is_number() ? value.as_u64() : std::optional<std::uint64_t>();
  if (!count || *count > kMaxTokens)
    fail(ErrorCode::TK06, file, value ? std::optional(value.offset()) : std::nullopt,
         std::string(key) + " is missing or out of range", {},
         "0 to " + std::to_string(kMaxTokens));
  return *count;
}

void read_special(Json root, std::uint64_t count, const std::string& file, Tekken& out) {
  if (const Json list = member(root, "special_tokens")) {
    for (const Json entry : list.children()) {
      const Json text = member(entry, "token_str");
      if (!text || !text.is_string() || text.string().empty() || out.special.size() == count)
        fail(ErrorCode::TK02, file, entry.offset(), "malformed special token, or one too many");
      out.special.emplace_back(text.string());
    }
  } else {
    for (const std::string_view text : kSpecial)
      if (out.special.size() < count) out.special.emplace_back(text);
  }
  while (out.special.size() < count)
    out.special.push_back("<SPECIAL_" + std::to_string(out.special.size()) + ">");
}

void read_tokens(Json list, std::uint64_t count, const std::string& file, Tekken& out) {
  if (list)
    for (const Json entry : list.children()) {
      if (out.tokens.size() == count) return;  // the file may have more than are used
      const Json rank = member(entry, "rank");
      const Json text = member(entry, "token_bytes");
      std::optional<std::string> bytes =
          text && text.is_string() ? decode_base64(text.string()) : std::optional<std::string>();
      if (!rank || !rank.is_number() || rank.as_u64() != out.tokens.size() || !bytes)
        fail(ErrorCode::TK02, file, entry.offset(),
             "malformed token, or one that is not in the order of ranks");
      if (bytes->empty() || bytes->size() > kMaxTokenBytes)
        fail(ErrorCode::TK05, file, text.offset(), "a token's length",
             std::to_string(bytes->size()), "1 to " + std::to_string(kMaxTokenBytes) + " bytes");
      out.tokens.push_back(std::move(*bytes));
    }
  if (out.tokens.size() < count)
    fail(ErrorCode::TK02, file, list ? std::optional(list.offset()) : std::nullopt,
         "fewer tokens than the vocabulary's size", std::to_string(out.tokens.size()),
         std::to_string(count));
}

}  // namespace

std::optional<std::uint32_t> Tekken::special_id(std::string_view text) const {
  const auto at = std::find(special.begin(), special.end(), text);
  if (at == special.end()) return std::nullopt;
  return static_cast<std::uint32_t>(at - special.begin());
}

std::vector<std::string> Tekken::merges(const std::string& file) const {
  std::unordered_map<std::string_view, std::size_t> ranks;
  for (std::size_t rank = 0; rank < tokens.size(); ++rank) ranks.emplace(tokens[rank], rank);
  std::vector<std::string> out;
  std::vector<std::array<std::size_t, 2>> pairs;
  for (std::size_t rank = kBytes; rank < tokens.size(); ++rank) {
    const std::string_view whole = tokens[rank];
    pairs.clear();
    for (std::size_t middle = 1; middle < whole.size(); ++middle) {
      const auto left = ranks.find(whole.substr(0, middle));
      const auto right = ranks.find(whole.substr(middle));
      if (left != ranks.end() && right != ranks.end())
        pairs.push_back({left->second, right->second});
    }
    if (pairs.empty())
      fail(ErrorCode::TK03, file, std::nullopt, "no two tokens make up the one of rank",
           std::to_string(rank));
    std::sort(pairs.begin(), pairs.end());
    for (const auto& [left, right] : pairs)
      out.push_back(to_byte_letters(tokens[left]) + ' ' + to_byte_letters(tokens[right]));
  }
  return out;
}

std::optional<Tekken> read_tekken(const Directory& directory, Warnings& warnings) {
  std::optional<std::string> text = directory.read(kFile, kMaxBytes);
  if (!text) return std::nullopt;
  const std::string file = directory.path_of(kFile);
  const auto document = JsonDocument::parse(std::move(*text), file, JsonRules{}, &warnings);
  const Json config = member(document->root(), "config");
  Tekken out;
  if (const Json version = member(config, "version"); version && version.is_string())
    out.version = version.string();
  const std::uint64_t all = count_of(config, "default_vocab_size", file);
  const std::uint64_t special = count_of(config, "default_num_special_tokens", file);
  if (all < special + kBytes)
    fail(ErrorCode::TK06, file, config.offset(), "the vocabulary has no room for all bytes");
  read_special(document->root(), special, file, out);
  read_tokens(member(document->root(), "vocab"), all - special, file, out);
  return out;
}

std::string to_byte_letters(std::string_view bytes) {
  static const std::vector<std::string> letters = [] {
    std::vector<std::string> out;
    for (unsigned byte = 0; byte < kBytes; ++byte) {
      const char32_t letter = byte_letter(static_cast<unsigned char>(byte));
      out.push_back(to_utf8(std::u32string_view(&letter, 1)));
    }
    return out;
  }();
  std::string out;
  for (const char byte : bytes) out += letters[static_cast<unsigned char>(byte)];
  return out;
}

}  // namespace quantize
