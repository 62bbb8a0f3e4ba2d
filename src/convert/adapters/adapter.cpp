#include "convert/adapters/adapter.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "quantize/escape.hpp"
#include "quantize/quantizer.hpp"

#include "convert/adapters/merged_source.hpp"
#include "convert/adapters/settings.hpp"
#include "core/directory.hpp"
#include "formats/readers.hpp"

namespace quantize {
namespace {

using adapters::Change;
using adapters::LowRank;
using checkpoints::StoredMatrix;

constexpr const char* kWeights = "adapter_model.safetensors";
constexpr const char* kPickle = "adapter_model.bin";
constexpr std::string_view kPrefix = "base_model.model.";

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}
bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

// The parts of a module's adapter, by how their names end.
enum Part : std::uint8_t { a, b, embedding_a, embedding_b, magnitude, bias, kParts };
struct Ending {
  std::string_view text;
  Part part;
};
constexpr Ending kEndings[] = {{".lora_A.weight", a},
                               {".lora_B.weight", b},
                               {".lora_embedding_A", embedding_a},
                               {".lora_embedding_B", embedding_b},
                               {".lora_magnitude_vector", magnitude},
                               {".lora_magnitude_vector.weight", magnitude},
                               {".lora_B.bias", bias}};

// Modules that are saved whole when the vocabulary has grown, named in the settings or not.
constexpr std::string_view kEmbeddings[] = {"embed_tokens", "lm_head"};

// What stands before a model's layers in names, by class and version of the library that made it.
constexpr std::string_view kWrappers[] = {"model.", "language_model.", "text_model.",
                                          "transformer."};

std::string without_wrappers(std::string_view name) {
  for (bool found = true; found;) {
    found = false;
    for (const std::string_view wrapper : kWrappers)
      if (starts_with(name, wrapper)) {
        name.remove_prefix(wrapper.size());
        found = true;
      }
  }
  return std::string(name);
}

std::string shortest(double value) {
  char text[32];
  const auto end = std::to_chars(std::begin(text), std::end(text), value).ptr;
  return {std::begin(text), end};
}

// Finds a model's tensor by the name that an adapter has for it.
class Names {
 public:
  explicit Names(std::span<const SourceTensor> tensors) {
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      exact_.emplace(tensors[i].name, i);
      add(bare_, without_wrappers(tensors[i].name), i);
      const std::size_t dot = tensors[i].name.find('.');
      if (dot != std::string::npos) add(tails_, tensors[i].name.substr(dot + 1), i);
    }
  }

  // The same name; the same without what wraps the layers; the same but for one first word, which
  // the bare model's files lack or the adapter of a bare model lacks. `ambiguous`: several fit.
  std::optional<std::size_t> find(const std::string& name, bool& ambiguous) const {
    ambiguous = false;
    if (const auto found = exact_.find(name); found != exact_.end()) return found->second;
    if (const auto found = one(bare_, without_wrappers(name), ambiguous)) return found;
    if (ambiguous) return std::nullopt;
    if (const auto found = one(tails_, name, ambiguous)) return found;
    if (ambiguous) return std::nullopt;
    const std::size_t dot = name.find('.');
    const auto found = dot == std::string::npos ? exact_.end() : exact_.find(name.substr(dot + 1));
    return found == exact_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  // The tensor of that name, and whether it is the only one.
  using Index = std::unordered_map<std::string, std::pair<std::size_t, bool>>;

  static void add(Index& index, std::string name, std::size_t tensor) {
    const auto [entry, added] = index.try_emplace(std::move(name), tensor, true);
    if (!added) entry->second.second = false;
  }
  static std::optional<std::size_t> one(const Index& index, const std::string& name,
                                        bool& ambiguous) {
    const auto found = index.find(name);
    if (found == index.end()) return std::nullopt;
    ambiguous = !found->second.second;
    return ambiguous ? std::nullopt : std::optional(found->second.first);
  }

  std::unordered_map<std::string, std::size_t> exact_;
  Index bare_, tails_;
};

class Matching {
 public:
  Matching(const Source& base, const Source& adapter, const adapters::Settings& settings,
           const AdapterOption& option, Warnings& warnings)
      : base_(base),
        adapter_(adapter),
        settings_(settings),
        option_(option),
        warnings_(warnings),
        names_(base.tensors()) {}

