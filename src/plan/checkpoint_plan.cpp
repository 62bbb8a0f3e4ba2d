// The plan of a checkpoint: which weights are quantized, what tensors they become, and where these
// stand in which file.
#include <algorithm>
#include <array>
#include <filesystem>
#include <map>

#include <nlohmann/json.hpp>

#include "quantize/escape.hpp"
#include "quantize/quantizer.hpp"

#include "core/directory.hpp"
#include "core/json.hpp"
#include "formats/safetensors/layout.hpp"
#include "plan/checkpoint.hpp"

namespace quantize {
namespace {

constexpr std::uint64_t kShardBytes = 5'000'000'000;
constexpr std::uint64_t kMaxConfigBytes = std::uint64_t{64} << 20;
constexpr std::uint64_t kMaxUnitValues = std::uint64_t{1} << 23;  // rows that are encoded at once
constexpr std::string_view kWeight = ".weight";

// Modules that hold matrices but are no Linear layers, or are kept by every format's default: a
// name is one of these if it has the word between dots.
constexpr std::array<std::string_view, 16> kKept = {"lm_head",
                                                    "embed_tokens",
                                                    "embeddings",
                                                    "word_embeddings",
                                                    "position_embeddings",
                                                    "token_type_embeddings",
                                                    "wte",
                                                    "wpe",
                                                    "embed_in",
                                                    "embed_out",
                                                    "shared",
                                                    "gate",
                                                    "router",
                                                    "score",
                                                    "classifier",
                                                    "output"};
// Parts of models whose layers are kept: a word between dots begins with it.
constexpr std::array<std::string_view, 4> kKeptTowers = {"vision", "visual", "audio",
                                                         "multi_modal"};
// Models whose projections are of transformers' Conv1D, which stores inputs by outputs: no Linear
// layers, and their loaders would read them the other way round.
constexpr std::array<std::string_view, 4> kConv1dModels = {"gpt2", "openai-gpt", "imagegpt",
                                                           "decision_transformer"};
constexpr std::array<std::string_view, 4> kConv1d = {"c_attn", "q_attn", "c_proj", "c_fc"};
// Projections that loaders run as one: they share the scale of a whole tensor.
constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kFused = {
    {{"q_proj", "qkv"},
     {"k_proj", "qkv"},
     {"v_proj", "qkv"},
     {"gate_proj", "gate_up"},
     {"up_proj", "gate_up"},
     {"w1", "w13"},
     {"w3", "w13"},
     {"qkv_proj", "qkv"}}};

std::vector<std::string_view> words_of(std::string_view name) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t dot = std::min(name.find('.', at), name.size());
    words.push_back(name.substr(at, dot - at));
    at = dot + 1;
  }
  return words;
}

bool is_float(DType type) noexcept {
  return type == DType::f32 || type == DType::f16 || type == DType::bf16;
}

bool ends_with(std::string_view text, std::string_view end) noexcept {
  return text.size() > end.size() && text.substr(text.size() - end.size()) == end;
}

// A matrix with the name of a layer's weight.
bool is_matrix(const ModelTensor& tensor) {
  return tensor.shape.rank() == 2 && tensor.shape.values() != 0 && is_float(tensor.stored_type) &&
         ends_with(tensor.name, kWeight);
}

// Why such a weight is kept; empty if it is quantized.
std::string reason_to_keep(const std::string& module, const ModelTensor& tensor,
                           const WeightFormat& format, bool conv1d) {
  const std::vector<std::string_view> words = words_of(module);
  for (const std::string_view word : words) {
    for (const std::string_view tower : kKeptTowers) {
      if (word.substr(0, tower.size()) == tower) return "part of another tower";
    }
  }
  for (const std::string_view kept : kKept) {
    if (words.back() == kept) return "no Linear layer, or one that loaders keep";
  }
  for (const std::string_view projection : kConv1d) {
    if (conv1d && words.back() == projection) return "stored inputs by outputs (Conv1D)";
  }
  const MatrixSize size{tensor.shape.dims()[0], tensor.shape.dims()[1]};
  if (std::string refusal = format.refusal(size); !refusal.empty()) return refusal;
  if (format.row_unit(size) > kMaxUnitValues / size.columns)
    return "its rows share blocks in runs too long to be encoded";
  return {};
}

