// What the output will be, decided before a weight is read: every type, offset and byte count.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "quantize/importance.hpp"
#include "quantize/model.hpp"

namespace quantize {

// One row of the preset table (src/plan/presets.cpp).
struct Preset {
  std::string_view name;   // "q4_k_m", as typed
  std::string_view label;  // "Q4_K_M", as in file names
  std::int32_t file_type;  // general.file_type
  DType default_type;
  std::string_view about;         // what it is good for
  bool needs_importance = false;  // for ordinary tensors: it makes types that the reference refuses
};
std::span<const Preset> presets() noexcept;
// Copy and lossless: tensors as they are stored, or as their values allow.
inline bool keeps_types(const Preset& preset) noexcept { return preset.file_type < 0; }
// Whether the plan asks for exact types.
struct Recipe;
bool is_lossless(const Recipe& recipe) noexcept;

// Friendly names and aliases: fp16, int8, int4, q4_k, q5_k, q3_k ...
struct TargetAlias {
  std::string_view name;
  std::string_view preset;
  std::string_view about;
};
std::span<const TargetAlias> target_aliases() noexcept;

// The type of every tensor of an output, by name, from a saved plan.
struct SavedTypes {
  std::string file;  // where from, for messages
  std::map<std::string, DType, std::less<>> types;
};

class WeightFormat;       // src/quant/checkpoint/weight_format.hpp
struct CheckpointTarget;  // src/plan/checkpoint.hpp

// Kinds of checkpoints that --to takes, as "bnb:nf4".
struct CheckpointName {
  std::string_view name;
  std::string_view about;
};
std::span<const CheckpointName> checkpoint_names() noexcept;

// A target as typed (any case): preset, alias, block type, type:NAME (that type
// with --pure), or the name of a checkpoint.
struct Target {
  const Preset* preset = nullptr;
  bool pure = false;
  std::string label;                                  // for {TYPE}: "Q4_K_M"
  std::shared_ptr<const SavedTypes> saved = nullptr;  // decides instead of the preset's rules
  // A directory for other loaders; then there is no preset.
  std::shared_ptr<const CheckpointTarget> checkpoint = nullptr;
};
Target find_target(std::string_view text);  // USE04, with near misses named

// The outputs of a document that write_plan() made as JSON, their types perhaps edited. IO*, JS*,
// USE04.
std::vector<Target> load_saved_plans(const std::string& path, Warnings& warnings);

enum class NonFinite : std::uint8_t { automatic, error, keep, zero };

// One --tensor-type or line of a recipe: the first whose pattern is found in a name gives its type.
struct TensorTypeRule {
  std::string pattern;
  std::string type;
  bool may_match_nothing = false;  // a line that ends in '?'
};

// What the user asked for. Names and numbers only; nothing is resolved yet.
struct Recipe {
  Target target;
  std::vector<TensorTypeRule> tensor_types;
  std::optional<DType> output_tensor_type;
  std::optional<DType> token_embedding_type;
  bool leave_output_tensor = false;
  bool pure = false;
  bool lossless = false;  // exact types first (ModelTensor::exact_type)
  bool allow_requantize = false;
  bool allow_unmatched = false;
  bool keep_split = false;
  bool reference_quirks = false;
  std::vector<std::pair<std::string, MetaValue>> override_kv;
  std::vector<std::uint32_t> prune_layers;
  std::shared_ptr<const ImportanceData> importance;
  std::string importance_name;        // --imatrix-name, empty: ImportanceData::name
  std::uint64_t split_max_bytes = 0;  // 0: one file
  std::uint64_t split_max_tensors = 0;
  NonFinite nonfinite = NonFinite::automatic;
};

// One stored tensor of a weight that a checkpoint stores as several.
struct PlannedPart {
  std::string name;
  DType type{};
  Shape shape;
  std::uint64_t offset = 0;  // from the start of its file's data section
  std::uint64_t bytes = 0;
};

struct PlannedTensor {
  std::size_t model_tensor = 0;  // index into Model::tensors
  std::string name;              // output name (pruning renumbers layers)
  Shape shape;
  DType source_type{};          // as stored in the source
  DType stored_type{};          // the lossless intermediate's type
  DType type{};                 // as written
  bool copied = false;          // stored_type == type: no encoding
  std::uint64_t offset = 0;     // from the start of its file's data section
  std::uint64_t bytes = 0;      // without padding
  bool exact = false;           // the values lie on the type's grid
  std::string rule;             // the sentence that chose the type
  std::optional<DType> wanted;  // set if the shape forced a substitute
  std::string substitution;     // why, if so
  const ImportanceEntry* importance = nullptr;
  // Checkpoints: how the weight is stored, and as what; `offset` is 0 then, `bytes` those of all
  // parts. `survey_group`: weights of one group share what their format surveys.
  std::shared_ptr<const WeightFormat> format;
  std::vector<PlannedPart> parts;
  std::size_t survey_group = 0;

  std::string_view type_name() const noexcept;  // "q4_K", "nf4"
};

// A small file of a checkpoint: made, or copied from the source's directory.
struct SideFile {
  std::string name;
  std::optional<std::string> text;  // empty: copied
};

struct PlannedFile {
  std::string name;                     // in its directory; empty for GGUF files
  std::uint32_t piece = 0, pieces = 1;  // of a split set
  bool numbered = false;                // its name ends in -00001-of-00001 (--keep-split: even one)
  Metadata metadata;
  std::vector<PlannedTensor> tensors;  // in file order
  std::uint64_t header_bytes = 0;      // magic to the padded start of the data
  std::uint64_t data_bytes = 0;        // with padding
  std::uint64_t bytes() const noexcept { return header_bytes + data_bytes; }
};

struct Plan {
  Target target;
  std::vector<PlannedFile> files;
  NonFinite nonfinite = NonFinite::automatic;
  bool reference_quirks = false;
  std::shared_ptr<const ImportanceData> importance;  // keeps PlannedTensor::importance alive
  std::vector<SideFile> side_files;                  // of a checkpoint
  std::shared_ptr<const Directory> side_directory;   // where they are copied from
  std::uint64_t missing_importance = 0;  // tensors that need importance weights and have none
  std::uint64_t values = 0;              // weights in all tensors
  std::uint64_t bytes() const noexcept;
  double bits_per_weight()
      const noexcept;  // tensor bytes x 8 / values, padding and header excluded
};

// Pure: same model and recipe, same plan. `require_importance` false (plan, --dry-run): missing
// importance weights are a warning.
Plan make_plan(const Model& model, const Recipe& recipe, Warnings& warnings,
               bool require_importance = true);

// Short sentence for --explain: which rule decided about this tensor, and the alternatives.
std::string explain(const Plan& plan, std::string_view tensor);

}  // namespace quantize