  std::vector<Change> run() {
    for (std::size_t i = 0; i < adapter_.tensors().size(); ++i) sort(i);
    for (const auto& [name, tensor] : whole_) replace(name, tensor);
    find_ways();
    for (const auto& [name, module] : modules_) merge(name, module);
    refuse_doubtful_squares();
    if (changes_.empty())
      fail(ErrorCode::LR01, adapter_.files()[0].path, {}, "the adapter has no tensors");
    std::vector<Change> out;
    for (auto& entry : changes_) out.push_back(std::move(entry.second));
    return out;
  }

 private:
  using Module = std::array<std::optional<std::size_t>, kParts>;

  const SourceTensor& of(std::size_t tensor) const { return adapter_.tensors()[tensor]; }
  [[noreturn]] void refuse(ErrorCode code, std::size_t tensor, const std::string& text,
                           std::string found = {}, std::string allowed = {}) const {
    fail(code, adapter_.files()[of(tensor).file].path, of(tensor).name_offset,
         "tensor " + quoted(of(tensor).name) + " " + text, std::move(found), std::move(allowed));
  }

  // Which part of which module a tensor of the adapter is.
  void sort(std::size_t tensor) {
    std::string_view name = of(tensor).name;
    if (starts_with(name, kPrefix)) name.remove_prefix(kPrefix.size());
    const DType type = of(tensor).type;
    if (type != DType::f32 && type != DType::f16 && type != DType::bf16)
      refuse(ErrorCode::LR05, tensor, "has a type that adapters do not have",
             std::string(info(type).name), "f32, f16, bf16");
    for (const Ending& ending : kEndings) {
      if (!ends_with(name, ending.text) || name.size() == ending.text.size()) continue;
      auto& place =
          modules_[std::string(name.substr(0, name.size() - ending.text.size()))][ending.part];
      if (place) refuse(ErrorCode::LR02, tensor, "is there twice");
      place = tensor;
      return;
    }
    if (!is_whole(name)) refuse(ErrorCode::LR05, tensor, "is no part of an adapter that is known");
    std::string target(name);
    for (const std::string_view inner : {".base_layer.", ".modules_to_save."})
      if (const std::size_t at = target.find(inner); at != std::string::npos)
        target.replace(at, inner.size(), ".");
    if (!whole_.emplace(std::move(target), tensor).second)
      refuse(ErrorCode::LR02, tensor, "is there twice");
  }

  // Whether a tensor that is no factor replaces one of the model's.
  bool is_whole(std::string_view name) const {
    if (name.find("lora_") != std::string_view::npos) return false;
    if (ends_with(name, ".base_layer.weight")) return true;
    if (settings_.biases && ends_with(name, ".bias")) return true;
    const std::string path = "." + std::string(name);
    const auto within = [&](std::string_view module) {
      return path.find("." + std::string(module) + ".") != std::string::npos;
    };
    return std::any_of(settings_.saved_modules.begin(), settings_.saved_modules.end(), within) ||
           (ends_with(name, ".weight") &&
            std::any_of(std::begin(kEmbeddings), std::end(kEmbeddings), within));
  }

  // The model's tensor of that name; LR02 if several fit.
  std::optional<std::size_t> find(const std::string& name, std::size_t tensor) const {
    bool ambiguous = false;
    const auto found = names_.find(name, ambiguous);
    if (ambiguous) refuse(ErrorCode::LR02, tensor, "fits several tensors of the model");
    return found;
  }
  std::size_t need(const std::string& name, std::size_t tensor) const {
    const auto found = find(name, tensor);
    if (!found)
      refuse(ErrorCode::LR02, tensor, "is for a tensor that the model does not have", name);
    return *found;
  }

  Change& change_of(std::size_t base) {
    Change& change = changes_[base];
    change.base = base;
    return change;
  }

  void replace(const std::string& name, std::size_t tensor) {
    const auto base = find(name, tensor);
    // A new one: an output of its own where the model shared it with the embedding.
    const std::size_t place = base.value_or(base_.tensors().size() + added_++);
    Change& change = changes_[place];
    if (change.replacement) refuse(ErrorCode::LR02, tensor, "is for a tensor that has another");
    // Rows may have been added: tokens of a vocabulary that has grown.
    const auto dims = of(tensor).shape.dims();
    const Shape& before = base ? base_.tensors()[*base].shape : of(tensor).shape;
    if (dims.size() != before.rank() || dims.empty() ||
        !std::equal(dims.begin() + 1, dims.end(), before.dims().begin() + 1) ||
        (dims.size() == 1 && dims[0] != before.dims()[0]))
      refuse(ErrorCode::LR03, tensor, "does not fit the tensor that it replaces",
             of(tensor).shape.text(), before.text());
    change.base = base;
    change.name = name;
    change.replacement = tensor;
    change.about = (base ? "replaced by adapter " : "added by adapter ") + option_.path;
    if (option_.scale != 1)
      warnings_.add(ErrorCode::LR04, adapter_.files()[0].path, of(tensor).name_offset,
                    "tensor " + quoted(of(tensor).name) +
                        " replaces one of the model whole, whatever the scale");
  }

