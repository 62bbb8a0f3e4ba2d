// The tokenizer's files of a model directory, parsed at most once each.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/directory.hpp"
#include "core/json.hpp"

namespace quantize {

struct TokenizerFiles {
  // `model_config`: config.json, which names the tokenizer's class if tokenizer_config.json does
  // not.
  TokenizerFiles(const Directory& directory, Warnings& warnings, Json model_config = {});

  const Directory& directory;
  Warnings& warnings;
  Json tokenizer;   // tokenizer.json; an invalid handle if there is none
  Json config;      // tokenizer_config.json; likewise
  Json vocabulary;  // text to id: of tokenizer.json, else vocab.json or vocab.txt
  Json steps;       // tokenizer.json, or what its class does where there is only a vocabulary
  std::string tokenizer_path, config_path, vocabulary_path;
  std::string tokenizer_class;  // without "Fast"; empty if not known

  // Where tokenizer.json has no merges: those of a rank list, else the lines of merges.txt that
  // have two parts.
  std::vector<std::string> merges_of_text() const;

  // What names special tokens and tokens added to the vocabulary. Where tokenizer_config.json has
  // no added_tokens_decoder, the older files count: special_tokens_map.json, before it, and
  // added_tokens.json.
  Json named_special(std::string_view key) const;  // "bos_token"; may be null; invalid if unnamed
  std::vector<Json> additional_special() const;    // of both files
  Json older_added_tokens() const;                 // text to id, or an invalid handle

  // From now on the steps are those that `tokenizer_class` has in its code, and the merges are
  // those of `file`, a list of ranks.
  void use_ranks(const std::string& file, std::string_view of_class,
                 std::vector<std::string> merges);

 private:
  void read_vocabulary_text();

  std::unique_ptr<JsonDocument> tokenizer_document_, config_document_, vocabulary_document_,
      steps_document_, special_map_document_, added_tokens_document_;
  std::vector<std::string> merges_of_ranks_;
};

// The special token that a class has where no file names one; empty if none.
std::string_view class_default(std::string_view tokenizer_class, std::string_view type);

// The value of `key` if `object` has it and it is not null; else an invalid handle.
Json member(Json object, std::string_view key);
// Text of a string, or of {"content": text}.
std::optional<std::string> token_text(Json value);
bool is_true(Json value);
bool is_false(Json value);
// An id within 0 to 4,194,303; TK02 otherwise.
std::uint32_t token_id(Json value, const std::string& file);
// Up to seven decimal digits.
std::optional<std::uint64_t> parse_index(std::string_view text);

}  // namespace quantize
