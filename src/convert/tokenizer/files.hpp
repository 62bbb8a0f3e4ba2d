// The tokenizer's files of a model directory, parsed at most once each.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/directory.hpp"
#include "core/json.hpp"

namespace quantize {

struct TokenizerFiles {
  TokenizerFiles(const Directory& directory, Warnings& warnings);

  const Directory& directory;
  Warnings& warnings;
  Json tokenizer;  // tokenizer.json; an invalid handle if there is none
  Json config;     // tokenizer_config.json; likewise
  std::string tokenizer_path, config_path;

 private:
  std::unique_ptr<JsonDocument> tokenizer_document_, config_document_;
};

// The value of `key` if `object` has it and it is not null; else an invalid handle.
Json member(Json object, std::string_view key);
// Text of a string, or of {"content": text}.
std::optional<std::string> token_text(Json value);
bool is_true(Json value);
// An id within 0 to 4,194,303; TK02 otherwise.
std::uint32_t token_id(Json value, const std::string& file);

}  // namespace quantize
