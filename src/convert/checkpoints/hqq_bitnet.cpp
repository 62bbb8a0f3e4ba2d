// Formats that pack bands of rows: row r of the codes is with rows r + n, r + 2n ... in one word.
// HQQ groups a matrix's values in the order of its own "axis" and keeps real-valued zeros; BitNet
// has three levels and one scale.
#include <array>
#include <utility>

#include "quantize/escape.hpp"

#include "convert/checkpoints/checkpoint.hpp"

namespace quantize::checkpoints {
namespace {

using Along = Packing::Along;

constexpr std::uint64_t kMaxText = 256;

std::uint64_t integer(const Checkpoint& checkpoint, const std::string& name, std::size_t of) {
  const std::size_t tensor = checkpoint.need(name, of);
  checkpoint.expect_type(tensor, {DType::i32, DType::i64});
  return checkpoint.integers(tensor, 1).front();
}

DType computed_in(const Checkpoint& checkpoint, std::size_t tensor) {
  const std::string name = checkpoint.content(tensor, kMaxText);
  if (name == "torch.float16") return DType::f16;
  if (name == "torch.bfloat16") return DType::bf16;
  if (name == "torch.float32") return DType::f32;
  checkpoint.refuse(ErrorCode::CK04, tensor, "weights are computed in an unknown type",
                    quoted(name));
}

}  // namespace

bool take_hqq(Checkpoint& checkpoint, std::size_t tensor) {
  constexpr std::string_view kMain = "W_q";
  const SourceTensor& main = checkpoint[tensor];
  if (!ends_with(main.name, std::string(".") + std::string(kMain))) return false;
  const std::string module = without_end(main.name, kMain);
  const std::uint64_t bits = integer(checkpoint, module + "nbits", tensor);
  const std::uint64_t axis = integer(checkpoint, module + "axis", tensor);
  const std::uint64_t size = integer(checkpoint, module + "group_size", tensor);
  const std::size_t shape_of = checkpoint.need(module + "shape", tensor);
  checkpoint.expect_type(shape_of, {DType::i64});
  const std::vector<std::uint64_t> shape = checkpoint.integers(shape_of, 2);
  const std::uint64_t limit = std::uint64_t{1} << 31;
  if (shape[0] == 0 || shape[0] > limit || shape[1] == 0 || shape[1] > limit)
    checkpoint.refuse(ErrorCode::CK02, shape_of,
                      "the shape of " + quoted(main.name) + " is unusable", Shape(shape).text());
  const std::uint64_t values = shape[0] * shape[1];
  if (size == 0 || axis > 1 || values % size != 0)
    checkpoint.refuse(ErrorCode::CK02, tensor,
                      "the groups of " + quoted(main.name) + " do not divide its values",
                      std::to_string(size) + " along axis " + std::to_string(axis));
  const std::uint64_t rows = axis == 1 ? values / size : size, columns = values / rows;
  const std::uint64_t groups = values / size;

  // From the highest bits down; bits of a word of 3-bit codes that are left are above.
  const unsigned word = bits == 3 ? 4 : 1;
  const unsigned count =
      bits == 3 ? 10 : 8 / static_cast<unsigned>(std::max<std::uint64_t>(bits, 1));
  if (bits != 1 && bits != 2 && bits != 3 && bits != 4 && bits != 8)
    checkpoint.refuse(ErrorCode::CK04, tensor, "tensor " + quoted(main.name) + " has unusual bits",
                      std::to_string(bits), "1, 2, 3, 4, 8");
  std::vector<unsigned> order;
  for (unsigned k = count; k-- > 0;) order.push_back(k);
  const auto codes = std::make_shared<StoredMatrix>(
      rows, columns, false, tensor,
      Packing::ordered(static_cast<unsigned>(bits), word, Along::bands, std::move(order)),
      integer_levels(static_cast<unsigned>(bits)));
  checkpoint.expect_bytes(tensor, codes->stored_bytes());

  const std::size_t type_of = checkpoint.need(module + "compute_dtype", tensor);
  Grid grid;
  grid.codes = codes;
  Decoded how;
  how.parts = {tensor, shape_of, type_of};
  const auto per_group = [&](const char* part) -> MatrixPtr {
    const std::size_t found = checkpoint.need(module + part, tensor);
    checkpoint.expect_type(found, {DType::f16, DType::bf16, DType::f32});
    checkpoint.expect_bytes(found, groups * info(checkpoint[found].type).block_bytes);
    how.parts.push_back(found);
    return std::make_shared<StoredMatrix>(checkpoint.source, found, axis == 1 ? groups : 1,
                                          axis == 1 ? 1 : groups);
  };
  grid.scales = per_group("scale");
  grid.zeros = per_group("zero");
  grid.group_rows = axis == 1 ? 1 : size;
  grid.group_columns = axis == 1 ? size : 1;
  grid.steps = computed_in(checkpoint, type_of);
  const DType type = grid.steps;
  how.matrix = make_grid(std::move(grid));
  how.columns = columns;
  for (const char* part :
       {"nbits", "axis", "group_size", "channel_wise", "encoded_state_dict", "offload_meta",
        "optimize", "packing", "quant_scale", "quant_zero", "round_zero", "stores_quant_config",
        "unpack_view_dtype", "view_as_float"})
    checkpoint.drop(module + part);
  checkpoint.add(module + "weight", Shape(shape), type, "HQQ, " + std::to_string(bits) + " bits",
                 std::move(how));
  return true;
}

bool take_bitnet(Checkpoint& checkpoint, std::size_t tensor) {
  const SourceTensor& main = checkpoint[tensor];
  if (main.type != DType::u8 || main.shape.rank() != 2 || !ends_with(main.name, ".weight") ||
      checkpoint.text("quant_method") != "bitnet")
    return false;
  const std::size_t scale = checkpoint.need(main.name + "_scale", tensor);
  checkpoint.expect_type(scale, {DType::f32, DType::bf16, DType::f16});
  if (checkpoint[scale].shape.values() != 1)
    checkpoint.refuse(ErrorCode::CK02, scale,
                      "tensor " + quoted(checkpoint[scale].name) + " has the wrong shape",
                      checkpoint[scale].shape.text(), "one value");
  const std::uint64_t rows = 4 * main.shape.dims()[0], columns = main.shape.dims()[1];
  if (main.shape.values() == 0) return false;
  Grid grid;
  grid.codes = std::make_shared<StoredMatrix>(rows, columns, false, tensor,
                                              Packing::ordered(2, 1, Along::bands, {0, 1, 2, 3}),
                                              integer_levels(2, 1));
  grid.scales = std::make_shared<StoredMatrix>(checkpoint.source, scale, 1, 1);
  grid.group_rows = rows;
  grid.group_columns = columns;
  // One of the two classes of layers stores the inverse.
  grid.divide = checkpoint.text("linear_class") != "autobitlinear";
  Decoded how;
  how.parts = {tensor, scale};
  how.matrix = make_grid(std::move(grid));
  how.columns = columns;
  checkpoint.add(main.name, {rows, columns}, DType::f32, "BitNet, three levels", std::move(how));
  return true;
}

}  // namespace quantize::checkpoints
