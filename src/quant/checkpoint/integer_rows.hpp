// What the containers of integer codes share: rows quantized group by group, and dense packing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "quant/checkpoint/integer_grid.hpp"
#include "quant/checkpoint/weight_format.hpp"

namespace quantize {

struct IntegerRows {
  std::vector<std::uint8_t> codes;  // rows x columns
  std::vector<float> scales;        // rows x groups
  std::vector<std::uint8_t> zeros;  // rows x groups
};

// Groups per row; `group` 0 is the whole row.
std::uint64_t groups_of(const MatrixSize& size, std::uint64_t group) noexcept;
std::string group_refusal(const MatrixSize& size, std::uint64_t group);

// A container of integer codes; `group` 0 is the whole row.
class IntegerFormat : public WeightFormat {
 public:
  IntegerFormat(const IntegerGrid& grid, std::uint64_t group)
      : grid_(grid), group_(group), name_("int" + std::to_string(grid.bits)) {}
  std::string_view name() const noexcept override { return name_; }
  std::string refusal(const MatrixSize& size) const override { return group_refusal(size, group_); }

 protected:
  IntegerGrid grid_;
  std::uint64_t group_;
  std::string name_;
};

IntegerRows quantize_rows(const IntegerGrid& grid, std::uint64_t group, const MatrixRows& rows,
                          float* decoded);

// Codes of `bits` bits one after the other, lowest bits first, in as many bytes as they need; what
// is left of the last one is zero.
void pack_codes(const std::uint8_t* codes, std::uint64_t count, unsigned bits,
                std::byte* packed) noexcept;
// The same in words of 32 bits that are `word_stride` words apart, of codes that are `code_stride`
// apart. The last word is filled with zeros.
void pack_words(const std::uint8_t* codes, std::uint64_t code_stride, std::uint64_t count,
                unsigned bits, std::byte* words, std::uint64_t word_stride) noexcept;

constexpr std::uint64_t word_count(std::uint64_t codes, unsigned bits) noexcept {
  return (codes * bits + 31) / 32;
}

}  // namespace quantize
