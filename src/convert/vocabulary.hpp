// Tokenizer files to tokenizer.* metadata, key by key in the reference converter's order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "quantize/metadata.hpp"

#include "core/directory.hpp"
#include "core/json.hpp"

namespace quantize {

// The closed set of routes that a family may name, tried in order.
enum class VocabularyRoute : std::uint8_t {
  tekken,               // tekken.json where there is no tokenizer.json
  sentencepiece,        // tokenizer.model; with what only Llama-type families add
  sentencepiece_plain,  // tokenizer.model alone
  sentencepiece_gemma,  // the same without a space before the text
  sentencepiece_phi3,   // the same with added tokens as both files state them
  internlm2,            // the same with chat's end as the end, and what InternLM2 leaves unused
  internlm3,            // the same without the latter
  llama_hf,             // tokenizer.json of byte-fallback BPE, as a list
  gemma4,               // the same with its merges
  byte_level_bpe,       // tokenizer.json, or vocab.json with merges.txt
  tiktoken_kimi,        // tiktoken.model where there is no tokenizer.json
  tiktoken_qwen,        // qwen.tiktoken, likewise
  wordpiece,            // tokenizer.json, or vocab.txt
  unigram,              // T5: tokenizer.model or spiece.model
  unigram_xlm_roberta,  // sentencepiece.bpe.model or tokenizer.json
};

std::optional<VocabularyRoute> vocabulary_route(std::string_view name);

struct VocabularyRequest {
  const Directory& directory;
  Json config;  // the flattened configuration (vocab_size, special ids ...)
  std::vector<VocabularyRoute> routes;
  std::uint64_t embedding_rows = 0;          // rows of the token embedding, 0 if unknown (T7)
  std::optional<std::string> pre_tokenizer;  // --pre NAME
  // Byte-level BPE: tokens for roles that no file fills.
  std::vector<std::pair<std::string, std::string>> special_tokens = {};
};

// Appends tokenizer.ggml.* and tokenizer.chat_template to `metadata`. TK*, SP*, JS*.
void append_vocabulary(const VocabularyRequest& request, Metadata& metadata, Warnings& warnings);

}  // namespace quantize
