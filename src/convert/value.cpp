// Expressions over source tensors, evaluated run by run. Every operation maps a run of output
// values to a few contiguous runs of its input, so the memory in use depends on how much is asked
// for and never on the tensor.
#include "convert/value.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>

#include "quantize/error.hpp"
#include "quantize/escape.hpp"

#include "core/checked.hpp"
#include "core/float16.hpp"

namespace quantize {
namespace {

// Scratch of one operation: large enough for efficient reads, small against any memory limit.
constexpr std::uint64_t kScratchBytes = std::uint64_t{1} << 22;

[[noreturn]] void misuse(const char* what) { fail(ErrorCode::BUG01, {}, std::nullopt, what); }

std::uint64_t element_bytes(DType type) {
  if (info(type).block_values != 1) misuse("an element operation on a block type");
  return info(type).block_bytes;
}

std::span<std::byte> part(std::span<std::byte> bytes, std::uint64_t from, std::uint64_t count) {
  return bytes.subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(count));
}

// Values per index of the outermost dimension.
std::uint64_t outer_values(const Shape& shape) {
  const std::uint64_t rows = shape.rank() == 0 ? 1 : shape.dims()[0];
  return rows == 0 ? 0 : shape.values() / rows;
}

Value node(Shape shape, DType type, decltype(ValueNode::op) op) {
  return std::make_shared<const ValueNode>(ValueNode{shape, type, std::move(op)});
}

// Cuts the run [first, first + count) at multiples of `row`: calls partial(row, column, count, at)
// for pieces of a row and whole(row, rows, at) for runs of complete rows; `at` counts values from
// the start of the run.
template <class Partial, class Whole>
void by_rows(std::uint64_t first, std::uint64_t count, std::uint64_t row, Partial partial,
             Whole whole) {
  std::uint64_t at = 0;
  while (at < count) {
    const std::uint64_t index = (first + at) / row, column = (first + at) % row;
    if (column != 0 || count - at < row) {
      const std::uint64_t n = std::min(row - column, count - at);
      partial(index, column, n, at);
      at += n;
    } else {
      const std::uint64_t rows = (count - at) / row;
      whole(index, rows, at);
      at += rows * row;
    }
  }
}

void fetch_read(const ValueNode& value, const ReadTensor& op, const Source& source,
                std::uint64_t first, std::span<std::byte> into) {
  source.read(op.tensor, stored_bytes(value.type, first), into);
  const SourceTensor& tensor = source.tensors()[op.tensor];
  if (tensor.type == value.type) return;
  // Unsigned bytes taken as signed ones (read_as_i8): only the values both can hold.
  for (std::size_t i = 0; i < into.size(); ++i)
    if (std::to_integer<unsigned>(into[i]) > 127)
      fail(ErrorCode::QZ02, source.files()[tensor.file].path, tensor.data_offset + first + i,
           "value of tensor " + quoted(tensor.name) + " does not fit a signed byte",
           std::to_string(std::to_integer<unsigned>(into[i])), "0 to 127");
}

// The rows' length and number, as operations on rows see them.
std::uint64_t row_values(const Shape& shape) { return shape.rank() < 2 ? 1 : shape.dims().back(); }
std::uint64_t row_count(const Shape& shape) {
  const std::uint64_t row = row_values(shape);
  return row == 0 ? 0 : shape.values() / row;
}

std::uint64_t input_row(const SwapRows& op, std::uint64_t r) {
  const std::uint64_t in_group = r % (op.a * op.b * op.inner), block = in_group / op.inner;
  return r - in_group + (block % op.a * op.b + block / op.a) * op.inner + in_group % op.inner;
}

void fetch_swapped(const ValueNode& value, const SwapRows& op, const Source& source,
                   std::uint64_t first, std::uint64_t count, std::span<std::byte> into) {
  const ValueNode& input = *op.input;
  const std::uint64_t row = row_values(value.shape), inner = op.inner;
  const auto bytes = [&](std::uint64_t values) { return stored_bytes(value.type, values); };
  const std::uint64_t row_bytes = bytes(row);
  const std::uint64_t stripe = op.a * inner, whole_stripes = stripe * op.b;
  const auto partial = [&](std::uint64_t r, std::uint64_t column, std::uint64_t n,
                           std::uint64_t at) {
    fetch(input, source, input_row(op, r) * row + column, n, part(into, bytes(at), bytes(n)));
  };
  // A stripe has one block of `inner` rows from each of `a` places, and the same places of the next
  // stripes follow there: so many stripes are `a` reads.
  const std::uint64_t most = kScratchBytes / std::max<std::uint64_t>(1, inner * row_bytes);
  std::vector<std::byte> scratch;
  const auto whole = [&](std::uint64_t r, std::uint64_t rows, std::uint64_t at) {
    const std::uint64_t start = r, end = r + rows;
    const auto place = [&](std::uint64_t to) { return bytes(at) + (to - start) * row_bytes; };
    while (r < end) {
      const std::uint64_t in_group = r % whole_stripes;
      const std::uint64_t stripes =
          std::min({(end - r) / stripe, (whole_stripes - in_group) / stripe, most});
      if (r % stripe != 0 || stripes < 2) {
        const std::uint64_t n = std::min(end - r, inner - r % inner);
        fetch(input, source, input_row(op, r) * row, n * row, part(into, place(r), n * row_bytes));
        r += n;
        continue;
      }
      const std::uint64_t block_bytes = inner * row_bytes;
      scratch.resize(static_cast<std::size_t>(stripes * block_bytes));
      for (std::uint64_t i = 0; i < op.a; ++i) {
        fetch(input, source, input_row(op, r + i * inner) * row, stripes * inner * row, scratch);
        for (std::uint64_t j = 0; j < stripes; ++j)
          std::memcpy(part(into, place(r + j * stripe + i * inner), block_bytes).data(),
                      part(scratch, j * block_bytes, block_bytes).data(),
                      static_cast<std::size_t>(block_bytes));
      }
      r += stripes * stripe;
    }
  };
  by_rows(first, count, row, partial, whole);
}

// Calls take(input index, values, values before) for each contiguous piece of [first, first +
// count).
template <class Take>
void by_runs(const RegroupRows& op, const Shape& shape, std::uint64_t first, std::uint64_t count,
             Take take) {
  const std::uint64_t row = row_values(shape);
  const std::uint64_t group = row_count(op.input->shape) / op.groups * row;
  std::uint64_t done = 0, start = 0;
  for (const RowRun& run : op.runs) {
    const std::uint64_t each = run.count * row, values = each * op.groups;
    while (done < count && first + done < start + values) {
      const std::uint64_t index = first + done - start;
      const std::uint64_t n = std::min(count - done, each - index % each);
      take(index / each * group + run.first * row + index % each, n, done);
      done += n;
    }
    start += values;
  }
}

void fetch_transposed(const ValueNode& value, const Transpose& op, const Source& source,
                      std::uint64_t first, std::uint64_t count, std::span<std::byte> into) {
  const ValueNode& input = *op.input;
  const auto dims = value.shape.dims();
  const std::uint64_t rows = dims[dims.size() - 2], columns = dims[dims.size() - 1];
  const std::uint64_t bytes = element_bytes(value.type);
  std::vector<std::byte> scratch;
  // Output rows [r, r + n) and columns [c, c + m) of one matrix: n neighbouring values of m rows of
  // the input.
  const auto tile = [&](std::uint64_t matrix, std::uint64_t r, std::uint64_t n, std::uint64_t c,
                        std::uint64_t m, std::uint64_t at) {
    scratch.resize(static_cast<std::size_t>(n * bytes));
    for (std::uint64_t j = 0; j < m; ++j) {
      fetch(input, source, (matrix * columns + c + j) * rows + r, n, scratch);
      for (std::uint64_t i = 0; i < n; ++i)
        std::memcpy(part(into, (at + i * m + j) * bytes, bytes).data(),
                    part(scratch, i * bytes, bytes).data(), static_cast<std::size_t>(bytes));
    }
  };
  const auto partial = [&](std::uint64_t r, std::uint64_t column, std::uint64_t n,
                           std::uint64_t at) { tile(r / rows, r % rows, 1, column, n, at); };
  const auto whole = [&](std::uint64_t r, std::uint64_t n, std::uint64_t at) {
    for (std::uint64_t done = 0; done < n;) {
      const std::uint64_t in_matrix = (r + done) % rows;
      const std::uint64_t run =
          std::min({n - done, rows - in_matrix, std::max<std::uint64_t>(1, kScratchBytes / bytes)});
      tile((r + done) / rows, in_matrix, run, 0, columns, at + done * columns);
      done += run;
    }
  };
  by_rows(first, count, columns, partial, whole);
}

// Stack and Concatenate: the inputs' values one after the other.
void fetch_sequence(const std::vector<Value>& inputs, const Source& source, std::uint64_t first,
                    std::uint64_t count, std::span<std::byte> into) {
  std::uint64_t start = 0, done = 0;
  for (const Value& input : inputs) {
    const std::uint64_t values = input->shape.values();
    const std::uint64_t from = first + done;
    if (done < count && from < start + values) {
      const std::uint64_t n = std::min(count - done, start + values - from);
      fetch(*input, source, from - start, n,
            part(into, stored_bytes(input->type, done), stored_bytes(input->type, n)));
      done += n;
    }
    start += values;
  }
}

template <class Bits>
Bits load(std::span<const std::byte> from, std::uint64_t index) {
  Bits bits{};
  std::memcpy(&bits, from.data() + index * sizeof(Bits), sizeof(Bits));
  return bits;
}

float applied(const Map& map, float x) {
  switch (map.op) {
    case MapOp::plus_one:
      return x + 1.0f;
    case MapOp::negative_exponential:
      // Taken in double and rounded once: the correctly rounded single precision value.
      return -static_cast<float>(std::exp(static_cast<double>(x)));
    case MapOp::scale:
      return x * map.factor;
  }
  return x;
}

void fetch_mapped(const ValueNode& value, const Map& op, const Source& source, std::uint64_t first,
                  std::uint64_t count, std::span<std::byte> into) {
  const ValueNode& input = *op.input;
  const std::uint64_t in_bytes = element_bytes(input.type), out_bytes = element_bytes(value.type);
  std::vector<std::byte> scratch;
  for (std::uint64_t done = 0; done < count;) {
    const std::uint64_t n = std::min(count - done, kScratchBytes / in_bytes);
    scratch.resize(static_cast<std::size_t>(n * in_bytes));
    fetch(input, source, first + done, n, scratch);
    std::byte* out = part(into, done * out_bytes, n * out_bytes).data();
    for (std::uint64_t i = 0; i < n; ++i) {
      if (value.type == DType::f16) {
        const std::uint16_t y =
            float_to_half(applied(op, half_to_float(load<std::uint16_t>(scratch, i))));
        std::memcpy(out + i * sizeof y, &y, sizeof y);
      } else {
        const float x = input.type == DType::bf16
                            ? bfloat16_to_float(load<std::uint16_t>(scratch, i))
                            : load<float>(scratch, i);
        const float y = applied(op, x);
        std::memcpy(out + i * sizeof y, &y, sizeof y);
      }
    }
    done += n;
  }
}

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

}  // namespace

