#include "support/safetensors_builder.hpp"

#include <cstring>

namespace quantize::testing {

std::string safetensors_file(std::uint64_t length, std::string_view header, std::string_view data) {
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>((length >> (8 * i)) & 0xFFu);
  return file.append(header).append(data);
}

std::string safetensors_file(std::string_view header, std::string_view data) {
  return safetensors_file(header.size(), header, data);
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20) {
      out += std::string("\\u00") + "0123456789abcdef"[byte >> 4] + "0123456789abcdef"[byte & 15];
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out + '"';
}

void SafetensorsBuilder::entry(std::string_view name, std::string_view dtype,
                               const std::vector<std::uint64_t>& shape, std::uint64_t bytes) {
  if (!entries_.empty()) entries_ += ',';
  entries_ += json_string(name) + ":{\"dtype\":" + json_string(dtype) + ",\"shape\":[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    entries_ += (i > 0 ? "," : "") + std::to_string(shape[i]);
  }
  entries_ += "],\"data_offsets\":[" + std::to_string(data_bytes_) + ',' +
              std::to_string(data_bytes_ + bytes) + "]}";
  data_bytes_ += bytes;
}

SafetensorsBuilder& SafetensorsBuilder::tensor(std::string_view name, std::string_view dtype,
                                               const std::vector<std::uint64_t>& shape,
                                               std::string_view data) {
  entry(name, dtype, shape, data.size());
  data_ += data;
  return *this;
}

SafetensorsBuilder& SafetensorsBuilder::hole(std::string_view name, std::string_view dtype,
                                             const std::vector<std::uint64_t>& shape,
                                             std::uint64_t bytes) {
  entry(name, dtype, shape, bytes);
  return *this;
}

SafetensorsBuilder& SafetensorsBuilder::metadata(std::string_view key, std::string_view value) {
  metadata_ += (metadata_.empty() ? "" : ",") + json_string(key) + ':' + json_string(value);
  return *this;
}

std::string SafetensorsBuilder::header() const {
  std::string text = "{";
  if (!metadata_.empty()) text += "\"__metadata__\":{" + metadata_ + '}';
  if (!metadata_.empty() && !entries_.empty()) text += ',';
  text += entries_ + '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

std::string SafetensorsBuilder::build() const { return safetensors_file(header(), data_); }
std::uint64_t SafetensorsBuilder::file_bytes() const { return 8 + header().size() + data_bytes_; }

std::string f32_data(std::uint64_t count, std::uint32_t seed) {
  std::string data;
  data.reserve(count * 4);
  for (std::uint64_t i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    // 24 bits as a fraction of 2^23, less one.
    const float value = static_cast<float>(seed >> 8) / 8388608.0f - 1.0f;
    char bytes[4];
    std::memcpy(bytes, &value, 4);
    data.append(bytes, 4);
  }
  return data;
}

}  // namespace quantize::testing
