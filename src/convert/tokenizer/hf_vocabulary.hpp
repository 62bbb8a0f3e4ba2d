// The vocabulary that the transformers library makes of a tokenizer's files: the model's own
// tokens, and those added by tokenizer.json, by tokenizer_config.json and by the tokenizer's class.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "convert/tokenizer/files.hpp"

namespace quantize {

inline constexpr std::size_t kMaxTokenBytes = 65535;

struct AddedToken {
  std::string text;
  bool special = false;
  bool normalized = true;  // matched after normalizing; otherwise the text counts as it is decoded
  bool of_tokenizer = true;  // named by tokenizer.json, not only by the configuration or class
};

struct HfVocabulary {
  std::map<std::uint32_t, std::string_view> base;  // by id; texts of the files
  std::map<std::uint32_t, AddedToken> added;       // by id; may repeat tokens of the base
  std::unordered_set<std::string> special;         // texts of all special tokens
};

// TK02, TK05. An added token's id is that of its text if there is one, else the next free one,
// whatever the file states: a difference is a warning.
HfVocabulary read_hf_vocabulary(const TokenizerFiles& files);

// An added token's text as decoding gives it back.
std::string decoded(const AddedToken& token, const TokenizerFiles& files);

}  // namespace quantize