  void merge(const std::string& name, const Module& module) {
    const bool embedding = module[embedding_a] || module[embedding_b];
    const auto first = embedding ? module[embedding_a] : module[a];
    const auto second = embedding ? module[embedding_b] : module[b];
    for (std::size_t part = 0; part < kParts; ++part)
      if (module[part] && (!first || !second))
        refuse(ErrorCode::LR01, *module[part], "is alone: its module needs two factors", {},
               "lora_A and lora_B");
    if (embedding && (module[a] || module[b]))
      refuse(ErrorCode::LR05, *first, "belongs to a module that has two adapters");
    if (module[magnitude] && !settings_.dora)
      refuse(ErrorCode::LR05, *module[magnitude], "is of DoRA, which the settings do not use");
    if (settings_.dora && !module[magnitude])
      refuse(ErrorCode::LR01, *first, "has no lora_magnitude_vector beside it");

    const auto parameter = find_parameter(name, *first, *second);
    const std::size_t base = parameter ? parameter->tensor : need(name + ".weight", *first);
    Change& change = change_of(base);
    if (change.product) refuse(ErrorCode::LR02, *first, "is for a tensor that has another");
    change.product = parameter ? product_of(*parameter, *first, *second)
                               : product_of(name, change, embedding, *first, *second);
    const SourceTensor& target = base_.tensors()[base];
    const DType type = change.replacement ? of(*change.replacement).type : target.type;
    const bool whole_number =
        type == DType::i8 || type == DType::i16 || type == DType::i32 || type == DType::i64;
    if (whole_number || find_quantizer(type) == nullptr)
      refuse(ErrorCode::LR05, *first, "is for a tensor that holds no weights",
             std::string(info(type).name), "f32, f16, bf16 or a type of blocks");
    if (module[magnitude]) add_magnitude(change, *module[magnitude], target);
    const std::string with =
        "merged with adapter " + option_.path + " (" + (settings_.dora ? "DoRA, " : "") + "rank " +
        std::to_string(change.product->rank) + ", scale " + shortest(change.product->scale) + ")";
    change.about += (change.about.empty() ? "" : ", then ") + with;
    if (module[bias]) merge_bias(name, *module[bias], change.product->scale, with);
  }

  // A tensor of experts, which PEFT adapts without a module of its own: experts x outputs x inputs,
  // or the latter exchanged.
  struct Parameter {
    std::size_t tensor;
    std::string name;
    bool turned;
  };
  // Several tensors of one module are wrapped one around the other, and the adapter's names say how
  // deep, but not which: the shapes decide. Empty if the module is none of tensors without modules.
  std::optional<std::vector<Parameter>> fitting_parameters(std::string module, std::size_t first,
                                                           std::size_t second) const {
    constexpr std::string_view kInner = ".base_layer";
    bool inner = false;
    while (ends_with(module, kInner)) {
      module.resize(module.size() - kInner.size());
      inner = true;
    }
    if (!inner && find(module + ".weight", first)) return std::nullopt;
    std::optional<std::vector<Parameter>> fitting;
    for (const std::string& parameter : settings_.parameters) {
      const std::size_t dot = parameter.rfind('.');
      const std::string name =
          module + "." + parameter.substr(dot == std::string::npos ? 0 : dot + 1);
      if (name != parameter && !ends_with(name, "." + parameter)) continue;
      const auto tensor = find(name, first);
      if (!tensor) continue;
      if (!fitting) fitting.emplace();
      for (const bool turned : {false, true})
        if (fits(base_.tensors()[*tensor].shape, settings_.rank_of(name), turned, first, second))
          fitting->push_back({*tensor, name, turned});
    }
    return fitting;
  }

  // Which of the two ways an adapter has is a matter of the package's version, so one for all:
  // square matrices follow the others.
  void find_ways() {
    for (const auto& [name, module] : modules_) {
      if (!module[a] || !module[b]) continue;
      const auto fitting = fitting_parameters(name, *module[a], *module[b]);
      if (fitting && fitting->size() == 1) way_seen_[fitting->front().turned ? 1 : 0] = true;
    }
  }

