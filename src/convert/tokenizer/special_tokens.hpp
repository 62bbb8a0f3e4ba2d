// What follows the token list in the reference's order: merges, special ids, add flags, chat
// template, normalizer flags.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "quantize/metadata.hpp"

#include "convert/tokenizer/files.hpp"

namespace quantize {

// The id that a role has where no file gives it one; with `alone`, only where no role has any.
struct SpareId {
  std::string_view role;
  std::uint32_t id;
  bool alone;
};

struct SpecialTokensRequest {
  const TokenizerFiles& files;
  Json config;                               // config.json
  std::optional<std::uint64_t> token_count;  // ids from here on are skipped
  bool merges = false;
  // Tokens for roles that no file fills: ("eot", "<|user|>").
  const std::vector<std::pair<std::string, std::string>>* others = nullptr;
  std::vector<SpareId> spare_ids = {};
};

void append_special_tokens(const SpecialTokensRequest& request, Metadata& metadata);

}  // namespace quantize
