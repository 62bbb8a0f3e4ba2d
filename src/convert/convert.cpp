// From source tensors to output tensors: rename, drop, look up the family's rule, check the shape,
// build the value expression and decide what the intermediate file would store.
#include "convert/convert.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "quantize/escape.hpp"

#include "arch/family.hpp"
#include "convert/authorship.hpp"
#include "convert/configuration.hpp"
#include "convert/metadata_keys.hpp"
#include "convert/value.hpp"
#include "convert/vocabulary.hpp"
#include "formats/gguf/layout.hpp"

namespace quantize {
namespace {

constexpr std::size_t kMaxRank = 4;        // of a GGUF tensor
constexpr std::size_t kListedNames = 100;  // in a message about unmapped tensors
constexpr std::uint32_t kQuantizationVersion = 2;
constexpr std::uint64_t kMaxFamilyBytes = std::uint64_t{1} << 20;

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}
bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

// What no text model needs: other modalities' parts, and buffers that are computed.
constexpr std::string_view kDropped[] = {"mlp*",
                                         "vit.*",
                                         "vpm.*",
                                         "siglip2.*",
                                         "conformer.*",
                                         "merger.*",
                                         "resampler.*",
                                         "sound_encoder.*",
                                         "sound_projection.*",
                                         "speech_embeddings.*",
                                         "*visual.*",
                                         "*vision.*",
                                         "*audio.*",
                                         "*talker.*",
                                         "*vision_*",
                                         "*audio_*",
                                         "*token2wav.*",
                                         "*code2wav.*",
                                         "*projector.*",
                                         "*pre_mm_projector_norm*",
                                         "*image_newline*",
                                         "*view_seperator*",
                                         "*patch_embed*",
                                         "*patch_merger.*",
                                         "*patch_merge_mlp.*",
                                         "*model.connector.*",
                                         "*.attention.masked_bias",
                                         "*.attention.bias",
                                         "*.rotary_emb.inv_freq"};

// Weights that stay F32 although they have two or more dimensions (without "blk.N.").
constexpr std::string_view kKeptF32[] = {
    "ffn_gate_inp",       "ffn_gate_inp_shexp", "position_embd",     "token_types",
    "ssm_conv1d",         "shortconv.conv",     "time_mix_first",    "time_mix_w1",
    "time_mix_w2",        "time_mix_decay_w1",  "time_mix_decay_w2", "time_mix_lerp_fused",
    "altup_correct_coef", "altup_predict_coef", "ssm_conv1d_q",      "ssm_conv1d_k",
    "ssm_conv1d_v",       "indexer.proj"};

// Types that a family's tensors may have: weights, and numbers that are cast.
constexpr DType kConverted[] = {DType::f32, DType::f16, DType::bf16, DType::f64, DType::i64,
                                DType::i32, DType::i16, DType::i8,   DType::u8,  DType::boolean};

bool follows_file_type(std::string_view name, std::size_t rank) {
  if (rank <= 1 || ends_with(name, "_norm.weight") || !ends_with(name, ".weight")) return false;
  name.remove_suffix(std::string_view(".weight").size());
  if (starts_with(name, "blk.")) name.remove_prefix(std::min(name.find('.', 4) + 1, name.size()));
  return std::find(std::begin(kKeptF32), std::end(kKeptF32), name) == std::end(kKeptF32);
}

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
  return text;
}

std::string renamed(std::string name, const Family& family, std::string_view model, bool labelled) {
  if (constexpr std::string_view old = "e_score_correction_bias"; ends_with(name, old))
    name.replace(name.size() - old.size(), old.size(), "e_score_correction.bias");
  name = replaced(std::move(name), "language_model.", "");
  for (const RenameRule& rule : family.renames) {
    if ((!rule.model.empty() && rule.model != model) || (rule.labelled && !labelled)) continue;
    if (!rule.anywhere.empty()) {
      name = replaced(std::move(name), rule.anywhere, rule.to);
    } else if (!rule.suffix.empty()) {
      if (ends_with(name, rule.suffix))
        name.replace(name.size() - rule.suffix.size(), rule.suffix.size(), rule.to);
    } else if (starts_with(name, rule.prefix)) {
      name.replace(0, rule.prefix.size(), rule.to);
    }
  }
  return name;
}

