// From a model and a recipe to every byte count of the output: names, order, types, metadata and
// offsets, before a weight is read.
#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <string>

#include "quantize/escape.hpp"
#include "quantize/plan.hpp"
#include "quantize/quantizer.hpp"

#include "core/checked.hpp"
#include "formats/gguf/layout.hpp"
#include "plan/checkpoint.hpp"
#include "plan/rules.hpp"

namespace quantize {
namespace {

constexpr std::uint32_t kQuantizationVersion = 2;
constexpr std::uint32_t kGuessedFileType = 1024;
constexpr std::size_t kMaxOverrideText = 127;  // the reference cuts its strings there
constexpr std::size_t kMaxWrittenRank = 4;
constexpr std::size_t kMaxPieces = 65535;  // split.count has 16 bits

bool is_float(DType type) noexcept {
  return type == DType::f32 || type == DType::f16 || type == DType::bf16;
}

// Whether the output is the reference converter's file rather than the quantizer's.
bool is_converter_output(const Model& model, const Recipe& recipe) noexcept {
  const Preset& preset = *recipe.target.preset;
  return model.kind != ModelKind::gguf &&
         (keeps_types(preset) || is_float(preset.default_type) ||
          (model.projector && preset.default_type == DType::q8_0 && recipe.tensor_types.empty()));
}

// The type of a tensor in the converter's file. A projector's is also made in Q8_0, where what has
// no whole blocks is F16.
DType converter_type(const ModelTensor& tensor, const Preset& preset) noexcept {
  if (keeps_types(preset)) return tensor.stored_type;
  const DType type = preset.default_type;
  if (tensor.f16_in_f16_files) return type == DType::f16 ? DType::f16 : DType::f32;
  if (!tensor.follows_file_type) return tensor.stored_type;
  return tensor.shape.row_values() % info(type).block_values == 0 ? type : DType::f16;
}

// Ranks above four do not exist in GGUF: leading dimensions are folded into one.
Shape fold(const Shape& shape) {
  if (shape.rank() <= kMaxWrittenRank) return shape;
  std::vector<std::uint64_t> dims(shape.dims().begin(), shape.dims().end());
  const std::size_t extra = dims.size() - kMaxWrittenRank;
  std::uint64_t first = 1;
  for (std::size_t i = 0; i <= extra; ++i) first *= dims[i];
  dims.erase(dims.begin(), dims.begin() + static_cast<std::ptrdiff_t>(extra));
  dims[0] = first;
  return Shape(dims);
}

// A model tensor on its way into the plan.
struct Item {
  std::size_t model_tensor;
  std::string name;  // after pruning
  std::string original_name;
};

std::string renumbered(const std::string& name, std::int64_t layer) {
  const std::size_t dot = name.find('.', 4);
  return "blk." + std::to_string(layer) + name.substr(dot);
}

// Drops the tensors of pruned layers and closes the gaps in the numbers.
std::vector<Item> make_items(const Model& model, const Recipe& recipe, std::uint64_t& kept_layers) {
  std::vector<Item> items;
  std::set<std::int64_t> kept;
  const auto pruned = [&](std::int64_t layer) {
    return layer >= 0 && std::find(recipe.prune_layers.begin(), recipe.prune_layers.end(),
                                   static_cast<std::uint32_t>(layer)) != recipe.prune_layers.end();
  };
  for (std::size_t i = 0; i < model.tensors.size(); ++i) {
    const std::int64_t layer = layer_of(model.tensors[i].name);
    if (pruned(layer)) continue;
    if (layer >= 0) kept.insert(layer);
    items.push_back({i, model.tensors[i].name, model.tensors[i].name});
  }
  kept_layers = kept.size();
  if (recipe.prune_layers.empty()) return items;
  std::map<std::int64_t, std::int64_t> numbers;
  for (const std::int64_t layer : kept)
    numbers.emplace(layer, static_cast<std::int64_t>(numbers.size()));
  for (Item& item : items) {
    const std::int64_t layer = layer_of(item.name);
    if (layer >= 0) item.name = renumbered(item.name, numbers.at(layer));
  }
  return items;
}

// The reference quantizer's order: by layer, tensors outside of layers first, then by name.
void sort_as_reference(std::vector<Item>& items, const Model& model, bool keep_split) {
  if (keep_split) {
    std::stable_sort(items.begin(), items.end(), [&](const Item& a, const Item& b) {
      const auto place = [&](const Item& item) {
        const auto& sources = model.tensors[item.model_tensor].source_tensors;
        if (sources.empty()) return std::pair<std::uint64_t, std::uint64_t>(0, 0);
        const SourceTensor& t = model.source->tensors()[sources.front()];
        return std::pair<std::uint64_t, std::uint64_t>(t.file, t.data_offset);
      };
      return place(a) < place(b);
    });
    return;
  }
  std::stable_sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    const std::int64_t layer_a = layer_of(a.name);
    const std::int64_t layer_b = layer_of(b.name);
    return layer_a != layer_b ? layer_a < layer_b : a.name < b.name;
  });
}