Value read_tensor(const Source& source, std::size_t tensor) {
  const SourceTensor& t = source.tensors()[tensor];
  return node(t.shape, t.type, ReadTensor{tensor});
}

Value read_as_i8(const Source& source, std::size_t tensor) {
  return node(source.tensors()[tensor].shape, DType::i8, ReadTensor{tensor});
}

Value swap_rows(Value input, std::uint64_t a, std::uint64_t b, std::uint64_t inner) {
  const Shape shape = input->shape;
  const auto stripe = checked_multiply(a, inner);
  const auto rows = stripe ? checked_multiply(*stripe, b) : std::nullopt;
  if (!rows || *rows == 0 || row_count(shape) % *rows != 0)
    misuse("rows that are exchanged are not whole groups");
  const DType type = input->type;
  if (row_values(shape) % info(type).block_values != 0) misuse("rows are not whole blocks");
  return node(shape, type, SwapRows{std::move(input), a, b, inner});
}

Value permute_rotary(Value input, std::uint64_t head_rows) {
  if (head_rows % 2 != 0) misuse("a rotary permutation of heads of odd size");
  return swap_rows(std::move(input), 2, head_rows / 2, 1);
}

Value regroup_rows(Value input, std::uint64_t groups, std::vector<RowRun> runs) {
  const Shape& shape = input->shape;
  const std::uint64_t rows = row_count(shape);
  if (shape.rank() == 0 || groups == 0 || rows == 0 || rows % groups != 0)
    misuse("rows are not whole groups");
  if (row_values(shape) % info(input->type).block_values != 0) misuse("rows are not whole blocks");
  std::uint64_t taken = 0;
  for (const RowRun& run : runs) {
    if (run.count == 0 || run.first > rows / groups || run.count > rows / groups - run.first)
      misuse("rows outside their group");
    taken += run.count * groups;
  }
  std::vector<std::uint64_t> dims{taken};
  if (shape.rank() > 1) dims.push_back(row_values(shape));
  const DType type = input->type;
  return node(Shape(dims), type, RegroupRows{std::move(input), groups, std::move(runs)});
}

