#include "convert/checkpoints/matrix.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "quantize/error.hpp"
#include "quantize/escape.hpp"
#include "quantize/quantizer.hpp"

#include "core/float16.hpp"
#include "core/small_floats.hpp"
#include "quant/checkpoint/run_codecs.hpp"

namespace quantize::checkpoints {
namespace {

std::uint64_t ceil_divide(std::uint64_t a, std::uint64_t b) noexcept { return (a + b - 1) / b; }

std::size_t size(std::uint64_t count) noexcept { return static_cast<std::size_t>(count); }

void decode(DType type, const std::byte* bytes, std::uint64_t count, float* out) {
  if (type == DType::f8_e8m0) {
    for (std::uint64_t i = 0; i < count; ++i)
      out[i] = e8m0_to_float(std::to_integer<std::uint8_t>(bytes[i]));
    return;
  }
  const Quantizer* quantizer = find_quantizer(type);
  if (!quantizer) fail(ErrorCode::BUG01, {}, {}, "a packed matrix of numbers without a decoder");
  quantizer->decode(bytes, count, out);
}

// Reads bytes [column, column + width) of rows [row, row + rows) of a tensor of `pitch` bytes per
// row, in one piece where they are whole rows.
void read_rows(const Source& source, std::size_t tensor, std::uint64_t pitch, std::uint64_t row,
               std::uint64_t rows, std::uint64_t column, std::uint64_t width,
               std::vector<std::byte>& into) {
  into.resize(size(rows * width));
  const std::span<std::byte> all(into);
  if (width == pitch) return source.read(tensor, row * pitch, all);
  for (std::uint64_t r = 0; r < rows; ++r)
    source.read(tensor, (row + r) * pitch + column, all.subspan(size(r * width), size(width)));
}

struct Groups {
  std::uint64_t first = 0, count = 0;
};

constexpr std::uint64_t kBlockLines = 16;  // expanded before they are transposed
constexpr std::uint64_t kOverread = 8;     // bytes behind packed codes that may be looked at

template <class Word, unsigned kCodes>
void expand_words(const std::byte* words, std::uint64_t count, const Packing& p,
                  const float* levels, float* out) noexcept {
  const std::uint32_t mask = (1U << p.bits) - 1;
  std::uint8_t shifts[kCodes];
  std::copy(p.first_bit.begin(), p.first_bit.end(), shifts);
  for (std::uint64_t w = 0; w < count; ++w, out += kCodes) {
    Word word;
    std::memcpy(&word, words + w * sizeof word, sizeof word);
    for (unsigned k = 0; k < kCodes; ++k) out[k] = levels[word >> shifts[k] & mask];
  }
}

// Words that hold a number of codes whole. False: there is no loop for this packing.
bool expand_whole(const std::byte* words, std::uint64_t count, const Packing& p,
                  const float* levels, float* out) noexcept {
  if (p.words != 1) return false;
  if (p.word_bytes == 1) {
    if (p.codes == 2) return expand_words<std::uint8_t, 2>(words, count, p, levels, out), true;
    if (p.codes == 1) return expand_words<std::uint8_t, 1>(words, count, p, levels, out), true;
    return false;
  }
  if (p.codes == 4) return expand_words<std::uint32_t, 4>(words, count, p, levels, out), true;
  if (p.codes == 8) return expand_words<std::uint32_t, 8>(words, count, p, levels, out), true;
  if (p.codes == 16) return expand_words<std::uint32_t, 16>(words, count, p, levels, out), true;
  return false;
}

// Codes [first, first + count) of a line of units that begins with code 0; kOverread bytes behind
// the line are readable.
void expand_line(const std::byte* line, std::uint64_t first, std::uint64_t count, const Packing& p,
                 const float* levels, float* out) noexcept {
  const std::uint32_t mask = (1U << p.bits) - 1;
  const std::uint64_t unit_bytes = std::uint64_t{p.words} * p.word_bytes;
  const auto one_by_one = [&](std::uint64_t end) {
    for (; first < end; ++first, --count) {
      const unsigned bit = p.first_bit[size(first % p.codes)];
      std::uint32_t code = 0;  // the bits of words in order are one little-endian number
      std::memcpy(&code, line + first / p.codes * unit_bytes + bit / 8, sizeof code);
      *out++ = levels[code >> bit % 8 & mask];
    }
  };
  one_by_one(std::min(first + count, ceil_divide(first, p.codes) * p.codes));
  const std::uint64_t units = count / p.codes;
  if (expand_whole(line + first / p.codes * unit_bytes, units, p, levels, out)) {
    first += units * p.codes;
    count -= units * p.codes;
    out += units * p.codes;
  }
  one_by_one(first + count);
}

class GridMatrix : public Matrix {
 public:
  explicit GridMatrix(Grid grid) : grid_(std::move(grid)) {}