DType source_type(const Model& model, const ModelTensor& tensor) {
  return tensor.source_tensors.empty()
             ? tensor.stored_type
             : model.source->tensors()[tensor.source_tensors.front()].type;
}

// The type that a saved plan gives; where it is the one that the rules give, their reason stays.
void take_saved_type(PlannedTensor& planned, const SavedTypes& saved) {
  const auto at = saved.types.find(planned.name);
  if (at == saved.types.end()) {
    fail(ErrorCode::USE04, saved.file, {},
         "the saved plan does not name tensor " + quoted(planned.name));
  }
  if (at->second == planned.type) return;
  const std::uint64_t block = info(at->second).block_values;
  if (planned.shape.row_values() % block != 0) {
    fail(ErrorCode::QZ03, saved.file, {},
         "tensor " + quoted(planned.name) + " cannot be stored as " +
             std::string(info(at->second).name),
         "rows of " + std::to_string(planned.shape.row_values()),
         "multiples of " + std::to_string(block));
  }
  planned.type = at->second;
  planned.rule = "the saved plan";
  planned.wanted.reset();
  planned.substitution.clear();
}

// The importance weights of a tensor, checked; null if it goes without. A tensor that must not is
// added to `missing`.
const ImportanceEntry* importance_for(const Item& item, const PlannedTensor& planned,
                                      const Recipe& recipe, Warnings& warnings,
                                      std::vector<std::string>& missing) {
  const Quantizer* quantizer = find_quantizer(planned.type);
  const ImportanceEntry* entry =
      recipe.importance ? recipe.importance->find(item.original_name) : nullptr;
  const std::uint64_t expected = planned.shape.row_values() * planned.shape.matrices();
  const bool unused = quantizer && quantizer->importance == ImportanceUse::unused;
  if (entry && !unused && entry->weights.size() != expected) {
    const Problem problem{ErrorCode::QZ07,
                          recipe.importance->name,
                          {},
                          "importance weights of " + quoted(item.name) + " do not match the tensor",
                          std::to_string(entry->weights.size()) + " weights",
                          std::to_string(expected)};
    if (item.name != "token_embd.weight" && item.name != "per_layer_token_embd.weight")
      throw Error(problem);
    warnings.add(problem);
    entry = nullptr;
  }
  if (!entry && (requires_importance(item.name, planned.type, *recipe.target.preset) ||
                 (quantizer && quantizer->importance == ImportanceUse::required))) {
    missing.push_back(quoted(item.name) + " (" + std::string(info(planned.type).name) + ")");
  }
  return unused ? nullptr : entry;
}

// QZ07 for tensors that need importance weights and have none.
Problem missing_importance(const std::vector<std::string>& tensors, const Recipe& recipe) {
  constexpr std::size_t kNamed = 6;
  std::string names;
  for (std::size_t i = 0; i < std::min(tensors.size(), kNamed); ++i)
    names += (i == 0 ? "" : ", ") + tensors[i];
  if (tensors.size() > kNamed) names += " and " + std::to_string(tensors.size() - kNamed) + " more";
  return {ErrorCode::QZ07,
          recipe.importance ? recipe.importance->name : std::string(),
          {},
          std::string(recipe.target.preset->label) + " needs importance weights (--imatrix) for " +
              names,
          {},
          {}};
}

