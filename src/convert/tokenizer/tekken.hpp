// tekken.json: Mistral's own tokenizer file, tokens by rank as bytes, with special tokens before
// them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/directory.hpp"
#include "core/json.hpp"

namespace quantize {

struct Tekken {
  std::string version;               // "v3", "v7" ...
  std::vector<std::string> special;  // ids from 0
  std::vector<std::string> tokens;   // bytes; ids from special.size()

  std::optional<std::uint32_t> special_id(std::string_view text) const;
  // Every way to put a token together from two others, "left right" in the byte alphabet, in the
  // order of the token's rank, then of the parts'. TK03 if a token has none.
  std::vector<std::string> merges(const std::string& file) const;
};

// Empty if there is no such file. TK02, TK05, TK06.
std::optional<Tekken> read_tekken(const Directory& directory, Warnings& warnings);

// Bytes as the characters that stand for them in a vocabulary.
std::string to_byte_letters(std::string_view bytes);

}  // namespace quantize
