// F4: any bytes as a weight index. Whatever is accepted names only files that the rule allows, and
// every entry points to one of them.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "formats/huggingface/weight_index.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace quantize;
  Warnings warnings;
  try {
    const auto index =
        huggingface::parse_weight_index(std::string(data, data + size), "fuzz", warnings);
    if (index.shards.size() != index.shard_offsets.size()) std::abort();
    for (const std::string& shard : index.shards) {
      if (!huggingface::is_shard_name(shard) || !index.lists(shard) ||
          shard.find('/') != std::string::npos) {
        std::abort();
      }
    }
    for (std::size_t i = 0; i < index.entries.size(); ++i) {
      const auto& entry = index.entries[i];
      if (entry.shard >= index.shards.size() || entry.offset >= size) std::abort();
      if (i > 0 && index.entries[i - 1].tensor >= entry.tensor) std::abort();
    }
  } catch (const Error& e) {
    if (e.code() == ErrorCode::BUG01 || !e.problem().offset || *e.problem().offset > size) {
      std::abort();
    }
  }
  return 0;
}