// "a.12.b" -> "a.{}.b" and 12. Numbers are in canonical decimal, so that the way back is unique.
struct Pattern {
  std::string text;
  std::vector<std::uint64_t> numbers;
};

Pattern pattern_of(std::string_view name) {
  Pattern out;
  while (true) {
    const std::string_view word = name.substr(0, name.find('.'));
    const bool number = !word.empty() && word.size() <= 6 && (word == "0" || word.front() != '0') &&
                        word.find_first_not_of("0123456789") == std::string_view::npos;
    if (number) {
      std::uint64_t value = 0;
      for (const char c : word) value = value * 10 + static_cast<std::uint64_t>(c - '0');
      out.numbers.push_back(value);
      out.text += "{}";
    } else {
      out.text += word;
    }
    if (word.size() == name.size()) return out;
    out.text += '.';
    name.remove_prefix(word.size() + 1);
  }
}

class Converter {
 public:
  Converter(const Family& family, const Configuration& configuration, const Source& source,
            const OpenOptions& options)
      : family_(family),
        configuration_(configuration),
        source_(source),
        options_(options),
        shapes_(family.tensors.size()),
        labelled_(!classifier_labels(configuration).empty()) {
    for (std::size_t i = 0; i < family.tensors.size(); ++i)
      rules_.emplace(replaced(replaced(family.tensors[i].from, "{n}", "{}"), "{e}", "{}"), i);
    for (const TensorRule& rule : family.tensors)
      if (rule.to + ".weight" == family.embedding && !rule.shape.empty())
        vocabulary_size_ = rule.shape[0];
    for (const TensorRule& rule : family.tensors)
      stacked_rules_ += rule.operation == TensorOperation::stack;
    const auto layers =
        configuration.find({"n_layers", "num_hidden_layers", "n_layer", "num_layers"});
    layers_ = layers ? configuration.unsigned_of(*layers, ValueRange::layers) : 0;
    const auto experts =
        configuration.find({"num_local_experts", "num_experts", "n_routed_experts"});
    experts_ = experts ? configuration.unsigned_of(*experts, ValueRange::experts) : 0;
  }

  void run(Model& model) {
    for (const GeneratedTensor generated : family_.generate) generate(generated);
    for (std::size_t i = 0; i < source_.tensors().size(); ++i) take(i);
    refuse_unmapped();
    refuse_missing();
    model.tensors = std::move(tensors_);
    model.ignored = std::move(ignored_);
  }

 private:
  const std::string& path_of(const SourceTensor& tensor) const {
    return source_.files()[tensor.file].path;
  }

  void generate(GeneratedTensor what) {
    switch (what) {
      case GeneratedTensor::llama3_rope_factors:
        if (auto factors = llama3_rope_factors(configuration_); !factors.empty()) {
          const Shape shape{factors.size()};
          emit("rope_freqs.weight", generated(std::move(factors), shape), nullptr);
        }
        break;
    }
  }

  void take(std::size_t index) {
    const SourceTensor& tensor = source_.tensors()[index];
    const std::string name = renamed(tensor.name, family_, configuration_.model(), labelled_);
    const auto matches = [&](std::string_view glob) { return matches_glob(glob, name); };
    if (std::any_of(std::begin(kDropped), std::end(kDropped), matches) ||
        std::any_of(family_.drop.begin(), family_.drop.end(), matches)) {
      ignored_.push_back(tensor.name);
      return;
    }
    std::string_view stem = name;
    std::string_view suffix;
    Pattern pattern = pattern_of(stem);
    auto found = rules_.find(pattern.text);
    for (const std::string_view end : {".weight", ".bias"})
      if (found == rules_.end() && ends_with(name, end)) {
        stem = std::string_view(name).substr(0, name.size() - end.size());
        suffix = end;
        pattern = pattern_of(stem);
        found = rules_.find(pattern.text);
      }
    const bool known = found != rules_.end() &&
                       (pattern.numbers.empty() || pattern.numbers[0] < layers_) &&
                       (pattern.numbers.size() < 2 || pattern.numbers[1] < experts_);
    if (!known) {
      const auto wanted = [&](const std::string& glob) { return matches_glob(glob, tensor.name); };
      if (std::any_of(options_.ignore_unmapped.begin(), options_.ignore_unmapped.end(), wanted))
        ignored_.push_back(tensor.name);
      else
        unmapped_.push_back(index);
      return;
    }
    if (!std::count(std::begin(kConverted), std::end(kConverted), tensor.type))
      fail(ErrorCode::QZ03, path_of(tensor), tensor.type_offset,
           "tensor " + quoted(tensor.name) + " has a type that is not converted",
           std::string(info(tensor.type).name));
    if (tensor.shape.rank() > kMaxRank)
      fail(ErrorCode::QZ06, path_of(tensor), tensor.shape_offset,
           "tensor " + quoted(tensor.name) + " has too many dimensions", tensor.shape.text(),
           "at most 4");
    const TensorRule& rule = family_.tensors[found->second];
    check_shape(found->second, tensor, suffix == ".bias");
    std::string to = rule.to;
    if (!pattern.numbers.empty()) to = replaced(to, "{n}", std::to_string(pattern.numbers[0]));
    transform(found->second, index, to + std::string(suffix), pattern.numbers);
  }