// Whether a tensor's values can be had as float at all.
void check_convertible(const Model& model, const ModelTensor& tensor, const PlannedTensor& planned,
                       const Recipe& recipe) {
  const auto problem = [&](ErrorCode code, const std::string& text) {
    std::optional<std::uint64_t> offset;
    std::string file(model.source->path());
    if (!tensor.source_tensors.empty()) {
      const SourceTensor& source = model.source->tensors()[tensor.source_tensors.front()];
      file = model.source->files()[source.file].path;
      offset = source.type_offset;
    }
    fail(code, file, offset, "tensor " + quoted(tensor.name) + " " + text);
  };
  const DType type = planned.source_type;
  const Quantizer* decoder = find_quantizer(type);
  const bool number =
      is_float(type) || type == DType::f64 || type == DType::f8_e4m3 || type == DType::f8_e5m2;
  if (!decoder || (model.kind == ModelKind::gguf && !number && !is_quantized(type))) {
    problem(ErrorCode::QZ03,
            "is stored as " + std::string(info(type).name) + ", which cannot be converted");
  }
  if (is_quantized(type) && !recipe.allow_requantize) {
    problem(ErrorCode::QZ03, "is already quantized as " + std::string(info(type).name) +
                                 "; --allow-requantize quantizes it again, at a loss");
  }
  if (planned.shape.row_values() % info(planned.type).block_values != 0) {  // forced by an option
    problem(ErrorCode::QZ03, "cannot be " + std::string(info(planned.type).name) +
                                 ": its rows of " + std::to_string(planned.shape.row_values()) +
                                 " values are not whole blocks");
  }
  const Quantizer* encoder = find_quantizer(planned.type);
  if (!encoder || !encoder->encode) {
    problem(ErrorCode::QZ03,
            "cannot be written as " + std::string(info(planned.type).name) + " by this version");
  }
}

// The file type of a copy: the input's own, or a guess from its most frequent tensor type. (Of
// several the one that is so often first, in the reference's order.)
DType most_frequent(const std::vector<DType>& types) {
  std::map<DType, std::size_t> counts;
  std::size_t most = 0;
  DType found = DType::f32;
  for (const DType type : types) {
    const std::size_t count = ++counts[type];
    if (count > most) {
      most = count;
      found = type;
    }
  }
  return found;
}

std::uint32_t copied_file_type(const Model& model, const std::vector<RuleTensor>& tensors) {
  if (const auto* stored = model.metadata.get<std::uint32_t>("general.file_type")) return *stored;
  std::vector<DType> types;
  for (const RuleTensor& tensor : tensors) types.push_back(tensor.stored_type);
  return guessed_file_type(most_frequent(types)) | kGuessedFileType;
}

// The file type after exact types were chosen; nothing if none was.
std::optional<std::uint32_t> exact_file_type(const std::vector<PlannedTensor>& tensors) {
  std::vector<DType> types;
  bool exact = false;
  for (const PlannedTensor& tensor : tensors) {
    if (tensor.shape.rank() >= 2) types.push_back(tensor.type);
    exact = exact || tensor.exact;
  }
  if (!exact) return std::nullopt;
  return guessed_file_type(most_frequent(types));
}

std::string cut(const std::string& text) { return text.substr(0, kMaxOverrideText); }

// As in strings of C: everything from a NUL on is lost (only with --reference-quirks).
void cut_at_nul(Metadata& metadata) {
  const auto shorten = [](const std::string& text) { return text.substr(0, text.find('\0')); };
  Metadata result;
  for (const auto& [key, value] : metadata.entries()) {
    MetaValue copy = value;
    if (auto* text = std::get_if<std::string>(&copy)) *text = shorten(*text);
    if (auto* array = std::get_if<MetaArray>(&copy)) {
      if (auto* strings = std::get_if<std::vector<std::string>>(array)) {
        for (std::string& s : *strings) s = shorten(s);
      }
    }
    result.append(key, std::move(copy));
  }
  metadata = std::move(result);
}