Value slice_rows(Value input, std::uint64_t first, std::uint64_t count) {
  const auto dims = input->shape.dims();
  if (dims.empty() || first > dims[0] || count > dims[0] - first) misuse("slice outside its input");
  std::vector<std::uint64_t> out(dims.begin(), dims.end());
  out[0] = count;
  const DType type = input->type;
  return node(Shape(out), type, SliceRows{std::move(input), first});
}

Value stack(std::vector<Value> inputs) {
  if (inputs.empty()) misuse("stack of nothing");
  const Shape& each = inputs.front()->shape;
  const DType type = inputs.front()->type;
  for (const Value& input : inputs)
    if (input->shape != each || input->type != type) misuse("stack of unequal inputs");
  std::vector<std::uint64_t> dims(each.dims().begin(), each.dims().end());
  dims.insert(dims.begin(), inputs.size());
  return node(Shape(dims), type, Stack{std::move(inputs)});
}

Value concatenate(std::vector<Value> inputs) {
  if (inputs.empty() || inputs.front()->shape.rank() == 0) misuse("concatenation of nothing");
  const auto first = inputs.front()->shape.dims();
  const DType type = inputs.front()->type;
  std::vector<std::uint64_t> dims(first.begin(), first.end());
  dims[0] = 0;
  for (const Value& input : inputs) {
    const auto d = input->shape.dims();
    if (d.size() != first.size() || !std::equal(d.begin() + 1, d.end(), first.begin() + 1) ||
        input->type != type)
      misuse("concatenation of unequal inputs");
    dims[0] += d[0];
  }
  return node(Shape(dims), type, Concatenate{std::move(inputs)});
}

