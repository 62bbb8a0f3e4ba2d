#include "formats/safetensors/layout.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace quantize::safetensors {

std::vector<std::byte> encode_header(std::vector<TensorEntry> entries) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const TensorEntry& a, const TensorEntry& b) { return a.offset < b.offset; });
  // Put together by hand: a library's ordered object would look for each name among all before.
  const auto quote = [](const std::string& text) { return nlohmann::json(text).dump(); };
  std::string text = R"({"__metadata__":{"format":"pt"})";
  for (const TensorEntry& entry : entries) {
    text += "," + quote(entry.name) + R"(:{"dtype":")" +
            std::string(info(entry.type).safetensors_name) + R"(","shape":[)";
    bool first = true;
    for (const std::uint64_t d : entry.shape.dims()) {
      text += (first ? "" : ",") + std::to_string(d);
      first = false;
    }
    text += R"(],"data_offsets":[)" + std::to_string(entry.offset) + "," +
            std::to_string(entry.offset + entry.bytes) + "]}";
  }
  text += "}";
  text.append((8 - text.size() % 8) % 8, ' ');
  std::vector<std::byte> header;
  for (unsigned i = 0; i < 8; ++i) header.push_back(static_cast<std::byte>(text.size() >> (8 * i)));
  const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
  header.insert(header.end(), bytes, bytes + text.size());
  return header;
}

}  // namespace quantize::safetensors