  void load(const Source& source, const Tile& tile, float* out) const override {
    grid_.codes->load(source, tile, out);
    std::vector<std::uint32_t> group_of(size(tile.columns));
    const Groups columns = column_groups(source, tile, group_of);
    const Groups rows = row_groups(tile);
    const Tile groups{rows.first, rows.count, columns.first, columns.count};
    std::vector<float> scales(size(groups.values())), zeros;
    grid_.scales->load(source, groups, scales.data());
    if (grid_.zeros) {
      zeros.resize(scales.size());
      grid_.zeros->load(source, groups, zeros.data());
    }
    for (std::uint64_t r = 0; r < tile.rows; ++r) {
      const std::uint64_t group = ((tile.row + r) / grid_.group_rows - rows.first) * columns.count;
      const float* scale = scales.data() + group;
      const float* zero = grid_.zeros ? zeros.data() + group : nullptr;
      float* x = out + r * tile.columns;
      for (std::uint64_t c = 0; c < tile.columns;) {
        const std::uint32_t g = group_of[size(c)];
        std::uint64_t end = c + 1;
        while (end < tile.columns && group_of[size(end)] == g) ++end;
        apply(x + c, end - c, zero ? zero + g : nullptr, scale[g]);
        c = end;
      }
    }
  }

  std::uint64_t scratch_bytes(const Tile& tile) const noexcept override {
    const Groups rows = row_groups(tile);
    Tile groups{rows.first, rows.count, 0, grid_.groups};
    if (!grid_.group_index) groups.columns = tile.columns / grid_.group_columns + 2;
    std::uint64_t bytes = grid_.codes->scratch_bytes(tile) + tile.columns * sizeof(std::uint32_t) +
                          groups.values() * sizeof(float) + grid_.scales->scratch_bytes(groups);
    if (grid_.zeros) bytes += groups.values() * sizeof(float) + grid_.zeros->scratch_bytes(groups);
    return bytes;
  }

 private:
  // What the grid does to values of one group, step by step.
  void apply(float* x, std::uint64_t count, const float* zero, float scale) const noexcept {
    if (zero) {
      const float z = *zero;
      for (std::uint64_t i = 0; i < count; ++i) x[i] = x[i] - z;
      round(x, count);
    }
    if (grid_.divide)
      for (std::uint64_t i = 0; i < count; ++i) x[i] = x[i] / scale;
    else
      for (std::uint64_t i = 0; i < count; ++i) x[i] = x[i] * scale;
    round(x, count);
    if (grid_.factor)
      for (std::uint64_t i = 0; i < count; ++i) x[i] = x[i] * *grid_.factor;
    if (grid_.offset)
      for (std::uint64_t i = 0; i < count; ++i) x[i] = x[i] + *grid_.offset;
  }

  void round(float* x, std::uint64_t count) const noexcept {
    if (grid_.steps == DType::f32) return;
    for (std::uint64_t i = 0; i < count; ++i) x[i] = rounded(x[i]);
  }

  float rounded(float x) const noexcept {
    switch (grid_.steps) {
      case DType::f16:
        return half_to_float(float_to_half(x));
      case DType::bf16:
        return bfloat16_to_float(float_to_bfloat16(x));
      default:
        return x;
    }
  }

  Groups row_groups(const Tile& tile) const noexcept {
    const std::uint64_t first = tile.row / grid_.group_rows;
    return {first, (tile.row + tile.rows - 1) / grid_.group_rows - first + 1};
  }

  // The groups that the tile's columns need, and each column's, counted from the first of them.
  Groups column_groups(const Source& source, const Tile& tile,
                       std::vector<std::uint32_t>& group_of) const {
    if (!grid_.group_index) {
      const std::uint64_t first = tile.column / grid_.group_columns;
      for (std::uint64_t c = 0; c < tile.columns; ++c)
        group_of[size(c)] =
            static_cast<std::uint32_t>((tile.column + c) / grid_.group_columns - first);
      return {first, (tile.column + tile.columns - 1) / grid_.group_columns - first + 1};
    }
    const std::uint64_t offset = tile.column * sizeof(std::uint32_t);
    source.read(*grid_.group_index, offset, std::as_writable_bytes(std::span(group_of)));
    for (std::uint64_t c = 0; c < tile.columns; ++c) {
      if (group_of[size(c)] < grid_.groups) continue;
      const SourceTensor& tensor = source.tensors()[*grid_.group_index];
      fail(ErrorCode::CK02, source.files()[tensor.file].path,
           tensor.data_offset + offset + c * sizeof(std::uint32_t),
           "tensor " + quoted(tensor.name) + " names a group that has no scale",
           std::to_string(static_cast<std::int32_t>(group_of[size(c)])),
           "0 to " + std::to_string(grid_.groups - 1));
    }
    return {0, grid_.groups};
  }

