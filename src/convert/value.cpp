// Expressions over source tensors, evaluated run by run. Every operation maps a run of output
// values to a few contiguous runs of its input, so the memory in use depends on how much is asked
// for and never on the tensor.
#include "convert/value.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "quantize/error.hpp"
#include "quantize/escape.hpp"

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

void fetch_permuted(const ValueNode& value, const PermuteRotary& op, const Source& source,
                    std::uint64_t first, std::uint64_t count, std::span<std::byte> into) {
  const ValueNode& input = *op.input;
  const std::uint64_t row = outer_values(value.shape), head = op.head_rows, half = head / 2;
  const std::uint64_t bytes = element_bytes(value.type), row_bytes = row * bytes;
  const auto input_row = [&](std::uint64_t r) {
    const std::uint64_t in_head = r % head;
    return r - in_head + (in_head % 2) * half + in_head / 2;
  };
  const auto partial = [&](std::uint64_t r, std::uint64_t column, std::uint64_t n,
                           std::uint64_t at) {
    fetch(input, source, input_row(r) * row + column, n, part(into, at * bytes, n * bytes));
  };
  // Whole rows: the even and the odd rows of a head are each one contiguous run of the input.
  const std::uint64_t run_rows = std::max<std::uint64_t>(1, kScratchBytes / row_bytes);
  std::vector<std::byte> scratch;
  const auto whole = [&](std::uint64_t r, std::uint64_t rows, std::uint64_t at) {
    const std::uint64_t end = r + rows, start = r;
    while (r < end) {
      const std::uint64_t stop = std::min({end, r - r % head + head, r + 2 * run_rows});
      for (std::uint64_t parity = 0; parity < 2; ++parity) {
        const std::uint64_t from = r + (r + parity) % 2;  // first row of this parity in [r, stop)
        if (from >= stop) continue;
        const std::uint64_t n = (stop - from + 1) / 2;
        scratch.resize(static_cast<std::size_t>(n * row_bytes));
        fetch(input, source, input_row(from) * row, n * row, scratch);
        for (std::uint64_t i = 0; i < n; ++i)
          std::memcpy(part(into, at * bytes + (from + 2 * i - start) * row_bytes, row_bytes).data(),
                      part(scratch, i * row_bytes, row_bytes).data(),
                      static_cast<std::size_t>(row_bytes));
      }
      r = stop;
    }
  };
  by_rows(first, count, row, partial, whole);
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

void fetch_plus_one(const ValueNode& value, const ValueNode& input, const Source& source,
                    std::uint64_t first, std::uint64_t count, std::span<std::byte> into) {
  const std::uint64_t in_bytes = element_bytes(input.type), out_bytes = element_bytes(value.type);
  std::vector<std::byte> scratch;
  for (std::uint64_t done = 0; done < count;) {
    const std::uint64_t n = std::min(count - done, kScratchBytes / in_bytes);
    scratch.resize(static_cast<std::size_t>(n * in_bytes));
    fetch(input, source, first + done, n, scratch);
    std::byte* out = part(into, done * out_bytes, n * out_bytes).data();
    for (std::uint64_t i = 0; i < n; ++i) {
      if (value.type == DType::f16) {
        const std::uint16_t sum =
            float_to_half(half_to_float(load<std::uint16_t>(scratch, i)) + 1.0f);
        std::memcpy(out + i * sizeof sum, &sum, sizeof sum);
      } else {
        const float x = input.type == DType::bf16
                            ? bfloat16_to_float(load<std::uint16_t>(scratch, i))
                            : load<float>(scratch, i);
        const float sum = x + 1.0f;
        std::memcpy(out + i * sizeof sum, &sum, sizeof sum);
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

Value permute_rotary(Value input, std::uint64_t head_rows) {
  const Shape shape = input->shape;
  if (shape.rank() == 0 || head_rows == 0 || head_rows % 2 != 0 || shape.dims()[0] % head_rows != 0)
    misuse("rows of a rotary permutation are not whole heads of even size");
  const DType type = input->type;
  return node(shape, type, PermuteRotary{std::move(input), head_rows});
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

Value map(Value input, MapOp op) {
  const DType from = input->type;
  if (from != DType::f32 && from != DType::f16 && from != DType::bf16)
    misuse("arithmetic on a type that carries no weights");
  const Shape shape = input->shape;
  return node(shape, from == DType::f16 ? DType::f16 : DType::f32, Map{std::move(input), op});
}

void fetch(const ValueNode& value, const Source& source, std::uint64_t first, std::uint64_t count,
           std::span<std::byte> into) {
  if (count == 0) return;
  std::visit(
      Overloaded{
          [&](const ReadTensor& op) { fetch_read(value, op, source, first, into); },
          [&](const PermuteRotary& op) { fetch_permuted(value, op, source, first, count, into); },
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
          [&](const Map& op) {
            switch (op.op) {
              case MapOp::plus_one:
                fetch_plus_one(value, *op.input, source, first, count, into);
                break;
            }
          },
      },
      value.op);
}

std::uint64_t fetch_scratch_bytes(const ValueNode& value, std::uint64_t count) {
  const auto own = [&] {
    const TypeInfo& type = info(value.type);
    const std::uint64_t blocks = count / type.block_values + 1;
    return blocks < kScratchBytes / type.block_bytes ? blocks * type.block_bytes : kScratchBytes;
  };
  const auto largest = [&](const std::vector<Value>& inputs) {
    std::uint64_t most = 0;
    for (const Value& input : inputs) most = std::max(most, fetch_scratch_bytes(*input, count));
    return most;
  };
  return std::visit(
      Overloaded{
          [](const ReadTensor&) { return std::uint64_t{0}; },
          [](const Generated&) { return std::uint64_t{0}; },
          [&](const PermuteRotary& op) {
            // A run is at least one row, however long.
            const std::uint64_t row = outer_values(value.shape) * element_bytes(value.type);
            return std::max(own(), count * element_bytes(value.type) < row ? 0 : row) +
                   fetch_scratch_bytes(*op.input, count);
          },
          [&](const SliceRows& op) { return fetch_scratch_bytes(*op.input, count); },
          [&](const Stack& op) { return largest(op.inputs); },
          [&](const Concatenate& op) { return largest(op.inputs); },
          [&](const Transpose& op) { return own() + fetch_scratch_bytes(*op.input, count); },
          [&](const Reshape& op) { return fetch_scratch_bytes(*op.input, count); },
          [&](const Map& op) { return own() + fetch_scratch_bytes(*op.input, count); },
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
        } else if constexpr (!std::is_same_v<Op, Generated>) {
          source_tensors(*op.input, out);
        }
      },
      value.op);
}

}  // namespace quantize
