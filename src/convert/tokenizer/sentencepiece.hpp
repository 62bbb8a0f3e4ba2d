// tokenizer.model: a SentencePiece model, read and validated whole.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quantize/error.hpp"

namespace quantize {

inline constexpr std::uint64_t kMaxSentencePieceBytes = std::uint64_t{64} << 20;
inline constexpr std::uint64_t kMaxTokens = 4194304;

struct SentencePiece {
  enum class Type : std::uint8_t { normal = 1, unknown, control, user_defined, unused, byte };
  std::string text;
  float score = 0;
  Type type = Type::normal;
};

struct SentencePieceModel {
  enum class Algorithm : std::uint8_t { other, unigram, bpe };
  std::vector<SentencePiece> pieces;
  Algorithm algorithm = Algorithm::unigram;
  std::string normalizer_table;  // precompiled; may be empty
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
};

// SP01-SP09. `file` names `bytes` in messages.
SentencePieceModel parse_sentencepiece(const std::string& bytes, const std::string& file);

}  // namespace quantize