Metadata make_metadata(const Model& model, const Recipe& recipe,
                       const std::vector<RuleTensor>& tensors, std::uint64_t kept_layers,
                       Warnings& warnings) {
  Metadata metadata = model.metadata;
  const Preset& preset = *recipe.target.preset;
  if (is_converter_output(model, recipe)) {
    if (preset.file_type >= 0 && metadata.find("general.file_type")) {
      metadata.set("general.file_type", static_cast<std::uint32_t>(preset.file_type));
    }
  } else {
    if (const MetaValue* alignment = metadata.find("general.alignment")) {
      if (const auto* value = std::get_if<std::uint32_t>(alignment);
          !value || *value != gguf::kAlignment) {
        warnings.add(ErrorCode::GG12, std::string(model.source->path()), {},
                     "the source's alignment is not kept: the output is aligned to 32");
        metadata.erase("general.alignment");
      }
    }
    metadata.set_at_end("general.quantization_version", kQuantizationVersion);
    metadata.set_at_end("general.file_type", preset.file_type >= 0
                                                 ? static_cast<std::uint32_t>(preset.file_type)
                                                 : copied_file_type(model, tensors));
    for (const char* key : {"split.no", "split.count", "split.tensors.count"}) metadata.erase(key);
    if (recipe.reference_quirks) cut_at_nul(metadata);
  }
  for (const auto& [key, value] : recipe.override_kv) metadata.set_at_end(key, value);
  if (recipe.importance && !recipe.importance->entries.empty()) {
    const ImportanceData& data = *recipe.importance;
    metadata.set_at_end("quantize.imatrix.file",
                        cut(recipe.importance_name.empty() ? data.name : recipe.importance_name));
    if (!data.datasets.empty())
      metadata.set_at_end("quantize.imatrix.dataset", cut(data.datasets.front()));
    metadata.set_at_end("quantize.imatrix.entries_count",
                        static_cast<std::uint32_t>(data.entries.size()));
    if (data.chunks > 0) metadata.set_at_end("quantize.imatrix.chunks_count", data.chunks);
  }
  if (!recipe.prune_layers.empty()) {
    metadata.set_at_end(model.architecture + ".block_count",
                        static_cast<std::uint32_t>(kept_layers));
  }
  return metadata;
}

// The pieces of a split output. With --keep-split these are the source's, by number: the first may
// be left with metadata only.
std::vector<std::vector<PlannedTensor>> split(std::vector<PlannedTensor> tensors,
                                              const Model& model, const Recipe& recipe) {
  std::vector<std::vector<PlannedTensor>> pieces(1);
  std::uint64_t bytes = 0;
  for (PlannedTensor& tensor : tensors) {
    if (recipe.keep_split) {
      const auto& sources = model.tensors[tensor.model_tensor].source_tensors;
      const std::size_t file = sources.empty() ? 0 : model.source->tensors()[sources.front()].file;
      if (file >= pieces.size()) pieces.resize(file + 1);
      pieces[file].push_back(std::move(tensor));
      continue;
    }
    const bool full =
        (recipe.split_max_tensors != 0 && pieces.back().size() >= recipe.split_max_tensors) ||
        (recipe.split_max_bytes != 0 && bytes + tensor.bytes > recipe.split_max_bytes);
    if (full && !pieces.back().empty()) {
      pieces.emplace_back();
      bytes = 0;
    }
    bytes += tensor.bytes;
    pieces.back().push_back(std::move(tensor));
  }
  return pieces;
}

void lay_out(PlannedFile& file) {
  std::vector<gguf::TensorEntry> entries;
  std::uint64_t offset = 0;
  for (PlannedTensor& tensor : file.tensors) {
    tensor.offset = offset;
    const auto end = checked_add(offset, tensor.bytes);
    const auto padded = end ? checked_round_up(*end, gguf::kAlignment) : std::nullopt;
    if (!padded) fail(ErrorCode::GG17, {}, {}, "the output would not fit 64-bit offsets");
    offset = *padded;
    entries.push_back({tensor.name, tensor.shape, tensor.type, tensor.offset});
  }
  file.data_bytes = offset;
  file.header_bytes = gguf::header_bytes(file.metadata, entries);
}

void check_names(const Model& model, const std::vector<PlannedTensor>& tensors,
                 Warnings& warnings) {
  std::set<std::string_view> names;
  for (const PlannedTensor& tensor : tensors) {
    const auto& sources = model.tensors[tensor.model_tensor].source_tensors;
    std::string file(model.source->path());
    std::optional<std::uint64_t> offset;
    if (!sources.empty()) {
      const SourceTensor& source = model.source->tensors()[sources.front()];
      file = model.source->files()[source.file].path;
      offset = source.name_offset;
    }
    if (!names.insert(tensor.name).second) {
      fail(ErrorCode::QZ05, file, offset, "two tensors become " + quoted(tensor.name));
    }
    if (tensor.name.size() > gguf::kMaxTensorName) {
      const Problem problem{ErrorCode::QZ04,
                            file,
                            offset,
                            "tensor name " + quoted(tensor.name) + " is too long for llama.cpp",
                            std::to_string(tensor.name.size()) + " bytes",
                            "63 bytes"};
      if (model.kind != ModelKind::tensors_only) throw Error(problem);
      warnings.add(problem);
    }
  }
}

}  // namespace

