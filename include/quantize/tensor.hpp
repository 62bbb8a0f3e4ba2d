// Shapes: dimensions outermost first, as safetensors writes them. GGUF stores the reverse; its
// reader and writer are the only code that knows.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "quantize/dtype.hpp"

namespace quantize {

class Shape {
 public:
  static constexpr std::size_t kMaxRank = 8;
  Shape() = default;  // rank 0: one value
  // Precondition: rank <= kMaxRank and the product of the dimensions fits 63 bits (readers check
  // that with their own error codes); a violation is BUG01.
  explicit Shape(std::span<const std::uint64_t> dims);
  Shape(std::initializer_list<std::uint64_t> dims)
      : Shape(std::span<const std::uint64_t>(dims.begin(), dims.size())) {}

  std::size_t rank() const noexcept { return rank_; }
  std::span<const std::uint64_t> dims() const noexcept { return {dims_.data(), rank_}; }
  std::uint64_t values() const noexcept { return values_; }
  // Length of the innermost dimension; 1 for rank 0.
  std::uint64_t row_values() const noexcept { return rank_ == 0 ? 1 : dims_[rank_ - 1]; }
  std::uint64_t rows() const noexcept;      // values / row_values, 0 for empty tensors
  std::uint64_t matrices() const noexcept;  // product of all but the two innermost dimensions
  std::string text() const;                 // "[4096, 128]"
  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  std::array<std::uint64_t, kMaxRank> dims_{};
  std::size_t rank_ = 0;
  std::uint64_t values_ = 1;
};

}  // namespace quantize