  void transform(std::size_t rule_index, std::size_t index, const std::string& to,
                 const std::vector<std::uint64_t>& numbers) {
    const TensorRule& rule = family_.tensors[rule_index];
    const SourceTensor& tensor = source_.tensors()[index];
    Value value = read_tensor(source_, index);
    switch (rule.operation) {
      case TensorOperation::none:
        return emit(to, std::move(value), &tensor);
      case TensorOperation::permute_rotary:
        return emit(to, permuted(rule, std::move(value), tensor), &tensor);
      case TensorOperation::plus_one:
        return emit(to, map(std::move(value), MapOp::plus_one), &tensor);
      case TensorOperation::transpose:
        if (tensor.shape.rank() < 2) return emit(to, std::move(value), &tensor);
        return emit(to, transpose(std::move(value)), &tensor);
      case TensorOperation::stack:
        return collect(rule_index, numbers, std::move(value), to);
    }
  }

  Value permuted(const TensorRule& rule, Value value, const SourceTensor& tensor) {
    const std::uint64_t heads = configuration_.evaluate(rule.heads).value_or(0);
    const std::uint64_t rows = tensor.shape.rank() == 0 ? 0 : tensor.shape.dims()[0];
    if (heads == 0 || rows == 0 || rows % heads != 0 || rows / heads % 2 != 0)
      fail(ErrorCode::CF05, path_of(tensor), tensor.shape_offset,
           "rows of " + quoted(tensor.name) + " are not whole heads of even size",
           tensor.shape.text(), "a multiple of 2 x " + std::to_string(heads) + " rows");
    return permute_rotary(std::move(value), rows / heads);
  }

  // Experts arrive one by one; when a layer's are complete, each rule gives one stacked tensor.
  void collect(std::size_t rule_index, const std::vector<std::uint64_t>& numbers, Value value,
               const std::string& to) {
    auto& layer = experts_of_layer_[numbers[0]];
    auto& experts = layer[rule_index];
    if (experts.second.empty()) {
      experts.first = to;
      experts.second.resize(static_cast<std::size_t>(experts_));
    }
    experts.second[static_cast<std::size_t>(numbers[1])] = std::move(value);
    std::size_t complete = 0;
    for (const auto& entry : layer)
      complete += std::all_of(entry.second.second.begin(), entry.second.second.end(),
                              [](const Value& v) { return v != nullptr; });
    if (complete < stacked_rules_) return;
    for (auto& entry : layer)
      emit(entry.second.first, stack(std::move(entry.second.second)), nullptr);
    experts_of_layer_.erase(numbers[0]);
  }

  const std::vector<std::optional<std::uint64_t>>& shape_of(std::size_t rule_index) {
    auto& shape = shapes_[rule_index];
    if (!shape) {
      shape.emplace();
      for (const std::string& expression : family_.tensors[rule_index].shape)
        shape->push_back(configuration_.evaluate(expression));
    }
    return *shape;
  }