// Numbers the groups of weights that share a survey.
class SurveyGroups {
 public:
  std::size_t of(const std::string& module) {
    std::string key = module;
    const std::size_t dot = module.rfind('.') + 1;  // 0 if there is none
    for (const auto& [name, group] : kFused) {
      if (module.substr(dot) == name) key = module.substr(0, dot) + '*' + std::string(group);
    }
    return numbers_.emplace(std::move(key), numbers_.size()).first->second;
  }

 private:
  std::map<std::string, std::size_t> numbers_;
};

bool has_conv1d(const std::string& config, const std::string& file) {
  const auto document = JsonDocument::parse(config, file, {}, nullptr);
  const std::optional<Json> type =
      document->root().is_object() ? document->root().find("model_type") : std::optional<Json>();
  return type && type->is_string() &&
         std::find(kConv1dModels.begin(), kConv1dModels.end(), type->string()) !=
             kConv1dModels.end();
}

PlannedTensor plan_tensor(const Model& model, std::size_t index, const CheckpointTarget& target,
                          bool conv1d, SurveyGroups& groups, std::vector<std::string>& dense) {
  const ModelTensor& tensor = model.tensors[index];
  PlannedTensor planned;
  planned.model_tensor = index;
  planned.name = tensor.name;
  planned.shape = tensor.shape;
  planned.source_type = model.source->tensors()[tensor.source_tensors.front()].type;
  planned.stored_type = tensor.stored_type;
  planned.type = tensor.stored_type;
  planned.rule = "not a matrix of a layer";
  if (is_matrix(tensor)) {
    const std::string module = tensor.name.substr(0, tensor.name.size() - kWeight.size());
    planned.rule = reason_to_keep(module, tensor, *target.format, conv1d);
    if (planned.rule.empty()) {
      planned.rule = "Linear layer";
      planned.format = target.format;
      planned.survey_group = groups.of(module);
      const Matrix matrix{{tensor.shape.dims()[0], tensor.shape.dims()[1]}, tensor.stored_type};
      for (const WeightPart& part : target.format->parts(matrix)) {
        planned.parts.push_back({module + part.suffix, part.type, part.shape, 0, part.bytes()});
        planned.bytes += part.bytes();
      }
      planned.type = planned.parts.front().type;
      return planned;
    }
    dense.push_back(module);
  }
  if (target.dense_type && is_float(planned.type)) planned.type = *target.dense_type;
  planned.copied = planned.type == planned.stored_type;
  planned.bytes = stored_bytes(planned.type, planned.shape.values());
  return planned;
}

// Tensors with large elements first, so that all are aligned; modules in their order among those.
void lay_out(PlannedFile& file) {
  struct Slot {
    std::uint64_t element, bytes;
    std::uint64_t* offset;
  };
  std::vector<Slot> slots;
  std::vector<safetensors::TensorEntry> entries;
  for (PlannedTensor& tensor : file.tensors) {
    if (tensor.parts.empty())
      slots.push_back({info(tensor.type).block_bytes, tensor.bytes, &tensor.offset});
    for (PlannedPart& part : tensor.parts)
      slots.push_back({info(part.type).block_bytes, part.bytes, &part.offset});
  }
  std::stable_sort(slots.begin(), slots.end(),
                   [](const Slot& a, const Slot& b) { return a.element > b.element; });
  std::uint64_t offset = 0;
  for (const Slot& slot : slots) {
    *slot.offset = offset;
    offset += slot.bytes;
  }
  for (const PlannedTensor& tensor : file.tensors) {
    if (tensor.parts.empty())
      entries.push_back({tensor.name, tensor.shape, tensor.type, tensor.offset, tensor.bytes});
    for (const PlannedPart& part : tensor.parts)
      entries.push_back({part.name, part.shape, part.type, part.offset, part.bytes});
  }
  file.data_bytes = offset;
  file.header_bytes = safetensors::encode_header(std::move(entries)).size();
}

