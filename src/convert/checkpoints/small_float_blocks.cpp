// Four-bit floats (E2M1) with a scale per block: MXFP4 of gpt-oss and compressed-tensors, NVFP4 of
// compressed-tensors and ModelOpt, which has a factor for the whole tensor besides.
#include <utility>

#include "quantize/escape.hpp"

#include "convert/checkpoints/checkpoint.hpp"
#include "core/small_floats.hpp"

namespace quantize::checkpoints {
namespace {

MatrixPtr codes_of(std::size_t tensor, std::uint64_t rows, std::uint64_t columns) {
  return std::make_shared<StoredMatrix>(rows, columns, false, tensor,
                                        Packing::ordered(4, 1, Packing::Along::rows, {0, 1}),
                                        std::vector<float>(kE2M1.begin(), kE2M1.end()));
}

}  // namespace

// gpt-oss keeps its experts stacked, in blocks that GGUF has too: only the codes' order differs.
bool take_mxfp4_experts(Checkpoint& checkpoint, std::size_t tensor) {
  constexpr std::string_view kMain = "_blocks";
  const SourceTensor& main = checkpoint[tensor];
  if (!ends_with(main.name, kMain) || main.type != DType::u8) return false;
  const std::string name = without_end(main.name, kMain);
  const std::size_t scales = checkpoint.need(name + "_scales", tensor);
  checkpoint.expect_rank(tensor, 4);
  checkpoint.expect_rank(scales, 3);
  checkpoint.expect_type(scales, {DType::u8, DType::f8_e8m0});
  const auto dims = main.shape.dims();
  checkpoint.expect_shape(tensor, {dims[0], dims[1], dims[2], 16});
  checkpoint.expect_shape(scales, {dims[0], dims[1], dims[2]});
  Decoded how;
  how.block_codes = tensor;
  how.block_scales = scales;
  how.parts = {tensor, scales};
  checkpoint.add(name, {dims[0], dims[1], dims[2] * 32}, DType::mxfp4, "MXFP4", std::move(how));
  return true;
}

bool take_small_floats(Checkpoint& checkpoint, std::size_t tensor) {
  constexpr std::string_view kPacked = "_packed", kMain = "weight";
  const SourceTensor& main = checkpoint[tensor];
  if (main.type != DType::u8 || main.shape.rank() < 2 || main.shape.values() == 0) return false;
  const bool packed = ends_with(main.name, kPacked);
  const std::string name = packed ? without_end(main.name, kPacked) : main.name;
  if (!ends_with(name, kMain)) return false;
  const auto scales = checkpoint.find(name + "_scale");
  if (!scales || checkpoint[*scales].shape.rank() != main.shape.rank()) return false;
  const SourceTensor& scale = checkpoint[*scales];
  const bool nvfp4 = scale.type == DType::f8_e4m3;
  if (!nvfp4 && scale.type != DType::u8 && scale.type != DType::f8_e8m0) return false;

  const std::uint64_t rows = main.shape.rows(), columns = 2 * main.shape.row_values();
  const std::uint64_t block = nvfp4 ? 16 : 32;
  if (scale.shape.rows() != rows || scale.shape.row_values() * block != columns)
    checkpoint.refuse(
        ErrorCode::CK02, *scales, "tensor " + quoted(scale.name) + " has the wrong shape",
        scale.shape.text(),
        "one scale for " + std::to_string(block) + " of " + std::to_string(columns) + " columns");
  Decoded how;
  how.parts = {tensor, *scales};
  Grid grid;
  grid.codes = codes_of(tensor, rows, columns);
  grid.group_columns = block;
  if (nvfp4) {
    // A factor, or its inverse, for all; ModelOpt's exports of one expert each have one each.
    Grid inner;
    inner.codes = std::make_shared<StoredMatrix>(checkpoint.source, *scales, rows, columns / block);
    inner.group_rows = rows;
    inner.group_columns = columns / block;
    inner.divide = packed;
    const std::size_t factor =
        checkpoint.need(name + (packed ? "_global_scale" : "_scale_2"), tensor);
    checkpoint.expect_type(factor, {DType::f32});
    if (checkpoint[factor].shape.values() != 1)
      checkpoint.refuse(ErrorCode::CK02, factor,
                        "tensor " + quoted(checkpoint[factor].name) + " has the wrong shape",
                        checkpoint[factor].shape.text(), "one value");
    inner.scales = std::make_shared<StoredMatrix>(checkpoint.source, factor, 1, 1);
    grid.scales = make_grid(std::move(inner));
    how.parts.push_back(factor);
  } else {
    grid.scales = std::make_shared<StoredMatrix>(checkpoint.source, *scales, rows, columns / block,
                                                 false, DType::f8_e8m0);
  }
  how.matrix = make_grid(std::move(grid));
  how.columns = columns;
  std::vector<std::uint64_t> dims(main.shape.dims().begin(), main.shape.dims().end());
  dims.back() = columns;
  checkpoint.add(name, Shape(dims), nvfp4 ? DType::f32 : DType::bf16, nvfp4 ? "NVFP4" : "MXFP4",
                 std::move(how));
  return true;
}

}  // namespace quantize::checkpoints
