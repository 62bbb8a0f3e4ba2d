#include "formats/huggingface/weight_index.hpp"

#include <algorithm>
#include <utility>

#include "quantize/escape.hpp"

#include "core/json.hpp"

namespace quantize::huggingface {
namespace {

constexpr std::string_view kSuffix = ".safetensors";
constexpr std::string_view kPickles[] = {".bin", ".pt", ".pth", ".ckpt"};
constexpr std::size_t kMaxFileName = 255;

bool ends_with(std::string_view text, std::string_view end) noexcept {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}
bool is_alphanumeric(char c) noexcept {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

void read_total_size(Json root, WeightIndex& index) {
  const auto metadata = root.find("metadata");
  const auto total = metadata ? metadata->find("total_size") : std::nullopt;
  if (!total) return;
  index.total_size = total->as_u64();
  index.total_size_offset = total->offset();
}

void check_shard(std::string_view name, std::uint64_t offset, const std::string& file) {
  if (is_shard_name(name)) return;
  if (is_pickle_name(name)) {
    fail(ErrorCode::IX08, file, offset,
         "the index lists " + quoted(name) +
             ": pickle checkpoints are never read, convert the model to safetensors first");
  }
  fail(ErrorCode::IX02, file, offset, "a file name that an index may not use", std::string(name),
       "one name of letters, digits, '.', '_', '-' that ends in .safetensors");
}

}  // namespace

bool WeightIndex::lists(std::string_view shard) const {
  return std::binary_search(shards.begin(), shards.end(), shard);
}

bool is_index_name(std::string_view name) noexcept {
  constexpr std::string_view suffix = ".index.json";
  return name.size() > suffix.size() && name.substr(name.size() - suffix.size()) == suffix;
}

bool is_shard_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= kMaxFileName && is_alphanumeric(name.front()) &&
         std::all_of(
             name.begin(), name.end(),
             [](char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; }) &&
         name.find("..") == std::string_view::npos && ends_with(name, kSuffix);
}

bool is_pickle_name(std::string_view name) noexcept {
  return std::any_of(std::begin(kPickles), std::end(kPickles),
                     [name](std::string_view suffix) { return ends_with(name, suffix); });
}

WeightIndex parse_weight_index(std::string text, std::string file, Warnings& warnings) {
  const auto document = JsonDocument::parse(std::move(text), std::move(file), {}, &warnings);
  WeightIndex index;
  index.file = document->file();
  const Json root = document->root();
  const auto malformed = [&index](Json where, const std::string& what) {
    fail(ErrorCode::IX01, index.file, where.offset(), what);
  };
  if (!root.is_object()) malformed(root, "the weight index is not an object");
  const auto map = root.find("weight_map");
  if (!map) malformed(root, "the weight index has no weight_map");
  if (!map->is_object()) malformed(*map, "weight_map is not an object");
  read_total_size(root, index);

  // Names in order of appearance; sorted at the end, with the entries renumbered.
  struct Named {
    std::string_view name;
    std::uint64_t offset;
    std::size_t entry;
  };
  std::vector<Named> names;
  for (const Json value : map->children()) {
    if (!value.is_string()) {
      malformed(value, "the file of tensor " + quoted(value.key()) + " is not a string");
    }
    names.push_back({value.string(), value.offset(), index.entries.size()});
    index.entries.push_back({std::string(value.key()), 0, value.offset()});
  }
  std::sort(names.begin(), names.end(), [](const Named& a, const Named& b) {
    return a.name != b.name ? a.name < b.name : a.offset < b.offset;
  });
  std::vector<std::pair<std::uint64_t, std::string_view>> distinct;  // by place
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i == 0 || names[i].name != names[i - 1].name) {
      index.shards.emplace_back(names[i].name);
      index.shard_offsets.push_back(names[i].offset);
      distinct.emplace_back(names[i].offset, names[i].name);
    }
    index.entries[names[i].entry].shard = static_cast<std::uint32_t>(index.shards.size() - 1);
  }
  std::sort(distinct.begin(), distinct.end());
  for (const auto& [offset, name] : distinct) check_shard(name, offset, index.file);
  if (distinct.size() > kMaxShards) {
    fail(ErrorCode::IX07, index.file, distinct[kMaxShards].first, "too many files in the index",
         std::to_string(distinct.size()), "at most " + std::to_string(kMaxShards));
  }
  std::sort(index.entries.begin(), index.entries.end(),
            [](const IndexEntry& a, const IndexEntry& b) { return a.tensor < b.tensor; });
  return index;
}

}  // namespace quantize::huggingface
