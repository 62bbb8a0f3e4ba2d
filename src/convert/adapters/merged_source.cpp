#include "convert/adapters/merged_source.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <list>
#include <mutex>
#include <utility>

#include "quantize/error.hpp"
#include "quantize/quantizer.hpp"

namespace quantize::adapters {
namespace {

using checkpoints::Tile;

constexpr std::uint64_t kTileValues = 1 << 16;
constexpr std::size_t kKeptFactors = 16;

std::size_t size(std::uint64_t count) noexcept { return static_cast<std::size_t>(count); }

float load_float(const std::byte* from) {
  float value = 0;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// Values [first, first + count) of a tensor as floats, in the bytes of `into`.
void read_as_floats(const Source& source, std::size_t tensor, std::uint64_t first,
                    std::uint64_t count, std::byte* into) {
  const TypeInfo& type = info(source.tensors()[tensor].type);
  const std::uint64_t block = type.block_values;
  std::vector<std::byte> raw;
  std::vector<float> values;
  for (std::uint64_t done = 0; done < count;) {
    const std::uint64_t skipped = (first + done) % block;
    const std::uint64_t n = std::min(count - done, kTileValues - skipped);
    const std::uint64_t blocks = (skipped + n + block - 1) / block;
    raw.resize(size(blocks * type.block_bytes));
    values.resize(size(blocks * block));
    source.read(tensor, (first + done) / block * type.block_bytes, raw);
    find_quantizer(type.type)->decode(raw.data(), values.size(), values.data());
    std::memcpy(into + done * sizeof(float), values.data() + skipped, size(n * sizeof(float)));
    done += n;
  }
}

class MergedSource : public Source {
 public:
  MergedSource(std::shared_ptr<const Source> base, std::shared_ptr<const Source> adapter,
               std::vector<Change> changes)
      : base_(std::move(base)),
        adapter_(std::move(adapter)),
        changes_(std::move(changes)),
        tensors_(base_->tensors().begin(), base_->tensors().end()),
        files_(base_->files().begin(), base_->files().end()),
        change_of_(tensors_.size(), nullptr) {
    const auto first_file = static_cast<std::uint32_t>(files_.size());
    files_.insert(files_.end(), adapter_->files().begin(), adapter_->files().end());
    for (const Change& change : changes_) {
      const std::size_t index = change.base.value_or(tensors_.size());
      if (!change.base) {
        tensors_.emplace_back().name = change.name;
        change_of_.push_back(nullptr);
      }
      change_of_[index] = &change;
      SourceTensor& tensor = tensors_[index];
      if (change.replacement) {
        const std::string name = tensor.name;
        const std::string before = tensor.changed_by;
        tensor = adapter_->tensors()[*change.replacement];
        tensor.name = name;
        tensor.changed_by = before;
        tensor.file += first_file;
      }
      if (change.product) {
        tensor.type = DType::f32;
        tensor.bytes = stored_bytes(DType::f32, tensor.shape.values());
      }
      tensor.changed_by += (tensor.changed_by.empty() ? "" : ", then ") + change.about;
    }
  }

  std::string_view format() const noexcept override { return base_->format(); }
  std::string_view path() const noexcept override { return base_->path(); }
  std::span<const SourceFile> files() const noexcept override { return files_; }
  std::span<const SourceTensor> tensors() const noexcept override { return tensors_; }
  std::span<const SourceTensor> stored_tensors() const noexcept override {
    return base_->stored_tensors();
  }
  const Metadata& metadata() const noexcept override { return base_->metadata(); }
  std::optional<std::uint64_t> metadata_offset(std::string_view key) const noexcept override {
    return base_->metadata_offset(key);
  }
  void check_unchanged() const override {
    base_->check_unchanged();
    adapter_->check_unchanged();
  }

  void read(std::size_t tensor, std::uint64_t offset, std::span<std::byte> into) const override {
    const Change* change = change_of_[tensor];
    if (change == nullptr) return base_->read(tensor, offset, into);
    if (!change->product) return adapter_->read(*change->replacement, offset, into);
    if (offset % sizeof(float) != 0 || into.size() % sizeof(float) != 0)
      fail(ErrorCode::BUG01, {}, {}, "a merged value is read in pieces");
    const std::uint64_t first = offset / sizeof(float), count = into.size() / sizeof(float);
    const Source& source = change->replacement ? *adapter_ : *base_;
    read_as_floats(source, change->replacement.value_or(tensor), first, count, into.data());
    const std::shared_ptr<const std::vector<double>> factors =
        change->magnitudes ? dora_factors(*change, tensor) : nullptr;
    const LowRank& product = *change->product;
    const std::uint64_t matrix_values = product.rows * product.columns;
    for_each_tile(product, first, count, [&](std::size_t matrix, const Tile& tile) {
      const auto take = [&](std::uint64_t row, std::uint64_t column, std::uint64_t n,
                            const double* sums) {
        std::byte* at =
            into.data() +
            (matrix * matrix_values + row * product.columns + column - first) * sizeof(float);
        for (std::uint64_t j = 0; j < n; ++j, at += sizeof(float)) {
          const float value = load_float(at);
          float merged = value;
          if (factors) {
            const double factor = (*factors)[size(change->of_columns ? column + j : row)];
            merged = static_cast<float>(factor * (static_cast<double>(value) + sums[j]));
          } else if (sums[j] != 0) {  // what nothing is added to keeps its bits, -0 too
            merged = static_cast<float>(static_cast<double>(value) + sums[j]);
          }
          std::memcpy(at, &merged, sizeof merged);
        }
      };
      product.evaluate(*adapter_, matrix, tile, take);
    });
  }

  std::uint64_t read_scratch_bytes(std::size_t tensor, std::uint64_t bytes) const override {
    const Change* change = change_of_[tensor];
    if (change == nullptr) return base_->read_scratch_bytes(tensor, bytes);
    if (!change->product) return 0;
    const std::uint64_t values = kTileValues + 256;  // and the blocks at both ends
    std::uint64_t total = 2 * values * sizeof(float) + change->product->scratch_bytes();
    if (!change->replacement) total += base_->read_scratch_bytes(tensor, values * sizeof(float));
    if (change->magnitudes)
      total +=
          (change->of_columns ? change->product->columns : change->product->rows) * sizeof(double) +
          kTileValues * sizeof(float);
    return total;
  }

  void prefetch(std::size_t tensor, std::uint64_t offset, std::uint64_t bytes) const override {
    const Change* change = change_of_[tensor];
    if (change == nullptr) return base_->prefetch(tensor, offset, bytes);
    if (change->replacement) {
      if (!change->product) adapter_->prefetch(*change->replacement, offset, bytes);
      return;
    }
    // The same values as the model stores them, in whole blocks.
    const TypeInfo& type = info(base_->tensors()[tensor].type);
    const std::uint64_t begin = offset / sizeof(float) / type.block_values;
    const std::uint64_t end = (offset + bytes) / sizeof(float) / type.block_values;
    if (begin < end)
      base_->prefetch(tensor, begin * type.block_bytes, (end - begin) * type.block_bytes);
  }

 private:
  // The run of values [first, first + count) as rectangles: a piece of a row, whole rows, a piece.
  template <class Visit>
  static void for_each_tile(const LowRank& product, std::uint64_t first, std::uint64_t count,
                            Visit visit) {
    const std::uint64_t columns = product.columns;
    for (std::uint64_t at = first, end = first + count; at < end;) {
      const std::uint64_t matrix = at / columns / product.rows;
      const std::uint64_t row = at / columns % product.rows, column = at % columns;
      Tile tile{row, 1, column, std::min(columns - column, end - at)};
      if (column == 0 && end - at >= columns)
        tile = {row, std::min((end - at) / columns, product.rows - row), 0, columns};
      visit(size(matrix), tile);
      at += tile.values();
    }
  }

  // What rows (or columns) are multiplied with: the magnitude by the length of what is there. They
  // follow from the whole tensor, so they are computed when it is first read, and kept for the
  // tensors that were read last.
  std::shared_ptr<const std::vector<double>> dora_factors(const Change& change,
                                                          std::size_t tensor) const {
    std::shared_ptr<Kept> kept;
    {
      const std::lock_guard lock(mutex_);
      const auto found = std::find_if(kept_.begin(), kept_.end(),
                                      [&](const auto& k) { return k->tensor == tensor; });
      if (found != kept_.end()) {
        kept_.splice(kept_.begin(), kept_, found);
      } else {
        kept_.push_front(std::make_shared<Kept>());
        kept_.front()->tensor = tensor;
        if (kept_.size() > kKeptFactors) kept_.pop_back();
      }
      kept = kept_.front();
    }
    std::call_once(kept->once, [&] { kept->factors = compute_factors(change, tensor); });
    return {kept, &kept->factors};
  }

  std::vector<double> compute_factors(const Change& change, std::size_t tensor) const {
    const LowRank& product = *change.product;
    const Source& source = change.replacement ? *adapter_ : *base_;
    std::vector<double> squares(size(change.of_columns ? product.columns : product.rows), 0.0);
    std::vector<float> values;
    for (std::uint64_t first = 0, all = product.rows * product.columns; first < all;) {
      const std::uint64_t count = std::min(kTileValues, all - first);
      values.resize(size(count));
      read_as_floats(source, change.replacement.value_or(tensor), first, count,
                     std::as_writable_bytes(std::span(values)).data());
      for_each_tile(product, first, count, [&](std::size_t, const Tile& tile) {
        product.evaluate(
            *adapter_, 0, tile,
            [&](std::uint64_t row, std::uint64_t column, std::uint64_t n, const double* sums) {
              const float* at = values.data() + (row * product.columns + column - first);
              for (std::uint64_t j = 0; j < n; ++j) {
                const double value = static_cast<double>(at[j]) + sums[j];
                squares[size(change.of_columns ? column + j : row)] += value * value;
              }
            });
      });
      first += count;
    }
    std::vector<float> magnitudes(squares.size());
    read_as_floats(*adapter_, *change.magnitudes, 0, magnitudes.size(),
                   std::as_writable_bytes(std::span(magnitudes)).data());
    for (std::size_t i = 0; i < squares.size(); ++i)
      squares[i] = static_cast<double>(magnitudes[i]) / std::sqrt(squares[i]);
    return squares;
  }

  struct Kept {
    std::size_t tensor = 0;
    std::once_flag once;
    std::vector<double> factors;
  };

  std::shared_ptr<const Source> base_, adapter_;
  std::vector<Change> changes_;
  std::vector<SourceTensor> tensors_;
  std::vector<SourceFile> files_;
  std::vector<const Change*> change_of_;
  mutable std::mutex mutex_;
  mutable std::list<std::shared_ptr<Kept>> kept_;  // the last used first
};

}  // namespace

std::shared_ptr<const Source> merged_source(std::shared_ptr<const Source> base,
                                            std::shared_ptr<const Source> adapter,
                                            std::vector<Change> changes) {
  return std::make_shared<MergedSource>(std::move(base), std::move(adapter), std::move(changes));
}

}  // namespace quantize::adapters