  void check_shape(std::size_t rule_index, const SourceTensor& tensor, bool bias) {
    const auto& expected = shape_of(rule_index);
    if (expected.empty()) return;
    const std::size_t rank = bias ? 1 : expected.size();
    const auto dims = tensor.shape.dims();
    std::string text;
    for (std::size_t i = 0; i < rank; ++i)
      text +=
          (i == 0 ? "[" : ", ") + (expected[i] ? std::to_string(*expected[i]) : std::string("?"));
    text += ']';
    bool same = dims.size() == rank;
    for (std::size_t i = 0; same && i < rank; ++i) same = !expected[i] || *expected[i] == dims[i];
    if (same) return;
    // Rows that are one per token: then it is the configured count that lies.
    const TensorRule& rule = family_.tensors[rule_index];
    if (rule.shape[0] == vocabulary_size_ && dims.size() == rank && rank == 2 &&
        expected[0] != dims[0])
      if (const auto field = configuration_.find(vocabulary_size_))
        configuration_.refuse(
            ErrorCode::CF05, *field,
            quoted(vocabulary_size_) + " differs from the rows of " + quoted(tensor.name),
            std::to_string(dims[0]));
    fail(ErrorCode::CF05, path_of(tensor), tensor.shape_offset,
         "tensor " + quoted(tensor.name) + " has another shape than configured",
         tensor.shape.text(), text);
  }

  void emit(const std::string& name, Value value, const SourceTensor* tensor) {
    const auto refuse = [&](ErrorCode code, std::string text, std::string allowed) {
      if (tensor == nullptr) fail(code, std::string(source_.path()), std::nullopt, std::move(text));
      fail(code, path_of(*tensor), tensor->name_offset, std::move(text), {}, std::move(allowed));
    };
    if (name.size() > gguf::kMaxTensorName)
      refuse(ErrorCode::QZ04, "output name " + quoted(name) + " is too long",
             "at most " + std::to_string(gguf::kMaxTensorName) + " bytes");
    if (!names_.insert(name).second)
      refuse(ErrorCode::QZ05, "two tensors have the output name " + quoted(name), {});
    ModelTensor out;
    out.name = name;
    out.shape = value->shape;
    out.follows_file_type = follows_file_type(name, out.shape.rank());
    out.stored_type = DType::f32;
    source_tensors(*value, out.source_tensors);
    out.value = std::move(value);
    tensors_.push_back(std::move(out));
  }

  void refuse_unmapped() const {
    if (unmapped_.empty()) return;
    std::string names;
    for (std::size_t i = 0; i < std::min(unmapped_.size(), kListedNames); ++i)
      names += (i == 0 ? "" : ", ") + quoted(source_.tensors()[unmapped_[i]].name);
    const SourceTensor& first = source_.tensors()[unmapped_.front()];
    fail(ErrorCode::IX04, path_of(first), first.name_offset,
         std::to_string(unmapped_.size()) + " tensors have no place in family " +
             quoted(family_.name) + ": " + names);
  }

  void refuse_missing() const {
    if (!experts_of_layer_.empty())
      fail(ErrorCode::IX04, std::string(source_.path()), std::nullopt,
           "experts are missing from layer " + std::to_string(experts_of_layer_.begin()->first));
    for (const TensorRule& rule : family_.tensors) {
      const bool layered = rule.to.find("{n}") != std::string::npos;
      for (std::uint64_t n = 0; n < (layered ? layers_ : 1); ++n) {
        const std::string number = std::to_string(n);
        for (const auto& [required, suffix] :
             {std::pair(rule.required, ".weight"), std::pair(rule.bias_required, ".bias")})
          if (required && names_.count(replaced(rule.to, "{n}", number) + suffix) == 0)
            fail(ErrorCode::IX04, std::string(source_.path()), std::nullopt,
                 "tensor " + quoted(replaced(rule.from, "{n}", number) + suffix) + " is missing");
      }
    }
  }

  const Family& family_;
  const Configuration& configuration_;
  const Source& source_;
  const OpenOptions& options_;
  std::unordered_map<std::string, std::size_t> rules_;  // by pattern
  std::vector<std::optional<std::vector<std::optional<std::uint64_t>>>> shapes_;
  bool labelled_ = false;
  std::string vocabulary_size_;  // the expression of the embedding's rows
  std::size_t stacked_rules_ = 0;
  std::uint64_t layers_ = 0, experts_ = 0;
  std::map<std::uint64_t, std::map<std::size_t, std::pair<std::string, std::vector<Value>>>>
      experts_of_layer_;
  std::vector<ModelTensor> tensors_;
  std::unordered_set<std::string> names_;
  std::vector<std::string> ignored_;
  std::vector<std::size_t> unmapped_;
};