Value transpose(Value input) {
  const auto dims = input->shape.dims();
  if (dims.size() < 2) misuse("transpose of fewer than two dimensions");
  std::vector<std::uint64_t> out(dims.begin(), dims.end());
  std::swap(out[out.size() - 1], out[out.size() - 2]);
  const DType type = input->type;
  return node(Shape(out), type, Transpose{std::move(input)});
}

Value reshape(Value input, Shape shape) {
  if (shape.values() != input->shape.values()) misuse("reshape changes the number of values");
  const DType type = input->type;
  return node(shape, type, Reshape{std::move(input)});
}

Value generated(std::vector<float> values, Shape shape) {
  if (shape.values() != values.size()) misuse("generated values do not fill their shape");
  return node(shape, DType::f32, Generated{std::move(values)});
}

Value zeros(DType type, Shape shape) {
  element_bytes(type);
  return node(shape, type, Zeros{});
}

Value map(Value input, MapOp op, float factor) {
  const DType from = input->type;
  if (from != DType::f32 && from != DType::f16 && from != DType::bf16)
    misuse("arithmetic on a type that carries no weights");
  const Shape shape = input->shape;
  return node(shape, from == DType::f16 ? DType::f16 : DType::f32,
              Map{std::move(input), op, factor});
}

void fetch(const ValueNode& value, const Source& source, std::uint64_t first, std::uint64_t count,
           std::span<std::byte> into) {
  if (count == 0) return;
  std::visit(
      Overloaded{
          [&](const ReadTensor& op) { fetch_read(value, op, source, first, into); },
          [&](const SwapRows& op) { fetch_swapped(value, op, source, first, count, into); },
          [&](const RegroupRows& op) {
            by_runs(op, value.shape, first, count,
                    [&](std::uint64_t from, std::uint64_t n, std::uint64_t at) {
                      fetch(*op.input, source, from, n,
                            part(into, stored_bytes(value.type, at), stored_bytes(value.type, n)));
                    });
          },
          [&](const SliceRows& op) {
            fetch(*op.input, source, first + op.first * outer_values(value.shape), count, into);
          },
          [&](const Stack& op) { fetch_sequence(op.inputs, source, first, count, into); },
          [&](const Concatenate& op) { fetch_sequence(op.inputs, source, first, count, into); },
          [&](const Transpose& op) { fetch_transposed(value, op, source, first, count, into); },
          [&](const Reshape& op) { fetch(*op.input, source, first, count, into); },
          [&](const Generated& op) {
            std::memcpy(into.data(), op.values.data() + first,
                        static_cast<std::size_t>(count) * sizeof(float));
          },
          [&](const Zeros&) { std::fill(into.begin(), into.end(), std::byte{}); },
          [&](const Map& op) { fetch_mapped(value, op, source, first, count, into); },
      },
      value.op);
}

