// Image and video models, which have no family: their tensors keep their names, and the names say
// which model it is. One row per architecture, as the loader ComfyUI-GGUF knows them (facts of its
// conversion and quantization tools; the words and the code are this project's).
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quantize {

// Lists are words with blanks between.
struct ImageModel {
  std::string_view architecture;          // general.architecture
  std::array<std::string_view, 3> signs;  // names; a model has all of one list
  std::string_view foreign;  // a name of the same model's in a layout that is not loaded
  std::string_view precise;  // parts of names of tensors that stay F32
  std::string_view ignored;  // parts of names of tensors that are left out
  std::string_view kept;     // parts of names (=NAME: all of it) never quantized
  bool rows_of_256 = false;  // tensors of other rows are cut into these

  bool is_precise(std::string_view name) const noexcept;
  bool is_ignored(std::string_view name) const noexcept;
  bool is_kept(std::string_view name) const noexcept;
};

std::span<const ImageModel> image_models() noexcept;
const ImageModel* find_image_model(std::string_view architecture) noexcept;

struct RecognizedImageModel {
  const ImageModel* model = nullptr;  // null: none that is known
  std::string_view prefix;            // of its tensors' names; others belong to other models
};
// By the names of all tensors.
RecognizedImageModel recognize_image_model(const std::vector<std::string_view>& names);

}  // namespace quantize
