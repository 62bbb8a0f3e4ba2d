// Weights of eight bits with their scales beside them, in every spelling: FP8 of DeepSeek, vLLM,
// compressed-tensors, ModelOpt, FBGEMM and Mistral, MXFP8, and integers of compressed-tensors. What
// a scale belongs to (all, a row, a block, a group) follows from the shapes.
#include <algorithm>
#include <utility>

#include "quantize/escape.hpp"

#include "convert/checkpoints/checkpoint.hpp"

namespace quantize::checkpoints {
namespace {

// Where the scales of tensor `name` may be.
std::optional<std::size_t> scales_of(const Checkpoint& checkpoint, const std::string& name) {
  constexpr std::string_view kMain = ".weight";
  std::vector<std::string> names = {name + "_scale_inv", name + "_scale"};
  if (ends_with(name, kMain)) {
    const std::string module = without_end(name, kMain);
    names.insert(names.end(), {module + ".qscale_weight", module + ".scale"});
  }
  for (const std::string& candidate : names)
    if (const auto found = checkpoint.find(candidate)) return found;
  return std::nullopt;
}

// Scales as a matrix over the weight's rows and columns.
struct Scales {
  std::uint64_t rows = 1, columns = 1;              // of scales
  std::uint64_t group_rows = 1, group_columns = 1;  // of weights that share one
};

Scales arrangement(const Checkpoint& checkpoint, std::size_t scales, const Shape& weight) {
  const Shape& shape = checkpoint[scales].shape;
  const std::uint64_t columns = weight.row_values(), rows = weight.rows();
  const std::uint64_t matrices = weight.matrices(), matrix_rows = rows / matrices;
  Scales out;
  if (shape.values() == 1) return {1, 1, rows, columns};
  const auto dims = shape.dims();
  out.columns = dims.size() < 2 ? 1 : dims.back();
  out.rows = shape.values() / out.columns;
  if (out.rows % matrices != 0)
    checkpoint.refuse(ErrorCode::CK02, scales,
                      "tensor " + quoted(checkpoint[scales].name) + " does not fit its weights",
                      shape.text() + " for " + weight.text());
  const std::uint64_t per_matrix = out.rows / matrices;
  out.group_rows = per_matrix == 1 && out.columns == 1
                       ? matrix_rows
                       : checkpoint.group_size(scales, matrix_rows, per_matrix, true);
  // Blocks must not reach over the end of a matrix into the next.
  if (matrices > 1 && matrix_rows % out.group_rows != 0)
    checkpoint.refuse(ErrorCode::CK04, scales,
                      "blocks of " + quoted(checkpoint[scales].name) +
                          " do not divide the rows of stacked matrices",
                      weight.text());
  out.group_columns =
      out.columns == 1 ? columns : checkpoint.group_size(scales, columns, out.columns);
  return out;
}

}  // namespace

bool take_scaled(Checkpoint& checkpoint, std::size_t tensor) {
  const SourceTensor& main = checkpoint[tensor];
  const bool fp8 = main.type == DType::f8_e4m3 || main.type == DType::f8_e5m2;
  if ((!fp8 && main.type != DType::i8) || main.shape.rank() < 2 || main.shape.values() == 0)
    return false;
  const std::optional<std::size_t> scales = scales_of(checkpoint, main.name);
  if (!scales) return false;
  checkpoint.expect_type(*scales, {DType::f32, DType::bf16, DType::f16, DType::u8, DType::f8_e8m0});
  const DType stored = checkpoint[*scales].type;
  const bool powers = stored == DType::u8 || stored == DType::f8_e8m0;
  const Scales at = arrangement(checkpoint, *scales, main.shape);

  Grid grid;
  grid.codes = std::make_shared<StoredMatrix>(checkpoint.source, tensor, main.shape.rows(),
                                              main.shape.row_values());
  grid.scales =
      std::make_shared<StoredMatrix>(checkpoint.source, *scales, at.rows, at.columns, false,
                                     powers ? std::optional<DType>(DType::f8_e8m0) : std::nullopt);
  grid.group_rows = at.group_rows;
  grid.group_columns = at.group_columns;
  Decoded how;
  how.parts = {tensor, *scales};
  if (const auto zeros = checkpoint.find(main.name + "_zero_point")) {
    checkpoint.expect_type(*zeros, {main.type});
    if (checkpoint[*zeros].shape.values() != at.rows * at.columns)
      checkpoint.refuse(ErrorCode::CK02, *zeros,
                        "tensor " + quoted(checkpoint[*zeros].name) + " has the wrong shape",
                        checkpoint[*zeros].shape.text(), checkpoint[*scales].shape.text());
    grid.zeros = std::make_shared<StoredMatrix>(checkpoint.source, *zeros, at.rows, at.columns);
    how.parts.push_back(*zeros);
  }
  const std::string unit = at.rows * at.columns == 1 ? "one scale"
                           : at.columns > 1          ? "scales per block"
                                                     : "scales per row";
  const std::string number = !fp8 ? "INT8" : powers && at.group_rows == 1 ? "MXFP8" : "FP8";
  how.matrix = make_grid(std::move(grid));
  how.columns = main.shape.row_values();
  checkpoint.add(main.name, main.shape, DType::f32, number + ", " + unit, std::move(how));
  return true;
}

}  // namespace quantize::checkpoints
