// model.safetensors.index.json and its like: which tensor is in which file. Its file names are the
// only names that a directory's content may choose, so each passes one rule before anything is
// opened.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quantize/error.hpp"

namespace quantize::huggingface {

inline constexpr std::string_view kIndexName = "model.safetensors.index.json";
inline constexpr std::uint64_t kMaxIndexBytes = std::uint64_t{64} << 20;
inline constexpr std::size_t kMaxShards = 10'000;

struct IndexEntry {
  std::string tensor;
  std::uint32_t shard = 0;   // into WeightIndex::shards
  std::uint64_t offset = 0;  // of the file name in the index
};

struct WeightIndex {
  std::string file;                          // the index itself, for messages
  std::vector<std::string> shards;           // sorted by bytes
  std::vector<std::uint64_t> shard_offsets;  // where each is first named
  std::vector<IndexEntry> entries;           // sorted by tensor name
  std::optional<std::uint64_t> total_size;
  std::uint64_t total_size_offset = 0;

  bool lists(std::string_view shard) const;
};

// One path component of [A-Za-z0-9][A-Za-z0-9._-]*, at most 255 bytes, without "..", that ends in
// ".safetensors".
bool is_shard_name(std::string_view name) noexcept;

// Ends in ".index.json".
bool is_index_name(std::string_view name) noexcept;

// ".bin", ".pt", ".pth", ".ckpt": Python pickles, which are never read.
bool is_pickle_name(std::string_view name) noexcept;

// IX01, IX02, IX07, IX08, and JS01 to JS06 for text that is not JSON.
WeightIndex parse_weight_index(std::string text, std::string file, Warnings& warnings);

}  // namespace quantize::huggingface
