// Matrices as checkpoints store them. Two kinds are enough for every format: numbers packed into
// words, and a grid made of other matrices, (code - zero) x scale with one zero and one scale per
// group. A grid's scales may be a grid again (double quantization, tensor-wide factors).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "quantize/dtype.hpp"
#include "quantize/source.hpp"

namespace quantize::checkpoints {

struct Tile {
  std::uint64_t row = 0, rows = 0, column = 0, columns = 0;
  std::uint64_t values() const noexcept { return rows * columns; }
};

class Matrix {
 public:
  virtual ~Matrix() = default;
  // The tile's numbers, row by row. Thread-safe.
  virtual void load(const Source& source, const Tile& tile, float* out) const = 0;
  // Bytes that load() may allocate.
  virtual std::uint64_t scratch_bytes(const Tile& tile) const noexcept = 0;
};
using MatrixPtr = std::shared_ptr<const Matrix>;

// Where codes lie that are packed into words: `codes` of them share a unit of `words` words of
// `word_bytes` bytes; code k begins at bit first_bit[k] of the unit, read as one little-endian
// number.
struct Packing {
  enum class Along : std::uint8_t {
    rows,     // a unit's words are neighbours in a stored row
    columns,  // they are in one column of neighbouring stored rows, as are its codes
    bands     // one word; its codes are in one column, equally far apart
  };
  Along along{};
  unsigned bits = 0, codes = 1, words = 1, word_bytes = 4;
  std::vector<std::uint8_t> first_bit;

  // Codes of `bits` bits without gaps, in words of 32 bits.
  static Packing dense(unsigned bits, Along along);
  // As many codes as a word holds whole; bits that are left over stay unused.
  static Packing padded(unsigned bits, Along along);
  // One word of codes, from the lowest bits up in the order given.
  static Packing ordered(unsigned bits, unsigned word_bytes, Along along,
                         std::vector<unsigned> code_of_place);
};

// Numbers of one tensor. Stored shape: `rows` x `columns` of the numbers, before any transposition.
class StoredMatrix : public Matrix {
 public:
  // One number per element; the tensor's own type says which (U8 that stands for E8M0: say so).
  StoredMatrix(const Source& source, std::size_t tensor, std::uint64_t rows, std::uint64_t columns,
               bool transposed = false, std::optional<DType> as = std::nullopt);
  // Packed codes; `levels` gives the number that each code means.
  StoredMatrix(std::uint64_t rows, std::uint64_t columns, bool transposed, std::size_t tensor,
               Packing packing, std::vector<float> levels);

  // Bytes that the tensor must have.
  std::uint64_t stored_bytes() const noexcept;
  void load(const Source& source, const Tile& tile, float* out) const override;
  std::uint64_t scratch_bytes(const Tile& tile) const noexcept override;

 private:
  void load_plain(const Source& source, const Tile& stored, float* out, std::uint64_t row_step,
                  std::uint64_t column_step) const;
  void load_packed(const Source& source, const Tile& stored, float* out, std::uint64_t row_step,
                   std::uint64_t column_step) const;

  std::size_t tensor_;
  std::uint64_t rows_, columns_;
  bool transposed_;
  DType type_ = DType::f32;
  std::optional<Packing> packing_;
  std::uint64_t row_words_ = 0, word_rows_ = 0;  // stored shape in words, if packed
  std::vector<float> levels_;
};

// Code c of b bits means c - offset.
std::vector<float> integer_levels(unsigned bits, int offset = 0);

struct Grid {
  MatrixPtr codes;
  MatrixPtr zeros;  // null: none
  MatrixPtr scales;
  std::uint64_t group_rows = 1, group_columns = 1;
  // In place of group_columns: the group of each column, for columns in any order.
  std::optional<std::size_t> group_index;  // an I32 tensor
  std::uint64_t groups = 0;                // of columns, with group_index
  std::uint64_t columns = 0;               // of the grid, with group_index
  bool divide = false;                     // by the scale
  std::optional<float> factor;             // of the product
  std::optional<float> offset;             // added at last
  DType steps = DType::f32;                // every operation's result is rounded to this type
};
MatrixPtr make_grid(Grid grid);

}  // namespace quantize::checkpoints
