// A model ready to be planned: ordered metadata and tensors as the reference converter would store
// them (or as a GGUF file has them), each with an expression that says how to get its values.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "quantize/error.hpp"
#include "quantize/metadata.hpp"
#include "quantize/source.hpp"
#include "quantize/tensor.hpp"

namespace quantize {

struct ValueNode;  // src/convert/value.hpp
using Value = std::shared_ptr<const ValueNode>;

struct ModelTensor {
  std::string name;  // as the output names it
  Shape shape;
  // What the lossless intermediate file would store. Values pass through this type's rounding
  // before they are quantized (--outtype f16 on an F32 source is the only lossy case).
  DType stored_type{};
  // The smallest type whose grid holds the values exactly, once find_exact_types() has looked.
  std::optional<DType> exact_type;
  bool follows_file_type =
      false;  // a weight whose type --outtype chooses; false: always stored_type
  bool f16_in_f16_files = false;  // kernels of convolutions: F16 in a file of F16, else stored_type
  Value value;
  std::vector<std::size_t> source_tensors;  // what it reads, in order, for reports and messages
};

class Directory;  // src/core/directory.hpp

// unconverted: tensors with the names, shapes and order of the source, for checkpoints.
enum class ModelKind : std::uint8_t { gguf, converted, tensors_only, unconverted };

struct Model {
  std::shared_ptr<const Source> source;
  ModelKind kind{};
  std::string name;          // for {name} in file templates (decision 51)
  std::string architecture;  // general.architecture, or "unknown"
  std::string family;        // family file that converted it; empty for GGUF and tensors-only
  DType intermediate{};      // f32, f16, bf16: the file type of a converted model
  Metadata metadata;         // converter's order (or the GGUF's)
  std::vector<ModelTensor> tensors;            // converter's order (or the GGUF's)
  std::shared_ptr<const Directory> directory;  // unconverted: where its other files are
  std::vector<std::string> ignored;  // source tensors that are dropped by rule or --ignore-unmapped
  // Of a multimodal model: the projector alone (--mmproj), and the source tensors that belong in
  // the other file, the language model's or the projector's.
  bool projector = false;
  std::vector<std::string> other_part;
};

// A LoRA adapter of the PEFT package: its directory, and what its own scale is multiplied by.
struct AdapterOption {
  std::string path;
  double scale = 1;
};

struct OpenOptions {
  std::optional<DType> outtype;           // --outtype f32|f16|bf16; empty: lossless
  bool outtype_auto = false;              // --outtype auto: the reference converter's default flow
  std::optional<std::string> model_name;  // --model-name
  std::optional<std::string> architecture;   // --arch, tensors-only
  std::optional<std::string> pre_tokenizer;  // --pre
  std::optional<std::string> family_file;    // --family FILE
  std::vector<std::string> ignore_unmapped;  // globs
  std::vector<AdapterOption> adapters;       // --lora, merged in this order
  bool tensors_only = false;
  bool projector = false;  // --mmproj: the projector and vision tower instead of the language model
  bool follow_symlinks = true;  // false: --no-follow
  std::uint64_t max_metadata_bytes = std::uint64_t{512} << 20;
};

// Opens and validates a .gguf (all pieces of a split one), a .safetensors file, a weight index or
// a Hugging Face directory, and converts its metadata. Reads headers and side files, no weights.
Model open_model(const std::string& path, const OpenOptions& options, Warnings& warnings);

// Reads every weight of two or more dimensions and proves which smaller type holds its values
// exactly: ModelTensor::exact_type.
void find_exact_types(Model& model);

// A model directory whose tensors stay as they are, to become another checkpoint. QZ03 if there is
// no directory with a config.json.
Model open_unconverted(const std::string& path, const OpenOptions& options, Warnings& warnings);

// The source alone, without conversion (inspect).
std::shared_ptr<const Source> open_source(const std::string& path, const OpenOptions& options,
                                          Warnings& warnings);

}  // namespace quantize