  // LR03 if the shapes leave a choice.
  std::optional<Parameter> find_parameter(const std::string& module, std::size_t first,
                                          std::size_t second) const {
    auto fitting = fitting_parameters(module, first, second);
    if (!fitting) return std::nullopt;
    if (fitting->size() > 1 && way_seen_[0] != way_seen_[1])
      fitting->erase(std::remove_if(fitting->begin(), fitting->end(),
                                    [&](const Parameter& p) { return p.turned != way_seen_[1]; }),
                     fitting->end());
    if (fitting->size() != 1)
      refuse(ErrorCode::LR03, first,
             fitting->empty() ? "does not fit the tensors of its module"
                              : "fits more than one tensor of its module, or both ways",
             of(first).shape.text() + " and " + of(second).shape.text());
    return fitting->front();
  }
  bool fits(const Shape& shape, std::uint64_t rank, bool turned, std::size_t first,
            std::size_t second) const {
    const auto dims = shape.dims(), a_dims = of(first).shape.dims(),
               b_dims = of(second).shape.dims();
    if (dims.size() != 3 || a_dims.size() != 2 || b_dims.size() != 2 || shape.values() == 0)
      return false;
    return a_dims[0] == b_dims[1] && a_dims[0] % dims[0] == 0 && a_dims[0] / dims[0] == rank &&
           a_dims[1] == dims[turned ? 1 : 2] && b_dims[0] == dims[turned ? 2 : 1];
  }

  // A's rows are those of one expert after the other; of B's columns, those of one expert are as
  // far apart as there are experts.
  LowRank product_of(const Parameter& parameter, std::size_t first, std::size_t second) const {
    const auto dims = base_.tensors()[parameter.tensor].shape.dims();
    const std::uint64_t experts = dims[0], inputs = of(first).shape.dims()[1];
    const std::uint64_t outputs = of(second).shape.dims()[0];
    LowRank out;
    out.rows = dims[1];
    out.columns = dims[2];
    out.rank = settings_.rank_of(parameter.name);
    out.scale = option_.scale * settings_.scale_of(parameter.name);
    const auto a_all = std::make_shared<StoredMatrix>(adapter_, first, experts * out.rank, inputs,
                                                      parameter.turned);
    const auto b_all =
        std::make_shared<StoredMatrix>(adapter_, second, outputs * out.rank, experts);
    for (std::uint64_t e = 0; e < experts; ++e) {
      const std::uint64_t at = e * out.rank;
      auto part_a = adapters::shifted(a_all, parameter.turned ? 0 : at, parameter.turned ? at : 0);
      auto part_b = adapters::folded_column(b_all, e, experts, out.rank, parameter.turned);
      if (parameter.turned)
        out.matrices.push_back({std::move(part_a), std::move(part_b)});
      else
        out.matrices.push_back({std::move(part_b), std::move(part_a)});
    }
    return out;
  }

  // Both factors as matrices, whatever dimensions of 1 or of a convolution they have.
  LowRank product_of(const std::string& name, Change& change, bool embedding, std::size_t first,
                     std::size_t second) {
    const auto dims_a = of(first).shape.dims(), dims_b = of(second).shape.dims();
    const Shape& shape =
        change.replacement ? of(*change.replacement).shape : base_.tensors()[*change.base].shape;
    const auto dims = shape.dims();
    for (const auto& [tensor, d] : {std::pair(first, dims_a), std::pair(second, dims_b)})
      if (d.size() < 2 || of(tensor).shape.values() == 0)
        refuse(ErrorCode::LR03, tensor, "is no matrix", of(tensor).shape.text());
    if (dims.size() < 2 || shape.values() == 0)
      refuse(ErrorCode::LR03, first, "is for a tensor that is no matrix", shape.text());
    const std::uint64_t rank = dims_a[0], inputs = of(first).shape.values() / rank;
    const std::uint64_t outputs = dims_b[0];
    if (of(second).shape.values() / outputs != rank || dims_b[1] != rank)
      refuse(ErrorCode::LR03, second, "does not fit the other factor", of(second).shape.text(),
             "[" + std::to_string(outputs) + ", " + std::to_string(rank) + "]");
    if (rank != settings_.rank_of(name))
      refuse(ErrorCode::LR03, first, "has another rank than the settings", std::to_string(rank),
             std::to_string(settings_.rank_of(name)));

    LowRank out;
    out.rows = dims[0];
    out.columns = shape.values() / dims[0];
    out.rank = rank;
    out.scale = option_.scale * settings_.scale_of(name);
    // Convolutions have the same dimensions after the first as A has.
    const bool straight =
        !embedding && out.rows == outputs && out.columns == inputs &&
        std::equal(dims.begin() + 1, dims.end(), dims_a.begin() + 1, dims_a.end());
    const bool turned = dims.size() == 2 && out.rows == inputs && out.columns == outputs;
    if (!straight && !turned)
      refuse(ErrorCode::LR03, first, "does not fit the tensor that it is for",
             of(first).shape.text() + " and " + of(second).shape.text(), shape.text());
    if (!embedding) {
      if (straight && turned) {
        squares_.push_back(first);
      } else {
        (turned ? any_turned_ : any_straight_) = true;
      }
    }
    const auto factor = [&](std::size_t tensor, std::uint64_t rows, std::uint64_t columns,
                            bool transposed) {
      return std::make_shared<StoredMatrix>(adapter_, tensor, rows, columns, transposed);
    };
    // Lengths (of DoRA) are those of what makes one output: a column where inputs are rows.
    change.of_columns = !straight || (turned && settings_.transposed);
    if (change.of_columns)
      out.matrices.push_back(
          {factor(first, rank, inputs, true), factor(second, outputs, rank, true)});
    else
      out.matrices.push_back(
          {factor(second, outputs, rank, false), factor(first, rank, inputs, false)});
    return out;
  }

