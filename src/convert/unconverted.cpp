// Models that are taken as they are: a GGUF file, and the tensors of a checkpoint.
#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "convert/convert.hpp"
#include "convert/value.hpp"

namespace quantize {
namespace {

constexpr std::size_t kMaxRank = 4;  // of a GGUF tensor

// The shape of a tensor whose leading dimensions were folded to be written (decision 30). The same
// key also records shapes cut into other rows; those are not this project's to restore.
std::optional<Shape> original_shape(const Metadata& metadata, const SourceTensor& tensor) {
  const auto* array = metadata.get<MetaArray>("comfy.gguf.orig_shape." + tensor.name);
  const auto* stated = array ? std::get_if<std::vector<std::int32_t>>(array) : nullptr;
  if (!stated || stated->size() <= kMaxRank || stated->size() > Shape::kMaxRank ||
      std::any_of(stated->begin(), stated->end(), [](std::int32_t d) { return d < 1; }))
    return std::nullopt;
  // Folding undone must be folding: the last dimensions stay, whatever the product.
  const auto dims = tensor.shape.dims();
  std::vector<std::uint64_t> original(stated->begin(), stated->end());
  std::uint64_t left = tensor.shape.values();
  for (const std::uint64_t d : original) {
    if (left % d != 0) return std::nullopt;
    left /= d;
  }
  if (left != 1 || dims.empty() || original.back() != dims.back()) return std::nullopt;
  return Shape(original);
}

}  // namespace

Model take_unconverted(std::shared_ptr<const Source> source) {
  Model model;
  model.kind = ModelKind::unconverted;
  model.architecture = "unknown";
  model.source = std::move(source);
  for (std::size_t i = 0; i < model.source->tensors().size(); ++i) {
    ModelTensor out;
    out.name = model.source->tensors()[i].name;
    out.source_tensors = {i};
    out.value = read_tensor(*model.source, i);
    out.shape = out.value->shape;
    out.stored_type = out.value->type;
    model.tensors.push_back(std::move(out));
  }
  return model;
}

Model take_gguf(std::shared_ptr<const Source> source) {
  Model model;
  model.kind = ModelKind::gguf;
  model.source = std::move(source);
  model.metadata = model.source->metadata();
  constexpr std::string_view kArchitecture = "general.architecture";
  const auto* architecture = model.metadata.get<std::string>(kArchitecture);
  model.architecture = architecture ? *architecture : "unknown";
  if (model.metadata.find(kArchitecture) && (!architecture || architecture->empty())) {
    fail(ErrorCode::GG24, std::string(model.source->path()),
         model.source->metadata_offset(kArchitecture), "general.architecture is no name");
  }
  for (std::size_t i = 0; i < model.source->tensors().size(); ++i) {
    const SourceTensor& tensor = model.source->tensors()[i];
    ModelTensor out;
    out.name = tensor.name;
    out.stored_type = tensor.type;
    out.value = read_tensor(*model.source, i);
    if (const auto original = original_shape(model.metadata, tensor))
      out.value = reshape(out.value, *original);
    out.shape = out.value->shape;
    out.source_tensors = {i};
    model.tensors.push_back(std::move(out));
  }
  return model;
}

}  // namespace quantize
