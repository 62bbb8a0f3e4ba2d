// How a checkpoint format stores one weight matrix: several tensors ("parts": codes, scales, zero
// points ...) instead of one. A format says what parts a matrix has, and fills them for any run of
// whole rows; what it needs to know of the matrix beforehand (a scale for all of it) it gets from a
// survey of all rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "quantize/tensor.hpp"

namespace quantize {

struct MatrixSize {
  std::uint64_t rows = 0, columns = 0;  // outputs, inputs
  std::uint64_t values() const noexcept { return rows * columns; }
};

// A matrix to be stored: its size, and the plain type that its source has.
struct Matrix {
  MatrixSize size;
  DType type{};
};

// One stored tensor of a matrix. An entry is what `entry_values` weights, in row-major order, share
// (for codes: a byte, or a row of words). Entries follow each other; with `lines` > 1 the part is
// `lines` such sequences, one below the other (formats that store inputs by outputs).
struct WeightPart {
  std::string suffix;  // after the module's name
  DType type{};
  Shape shape;
  std::uint64_t entry_values = 0;  // 0: the part is written once, by once()
  std::uint64_t entry_bytes = 0;
  std::uint64_t lines = 1;

  std::uint64_t bytes() const { return stored_bytes(type, shape.values()); }
};

// Whole rows on their way. `survey` is survey_result() of the matrix, 0 without a survey.
struct MatrixRows {
  const float* values = nullptr;
  std::uint64_t rows = 0, columns = 0;
  double survey = 0;
};

enum class SurveyFold : std::uint8_t { none, largest, sum };

class WeightFormat {
 public:
  virtual ~WeightFormat() = default;
  WeightFormat() = default;
  WeightFormat(const WeightFormat&) = delete;
  WeightFormat& operator=(const WeightFormat&) = delete;

  // What the weights are called in reports: "int8", "nf4".
  virtual std::string_view name() const noexcept = 0;
  // Why a matrix of this size cannot be stored; empty if it can.
  virtual std::string refusal(const MatrixSize&) const { return {}; }
  virtual std::vector<WeightPart> parts(const Matrix& matrix) const = 0;
  // Runs of rows begin at multiples of this.
  virtual std::uint64_t row_unit(const MatrixSize&) const { return 1; }

  // Over values that begin at a multiple of row_unit() rows; `largest` folds over matrices that
  // loaders fuse, `sum` over the matrix alone.
  virtual SurveyFold survey_fold() const noexcept { return SurveyFold::none; }
  virtual double survey(const float* /*values*/, std::uint64_t /*count*/) const { return 0; }
  virtual double survey_result(double folded, const MatrixSize&) const { return folded; }

  // Fills the entries of these rows, for parts written once nothing, and what they decode to. A
  // value that cannot be held decodes to what is not finite.
  virtual void encode(const Matrix& matrix, const MatrixRows& rows,
                      std::span<std::byte* const> parts, float* decoded) const = 0;
  // The bytes of part `index`, which has entry_values 0.
  virtual std::vector<std::byte> once(const Matrix& /*matrix*/, std::size_t /*index*/,
                                      double /*survey*/) const {
    return {};
  }
};

// Bytes that `values` weights take in one line of a part.
constexpr std::uint64_t entry_bytes(const WeightPart& part, std::uint64_t values) noexcept {
  return (values + part.entry_values - 1) / part.entry_values * part.entry_bytes;
}

}  // namespace quantize
