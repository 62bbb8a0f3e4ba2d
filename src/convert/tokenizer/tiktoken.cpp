#include "convert/tokenizer/tiktoken.hpp"

#include <algorithm>
#include <limits>

#include "convert/tokenizer/sentencepiece.hpp"
#include "convert/tokenizer/tekken.hpp"
#include "core/base64.hpp"

namespace quantize {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{256} << 20;
constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

std::optional<std::size_t> parse_rank(std::string_view digits) {
  std::size_t value = 0;
  if (digits.empty() || digits.size() > 7) return std::nullopt;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::size_t>(c - '0');
  }
  return value < kMaxTokens ? std::optional(value) : std::nullopt;
}

// Tokens as bytes, by rank; the lines may be in any order.
std::vector<std::string> read_lines(const std::string& text, const std::string& file) {
  struct Line {
    std::size_t rank, begin;
    std::string bytes;
  };
  std::vector<Line> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at, end = std::min(text.find('\n', at), text.size());
    std::string_view line = std::string_view(text).substr(at, end - at);
    at = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const auto refuse = [&](ErrorCode code, const char* what, std::string allowed = {}) {
      fail(code, file, begin, what, std::string(line), std::move(allowed));
    };
    const std::size_t space = line.find(' ');
    const std::optional<std::size_t> rank =
        space == line.npos ? std::nullopt : parse_rank(line.substr(space + 1));
    std::optional<std::string> bytes = decode_base64(line.substr(0, std::min(space, line.size())));
    if (!rank || !bytes)
      refuse(ErrorCode::TK02, "a line that is not a token in base64 and its rank",
             "ranks 0 to " + std::to_string(kMaxTokens - 1));
    if (bytes->empty() || bytes->size() > kMaxRankedTokenBytes)
      refuse(ErrorCode::TK05, "a token's length",
             "1 to " + std::to_string(kMaxRankedTokenBytes) + " bytes");
    lines.push_back({*rank, begin, std::move(*bytes)});
  }
  std::stable_sort(lines.begin(), lines.end(),
                   [](const Line& a, const Line& b) { return a.rank < b.rank; });
  std::vector<std::string> tokens;
  for (Line& line : lines) {
    if (line.rank != tokens.size())
      fail(ErrorCode::TK02, file, line.begin, "ranks that are not every number from 0 on",
           std::to_string(line.rank), std::to_string(tokens.size()));
    tokens.push_back(std::move(line.bytes));
  }
  if (tokens.empty()) fail(ErrorCode::TK02, file, 0, "a vocabulary without tokens");
  return tokens;
}

}  // namespace

std::size_t last_join(std::string_view token, std::size_t rank, const Ranks& ranks) {
  // Parts begin at these places; `joined[i]` is the rank of part i with the one after it.
  std::vector<std::size_t> begins(token.size() + 1), joined(token.size(), kNone);
  for (std::size_t i = 0; i < begins.size(); ++i) begins[i] = i;
  const auto rank_from = [&](std::size_t part) {
    if (part + 2 >= begins.size()) return kNone;
    const auto at = ranks.find(token.substr(begins[part], begins[part + 2] - begins[part]));
    return at == ranks.end() ? kNone : at->second;
  };
  for (std::size_t i = 0; i < joined.size(); ++i) joined[i] = rank_from(i);
  for (;;) {
    const auto lowest = std::min_element(joined.begin(), joined.end());
    if (lowest == joined.end() || *lowest >= rank) break;
    const auto part = static_cast<std::size_t>(lowest - joined.begin());
    begins.erase(begins.begin() + static_cast<std::ptrdiff_t>(part) + 1);
    joined.erase(lowest);
    joined[part] = rank_from(part);
    if (part > 0) joined[part - 1] = rank_from(part - 1);
  }
  return joined.size() == 2 ? begins[1] : 0;
}

std::optional<Tiktoken> read_tiktoken(const Directory& directory, std::string_view name,
                                      Warnings& warnings) {
  const std::optional<std::string> text = directory.read(name, kMaxBytes);
  if (!text) return std::nullopt;
  const std::string file = directory.path_of(name);
  const std::vector<std::string> tokens = read_lines(*text, file);
  Ranks ranks;
  for (std::size_t rank = 0; rank < tokens.size(); ++rank)
    if (!ranks.emplace(tokens[rank], rank).second)
      fail(ErrorCode::TK02, file, std::nullopt, "one token has two ranks", std::to_string(rank));
  Tiktoken out;
  std::size_t unmade = 0;
  for (std::size_t rank = 0; rank < tokens.size(); ++rank) {
    const std::string_view token = tokens[rank];
    out.tokens.push_back(to_byte_letters(token));
    if (token.size() == 1) continue;
    const std::size_t middle = last_join(token, rank, ranks);
    if (middle == 0 || !ranks.contains(token.substr(0, middle)) ||
        !ranks.contains(token.substr(middle)))
      ++unmade;
    else
      out.merges.push_back(to_byte_letters(token.substr(0, middle)) + ' ' +
                           to_byte_letters(token.substr(middle)));
  }
  if (unmade != 0)
    warnings.add(ErrorCode::TK03, file, std::nullopt,
                 "tokens that no two others make up: the runtime cannot reach them",
                 std::to_string(unmade), "0");
  return out;
}

}  // namespace quantize
