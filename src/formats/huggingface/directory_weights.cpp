// The weights of a model directory. Which files: an index decides; without one, all
// model*.safetensors; else the only *.safetensors there is. The tensors' order is the reference
// converter's: files by name, then names by code point (for UTF-8 the order of the bytes).
#include <algorithm>
#include <optional>
#include <utility>

#include "quantize/escape.hpp"

#include "core/input_file.hpp"
#include "formats/huggingface/weight_index.hpp"
#include "formats/readers.hpp"
#include "formats/safetensors/source.hpp"

namespace quantize {
namespace {

using huggingface::IndexEntry;
using huggingface::WeightIndex;
using safetensors::Member;

bool is_weights_name(std::string_view name) noexcept {
  constexpr std::string_view suffix = ".safetensors";
  return name.size() > suffix.size() && name.substr(name.size() - suffix.size()) == suffix;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// The index called as transformers calls it, else the only one there is (diffusers has other
// names).
std::string find_index(const Directory& directory) {
  if (directory.contains(huggingface::kIndexName)) return std::string(huggingface::kIndexName);
  std::vector<std::string> found;
  for (const std::string& name : directory.names())
    if (name.find(".safetensors.") != std::string::npos && huggingface::is_index_name(name))
      found.push_back(name);
  if (found.size() > 1)
    fail(ErrorCode::IX06, directory.path(), {}, "several weight indexes: name one", joined(found));
  return found.empty() ? std::string() : found.front();
}

std::optional<WeightIndex> read_index(const Directory& directory, const std::string& name,
                                      Warnings& warnings) {
  if (name.empty()) return std::nullopt;
  auto text = directory.read(name, huggingface::kMaxIndexBytes);
  if (!text) return std::nullopt;
  return huggingface::parse_weight_index(std::move(*text), directory.path_of(name), warnings);
}

[[noreturn]] void fail_without_weights(const Directory& directory,
                                       const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (huggingface::is_pickle_name(name)) {
      fail(ErrorCode::IX08, directory.path_of(name), {},
           "pickle checkpoints are never read: convert the model to safetensors first");
    }
  }
  fail(ErrorCode::IX09, directory.path(), {}, "no weights here", {}, "*.safetensors");
}

std::vector<std::string> files_without_index(const Directory& directory) {
  const std::vector<std::string> names = directory.names();
  std::vector<std::string> weights, model_weights;
  for (const std::string& name : names) {
    if (!is_weights_name(name)) continue;
    weights.push_back(name);
    if (name.compare(0, 5, "model") == 0) model_weights.push_back(name);
  }
  if (!model_weights.empty()) return model_weights;
  if (weights.empty()) fail_without_weights(directory, names);
  if (weights.size() > 1) {
    fail(ErrorCode::IX06, directory.path(), {},
         "several weight files, and no index that says which: name one", joined(weights));
  }
  return weights;
}

// Decision: files beside an index that it does not list are ignored, with a warning.
void warn_of_unlisted(const Directory& directory, const WeightIndex& index, Warnings& warnings) {
  for (const std::string& name : directory.names()) {
    if (is_weights_name(name) && !index.lists(name)) {
      warnings.add(ErrorCode::IX06, directory.path_of(name), {},
                   "ignored: the weight index does not list this file");
    }
  }
}

void check_shards_exist(const Directory& directory, const WeightIndex& index) {
  for (std::size_t i = 0; i < index.shards.size(); ++i) {
    if (directory.contains(index.shards[i])) continue;
    fail(ErrorCode::IX03, index.file, index.shard_offsets[i],
         "the index lists " + quoted(index.shards[i]) + ", which is not there");
  }
}

// Every tensor of every member, sorted by name.
struct Found {
  const SourceTensor* tensor;
  std::uint32_t member;
};

std::vector<Found> sorted_tensors(const std::vector<Member>& members) {
  std::vector<Found> all;
  for (std::uint32_t m = 0; m < members.size(); ++m) {
    for (const SourceTensor& tensor : members[m].header.tensors) all.push_back({&tensor, m});
  }
  std::sort(all.begin(), all.end(), [](const Found& a, const Found& b) {
    const int order = a.tensor->name.compare(b.tensor->name);
    return order != 0 ? order < 0 : a.member < b.member;
  });
  return all;
}

void refuse_duplicates(const std::vector<Found>& all, const std::vector<Member>& members) {
  const auto twice = std::adjacent_find(all.begin(), all.end(), [](const Found& a, const Found& b) {
    return a.tensor->name == b.tensor->name;
  });
  if (twice == all.end()) return;
  fail(ErrorCode::IX05, members[twice[1].member].file->path(), twice[1].tensor->name_offset,
       "tensor " + quoted(twice->tensor->name) + " is in " +
           quoted(members[twice->member].file->path()) + " as well");
}

// The index and the files hold the same names, each in the file that the index says.
void check_against_index(const std::vector<Found>& all, const std::vector<Member>& members,
                         const WeightIndex& index) {
  const auto missing = [&](const IndexEntry& entry) {
    fail(ErrorCode::IX04, index.file, entry.offset,
         "tensor " + quoted(entry.tensor) + " is not in " + quoted(index.shards[entry.shard]));
  };
  auto entry = index.entries.begin();
  for (const Found& found : all) {
    if (entry != index.entries.end() && entry->tensor < found.tensor->name) missing(*entry);
    if (entry == index.entries.end() || entry->tensor != found.tensor->name) {
      fail(ErrorCode::IX04, members[found.member].file->path(), found.tensor->name_offset,
           "tensor " + quoted(found.tensor->name) + " is not in the weight index");
    }
    if (entry->shard != found.member) missing(*entry);
    ++entry;
  }
  if (entry != index.entries.end()) missing(*entry);
}

void check_total_size(const std::vector<Found>& all, const WeightIndex& index, Warnings& warnings) {
  std::uint64_t bytes = 0;  // of files that exist: no overflow
  for (const Found& found : all) bytes += found.tensor->bytes;
  if (!index.total_size || *index.total_size == bytes) return;
  warnings.add(ErrorCode::IX01, index.file, index.total_size_offset,
               "metadata.total_size is not the sum of the tensors' bytes",
               std::to_string(*index.total_size), std::to_string(bytes));
}

}  // namespace

std::shared_ptr<const Source> open_directory_weights(std::shared_ptr<const Directory> directory,
                                                     const std::string& only_file,
                                                     Warnings& warnings) {
  const bool names_index = huggingface::is_index_name(only_file);
  auto index = read_index(*directory, names_index ? only_file : find_index(*directory), warnings);
  const bool alone = !only_file.empty() && !names_index && !(index && index->lists(only_file));
  if (alone) index.reset();

  std::vector<std::string> names;
  if (alone) {
    names = {only_file};
  } else if (index) {
    check_shards_exist(*directory, *index);
    warn_of_unlisted(*directory, *index, warnings);
    names = index->shards;
    if (names.empty()) fail_without_weights(*directory, directory->names());
  } else {
    names = files_without_index(*directory);
  }

  // A file named by the user is only called what it is; a member was promised to be safetensors.
  const ErrorCode other_kind = alone ? ErrorCode::ST07 : ErrorCode::IX08;
  std::vector<Member> members;
  for (const std::string& name : names) {
    members.push_back(safetensors::read_member(std::make_unique<InputFile>(*directory, name),
                                               warnings, other_kind));
    std::vector<SourceTensor>& tensors = members.back().header.tensors;
    std::sort(tensors.begin(), tensors.end(),
              [](const SourceTensor& a, const SourceTensor& b) { return a.name < b.name; });
  }
  const std::vector<Found> all = sorted_tensors(members);
  refuse_duplicates(all, members);
  if (index) {
    check_against_index(all, members, *index);
    check_total_size(all, *index, warnings);
  }
  std::string path = only_file.empty() ? directory->path() : directory->path_of(only_file);
  return safetensors::make_source("huggingface", std::move(path), std::move(members));
}

}  // namespace quantize
