#include "quantize/tensor.hpp"

#include "quantize/error.hpp"

#include "core/checked.hpp"

namespace quantize {

Shape::Shape(std::span<const std::uint64_t> dims) : rank_(dims.size()) {
  if (rank_ > kMaxRank) fail(ErrorCode::BUG01, {}, {}, "a shape of more than eight dimensions");
  for (std::size_t i = 0; i < rank_; ++i) {
    dims_[i] = dims[i];
    const auto product = checked_multiply(values_, dims[i]);
    if (!product || *product > (std::uint64_t{1} << 63) - 1) {
      fail(ErrorCode::BUG01, {}, {}, "the dimensions of a shape overflow");
    }
    values_ = *product;
  }
}

std::uint64_t Shape::rows() const noexcept {
  const std::uint64_t row = row_values();
  return row == 0 ? 0 : values_ / row;
}

std::uint64_t Shape::matrices() const noexcept {
  std::uint64_t product = 1;
  for (std::size_t i = 0; i + 2 < rank_; ++i) product *= dims_[i];
  return product;
}

std::string Shape::text() const {
  std::string out = "[";
  for (std::size_t i = 0; i < rank_; ++i) {
    if (i != 0) out += ", ";
    out += std::to_string(dims_[i]);
  }
  return out + "]";
}

}  // namespace quantize
