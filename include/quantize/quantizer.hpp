// The block quantizers ("schemes") and the plain conversions, as one table of functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "quantize/dtype.hpp"

namespace quantize {

// Whether a scheme's encoder looks at importance weights.
enum class ImportanceUse : std::uint8_t { unused, optional, required };

// What an encoder reads: `rows` rows of `row_values` values each, contiguous. The values may be a
// piece of a longer row (whole blocks); `importance` is then the matching slice of the weights.
struct EncodeInput {
  const float* values = nullptr;
  std::uint64_t rows = 0;
  std::uint64_t row_values = 0;
  const float* importance = nullptr;  // row_values weights, shared by all rows; or null
  // For rows that are pieces of longer ones: what the scheme's row_sum and row_finish gave for the
  // whole row, one per row. Null: the rows are whole.
  const float* row_statistic = nullptr;
  // Write the reference's bytes even where they decode to wrong values (IQ3_S after a zero group).
  bool reference_quirks = false;
};

struct Quantizer {
  DType type{};
  ImportanceUse importance{};
  // Pre-pass over whole rows for encoders that need one (Q4_0 ... Q5_1 with importance: the mean
  // of the squares, summed in order). Null if none. Only called when importance weights are used.
  // Feeds `count` values of one row into the running sum; finish turns it into the statistic.
  void (*row_sum)(const float* values, std::uint64_t count, float& sum) noexcept = nullptr;
  float (*row_finish)(float sum, std::uint64_t row_values) noexcept = nullptr;
  // Writes rows x row_values / block_values blocks. Never fails; a value that cannot be held
  // becomes a block that first_invalid() finds.
  void (*encode)(const EncodeInput& input, std::byte* blocks) noexcept = nullptr;
  // `values` is a multiple of the block length.
  void (*decode)(const std::byte* blocks, std::uint64_t values, float* out) noexcept = nullptr;
  // Index of the first block whose scale is not finite (what llama.cpp would reject).
  std::optional<std::uint64_t> (*first_invalid)(const std::byte* blocks,
                                                std::uint64_t count) noexcept = nullptr;
};

// All types that can be decoded to float, in the order of types.def: schemes, and plain types that
// carry weights (encode is null where we never write the type).
std::span<const Quantizer> quantizers() noexcept;
const Quantizer* find_quantizer(DType type) noexcept;

}  // namespace quantize
