// Makes GGUF files for tests, sound ones and broken ones: fields are written one by one by code
// that shares nothing with the library, every field's place is recorded, and a finished image can
// be patched there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quantize/dtype.hpp"
#include "quantize/metadata.hpp"
#include "quantize/tensor.hpp"

namespace quantize::testing {

// The bytes of a file and where its fields lie.
struct GgufImage {
  std::string bytes;
  // "version", "tensors", "keys" (the counts); for each key K: "key K" (name length), "type K",
  // "value K" (arrays: "elements K" and "count K" too); for each tensor T: "tensor T" (name
  // length), "rank T", "dim T 0" ... (fastest first), "dtype T", "offset T", "data T"; "header end"
  // (before the padding), "data".
  std::map<std::string, std::uint64_t, std::less<>> places;

  std::uint64_t at(std::string_view field) const;  // throws std::out_of_range
  void put_u8(std::uint64_t offset, std::uint8_t value);
  void put_u32(std::uint64_t offset, std::uint32_t value);
  void put_u64(std::uint64_t offset, std::uint64_t value);
  void insert(std::uint64_t offset, std::string_view more);  // places are not moved
};

class GgufBuilder {
 public:
  GgufBuilder& version(std::uint32_t version);
  GgufBuilder& alignment(std::uint64_t bytes);  // of the layout; writes no key
  GgufBuilder& final_padding(bool present);
  GgufBuilder& key(std::string name, MetaValue value);
  // A value given as bytes, under any type id.
  GgufBuilder& raw_key(std::string name, std::uint32_t type, std::string value);
  // `data` as stored; empty: a fixed pattern of stored_bytes(). For float types the pattern is
  // finite numbers about -1 .. 1; for others any bytes.
  GgufBuilder& tensor(std::string name, DType type, const Shape& shape, std::string data = {});
  // Dimensions fastest first, as in the file; `offset` overrides the running sum.
  GgufBuilder& raw_tensor(std::string name, std::vector<std::uint64_t> dims, std::uint32_t type,
                          std::string data, std::optional<std::uint64_t> offset = {});
  GgufImage build() const;

 private:
  struct Key {
    std::string name;
    std::uint32_t type = 0;
    std::string value;
  };
  struct Tensor {
    std::string name;
    std::vector<std::uint64_t> dims;
    std::uint32_t type = 0;
    std::string data;
    std::optional<std::uint64_t> offset;
  };
  std::uint32_t version_ = 3;
  std::uint64_t alignment_ = 32;
  bool final_padding_ = true;
  std::vector<Key> keys_;
  std::vector<Tensor> tensors_;
};

// Deterministic bytes of `values` values of a type: finite numbers for f32, f16, bf16, f64; blocks
// of small scales are not attempted for block types (any bytes).
std::string pattern_data(DType type, std::uint64_t values, std::uint32_t seed = 1);

// What a number looks like in the file.
std::string little_endian(std::uint64_t value, std::size_t bytes);
std::string gguf_string(std::string_view text);

}  // namespace quantize::testing
