#include "pipeline/gguf_header.hpp"

#include <string>

#include "formats/gguf/layout.hpp"
#include "formats/safetensors/layout.hpp"

namespace quantize {

namespace {

std::vector<std::byte> safetensors_header(const PlannedFile& file) {
  std::vector<safetensors::TensorEntry> entries;
  for (const PlannedTensor& t : file.tensors) {
    if (t.parts.empty()) entries.push_back({t.name, t.shape, t.type, t.offset, t.bytes});
    for (const PlannedPart& p : t.parts)
      entries.push_back({p.name, p.shape, p.type, p.offset, p.bytes});
  }
  return safetensors::encode_header(std::move(entries));
}

}  // namespace

std::vector<std::byte> planned_header(const PlannedFile& file) {
  if (!file.name.empty()) return safetensors_header(file);
  std::vector<gguf::TensorEntry> entries;
  entries.reserve(file.tensors.size());
  for (const PlannedTensor& t : file.tensors)
    entries.push_back({t.name, t.shape, t.type, t.offset});
  return gguf::encode_header(file.metadata, entries);
}

std::string piece_path(const std::string& path, const PlannedFile& file) {
  if (!file.name.empty()) return path + '/' + file.name;
  if (!file.numbered) return path;
  const std::string_view suffix = ".gguf";
  std::string stem = path;
  if (stem.size() > suffix.size() &&
      stem.compare(stem.size() - suffix.size(), suffix.size(), suffix) == 0) {
    stem.resize(stem.size() - suffix.size());
  }
  const auto five = [](std::uint32_t n) {
    const std::string digits = std::to_string(n);
    return std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits;
  };
  return stem + "-" + five(file.piece + 1) + "-of-" + five(file.pieces) + std::string(suffix);
}

}  // namespace quantize