// The type of the intermediate file (decision: nothing is lost unless the user asks for it).
DType intermediate_type(const Model& model, const OpenOptions& options) {
  if (options.outtype) return *options.outtype;
  if (options.outtype_auto) {
    // The reference looks at the first tensor in file order that is not F32.
    std::unordered_set<std::string_view> ignored(model.ignored.begin(), model.ignored.end());
    for (const SourceTensor& tensor : model.source->tensors())
      if (tensor.shape.rank() >= 2 && ignored.count(tensor.name) == 0 &&
          (tensor.type == DType::bf16 || tensor.type == DType::f16))
        return tensor.type;
    return DType::f16;
  }
  std::optional<DType> common;
  for (const ModelTensor& tensor : model.tensors) {
    if (!tensor.follows_file_type) continue;
    if (common && *common != tensor.value->type) return DType::f32;
    common = tensor.value->type;
  }
  return common == DType::bf16 || common == DType::f16 ? *common : DType::f32;
}

std::uint32_t file_type_of(DType type) {
  return type == DType::bf16 ? 32 : type == DType::f16 ? 1 : 0;
}

ParameterCounts count_parameters(const Model& model) {
  ParameterCounts counts;
  std::uint64_t experts = 0, tensors = 0;
  for (const ModelTensor& tensor : model.tensors) {
    const std::uint64_t values = tensor.shape.values();
    const auto dims = tensor.shape.dims();
    const bool bias = ends_with(tensor.name, ".bias");
    counts.total += values;
    if (tensor.name.find("_exps.") == std::string::npos || dims.size() < (bias ? 2u : 3u)) {
      counts.shared += values;
      continue;
    }
    const std::uint64_t n = dims[dims.size() - (bias ? 2 : 3)];
    counts.expert += n == 0 ? 0 : values / n;
    experts += n;
    ++tensors;
  }
  if (tensors > 0) counts.experts = static_cast<double>(experts) / static_cast<double>(tensors);
  return counts;
}

std::vector<VocabularyRoute> routes_of(const Family& family) {
  std::vector<VocabularyRoute> routes;
  for (const std::string& word : family.vocabulary) {
    const std::optional<VocabularyRoute> route = vocabulary_route(word);
    if (!route)
      fail(ErrorCode::CF06, family.name, std::nullopt, "unknown vocabulary route " + quoted(word));
    routes.push_back(*route);
  }
  return routes;
}

Family family_from_file(const std::string& path, Warnings& warnings) {
  const std::size_t slash = path.rfind('/');
  const Directory beside(slash == std::string::npos ? "." : path.substr(0, slash + 1), true);
  auto text = beside.read(path.substr(slash == std::string::npos ? 0 : slash + 1), kMaxFamilyBytes);
  if (!text) fail(ErrorCode::IO01, path, std::nullopt, "cannot open the family file");
  return parse_family(std::move(*text), path, warnings);
}

Family choose_family(const Configuration& configuration, const OpenOptions& options,
                     Warnings& warnings) {
  if (options.family_file) return family_from_file(*options.family_file, warnings);
  if (const Family* family = find_family(configuration.model())) return *family;
  std::string known;
  for (const Family& family : builtin_families())
    for (const std::string& model : family.models) known += (known.empty() ? "" : ", ") + model;
  configuration.refuse_model(known);
}

}  // namespace

