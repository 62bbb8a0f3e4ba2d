#include "convert/adapters/low_rank.hpp"

#include <algorithm>
#include <utility>

namespace quantize::adapters {
namespace {

using checkpoints::Tile;

constexpr std::uint64_t kFactorValues = 1 << 16;  // of each factor in memory
constexpr std::uint64_t kFewest = 16;             // rows and columns, whatever the rank
constexpr std::uint64_t kSums = 512;  // of a row at a time: they stay in the first cache

// sums[c] += left[0] * right[0][c], then left[1] * right[1][c] ... Four at a time, so that sums are
// loaded and stored less often; the order of the additions is the same.
void add_products(const double* left, const double* right, std::uint64_t rank, std::uint64_t pitch,
                  std::uint64_t count, double* sums) {
  std::uint64_t k = 0;
  for (; k + 4 <= rank; k += 4) {
    const double a = left[k], b = left[k + 1], c = left[k + 2], d = left[k + 3];
    const double* r0 = right + k * pitch;
    const double* r1 = r0 + pitch;
    const double* r2 = r1 + pitch;
    const double* r3 = r2 + pitch;
    for (std::uint64_t i = 0; i < count; ++i) {
      double sum = sums[i];
      sum = sum + a * r0[i];
      sum = sum + b * r1[i];
      sum = sum + c * r2[i];
      sums[i] = sum + d * r3[i];
    }
  }
  for (; k < rank; ++k) {
    const double a = left[k];
    const double* r0 = right + k * pitch;
    for (std::uint64_t i = 0; i < count; ++i) sums[i] = sums[i] + a * r0[i];
  }
}

std::uint64_t at_once(std::uint64_t rank, std::uint64_t most) {
  return std::min(most, std::max(kFewest, kFactorValues / rank));
}

class Shifted : public checkpoints::Matrix {
 public:
  Shifted(checkpoints::MatrixPtr matrix, std::uint64_t row, std::uint64_t column)
      : matrix_(std::move(matrix)), row_(row), column_(column) {}
  void load(const Source& source, const Tile& tile, float* out) const override {
    matrix_->load(source, {tile.row + row_, tile.rows, tile.column + column_, tile.columns}, out);
  }
  std::uint64_t scratch_bytes(const Tile& tile) const noexcept override {
    return matrix_->scratch_bytes(tile);
  }

 private:
  checkpoints::MatrixPtr matrix_;
  std::uint64_t row_, column_;
};

// The stored matrix is read in whole rows: its columns are too near each other to be read alone.
class FoldedColumn : public checkpoints::Matrix {
 public:
  FoldedColumn(checkpoints::MatrixPtr matrix, std::uint64_t nth, std::uint64_t of,
               std::uint64_t width, bool transposed)
      : matrix_(std::move(matrix)), nth_(nth), of_(of), width_(width), transposed_(transposed) {}

  void load(const Source& source, const Tile& tile, float* out) const override {
    const Tile stored = transposed_ ? Tile{tile.column, tile.columns, tile.row, tile.rows} : tile;
    const std::uint64_t row_step = transposed_ ? 1 : tile.columns;
    const std::uint64_t column_step = transposed_ ? tile.columns : 1;
    const std::uint64_t step = rows_at_once();
    std::vector<float> values;
    for (std::uint64_t done = 0; done < stored.rows; done += step) {
      const std::uint64_t rows = std::min(step, stored.rows - done);
      values.resize(static_cast<std::size_t>(rows * width_ * of_));
      matrix_->load(source, {(stored.row + done) * width_, rows * width_, 0, of_}, values.data());
      for (std::uint64_t r = 0; r < rows; ++r)
        for (std::uint64_t c = 0; c < stored.columns; ++c)
          out[(done + r) * row_step + c * column_step] =
              values[static_cast<std::size_t>((r * width_ + stored.column + c) * of_ + nth_)];
    }
  }
  std::uint64_t scratch_bytes(const Tile&) const noexcept override {
    return 2 * rows_at_once() * width_ * of_ * sizeof(float);
  }

 private:
  std::uint64_t rows_at_once() const noexcept {
    return std::max<std::uint64_t>(1, kFactorValues / (width_ * of_));
  }

  checkpoints::MatrixPtr matrix_;
  std::uint64_t nth_, of_, width_;
  bool transposed_;
};

}  // namespace

checkpoints::MatrixPtr shifted(checkpoints::MatrixPtr matrix, std::uint64_t row,
                               std::uint64_t column) {
  return std::make_shared<Shifted>(std::move(matrix), row, column);
}

checkpoints::MatrixPtr folded_column(checkpoints::MatrixPtr matrix, std::uint64_t nth,
                                     std::uint64_t of, std::uint64_t width, bool transposed) {
  return std::make_shared<FoldedColumn>(std::move(matrix), nth, of, width, transposed);
}

void LowRank::evaluate(const Source& adapter, std::size_t matrix, const Tile& tile,
                       const Take& take) const {
  const Factors& factors = matrices[matrix];
  const auto load = [&](const checkpoints::MatrixPtr& from, const Tile& of,
                        std::vector<double>& into) {
    std::vector<float> values(static_cast<std::size_t>(of.values()), 1.0F);
    if (from) from->load(adapter, of, values.data());
    into.assign(values.begin(), values.end());
  };
  std::vector<double> left, right, sums(static_cast<std::size_t>(kSums));
  const std::uint64_t row_step = at_once(rank, tile.rows);
  const std::uint64_t column_step = at_once(rank, tile.columns);
  for (std::uint64_t c = 0; c < tile.columns; c += column_step) {
    const std::uint64_t width = std::min(column_step, tile.columns - c);
    load(factors.right, {0, rank, tile.column + c, width}, right);
    for (std::uint64_t r = 0; r < tile.rows; r += row_step) {
      const std::uint64_t height = std::min(row_step, tile.rows - r);
      load(factors.left, {tile.row + r, height, 0, rank}, left);
      for (std::uint64_t from = 0; from < width; from += kSums) {
        const std::uint64_t count = std::min(kSums, width - from);
        for (std::uint64_t i = 0; i < height; ++i) {
          std::fill_n(sums.begin(), count, 0.0);
          add_products(left.data() + i * rank, right.data() + from, rank, width, count,
                       sums.data());
          for (std::uint64_t j = 0; j < count; ++j) sums[j] = sums[j] * scale;
          take(tile.row + r + i, tile.column + c + from, count, sums.data());
        }
      }
    }
  }
}

std::uint64_t LowRank::scratch_bytes() const noexcept {
  // Of each factor: values as stored (the bytes of one read), as floats and as doubles.
  const Tile left{0, at_once(rank, rows), 0, rank};
  const Tile right{0, rank, 0, at_once(rank, columns)};
  std::uint64_t bytes = kSums * sizeof(double) +
                        (left.values() + right.values()) * (2 * sizeof(float) + sizeof(double));
  if (!matrices.empty()) {
    bytes += matrices.front().left->scratch_bytes(left);
    if (matrices.front().right) bytes += matrices.front().right->scratch_bytes(right);
  }
  return bytes;
}

}  // namespace quantize::adapters
