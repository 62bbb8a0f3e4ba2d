#include "convert/tokenizer/files.hpp"

#include "convert/tokenizer/sentencepiece.hpp"

namespace quantize {
namespace {

constexpr std::uint64_t kMaxConfigBytes = std::uint64_t{16} << 20;
constexpr std::uint64_t kMaxTokenizerBytes = std::uint64_t{256} << 20;

std::unique_ptr<JsonDocument> parse(const Directory& directory, std::string_view name,
                                    std::uint64_t max_bytes, Warnings& warnings) {
  std::optional<std::string> text = directory.read(name, max_bytes);
  if (!text) return nullptr;
  return JsonDocument::parse(std::move(*text), directory.path_of(name), JsonRules{}, &warnings);
}

}  // namespace

TokenizerFiles::TokenizerFiles(const Directory& from, Warnings& warn)
    : directory(from),
      warnings(warn),
      tokenizer_path(from.path_of("tokenizer.json")),
      config_path(from.path_of("tokenizer_config.json")),
      tokenizer_document_(parse(from, "tokenizer.json", kMaxTokenizerBytes, warn)),
      config_document_(parse(from, "tokenizer_config.json", kMaxConfigBytes, warn)) {
  if (tokenizer_document_) tokenizer = tokenizer_document_->root();
  if (config_document_) config = config_document_->root();
}

Json member(Json object, std::string_view key) {
  if (!object || !object.is_object()) return {};
  const std::optional<Json> value = object.find(key);
  return value && !value->is_null() ? *value : Json{};
}

std::optional<std::string> token_text(Json value) {
  if (value && value.is_object()) value = member(value, "content");
  if (!value || !value.is_string()) return std::nullopt;
  return std::string(value.string());
}

bool is_true(Json value) { return value && value.is_boolean() && value.boolean(); }

std::uint32_t token_id(Json value, const std::string& file) {
  const std::optional<std::uint64_t> id =
      value && value.is_number() ? value.as_u64() : std::optional<std::uint64_t>();
  if (!id || *id >= kMaxTokens) {
    fail(ErrorCode::TK02, file, value ? std::optional(value.offset()) : std::nullopt,
         "a token's id is not a number in range",
         value && value.is_number() ? std::string(value.number_text()) : std::string(),
         "0 to " + std::to_string(kMaxTokens - 1));
  }
  return static_cast<std::uint32_t>(*id);
}

}  // namespace quantize
