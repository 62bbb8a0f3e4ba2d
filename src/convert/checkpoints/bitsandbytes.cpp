// bitsandbytes. 4 bits: a flat row of codes into a table of 16 values, a scale per block, and the
// shape in a JSON text that is a tensor; the scales may be quantized themselves. LLM.int8: bytes
// and the largest magnitude of each row.
#include <algorithm>
#include <utility>

#include "quantize/escape.hpp"

#include "convert/checkpoints/checkpoint.hpp"

namespace quantize::checkpoints {
namespace {

using Along = Packing::Along;

constexpr std::uint64_t kMaxStateBytes = 1 << 16;

// The JSON text about one tensor.
class State {
 public:
  State(const Checkpoint& checkpoint, std::size_t tensor)
      : checkpoint_(checkpoint), tensor_(tensor) {
    JsonRules rules;
    rules.base_offset = checkpoint[tensor].data_offset;
    document_ = JsonDocument::parse(checkpoint.content(tensor, kMaxStateBytes),
                                    checkpoint.path_of(tensor), rules, nullptr);
  }

  [[noreturn]] void refuse(std::string_view key) const {
    fail(ErrorCode::CK02, checkpoint_.path_of(tensor_), checkpoint_[tensor_].data_offset,
         quoted(key) + " in " + quoted(checkpoint_[tensor_].name) + " is missing or unusable");
  }
  std::optional<Json> find(std::string_view key) const { return document_->root().find(key); }
  // A block's number of values.
  std::uint64_t block(std::string_view key) const {
    const auto value = find(key);
    const auto size = value && value->is_number() ? value->as_u64() : std::nullopt;
    if (!size || *size < 1 || *size > 1 << 20) refuse(key);
    return *size;
  }
  DType type() const {
    const auto value = find("dtype");
    const std::string_view name = value && value->is_string() ? value->string() : "";
    if (name == "bfloat16") return DType::bf16;
    if (name == "float16") return DType::f16;
    if (name == "float32") return DType::f32;
    refuse("dtype");
  }
  Shape shape() const {
    const auto value = find("shape");
    if (!value || !value->is_array() || value->size() == 0 || value->size() > Shape::kMaxRank)
      refuse("shape");
    std::vector<std::uint64_t> dims;
    std::uint64_t values = 1;
    for (const Json dim : value->children()) {
      const auto size = dim.is_number() ? dim.as_u64() : std::nullopt;
      if (!size || *size == 0 || *size > (std::uint64_t{1} << 48) / values) refuse("shape");
      values *= *size;
      dims.push_back(*size);
    }
    return Shape(dims);
  }

 private:
  const Checkpoint& checkpoint_;
  std::size_t tensor_;
  std::unique_ptr<JsonDocument> document_;
};

}  // namespace

bool take_bitsandbytes_4bit(Checkpoint& checkpoint, std::size_t tensor) {
  const std::string& name = checkpoint[tensor].name;
  std::optional<std::size_t> about;
  const char* scheme = nullptr;
  for (const auto& [end, called] : {std::pair(".quant_state.bitsandbytes__nf4", "NF4"),
                                    std::pair(".quant_state.bitsandbytes__fp4", "FP4")})
    if (const auto found = checkpoint.find(name + end)) {
      about = found;
      scheme = called;
    }
  if (!about) return false;
  const State state(checkpoint, *about);
  const Shape shape = state.shape();
  const std::uint64_t values = shape.values(), block = state.block("blocksize");
  const std::uint64_t blocks = ceil_divide(values, block);
  checkpoint.expect_bytes(tensor, ceil_divide(values, 2));
  if (block % 2 != 0) state.refuse("blocksize");

  const std::size_t map = checkpoint.need(name + ".quant_map", tensor);
  const std::size_t scales = checkpoint.need(name + ".absmax", tensor);
  Grid grid;
  // The earlier of two codes is the higher half of a byte.
  grid.codes = std::make_shared<StoredMatrix>(blocks, block, false, tensor,
                                              Packing::ordered(4, 1, Along::rows, {1, 0}),
                                              checkpoint.numbers(map, 16));
  grid.group_columns = block;
  Decoded how;
  how.parts = {tensor, scales, map, *about};
  std::string text = "bitsandbytes " + std::string(scheme);
  if (checkpoint[scales].type == DType::f32) {
    checkpoint.expect_shape(scales, {blocks});
    grid.scales = std::make_shared<StoredMatrix>(checkpoint.source, scales, blocks, 1);
  } else {
    checkpoint.expect_type(scales, {DType::u8});
    checkpoint.expect_shape(scales, {blocks});
    const std::size_t nested = checkpoint.need(name + ".nested_absmax", tensor);
    const std::size_t nested_map = checkpoint.need(name + ".nested_quant_map", tensor);
    Grid inner;
    inner.codes = std::make_shared<StoredMatrix>(blocks, 1, false, scales,
                                                 Packing::ordered(8, 1, Along::rows, {0}),
                                                 checkpoint.numbers(nested_map, 256));
    inner.group_rows = state.block("nested_blocksize");
    const std::uint64_t outer = ceil_divide(blocks, inner.group_rows);
    checkpoint.expect_type(nested, {DType::f32});
    checkpoint.expect_shape(nested, {outer});
    inner.scales = std::make_shared<StoredMatrix>(checkpoint.source, nested, outer, 1);
    const auto offset = state.find("nested_offset");
    const auto number = offset && offset->is_number() ? offset->as_double() : std::nullopt;
    if (!number) state.refuse("nested_offset");
    inner.offset = static_cast<float>(*number);
    grid.scales = make_grid(std::move(inner));
    how.parts.insert(how.parts.end(), {nested, nested_map});
    text += ", double quantization";
  }
  how.matrix = make_grid(std::move(grid));
  how.columns = block;
  checkpoint.add(name, shape, state.type(), std::move(text), std::move(how));
  return true;
}

bool take_bitsandbytes_8bit(Checkpoint& checkpoint, std::size_t tensor) {
  constexpr std::string_view kMain = ".weight";
  constexpr float kOf127 = 7.874015718698502e-3F;  // as the package multiplies
  const SourceTensor& main = checkpoint[tensor];
  if (main.type != DType::i8 || !ends_with(main.name, kMain)) return false;
  const std::string module = without_end(main.name, kMain);
  const auto scales = checkpoint.find(module + ".SCB");
  if (!scales) return false;
  checkpoint.expect_rank(tensor, 2);
  const std::uint64_t rows = main.shape.dims()[0], columns = main.shape.dims()[1];
  checkpoint.expect_type(*scales, {DType::f32});
  checkpoint.expect_bytes(*scales, rows * sizeof(float));
  Decoded how;
  how.parts = {tensor, *scales};
  if (const auto format = checkpoint.find(module + ".weight_format")) {
    const std::string value = checkpoint.content(*format, 64);
    if (std::any_of(value.begin(), value.end(), [](char c) { return c != 0; }))
      checkpoint.refuse(ErrorCode::CK04, *format,
                        "tensor " + quoted(main.name) + " is in a tiled order of older versions");
    how.parts.push_back(*format);
  }
  Grid grid;
  grid.codes = std::make_shared<StoredMatrix>(checkpoint.source, tensor, rows, columns);
  grid.scales = std::make_shared<StoredMatrix>(checkpoint.source, *scales, rows, 1);
  grid.group_columns = columns;
  grid.factor = kOf127;
  how.matrix = make_grid(std::move(grid));
  how.columns = columns;
  checkpoint.add(main.name, main.shape, DType::f32, "bitsandbytes LLM.int8", std::move(how));
  return true;
}

}  // namespace quantize::checkpoints