Model convert_directory(const Directory& directory, const std::string& directory_name,
                        std::shared_ptr<const Source> source, const OpenOptions& options,
                        Warnings& warnings) {
  Configuration configuration(directory, warnings);
  const Family family = choose_family(configuration, options, warnings);
  for (const std::string& field : family.required)
    if (!configuration.find(field))
      fail(ErrorCode::CF02, configuration.file(), std::nullopt, quoted(field) + " is missing");
  for (const std::string& field : family.required) configuration.evaluate(field);
  configuration.inject(family);
  for (const std::string& relation : family.relations) configuration.evaluate(relation);

  Model model;
  model.source = std::move(source);
  model.kind = ModelKind::converted;
  model.architecture = family.architecture;
  model.family = family.name;
  Converter(family, configuration, *model.source, options).run(model);
  model.intermediate = intermediate_type(model, options);
  std::uint64_t embedding_rows = 0;
  for (ModelTensor& tensor : model.tensors) {
    if (tensor.follows_file_type) tensor.stored_type = model.intermediate;
    if (tensor.name == family.embedding) embedding_rows = tensor.shape.dims()[0];
  }

  Metadata& metadata = model.metadata;
  metadata.append("general.architecture", family.architecture);
  metadata.append("general.type", std::string("model"));
  append_sampling(directory, metadata, warnings);
  append_authorship(
      {directory, directory_name, configuration.raw(), options.model_name, count_parameters(model)},
      metadata, warnings);
  append_family_keys(family, configuration, directory, file_type_of(model.intermediate), metadata,
                     warnings);
  metadata.append("general.quantization_version", kQuantizationVersion);
  append_vocabulary(
      {directory, configuration.root(), routes_of(family), embedding_rows, options.pre_tokenizer},
      metadata, warnings);
  return model;
}

Model convert_tensors_only(std::shared_ptr<const Source> source, const OpenOptions& options,
                           Warnings& warnings) {
  Model model;
  model.kind = ModelKind::tensors_only;
  model.architecture = options.architecture.value_or("unknown");
  model.source = std::move(source);
  model.metadata.append("general.architecture", model.architecture);
  for (std::size_t i = 0; i < model.source->tensors().size(); ++i) {
    const SourceTensor& tensor = model.source->tensors()[i];
    const std::string& path = model.source->files()[tensor.file].path;
    ModelTensor out;
    out.name = tensor.name;
    out.source_tensors = {i};
    const bool byte = tensor.type == DType::u8 || tensor.type == DType::boolean;
    if (!byte && (info(tensor.type).gguf_id < 0 || info(tensor.type).codec == Codec::opaque))
      fail(ErrorCode::QZ03, path, tensor.type_offset,
           "tensor " + quoted(tensor.name) + " has a type that GGUF cannot carry",
           std::string(info(tensor.type).name));
    out.value = byte ? read_as_i8(*model.source, i) : read_tensor(*model.source, i);
    out.stored_type = out.value->type;
    if (tensor.name.size() > gguf::kMaxTensorName)
      warnings.add(ErrorCode::QZ04, path, tensor.name_offset,
                   "name " + quoted(tensor.name) + " is longer than most readers accept");
    const auto dims = tensor.shape.dims();
    if (dims.size() > kMaxRank) {
      // The leading dimensions become one; the shape is kept beside the tensor.
      std::vector<std::int32_t> original;
      for (const std::uint64_t d : dims) original.push_back(static_cast<std::int32_t>(d));
      model.metadata.append("comfy.gguf.orig_shape." + tensor.name, MetaArray(std::move(original)));
      std::vector<std::uint64_t> folded(dims.end() - 3, dims.end());
      std::uint64_t leading = 1;
      for (std::size_t d = 0; d + 3 < dims.size(); ++d) leading *= dims[d];
      folded.insert(folded.begin(), leading);
      out.value = reshape(out.value, Shape(folded));
    }
    out.shape = out.value->shape;
    const bool real =
        tensor.type == DType::f32 || tensor.type == DType::f16 || tensor.type == DType::bf16;
    out.follows_file_type = real && out.shape.rank() >= 2;
    model.tensors.push_back(std::move(out));
  }
  model.intermediate = intermediate_type(model, options);
  if (options.outtype || options.outtype_auto)
    for (ModelTensor& tensor : model.tensors)
      if (tensor.follows_file_type) tensor.stored_type = model.intermediate;
  model.metadata.append("general.file_type", file_type_of(model.intermediate));
  model.metadata.append("general.quantization_version", kQuantizationVersion);
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
    out.shape = tensor.shape;
    out.stored_type = tensor.type;
    out.value = read_tensor(*model.source, i);
    out.source_tensors = {i};
    model.tensors.push_back(std::move(out));
  }
  return model;
}

}  // namespace quantize
