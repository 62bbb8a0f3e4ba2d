// Which types hold a tensor's values exactly: every value is read and every block proved. Most
// tensors are on no grid, which their first block shows.
#include <algorithm>
#include <cmath>
#include <vector>

#include "quantize/model.hpp"
#include "quantize/quantizer.hpp"

#include "convert/value.hpp"
#include "quant/lattice.hpp"

namespace quantize {
namespace {

constexpr std::uint64_t kPiece = std::uint64_t{1} << 18;  // values; whole blocks of every type

bool holds(DType type, DType stored, const std::vector<float>& values, std::uint64_t count,
           std::vector<std::byte>& blocks) {
  blocks.resize(static_cast<std::size_t>(stored_bytes(type, count)));
  if (is_quantized(type)) return encode_exactly(type, stored, values.data(), count, blocks.data());
  const Quantizer& quantizer = *find_quantizer(type);
  std::vector<float> back(static_cast<std::size_t>(count));
  quantizer.encode({values.data(), 1, count, nullptr, nullptr}, blocks.data());
  quantizer.decode(blocks.data(), count, back.data());
  return std::equal(back.begin(), back.end(), values.begin());
}

std::optional<DType> exact_type(const ModelTensor& tensor, const Source& source) {
  const DType stored = tensor.value->type;
  if (is_quantized(stored)) return stored;
  if (stored != DType::f32 && stored != DType::bf16 && stored != DType::f16) return std::nullopt;
  std::vector<DType> types(lattice_types().begin(), lattice_types().end());
  if (stored == DType::f32) types.insert(types.end(), {DType::bf16, DType::f16});
  const std::uint64_t row = tensor.shape.row_values();
  types.erase(std::remove_if(types.begin(), types.end(),
                             [&](DType type) { return row % info(type).block_values != 0; }),
              types.end());
  const std::uint64_t total = tensor.shape.values();
  std::vector<std::byte> raw, blocks;
  std::vector<float> values;
  // The first block alone first: it nearly always decides.
  for (std::uint64_t at = 0; at < total && !types.empty();) {
    const std::uint64_t count = std::min(at == 0 ? std::uint64_t{256} : kPiece, total - at);
    raw.resize(static_cast<std::size_t>(stored_bytes(stored, count)));
    values.resize(static_cast<std::size_t>(count));
    fetch(*tensor.value, source, at, count, raw);
    find_quantizer(stored)->decode(raw.data(), count, values.data());
    types.erase(
        std::remove_if(types.begin(), types.end(),
                       [&](DType type) { return !holds(type, stored, values, count, blocks); }),
        types.end());
    at += count;
  }
  return types.empty() ? stored : types.front();
}

}  // namespace

void find_exact_types(Model& model) {
  for (ModelTensor& tensor : model.tensors)
    if (tensor.shape.rank() >= 2 && tensor.shape.values() != 0 &&
        (tensor.follows_file_type || model.kind == ModelKind::gguf))
      tensor.exact_type = exact_type(tensor, *model.source);
}

}  // namespace quantize