std::string shard_name(std::size_t piece, std::size_t pieces) {
  if (pieces == 1) return "model.safetensors";
  const auto five = [](std::size_t n) {
    const std::string digits = std::to_string(n);
    return std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits;
  };
  return "model-" + five(piece + 1) + "-of-" + five(pieces) + ".safetensors";
}

std::string index_text(const std::vector<PlannedFile>& files) {
  std::uint64_t total = 0;
  nlohmann::json map = nlohmann::json::object();
  for (const PlannedFile& file : files) {
    total += file.data_bytes;
    for (const PlannedTensor& tensor : file.tensors) {
      if (tensor.parts.empty()) map[tensor.name] = file.name;
      for (const PlannedPart& part : tensor.parts) map[part.name] = file.name;
    }
  }
  const nlohmann::ordered_json index = {{"metadata", {{"total_size", total}}}, {"weight_map", map}};
  return index.dump(2) + "\n";
}

// Files of the source that go along: none that hold weights, or say how these are stored.
bool is_side_file(const std::string& name) {
  for (const char* end : {".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json",
                          ".gguf", ".pt", ".pth", ".h5", ".msgpack", ".onnx", ".ot"}) {
    if (ends_with(name, end)) return false;
  }
  for (const char* other :
       {"config.json", "quantize_config.json", "quant_config.json", "hf_quant_config.json"}) {
    if (name == other) return false;
  }
  return name[0] != '.';
}

}  // namespace

Plan plan_checkpoint(const Model& model, const Recipe& recipe, Warnings& warnings) {
  const CheckpointTarget& target = *recipe.target.checkpoint;
  if (model.kind != ModelKind::unconverted || !model.directory) {
    fail(ErrorCode::QZ03, std::string(model.source->path()), {},
         "a checkpoint is made from a model directory");
  }
  Plan plan;
  plan.target = recipe.target;
  plan.nonfinite = recipe.nonfinite;
  const std::string config = model.directory->read("config.json", kMaxConfigBytes).value_or("{}");
  const std::string config_path = model.directory->path_of("config.json");
  const bool conv1d = has_conv1d(config, config_path);
  SurveyGroups groups;
  std::vector<std::string> dense;
  plan.files.emplace_back();
  std::uint64_t bytes = 0;
  bool any = false;
  const std::uint64_t most = recipe.split_max_bytes != 0 ? recipe.split_max_bytes : kShardBytes;
  for (std::size_t i = 0; i < model.tensors.size(); ++i) {
    PlannedTensor planned = plan_tensor(model, i, target, conv1d, groups, dense);
    any = any || planned.format;
    plan.values += planned.shape.values();
    if (bytes != 0 && bytes + planned.bytes > most) {
      plan.files.emplace_back();
      bytes = 0;
    }
    bytes += planned.bytes;
    plan.files.back().tensors.push_back(std::move(planned));
  }
  if (!any) {
    fail(ErrorCode::QZ08, std::string(model.source->path()), {},
         "no weight of the model can be stored as " + target.label);
  }
  for (std::size_t f = 0; f < plan.files.size(); ++f) {
    plan.files[f].piece = static_cast<std::uint32_t>(f);
    plan.files[f].pieces = static_cast<std::uint32_t>(plan.files.size());
    plan.files[f].name = shard_name(f, plan.files.size());
    lay_out(plan.files[f]);
  }
  std::string text =
      checkpoint_config(target, config, config_path, dense, plan.side_files, warnings);
  plan.side_files.push_back({"config.json", std::move(text)});
  if (plan.files.size() > 1)
    plan.side_files.push_back({"model.safetensors.index.json", index_text(plan.files)});
  for (const std::string& name : model.directory->names()) {
    std::error_code ignored;
    const bool regular = std::filesystem::is_regular_file(model.directory->path_of(name), ignored);
    if (regular && is_side_file(name)) plan.side_files.push_back({name, std::nullopt});
  }
  plan.side_directory = model.directory;
  return plan;
}

}  // namespace quantize