std::uint64_t input_index(const SwapRows& op, const Shape& shape, std::uint64_t index) {
  const std::uint64_t row = row_values(shape);
  return input_row(op, index / row) * row + index % row;
}

std::uint64_t input_index(const RegroupRows& op, const Shape& shape, std::uint64_t index) {
  std::uint64_t from = 0;
  by_runs(op, shape, index, 1, [&](std::uint64_t at, std::uint64_t, std::uint64_t) { from = at; });
  return from;
}

std::uint64_t fetch_scratch_bytes(const ValueNode& value, const Source& source,
                                  std::uint64_t count) {
  const auto own = [&] {
    const TypeInfo& type = info(value.type);
    const std::uint64_t blocks = count / type.block_values + 1;
    return blocks < kScratchBytes / type.block_bytes ? blocks * type.block_bytes : kScratchBytes;
  };
  const auto largest = [&](const std::vector<Value>& inputs) {
    std::uint64_t most = 0;
    for (const Value& input : inputs)
      most = std::max(most, fetch_scratch_bytes(*input, source, count));
    return most;
  };
  return std::visit(
      Overloaded{
          [&](const ReadTensor& op) {
            const TypeInfo& type = info(value.type);
            return source.read_scratch_bytes(op.tensor,
                                             (count / type.block_values + 1) * type.block_bytes);
          },
          [](const Generated&) { return std::uint64_t{0}; },
          [](const Zeros&) { return std::uint64_t{0}; },
          [&](const SwapRows& op) { return own() + fetch_scratch_bytes(*op.input, source, count); },
          [&](const RegroupRows& op) { return fetch_scratch_bytes(*op.input, source, count); },
          [&](const SliceRows& op) { return fetch_scratch_bytes(*op.input, source, count); },
          [&](const Stack& op) { return largest(op.inputs); },
          [&](const Concatenate& op) { return largest(op.inputs); },
          [&](const Transpose& op) {
            return own() + fetch_scratch_bytes(*op.input, source, count);
          },
          [&](const Reshape& op) { return fetch_scratch_bytes(*op.input, source, count); },
          [&](const Map& op) { return own() + fetch_scratch_bytes(*op.input, source, count); },
      },
      value.op);
}

void source_tensors(const ValueNode& value, std::vector<std::size_t>& out) {
  std::visit(
      [&](const auto& op) {
        using Op = std::decay_t<decltype(op)>;
        if constexpr (std::is_same_v<Op, ReadTensor>) {
          out.push_back(op.tensor);
        } else if constexpr (std::is_same_v<Op, Stack> || std::is_same_v<Op, Concatenate>) {
          for (const Value& input : op.inputs) source_tensors(*input, out);
        } else if constexpr (!std::is_same_v<Op, Generated> && !std::is_same_v<Op, Zeros>) {
          source_tensors(*op.input, out);
        }
      },
      value.op);
}

}  // namespace quantize
