// What a LoRA adapter adds to a tensor: the product of two thin matrices.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "quantize/source.hpp"

#include "convert/checkpoints/matrix.hpp"

namespace quantize::adapters {

// A tensor seen as `matrices` matrices of rows x columns, one after the other, to each of which
// scale x left x right is added. The factors' values come from the adapter's own source.
//
// Products of two floats are exact in double, and a value's products are added in double in the
// order of the rank, then scaled, then added to the tensor's value: what is rounded to float at
// last is within 2^-40 of the exact sum of the magnitudes, whatever the instruction set.
struct LowRank {
  struct Factors {
    checkpoints::MatrixPtr left;   // rows x rank
    checkpoints::MatrixPtr right;  // rank x columns; null: ones
  };
  std::uint64_t rows = 0, columns = 0, rank = 0;
  double scale = 1;
  std::vector<Factors> matrices;

  // Called for pieces of a row of the matrix in question: row, first column, sums.
  using Take = std::function<void(std::uint64_t row, std::uint64_t column, std::uint64_t count,
                                  const double* sums)>;
  // scale x left x right for the tile of one matrix. Thread-safe.
  void evaluate(const Source& adapter, std::size_t matrix, const checkpoints::Tile& tile,
                const Take& take) const;
  // Bytes that evaluate() may allocate.
  std::uint64_t scratch_bytes() const noexcept;
};

// The same matrix from `row` and `column` on.
checkpoints::MatrixPtr shifted(checkpoints::MatrixPtr matrix, std::uint64_t row,
                               std::uint64_t column);
// Column `nth` of `of` of a stored matrix of rows x `of`, folded into rows of `width`; transposed,
// if so asked.
checkpoints::MatrixPtr folded_column(checkpoints::MatrixPtr matrix, std::uint64_t nth,
                                     std::uint64_t of, std::uint64_t width, bool transposed);

}  // namespace quantize::adapters
