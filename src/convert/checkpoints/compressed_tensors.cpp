// The packed integers of compressed-tensors ("pack-quantized"): codes along the inputs, zeros along
// the outputs, both with an offset that makes them unsigned. Codes of 3, 5, 6 and 7 bits follow
// each other without gaps, or, of older versions, do not cross words: the width tells.
#include <utility>

#include "quantize/escape.hpp"

#include "convert/checkpoints/checkpoint.hpp"

namespace quantize::checkpoints {
namespace {

using Along = Packing::Along;

struct Width {
  unsigned bits;
  bool dense;
};

// The packing that fits the number of words; the configured bits decide, one group's or another's.
Width width_of(const Checkpoint& checkpoint, std::size_t tensor, std::uint64_t words,
               std::uint64_t inputs) {
  std::vector<std::uint64_t> bits;
  for (const Json weights : checkpoint.weight_groups()) {
    const auto value = weights.find("num_bits");
    const auto number = value && value->is_number() ? value->as_u64() : std::nullopt;
    if (number && *number >= 1 && *number <= 8) bits.push_back(*number);
  }
  if (bits.empty())
    checkpoint.refuse_settings(
        ErrorCode::CK03,
        "nothing says how many bits " + quoted(checkpoint[tensor].name) + " has per weight");
  for (const std::uint64_t b : bits) {
    if (ceil_divide(inputs * b, 32) == words) return {static_cast<unsigned>(b), true};
    if (ceil_divide(inputs, 32 / b) == words) return {static_cast<unsigned>(b), false};
  }
  checkpoint.refuse_settings(
      ErrorCode::CK03, "the configured bits contradict " + quoted(checkpoint[tensor].name),
      std::to_string(bits.front()) + " bits",
      std::to_string(words) + " words for " + std::to_string(inputs) + " inputs");
}

}  // namespace

bool take_pack_quantized(Checkpoint& checkpoint, std::size_t tensor) {
  constexpr std::string_view kEnd = "_packed";
  const SourceTensor& main = checkpoint[tensor];
  if (!ends_with(main.name, kEnd) || main.type != DType::i32) return false;
  const std::string name = without_end(main.name, kEnd);
  if (const auto transform =
          checkpoint.settings() ? checkpoint.settings().find("transform_config") : std::nullopt;
      transform && transform->size() > 0)
    checkpoint.refuse_settings(ErrorCode::CK04, "weights are transformed at run time");
  const std::size_t scales = checkpoint.need(name + "_scale", tensor);
  const std::size_t shape_of = checkpoint.need(name + "_shape", tensor);
  checkpoint.expect_rank(tensor, 2);
  checkpoint.expect_rank(scales, 2);
  checkpoint.expect_type(scales, {DType::f32, DType::bf16, DType::f16});
  checkpoint.expect_type(shape_of, {DType::i64, DType::i32});
  const std::vector<std::uint64_t> shape = checkpoint.integers(shape_of, 2);
  const std::uint64_t outputs = main.shape.dims()[0], words = main.shape.dims()[1];
  const std::uint64_t inputs = shape[1], groups = checkpoint[scales].shape.dims()[1];
  if (shape[0] != outputs || inputs == 0 || inputs > words * 32)
    checkpoint.refuse(
        ErrorCode::CK02, shape_of,
        "tensor " + quoted(checkpoint[shape_of].name) + " does not fit " + quoted(main.name),
        Shape(shape).text(), main.shape.text());
  checkpoint.expect_shape(scales, {outputs, groups});
  const Width width = width_of(checkpoint, tensor, words, inputs);
  const auto packing = [&](Along along) {
    return width.dense ? Packing::dense(width.bits, along) : Packing::padded(width.bits, along);
  };
  const int offset = 1 << (width.bits - 1);
  Grid grid;
  const auto codes = std::make_shared<StoredMatrix>(
      outputs, inputs, false, tensor, packing(Along::rows), integer_levels(width.bits, offset));
  checkpoint.expect_bytes(tensor, codes->stored_bytes());
  grid.codes = codes;
  grid.scales = std::make_shared<StoredMatrix>(checkpoint.source, scales, outputs, groups);
  Decoded how;
  how.parts = {tensor, scales, shape_of};
  if (const auto zeros = checkpoint.find(name + "_zero_point")) {
    checkpoint.expect_type(*zeros, {DType::i32});
    const auto matrix =
        std::make_shared<StoredMatrix>(outputs, groups, false, *zeros, packing(Along::columns),
                                       integer_levels(width.bits, offset));
    checkpoint.expect_bytes(*zeros, matrix->stored_bytes());
    grid.zeros = matrix;
    how.parts.push_back(*zeros);
  } else if (checkpoint.asymmetric()) {
    checkpoint.need(name + "_zero_point", tensor);
  }
  if (const auto index = checkpoint.find(name + "_g_idx")) {
    checkpoint.expect_type(*index, {DType::i32});
    checkpoint.expect_shape(*index, {inputs});
    grid.group_index = index;
    grid.groups = groups;
    how.parts.push_back(*index);
  } else {
    grid.group_columns = checkpoint.group_size(scales, inputs, groups);
  }
  how.matrix = make_grid(std::move(grid));
  how.columns = inputs;
  how.last = true;
  checkpoint.add(name, {outputs, inputs}, DType::f32,
                 "compressed-tensors, " + std::to_string(width.bits) + " bits", std::move(how));
  return true;
}

}  // namespace quantize::checkpoints
