// What the formats of quantized checkpoints share while a checkpoint is looked at: tensors by
// name, the settings, which tensors are claimed as parts, and the logical tensors found so far.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "quantize/error.hpp"
#include "quantize/source.hpp"

#include "convert/checkpoints/matrix.hpp"
#include "core/directory.hpp"
#include "core/json.hpp"

namespace quantize::checkpoints {

// The values of one logical tensor.
struct Decoded {
  SourceTensor about;  // name, shape, type; where its first part is
  // As a matrix of any width whose rows, one after the other, are the tensor's values in order ...
  MatrixPtr matrix;
  std::uint64_t columns = 0;
  // ... or as blocks of a GGUF type: codes (low nibble first) and a scale per block.
  std::optional<std::size_t> block_codes, block_scales;
  std::vector<std::size_t> parts;
  bool last = false;  // after the tensors that are not packed, as the reference converter has it
};

class Checkpoint {
 public:
  Checkpoint(const Source& source, const Directory* directory, Warnings& warnings);

  const Source& source;
  Warnings& warnings;
  std::vector<Decoded> decoded;

  const SourceTensor& operator[](std::size_t tensor) const { return source.tensors()[tensor]; }
  std::optional<std::size_t> find(const std::string& name) const;
  // CK01 if it is not there; `of` names the tensor that needs it.
  std::size_t need(const std::string& name, std::size_t of) const;
  bool claimed(std::size_t tensor) const { return claimed_[tensor]; }
  // Parts that carry no values (activation scales, index tensors of a known form).
  void drop(std::size_t tensor) { claimed_[tensor] = true; }
  bool drop(const std::string& name);

  // Claims the parts. `scheme` is what reports say: "GPTQ, 4 bits".
  void add(std::string name, Shape shape, DType type, std::string scheme, Decoded how);

  // Settings: config.json's quantization_config or a side file's; an invalid handle if none.
  Json settings() const { return settings_; }
  std::string_view text(std::string_view key) const;  // empty if it is not text
  std::optional<std::int64_t> number(std::string_view key) const;
  std::optional<std::int64_t> number(std::initializer_list<std::string_view> keys) const;
  std::vector<Json> weight_groups() const;  // the "weights" of compressed-tensors' config groups
  bool flag(std::string_view key) const;
  bool asymmetric() const;  // no config group is symmetric
  // Whether modules may differ from the settings' main values.
  bool varies() const;
  // How many rows or columns share a scale when `numbers` of them have `groups` scales: the
  // configured size where it agrees. CK03 if it contradicts, CK02 if no size fits.
  std::uint64_t group_size(std::size_t scales, std::uint64_t numbers, std::uint64_t groups,
                           bool of_rows = false) const;

  std::string path_of(std::size_t tensor) const;
  [[noreturn]] void refuse(ErrorCode code, std::size_t tensor, std::string text,
                           std::string found = {}, std::string allowed = {}) const;
  [[noreturn]] void refuse_settings(ErrorCode code, std::string text, std::string found = {},
                                    std::string allowed = {}) const;

  // CK02 unless the tensor has one of these types, or this shape.
  void expect_type(std::size_t tensor, std::initializer_list<DType> types) const;
  void expect_shape(std::size_t tensor, std::initializer_list<std::uint64_t> shape) const;
  void expect_rank(std::size_t tensor, std::size_t rank) const;
  void expect_bytes(std::size_t tensor, std::uint64_t bytes) const;
  // Small parts: floats, or bytes.
  std::vector<float> numbers(std::size_t tensor, std::uint64_t count) const;
  std::vector<std::uint64_t> integers(std::size_t tensor, std::uint64_t count) const;
  std::string content(std::size_t tensor, std::uint64_t limit) const;

 private:
  void read_settings(const Directory& directory);
  std::vector<std::uint64_t> sizes(bool of_rows) const;

  std::unordered_map<std::string_view, std::size_t> by_name_;
  std::vector<bool> claimed_;
  std::unique_ptr<JsonDocument> document_;
  Json settings_;
};

// Each takes a tensor that may be the main part of one of its format's; false: it is not.
bool take_gptq(Checkpoint& checkpoint, std::size_t tensor);
bool take_awq(Checkpoint& checkpoint, std::size_t tensor);
bool take_bitsandbytes_4bit(Checkpoint& checkpoint, std::size_t tensor);
bool take_bitsandbytes_8bit(Checkpoint& checkpoint, std::size_t tensor);
bool take_pack_quantized(Checkpoint& checkpoint, std::size_t tensor);
bool take_scaled(Checkpoint& checkpoint, std::size_t tensor);
bool take_mxfp4_experts(Checkpoint& checkpoint, std::size_t tensor);
bool take_small_floats(Checkpoint& checkpoint, std::size_t tensor);
bool take_hqq(Checkpoint& checkpoint, std::size_t tensor);
bool take_bitnet(Checkpoint& checkpoint, std::size_t tensor);

bool ends_with(std::string_view text, std::string_view end) noexcept;
std::string without_end(std::string_view text, std::string_view end);
inline std::uint64_t ceil_divide(std::uint64_t a, std::uint64_t b) noexcept {
  return a / b + (a % b != 0);
}

}  // namespace quantize::checkpoints

namespace quantize {
// A checkpoint whose packed tensors are replaced by what they stand for; `source` itself if it has
// none. `directory` null: weights alone, whose unknown tensors are left as they are.
std::shared_ptr<const Source> decode_checkpoint(std::shared_ptr<const Source> source,
                                                const Directory* directory, Warnings& warnings);
}  // namespace quantize