  // One setting says how all modules store their weights, and the package may change it while it
  // wraps them: square tensors are clear only if all others agree with it.
  void refuse_doubtful_squares() const {
    if (squares_.empty() || !(settings_.transposed ? any_straight_ : any_turned_)) return;
    refuse(ErrorCode::LR03, squares_.front(),
           "is for a square tensor, and fan_in_fan_out contradicts the shapes of others");
  }

  void add_magnitude(Change& change, std::size_t tensor, const SourceTensor& target) {
    if (!target.changed_by.empty() && !change.replacement)
      refuse(ErrorCode::LR05, tensor,
             "is of DoRA, for a tensor that another adapter has changed: name this adapter first");
    const LowRank& product = *change.product;
    const std::uint64_t wanted = change.of_columns ? product.columns : product.rows;
    if (of(tensor).shape.values() != wanted)
      refuse(ErrorCode::LR03, tensor, "does not fit the tensor that it is for",
             of(tensor).shape.text(), std::to_string(wanted) + " values");
    change.magnitudes = tensor;
  }

  void merge_bias(const std::string& name, std::size_t tensor, double scale,
                  const std::string& with) {
    const std::size_t base = need(name + ".bias", tensor);
    Change& change = change_of(base);
    const std::uint64_t values = of(tensor).shape.values();
    const std::uint64_t wanted = base_.tensors()[base].shape.values();
    if (values != wanted || values == 0)
      refuse(ErrorCode::LR03, tensor, "does not fit the tensor that it is for",
             of(tensor).shape.text(), std::to_string(wanted) + " values");
    LowRank product;
    product.rows = values;
    product.columns = product.rank = 1;
    product.scale = scale;
    product.matrices.push_back(
        {std::make_shared<StoredMatrix>(adapter_, tensor, values, 1), nullptr});
    change.product = std::move(product);
    change.about += (change.about.empty() ? "" : ", then ") + with;
  }

  const Source& base_;
  const Source& adapter_;
  const adapters::Settings& settings_;
  const AdapterOption& option_;
  Warnings& warnings_;
  Names names_;
  std::map<std::string, Module> modules_;
  std::map<std::string, std::size_t> whole_;
  std::map<std::size_t, Change> changes_;  // by the model's tensor; new ones follow
  std::size_t added_ = 0;
  std::vector<std::size_t> squares_;
  bool any_straight_ = false, any_turned_ = false;
  std::array<bool, 2> way_seen_{};  // of tensors of experts: straight, turned
};

}  // namespace

std::shared_ptr<const Source> merge_adapter(std::shared_ptr<const Source> base,
                                            const AdapterOption& option, bool follow_symlinks,
                                            Warnings& warnings) {
  const auto directory = std::make_shared<const Directory>(option.path, follow_symlinks);
  const adapters::Settings settings = adapters::read_settings(*directory, warnings);
  if (!directory->contains(kWeights)) {
    if (directory->contains(kPickle))
      fail(ErrorCode::IX08, directory->path_of(kPickle), {},
           "pickle checkpoints are never read: save the adapter as safetensors first");
    fail(ErrorCode::IX09, directory->path_of(kWeights), {}, "an adapter needs this file");
  }
  auto adapter = open_directory_weights(directory, kWeights, warnings);
  std::vector<Change> changes = Matching(*base, *adapter, settings, option, warnings).run();
  return adapters::merged_source(std::move(base), std::move(adapter), std::move(changes));
}

}  // namespace quantize
