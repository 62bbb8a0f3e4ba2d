// Weights without a configuration. Image and video models are known by their tensors' names; of
// anything else, names, shapes and types stay.
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "quantize/escape.hpp"

#include "arch/image_models.hpp"
#include "convert/convert.hpp"
#include "convert/value.hpp"
#include "formats/gguf/layout.hpp"

namespace quantize {
namespace {

constexpr std::uint32_t kQuantizationVersion = 2;
constexpr std::size_t kMaxGgufRank = 4;
// Of image models, as their loaders have it: names may be so long, tensors up to so many values
// stay F32, and those of fewer are not cut into rows of 256.
constexpr std::size_t kLongestImageName = 127;
constexpr std::uint64_t kSmall = 1024, kFewestCut = 512, kCutRow = 256;

bool is_real(DType type) { return type == DType::f32 || type == DType::f16 || type == DType::bf16; }

RecognizedImageModel recognize(const Source& source, const OpenOptions& options) {
  if (options.tensors_only || options.architecture) return {};
  std::vector<std::string_view> names;
  for (const SourceTensor& tensor : source.tensors()) names.push_back(tensor.name);
  const RecognizedImageModel image = recognize_image_model(names);
  if (image.model == nullptr) return {};
  const std::string foreign = std::string(image.prefix) + std::string(image.model->foreign);
  if (!image.model->foreign.empty() && std::count(names.begin(), names.end(), foreign) != 0)
    fail(ErrorCode::CF06, std::string(source.path()), {},
         "a " + std::string(image.model->architecture) +
             " model in the layout of diffusers, which loaders of GGUF files do not know; "
             "--tensors-only keeps its names",
         foreign);
  return image;
}

// Convolutions have short rows: U-Nets are cut into rows that every block type fits.
Value cut(Value value) {
  const auto dims = value->shape.dims();
  const std::uint64_t values = value->shape.values();
  if (dims.size() < 2 || values < kFewestCut || values % kCutRow != 0 || dims.back() % kCutRow == 0)
    return value;
  return reshape(std::move(value), Shape{values / kCutRow, kCutRow});
}

}  // namespace

Model convert_tensors_only(std::shared_ptr<const Source> source, const OpenOptions& options,
                           Warnings& warnings) {
  const RecognizedImageModel image = recognize(*source, options);
  Model model;
  model.kind = ModelKind::tensors_only;
  model.architecture = image.model ? std::string(image.model->architecture)
                                   : options.architecture.value_or("unknown");
  if (image.model) model.family = model.architecture;
  model.source = std::move(source);
  const std::size_t longest = image.model ? kLongestImageName : gguf::kMaxTensorName;
  Metadata shapes;
  for (std::size_t i = 0; i < model.source->tensors().size(); ++i) {
    const SourceTensor& tensor = model.source->tensors()[i];
    const std::string& path = model.source->files()[tensor.file].path;
    std::string_view name = tensor.name;
    if (image.model) {
      const bool own = name.substr(0, image.prefix.size()) == image.prefix;
      if (own) name.remove_prefix(image.prefix.size());
      if (!own || image.model->is_ignored(name)) {
        model.ignored.push_back(tensor.name);
        continue;
      }
    }
    ModelTensor out;
    out.name = name;
    out.source_tensors = {i};
    const bool byte = tensor.type == DType::u8 || tensor.type == DType::boolean;
    if (!byte && (info(tensor.type).gguf_id < 0 || info(tensor.type).codec == Codec::opaque))
      fail(ErrorCode::QZ03, path, tensor.type_offset,
           "tensor " + quoted(tensor.name) + " has a type that GGUF cannot carry",
           std::string(info(tensor.type).name));
    out.value = byte ? read_as_i8(*model.source, i) : read_tensor(*model.source, i);
    out.stored_type = out.value->type;
    if (name.size() > longest)
      warnings.add(ErrorCode::QZ04, path, tensor.name_offset,
                   "name " + quoted(tensor.name) + " is longer than most readers accept");
    const std::size_t rank = out.value->shape.rank();
    out.follows_file_type = is_real(tensor.type) && rank >= 2;
    if (image.model && (tensor.type == DType::f32 || tensor.type == DType::bf16) &&
        (rank < 2 || rank > kMaxGgufRank || out.value->shape.values() <= kSmall ||
         image.model->is_precise(name))) {
      out.follows_file_type = false;
      out.stored_type = DType::f32;
    }
    if (image.model && image.model->rows_of_256) {
      const Shape before = out.value->shape;
      out.value = cut(std::move(out.value));
      if (out.value->shape != before) {
        std::vector<std::int32_t> dims;
        for (const std::uint64_t d : before.dims()) dims.push_back(static_cast<std::int32_t>(d));
        shapes.append("comfy.gguf.orig_shape." + out.name, MetaArray(std::move(dims)));
      }
    }
    out.shape = out.value->shape;
    model.tensors.push_back(std::move(out));
  }
  model.intermediate = intermediate_type(model, options);
  if (options.outtype || options.outtype_auto)
    for (ModelTensor& tensor : model.tensors)
      if (tensor.follows_file_type) tensor.stored_type = model.intermediate;
  model.metadata.append("general.architecture", model.architecture);
  const auto file_type = [&] {
    model.metadata.append("general.file_type", file_type_of(model.intermediate));
  };
  if (!image.model) file_type();
  model.metadata.append("general.quantization_version", kQuantizationVersion);
  if (image.model) file_type();
  for (const auto& [key, value] : shapes.entries()) model.metadata.append(key, value);
  return model;
}

}  // namespace quantize
