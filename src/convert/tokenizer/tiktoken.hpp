// Tiktoken files (tiktoken.model, qwen.tiktoken): a line for each token, its bytes in base64 and
// its rank. They have neither special tokens nor steps: those are in the code beside them.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/directory.hpp"

namespace quantize {

// The longest token of a published file has 128 bytes. Finding out how a token is put together
// takes time that grows with the square of its length.
inline constexpr std::size_t kMaxRankedTokenBytes = 1024;

struct Tiktoken {
  std::vector<std::string> tokens;  // in the byte alphabet, by rank
  std::vector<std::string> merges;  // "left right" in the byte alphabet, by the rank of their union
};

// Empty if there is no such file. TK02 (a malformed line, ranks other than 0 to the count), TK05;
// TK03 warns of tokens that no two others make up.
std::optional<Tiktoken> read_tiktoken(const Directory& directory, std::string_view name,
                                      Warnings& warnings);

using Ranks = std::unordered_map<std::string_view, std::size_t>;

// Where joining neighbours by the lowest rank, first place first, has put `token` together from
// bytes when only unions of at least `token`'s own rank are left: the length of the first of its
// two parts. 0 if there are more than two, or one.
std::size_t last_join(std::string_view token, std::size_t rank, const Ranks& ranks);

}  // namespace quantize
