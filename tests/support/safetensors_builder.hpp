// Makes safetensors files for tests, sound ones and broken ones, by code that shares nothing with
// the library.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quantize::testing {

// 8 bytes of length, the header as given, the data as given.
std::string safetensors_file(std::string_view header, std::string_view data);
std::string safetensors_file(std::uint64_t length, std::string_view header, std::string_view data);

class SafetensorsBuilder {
 public:
  // Entries stand in the header in the order of these calls, data in the same order. `name` is
  // escaped as JSON asks. `data`: as stored; its bytes are not checked against dtype and shape.
  SafetensorsBuilder& tensor(std::string_view name, std::string_view dtype,
                             const std::vector<std::uint64_t>& shape, std::string_view data);
  // The same without data of its own: for sparse files, whose data is a hole.
  SafetensorsBuilder& hole(std::string_view name, std::string_view dtype,
                           const std::vector<std::uint64_t>& shape, std::uint64_t bytes);
  SafetensorsBuilder& metadata(std::string_view key, std::string_view value);

  std::string header() const;        // padded with spaces to a multiple of 8
  std::string build() const;         // length, header, data
  std::uint64_t file_bytes() const;  // with holes

 private:
  void entry(std::string_view name, std::string_view dtype, const std::vector<std::uint64_t>& shape,
             std::uint64_t bytes);
  std::string metadata_, entries_, data_;
  std::uint64_t data_bytes_ = 0;
};

// "..." with what JSON must escape escaped.
std::string json_string(std::string_view text);

// `count` finite float32 values about -1 .. 1, the same for the same seed.
std::string f32_data(std::uint64_t count, std::uint32_t seed = 1);

}  // namespace quantize::testing
