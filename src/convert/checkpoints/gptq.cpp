// GPTQ, of AutoGPTQ, GPTQModel and AutoRound: codes packed along the inputs, zeros along the
// outputs, an index of groups if columns were quantized in another order. Version 1 stores zeros
// one too small.
#include <utility>

#include "quantize/escape.hpp"

#include "convert/checkpoints/checkpoint.hpp"

namespace quantize::checkpoints {
namespace {

using Along = Packing::Along;

// Bits per code, from the tensors where they tell.
unsigned bits_of(const Checkpoint& checkpoint, std::size_t codes,
                 std::optional<std::size_t> index) {
  const std::uint64_t rows = checkpoint[codes].shape.dims()[0];
  const auto configured = checkpoint.number({"bits", "w_bit", "wbits"});
  std::uint64_t bits = 0;
  if (index) {
    const std::uint64_t inputs = checkpoint[*index].shape.values();
    if (rows * 32 % inputs == 0) bits = rows * 32 / inputs;
    if (bits != 0 && configured && static_cast<std::uint64_t>(*configured) != bits &&
        !checkpoint.varies())
      checkpoint.refuse_settings(ErrorCode::CK03,
                                 "the configured bits contradict " + quoted(checkpoint[codes].name),
                                 std::to_string(*configured), std::to_string(bits));
  } else if (configured && *configured > 0) {
    bits = static_cast<std::uint64_t>(*configured);
  } else {
    checkpoint.refuse_settings(
        ErrorCode::CK03,
        "nothing says how many bits " + quoted(checkpoint[codes].name) + " has per weight");
  }
  if (bits != 2 && bits != 3 && bits != 4 && bits != 8)
    checkpoint.refuse(ErrorCode::CK04, codes,
                      "GPTQ tensor " + quoted(checkpoint[codes].name) + " has unusual bits",
                      std::to_string(bits), "2, 3, 4, 8");
  return static_cast<unsigned>(bits);
}

// Whether zeros are stored one too small.
bool zeros_minus_one(const Checkpoint& checkpoint) {
  const std::string_view format = checkpoint.text("checkpoint_format");
  const std::string_view packing = checkpoint.text("packing_format");
  return format != "gptq_v2" && format != "gptq_p" && !ends_with(packing, "gptqv2");
}

}  // namespace

bool take_gptq(Checkpoint& checkpoint, std::size_t tensor) {
  constexpr std::string_view kMain = ".qweight";
  const SourceTensor& main = checkpoint[tensor];
  if (!ends_with(main.name, kMain)) return false;
  const std::string module = without_end(main.name, kMain);
  const std::size_t scales = checkpoint.need(module + ".scales", tensor);
  checkpoint.expect_rank(tensor, 2);
  checkpoint.expect_rank(scales, 2);
  const std::uint64_t outputs = main.shape.dims()[1], groups = checkpoint[scales].shape.dims()[0];
  const std::optional<std::size_t> index = checkpoint.find(module + ".g_idx");
  // AWQ's packed matrices are as wide as an eighth of their scales, or of other types; GEMV's may
  // look alike.
  const bool awq = !checkpoint.text("version").empty() || checkpoint.text("quant_method") == "awq";
  if (main.type != DType::i32 || (!index && awq) ||
      (!index && checkpoint[scales].shape.dims()[1] != outputs))
    return false;

  const std::size_t zeros = checkpoint.need(module + ".qzeros", tensor);
  if (checkpoint.flag("is_marlin_format") || checkpoint.text("checkpoint_format") == "marlin")
    checkpoint.refuse_settings(ErrorCode::CK04, "weights in Marlin's order cannot be read");
  if (index) {
    checkpoint.expect_rank(*index, 1);
    checkpoint.expect_type(*index, {DType::i32});
  }
  const unsigned bits = bits_of(checkpoint, tensor, index);
  if (bits == 3 && checkpoint.text("checkpoint_format") == "gptq_p")
    checkpoint.refuse_settings(ErrorCode::CK04, "3 bits in planes (gptq_p) cannot be read");
  const std::uint64_t inputs =
      index ? checkpoint[*index].shape.values() : main.shape.dims()[0] * 32 / bits;
  checkpoint.expect_type(scales, {DType::f16, DType::bf16, DType::f32});
  checkpoint.expect_shape(scales, {groups, outputs});
  checkpoint.expect_type(zeros, {DType::i32});
  checkpoint.expect_rank(zeros, 2);

  const std::uint64_t size = index ? inputs : checkpoint.group_size(scales, inputs, groups);
  const auto codes = std::make_shared<StoredMatrix>(
      inputs, outputs, true, tensor, Packing::dense(bits, Along::columns), integer_levels(bits));
  checkpoint.expect_bytes(tensor, codes->stored_bytes());
  std::vector<float> zero_levels = integer_levels(bits, zeros_minus_one(checkpoint) ? -1 : 0);
  // The last wraps: a stored zero of -1 filled its field with ones.
  if (zeros_minus_one(checkpoint)) zero_levels.back() = 0;
  const auto zero_matrix = std::make_shared<StoredMatrix>(
      groups, outputs, true, zeros, Packing::dense(bits, Along::rows), std::move(zero_levels));
  checkpoint.expect_bytes(zeros, zero_matrix->stored_bytes());

  Grid grid;
  grid.codes = codes;
  grid.zeros = zero_matrix;
  grid.scales = std::make_shared<StoredMatrix>(checkpoint.source, scales, groups, outputs, true);
  grid.group_columns = size;
  Decoded how;
  how.parts = {tensor, zeros, scales};
  if (index) {
    grid.group_index = index;
    grid.groups = groups;
    how.parts.push_back(*index);
  }
  how.matrix = make_grid(std::move(grid));
  how.columns = inputs;
  how.last = true;
  checkpoint.add(module + ".weight", {outputs, inputs}, DType::f32,
                 "GPTQ, " + std::to_string(bits) + " bits", std::move(how));
  return true;
}

}  // namespace quantize::checkpoints
