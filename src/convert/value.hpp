// How a planned tensor gets its values: a small expression over source tensors. Every node gives
// any run of its values on demand, so memory stays bounded by what is asked for.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <variant>
#include <vector>

#include "quantize/model.hpp"
#include "quantize/source.hpp"
#include "quantize/tensor.hpp"

namespace quantize {

// A source tensor as it is stored.
struct ReadTensor {
  std::size_t tensor;
};
// The rows, seen as [*, a, b, inner], become [*, b, a, inner]. Rows are what follows each other in
// steps of the last dimension; of a vector, its values. With a = 2 and b half a head, this is the
// permutation between the two layouts of rotary embeddings (query and key projections).
struct SwapRows {
  Value input;
  std::uint64_t a, b, inner;
};
// Runs of the rows of each of `groups` equal groups: for every run, the rows [first, first + count)
// of all groups, then those of the next run.
struct RowRun {
  std::uint64_t first, count;
};
struct RegroupRows {
  Value input;
  std::uint64_t groups;
  std::vector<RowRun> runs;
};
// Indices [first, first + count) of the outermost dimension.
struct SliceRows {
  Value input;
  std::uint64_t first;
};
// Inputs of equal shape, along a new outermost dimension.
struct Stack {
  std::vector<Value> inputs;
};
// Inputs one after the other along the outermost dimension.
struct Concatenate {
  std::vector<Value> inputs;
};
// The last two dimensions exchanged.
struct Transpose {
  Value input;
};
// The same values under another shape.
struct Reshape {
  Value input;
};
// Values computed beforehand (rope factors).
struct Generated {
  std::vector<float> values;
};
struct Zeros {};
// Element by element; type becomes f32 (f16 for an f16 input, each step rounded).
enum class MapOp : std::uint8_t { plus_one, negative_exponential, scale };
struct Map {
  Value input;
  MapOp op;
  float factor;  // scale
};

struct ValueNode {
  Shape shape;
  DType type;  // of the elements that fetch() gives
  std::variant<ReadTensor, SwapRows, RegroupRows, SliceRows, Stack, Concatenate, Transpose, Reshape,
               Generated, Zeros, Map>
      op;
};

Value read_tensor(const Source& source, std::size_t tensor);
// Unsigned bytes or truth values as i8; fetch() refuses a value above 127 (QZ02).
Value read_as_i8(const Source& source, std::size_t tensor);
Value swap_rows(Value input, std::uint64_t a, std::uint64_t b, std::uint64_t inner);
Value permute_rotary(Value input, std::uint64_t head_rows);
Value regroup_rows(Value input, std::uint64_t groups, std::vector<RowRun> runs);
Value slice_rows(Value input, std::uint64_t first, std::uint64_t count);
Value stack(std::vector<Value> inputs);
Value concatenate(std::vector<Value> inputs);
Value transpose(Value input);
Value reshape(Value input, Shape shape);
Value generated(std::vector<float> values, Shape shape);
Value zeros(DType type, Shape shape);
Value map(Value input, MapOp op, float factor = 1.0f);

// Values [first, first + count), in row-major order, as stored elements of `value->type` (whole
// blocks for quantized types). `into` has exactly stored_bytes(type, count). Thread-safe.
void fetch(const ValueNode& value, const Source& source, std::uint64_t first, std::uint64_t count,
           std::span<std::byte> into);

// Where the value at `index` of an operation's result comes from.
std::uint64_t input_index(const SwapRows& op, const Shape& shape, std::uint64_t index);
std::uint64_t input_index(const RegroupRows& op, const Shape& shape, std::uint64_t index);

// Bytes of scratch that fetch() may allocate for `count` values, for the memory budget.
std::uint64_t fetch_scratch_bytes(const ValueNode& value, const Source& source,
                                  std::uint64_t count);

// Appends the source tensors the expression reads, in order.
void source_tensors(const ValueNode& value, std::vector<std::size_t>& out);

}  // namespace quantize