  Grid grid_;
};

}  // namespace

Packing Packing::dense(unsigned bits, Along along) {
  Packing out{along, bits, 32, bits, 4, {}};
  if (32 % bits == 0) {
    out.codes = 32 / bits;
    out.words = 1;
  }
  for (unsigned k = 0; k < out.codes; ++k)
    out.first_bit.push_back(static_cast<std::uint8_t>(k * bits));
  return out;
}

Packing Packing::padded(unsigned bits, Along along) {
  Packing out{along, bits, 32 / bits, 1, 4, {}};
  for (unsigned k = 0; k < out.codes; ++k)
    out.first_bit.push_back(static_cast<std::uint8_t>(k * bits));
  return out;
}

Packing Packing::ordered(unsigned bits, unsigned word_bytes, Along along,
                         std::vector<unsigned> code_of_place) {
  const auto codes = static_cast<unsigned>(code_of_place.size());
  Packing out{along, bits, codes, 1, word_bytes, std::vector<std::uint8_t>(codes)};
  for (unsigned place = 0; place < codes; ++place)
    out.first_bit[code_of_place[place]] = static_cast<std::uint8_t>(place * bits);
  return out;
}

std::vector<float> integer_levels(unsigned bits, int offset) {
  std::vector<float> levels(std::size_t{1} << bits);
  for (std::size_t code = 0; code < levels.size(); ++code)
    levels[code] = static_cast<float>(static_cast<int>(code) - offset);
  return levels;
}

StoredMatrix::StoredMatrix(const Source& source, std::size_t tensor, std::uint64_t rows,
                           std::uint64_t columns, bool transposed, std::optional<DType> as)
    : tensor_(tensor),
      rows_(rows),
      columns_(columns),
      transposed_(transposed),
      type_(as.value_or(source.tensors()[tensor].type)) {}

StoredMatrix::StoredMatrix(std::uint64_t rows, std::uint64_t columns, bool transposed,
                           std::size_t tensor, Packing packing, std::vector<float> levels)
    : tensor_(tensor),
      rows_(rows),
      columns_(columns),
      transposed_(transposed),
      packing_(std::move(packing)),
      levels_(std::move(levels)) {
  const Packing& p = *packing_;
  // A unit at the end may be cut: only the words that its codes need are stored.
  const auto words = [&](std::uint64_t codes) {
    const std::uint64_t rest = codes % p.codes;
    return codes / p.codes * p.words +
           (rest == 0 ? 0 : ceil_divide(p.words == 1 ? 1 : rest * p.bits, 8 * p.word_bytes));
  };
  row_words_ = p.along == Packing::Along::rows ? words(columns) : columns;
  word_rows_ = p.along == Packing::Along::columns ? words(rows)
               : p.along == Packing::Along::bands ? ceil_divide(rows, p.codes)
                                                  : rows;
}

std::uint64_t StoredMatrix::stored_bytes() const noexcept {
  if (packing_) return word_rows_ * row_words_ * packing_->word_bytes;
  return rows_ * columns_ * info(type_).block_bytes;
}

void StoredMatrix::load(const Source& source, const Tile& tile, float* out) const {
  const Tile stored = transposed_ ? Tile{tile.column, tile.columns, tile.row, tile.rows} : tile;
  const std::uint64_t row_step = transposed_ ? 1 : tile.columns;
  const std::uint64_t column_step = transposed_ ? tile.columns : 1;
  if (!packing_) return load_plain(source, stored, out, row_step, column_step);
  // Within one band, rows of codes are rows of words.
  const std::uint64_t band =
      packing_->along == Packing::Along::bands ? word_rows_ : std::max<std::uint64_t>(1, rows_);
  for (std::uint64_t done = 0; done < stored.rows;) {
    Tile piece = stored;
    piece.row += done;
    piece.rows = std::min(stored.rows - done, band - piece.row % band);
    load_packed(source, piece, out + done * row_step, row_step, column_step);
    done += piece.rows;
  }
}

void StoredMatrix::load_plain(const Source& source, const Tile& stored, float* out,
                              std::uint64_t row_step, std::uint64_t column_step) const {
  const std::uint64_t bytes = info(type_).block_bytes;
  std::vector<std::byte> raw;
  read_rows(source, tensor_, columns_ * bytes, stored.row, stored.rows, stored.column * bytes,
            stored.columns * bytes, raw);
  if (column_step == 1) return decode(type_, raw.data(), stored.values(), out);
  std::vector<float> values(size(stored.columns));
  for (std::uint64_t r = 0; r < stored.rows; ++r) {
    decode(type_, raw.data() + r * stored.columns * bytes, stored.columns, values.data());
    for (std::uint64_t c = 0; c < stored.columns; ++c)
      out[r * row_step + c * column_step] = values[size(c)];
  }
}

void StoredMatrix::load_packed(const Source& source, const Tile& stored, float* out,
                               std::uint64_t row_step, std::uint64_t column_step) const {
  using Along = Packing::Along;
  const Packing& p = *packing_;
  const std::uint64_t bytes = p.word_bytes;
  // The words that hold the tile.
  std::uint64_t row = stored.row, rows = stored.rows;
  std::uint64_t column = stored.column, columns = stored.columns;
  const auto widen = [&p](std::uint64_t& first, std::uint64_t& count, std::uint64_t limit) {
    const std::uint64_t end = ceil_divide(first + count, p.codes) * p.words;
    first = first / p.codes * p.words;
    count = std::min(end, limit) - first;
  };
  if (p.along == Along::rows) widen(column, columns, row_words_);
  if (p.along == Along::columns) widen(row, rows, word_rows_);
  if (p.along == Along::bands) row = stored.row % word_rows_;
  std::vector<std::byte> raw;
  read_rows(source, tensor_, row_words_ * bytes, row, rows, column * bytes, columns * bytes, raw);
  if (p.along == Along::bands) {
    const std::uint32_t mask = (1U << p.bits) - 1;
    for (std::uint64_t r = 0; r < stored.rows; ++r) {
      const unsigned bit = p.first_bit[size((stored.row + r) / word_rows_)];
      const std::byte* words = raw.data() + r * columns * bytes;
      for (std::uint64_t c = 0; c < stored.columns; ++c) {
        std::uint32_t word = 0;
        std::memcpy(&word, words + c * bytes, size(bytes));
        out[r * row_step + c * column_step] = levels_[word >> bit & mask];
      }
    }
    return;
  }
  // Lines of words, each with its codes one after the other.
  std::uint64_t lines = rows, line_words = columns, first = stored.column, codes = stored.columns;
  std::uint64_t line_step = row_step, code_step = column_step;
  if (p.along == Along::columns) {
    std::vector<std::byte> turned(raw.size());
    run_codecs().transpose(raw.data(), rows, columns, turned.data(), rows);
    raw.swap(turned);
    std::swap(lines, line_words);
    std::swap(line_step, code_step);
    first = stored.row;
    codes = stored.rows;
  }
  raw.resize(raw.size() + kOverread);
  first %= p.codes;
  const auto expand = [&](std::uint64_t line, float* to) {
    expand_line(raw.data() + line * line_words * bytes, first, codes, p, levels_.data(), to);
  };
  if (code_step == 1) {
    for (std::uint64_t l = 0; l < lines; ++l) expand(l, out + l * line_step);
    return;
  }
  std::vector<float> block(size(std::min(lines, kBlockLines) * codes));
  for (std::uint64_t l = 0; l < lines; l += kBlockLines) {
    const std::uint64_t some = std::min(kBlockLines, lines - l);
    for (std::uint64_t k = 0; k < some; ++k) expand(l + k, block.data() + k * codes);
    run_codecs().transpose(block.data(), some, codes, out + l * line_step, code_step);
  }
}

std::uint64_t StoredMatrix::scratch_bytes(const Tile& tile) const noexcept {
  const Tile stored = transposed_ ? Tile{tile.column, tile.columns, tile.row, tile.rows} : tile;
  if (!packing_) return stored.values() * info(type_).block_bytes + stored.columns * sizeof(float);
  const Packing& p = *packing_;
  const auto words = [&](std::uint64_t codes) { return (codes / p.codes + 2) * p.words; };
  switch (p.along) {
    case Packing::Along::rows:
      return stored.rows * words(stored.columns) * p.word_bytes + kOverread +
             kBlockLines * stored.columns * sizeof(float);
    case Packing::Along::columns:
      return 2 * words(stored.rows) * stored.columns * p.word_bytes + kOverread +
             kBlockLines * stored.rows * sizeof(float);
    case Packing::Along::bands:
      return std::min(stored.rows, word_rows_) * stored.columns * p.word_bytes;
  }
  return 0;
}

MatrixPtr make_grid(Grid grid) { return std::make_shared<const GridMatrix>(std::move(grid)); }

}  // namespace quantize::checkpoints
