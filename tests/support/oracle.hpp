// The official llama.cpp library (tools/oracles.sh), loaded at run time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "quantize/dtype.hpp"

namespace quantize::test {

class Oracle {
 public:
  static constexpr const char* kName =
      "node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/libggml-base.so";
  static const Oracle& instance();  // precondition: !oracle_missing(kName)

  // `importance` null or row_values weights.
  std::vector<std::byte> encode(DType type, std::span<const float> values, std::uint64_t row_values,
                                const float* importance) const;
  // The same into a buffer of the caller's, for benchmarks.
  void encode_into(DType type, std::span<const float> values, std::uint64_t row_values,
                   const float* importance, std::byte* blocks) const;
  std::vector<float> decode(DType type, std::span<const std::byte> blocks,
                            std::uint64_t values) const;
  // What the library's own check of stored blocks says.
  bool accepts(DType type, std::span<const std::byte> blocks) const;

  struct QuantizeOptions {
    std::int32_t file_type = 0;
    std::int32_t output_tensor_type = 43;  // 43: unset
    std::int32_t token_embedding_type = 43;
    bool allow_requantize = false;
    bool quantize_output_tensor = true;
    bool only_copy = false;
    bool pure = false;
    bool keep_split = false;
    std::int32_t threads = 2;
    // Tensor name and weights, already normalised.
    std::vector<std::pair<std::string, std::vector<float>>> importance;
    std::vector<std::pair<std::string, std::int32_t>> tensor_types;  // pattern, ggml type id
    std::vector<std::int32_t> prune_layers;
    std::vector<std::pair<std::string, std::variant<std::int64_t, double, bool, std::string>>>
        override_kv;
  };
  // The whole reference quantizer. Returns its status: 0 is success.
  std::uint32_t quantize_file(const std::string& in, const std::string& out,
                              const QuantizeOptions& options) const;

 private:
  Oracle();
  void* base_ = nullptr;
  void* llama_ = nullptr;
  void* context_ = nullptr;
};

}  // namespace quantize::test