std::string_view PlannedTensor::type_name() const noexcept {
  return format ? format->name() : info(type).name;
}

std::uint64_t Plan::bytes() const noexcept {
  std::uint64_t total = 0;
  for (const PlannedFile& file : files) total += file.bytes();
  return total;
}

double Plan::bits_per_weight() const noexcept {
  std::uint64_t total = 0;
  for (const PlannedFile& file : files) {
    for (const PlannedTensor& tensor : file.tensors) total += tensor.bytes;
  }
  return values == 0 ? 0.0 : static_cast<double>(total) * 8.0 / static_cast<double>(values);
}

Plan make_plan(const Model& model, const Recipe& recipe, Warnings& warnings,
               bool require_importance) {
  if (recipe.target.checkpoint) return plan_checkpoint(model, recipe, warnings);
  if (model.tensors.empty() && !keeps_types(*recipe.target.preset)) {
    fail(ErrorCode::QZ08, std::string(model.source->path()), {},
         "the file holds no tensors, so there is nothing to quantize");
  }
  const bool converter = is_converter_output(model, recipe);
  const Preset& preset = *recipe.target.preset;
  std::uint64_t kept_layers = 0;
  std::vector<Item> items = make_items(model, recipe, kept_layers);
  if (!converter) sort_as_reference(items, model, recipe.keep_split);

  std::vector<RuleTensor> rule_tensors;
  rule_tensors.reserve(items.size());
  for (const Item& item : items) {
    const ModelTensor& tensor = model.tensors[item.model_tensor];
    rule_tensors.push_back({item.name, fold(tensor.shape), tensor.stored_type});
  }
  std::vector<Decision> decisions;
  if (!converter) decisions = decide_types(rule_tensors, model_facts(model, recipe), recipe);

  Plan plan;
  plan.target = recipe.target;
  plan.nonfinite = recipe.nonfinite;
  plan.reference_quirks = recipe.reference_quirks;
  plan.importance = recipe.importance;
  Metadata metadata = make_metadata(model, recipe, rule_tensors, kept_layers, warnings);
  std::vector<PlannedTensor> tensors;
  tensors.reserve(items.size());
  std::vector<std::string> missing;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const ModelTensor& tensor = model.tensors[items[i].model_tensor];
    PlannedTensor planned;
    planned.model_tensor = items[i].model_tensor;
    planned.name = items[i].name;
    planned.shape =
        converter ? rule_tensors[i].shape : gguf::drop_unit_dimensions(rule_tensors[i].shape);
    planned.source_type = source_type(model, tensor);
    planned.stored_type = tensor.stored_type;
    if (converter) {
      planned.type = converter_type(tensor, preset);
      if (tensor.follows_file_type && !keeps_types(preset) && planned.type != preset.default_type) {
        planned.wanted = preset.default_type;
        planned.substitution =
            "rows of " + std::to_string(tensor.shape.row_values()) + " values are not whole blocks";
      }
      planned.rule = tensor.follows_file_type ? "the file's type" : "kept by the converter";
    } else {
      Decision& decision = decisions[i];
      // llama.cpp reads these of a projector in their own type only.
      const bool fixed = model.projector && !tensor.follows_file_type;
      if (fixed) decision = {tensor.stored_type, "kept by the converter", false, {}, {}};
      planned.type = decision.type;
      planned.rule = std::move(decision.rule);
      planned.wanted = decision.wanted;
      planned.substitution = std::move(decision.substitution);
    }
    // With other targets, only what is quantized already keeps its grid.
    if (is_lossless(recipe) && tensor.exact_type &&
        (keeps_types(preset) || is_quantized(*tensor.exact_type))) {
      planned.type = *tensor.exact_type;
      planned.rule = is_quantized(planned.type) ? "exact: all values lie on this type's grid"
                                                : "exact: the smallest float that has all values";
      planned.wanted.reset();
      planned.substitution.clear();
    }
    if (recipe.target.saved) take_saved_type(planned, *recipe.target.saved);
    planned.exact = tensor.exact_type == planned.type && is_quantized(planned.type);
    planned.copied = planned.type == planned.stored_type;
    if (planned.type != planned.source_type) check_convertible(model, tensor, planned, recipe);
    if (planned.wanted) {
      warnings.add(ErrorCode::QZ03, std::string(model.source->path()), {},
                   "tensor " + quoted(planned.name) + " becomes " +
                       std::string(info(planned.type).name) + " instead of " +
                       std::string(info(*planned.wanted).name) + ": " + planned.substitution);
    }
    if (!planned.copied)
      planned.importance = importance_for(items[i], planned, recipe, warnings, missing);
    if (tensor.shape.rank() > kMaxWrittenRank) {
      std::vector<std::int32_t> dims;
      for (const std::uint64_t d : tensor.shape.dims()) {
        if (d > std::numeric_limits<std::int32_t>::max())
          fail(ErrorCode::QZ03, std::string(model.source->path()), std::nullopt,
               "the shape of tensor " + quoted(planned.name) + " cannot be recorded",
               tensor.shape.text(), "dimensions of 31 bits");
        dims.push_back(static_cast<std::int32_t>(d));
      }
      metadata.set_at_end("comfy.gguf.orig_shape." + planned.name, MetaArray(std::move(dims)));
    }
    planned.bytes = stored_bytes(planned.type, planned.shape.values());
    plan.values += planned.shape.values();
    tensors.push_back(std::move(planned));
  }
  if (!missing.empty()) {
    const Problem problem = missing_importance(missing, recipe);
    if (require_importance) throw Error(problem);
    warnings.add(problem);
  }
  plan.missing_importance = missing.size();
  if (const auto file_type = exact_file_type(tensors); file_type && keeps_types(preset))
    metadata.set("general.file_type", *file_type);
  check_names(model, tensors, warnings);
  if (recipe.target.saved && recipe.target.saved->types.size() != tensors.size()) {
    fail(ErrorCode::USE04, recipe.target.saved->file, {},
         "the saved plan names tensors that the model does not have",
         std::to_string(recipe.target.saved->types.size()) + " tensors",
         std::to_string(tensors.size()));
  }

  const auto total_tensors = static_cast<std::int32_t>(tensors.size());
  std::vector<std::vector<PlannedTensor>> pieces = split(std::move(tensors), model, recipe);
  if (pieces.size() > kMaxPieces) {
    fail(ErrorCode::USE03, std::string(model.source->path()), {},
         "the output would be split into too many pieces", std::to_string(pieces.size()),
         "at most " + std::to_string(kMaxPieces) + ", with a larger --split-max-size");
  }
  for (std::size_t p = 0; p < pieces.size(); ++p) {
    PlannedFile file;
    file.piece = static_cast<std::uint32_t>(p);
    file.pieces = static_cast<std::uint32_t>(pieces.size());
    file.numbered = recipe.keep_split || pieces.size() > 1;
    if (p == 0) file.metadata = metadata;
    if (pieces.size() > 1) {
      file.metadata.set_at_end("split.no", static_cast<std::uint16_t>(p));
      file.metadata.set_at_end("split.count", static_cast<std::uint16_t>(pieces.size()));
      file.metadata.set_at_end("split.tensors.count", total_tensors);
    }
    file.tensors = std::move(pieces[p]);
    lay_out(file);
    plan.files.push_back(std::move(file));
  }
  return plan;
}

std::string explain(const Plan& plan, std::string_view tensor) {
  for (const PlannedFile& file : plan.files) {
    for (const PlannedTensor& planned : file.tensors) {
      if (planned.name != tensor) continue;
      std::string text = quoted(planned.name) + " " + planned.shape.text() + ": " +
                         std::string(info(planned.source_type).name) + " -> " +
                         std::string(planned.type_name()) + ", " + planned.rule;
      if (planned.wanted) {
        text += "; " + std::string(info(*planned.wanted).name) +
                " was replaced: " + planned.substitution;
      }
      if (planned.importance) text += "; with importance weights";
      return text;
    }
  }
  fail(ErrorCode::USE04, {}, {}, "no tensor of that name in the output", std::string(tensor));
}

}  // namespace quantize
