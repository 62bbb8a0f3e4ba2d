// AWQ, of AutoAWQ and llm-awq. GEMM: [inputs, outputs], eight outputs to a word in an order of its
// own. GEMV: [outputs, inputs] in plain order, scales and zeros padded. Zeros are stored as they
// are.
#include <utility>

#include "quantize/escape.hpp"

#include "convert/checkpoints/checkpoint.hpp"

namespace quantize::checkpoints {
namespace {

using Along = Packing::Along;

Packing gemm_packing() { return Packing::ordered(4, 4, Along::rows, {0, 2, 4, 6, 1, 3, 5, 7}); }

}  // namespace

bool take_awq(Checkpoint& checkpoint, std::size_t tensor) {
  constexpr std::string_view kMain = ".qweight";
  constexpr std::uint64_t kCodes = 8;  // of a word
  const SourceTensor& main = checkpoint[tensor];
  if (!ends_with(main.name, kMain)) return false;
  const std::string module = without_end(main.name, kMain);
  if (main.type != DType::i32)
    checkpoint.refuse(ErrorCode::CK04, tensor,
                      "tensor " + quoted(main.name) + " is packed in a way that cannot be read",
                      std::string(info(main.type).name), "i32");
  if (const auto bits = checkpoint.number({"bits", "w_bit"}); bits && *bits != 4)
    checkpoint.refuse_settings(ErrorCode::CK04, "AWQ stores 4 bits per weight",
                               std::to_string(*bits));
  const std::size_t scales = checkpoint.need(module + ".scales", tensor);
  const std::size_t zeros = checkpoint.need(module + ".qzeros", tensor);
  checkpoint.expect_type(scales, {DType::f16, DType::bf16, DType::f32});
  checkpoint.expect_type(zeros, {DType::i32});
  checkpoint.expect_rank(zeros, 2);
  const auto packed = main.shape.dims(), scaled = checkpoint[scales].shape.dims();

  Grid grid;
  Decoded how;
  how.parts = {tensor, zeros, scales};
  std::uint64_t outputs = 0, inputs = 0;
  const char* scheme = nullptr;
  if (scaled[1] == packed[1] * kCodes) {
    scheme = "AWQ (GEMM), 4 bits";
    inputs = packed[0];
    outputs = scaled[1];
    const std::uint64_t groups = scaled[0];
    checkpoint.expect_shape(zeros, {groups, packed[1]});
    grid.codes = std::make_shared<StoredMatrix>(inputs, outputs, true, tensor, gemm_packing(),
                                                integer_levels(4));
    grid.zeros = std::make_shared<StoredMatrix>(groups, outputs, true, zeros, gemm_packing(),
                                                integer_levels(4));
    grid.scales = std::make_shared<StoredMatrix>(checkpoint.source, scales, groups, outputs, true);
    grid.group_columns = checkpoint.group_size(scales, inputs, groups);
  } else if (scaled[0] == packed[0] && scaled[1] % kCodes == 0) {
    scheme = "AWQ (GEMV), 4 bits";
    outputs = packed[0];
    inputs = packed[1] * kCodes;
    checkpoint.expect_shape(zeros, {outputs, scaled[1] / kCodes});
    const auto size = checkpoint.number({"group_size", "q_group_size"});
    grid.group_columns = size && *size > 0 ? static_cast<std::uint64_t>(*size) : inputs;
    // Padded, to eight groups or a few times that.
    if (const std::uint64_t groups = ceil_divide(inputs, grid.group_columns);
        !size || groups > scaled[1] || scaled[1] - groups >= 4 * kCodes)
      checkpoint.refuse_settings(
          ErrorCode::CK03,
          "the configured group size contradicts " + quoted(checkpoint[scales].name),
          checkpoint[scales].shape.text());
    grid.codes = std::make_shared<StoredMatrix>(outputs, inputs, false, tensor,
                                                Packing::dense(4, Along::rows), integer_levels(4));
    grid.zeros = std::make_shared<StoredMatrix>(outputs, scaled[1], false, zeros,
                                                Packing::dense(4, Along::rows), integer_levels(4));
    grid.scales = std::make_shared<StoredMatrix>(checkpoint.source, scales, outputs, scaled[1]);
  } else {
    checkpoint.refuse(
        ErrorCode::CK02, scales,
        "tensor " + quoted(checkpoint[scales].name) + " does not fit " + quoted(main.name),
        checkpoint[scales].shape.text() + " for " + main.shape.text());
  }
  how.matrix = make_grid(std::move(grid));
  how.columns = inputs;
  how.last = true;
  checkpoint.add(module + ".weight", {outputs, inputs}, DType::f32, scheme, std::move(how));
  return true;
}

}  // namespace quantize::checkpoints
