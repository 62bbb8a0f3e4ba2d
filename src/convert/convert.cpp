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
#include "convert/choose_family.hpp"
#include "convert/configuration.hpp"
#include "convert/metadata_keys.hpp"
#include "convert/other_part.hpp"
#include "convert/rope.hpp"
#include "convert/scope.hpp"
#include "convert/tensor_names.hpp"
#include "convert/value.hpp"
#include "convert/vocabulary.hpp"
#include "core/checked.hpp"
#include "formats/gguf/layout.hpp"

namespace quantize {
namespace {

constexpr std::size_t kMaxRank = 4;        // of a GGUF tensor
constexpr std::size_t kListedNames = 100;  // in a message about unmapped tensors
constexpr std::uint32_t kQuantizationVersion = 2;
constexpr std::uint64_t kMaxGenerated = 65536;  // values of a tensor made of the configuration
constexpr std::uint64_t kMaxStacked = 4096;
constexpr std::uint64_t kPiece = std::uint64_t{1} << 18;  // blocks that are compared at once

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}
bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

// Weights that stay F32 although they have two or more dimensions (without "blk.N.").
constexpr std::string_view kKeptF32[] = {
    "ffn_gate_inp",       "ffn_gate_inp_shexp", "position_embd",     "token_types",
    "ssm_conv1d",         "shortconv.conv",     "time_mix_first",    "time_mix_w1",
    "time_mix_w2",        "time_mix_decay_w1",  "time_mix_decay_w2", "time_mix_lerp_fused",
    "altup_correct_coef", "altup_predict_coef", "ssm_conv1d_q",      "ssm_conv1d_k",
    "ssm_conv1d_v",       "indexer.proj",       "v.position_embd"};

// Types that a family's tensors may have: weights, numbers that are cast, and blocks that are kept.
constexpr DType kConverted[] = {DType::f32, DType::f16,     DType::bf16, DType::f64,
                                DType::i64, DType::i32,     DType::i16,  DType::i8,
                                DType::u8,  DType::boolean, DType::mxfp4};

bool follows_file_type(std::string_view name, std::size_t rank) {
  if (rank <= 1 || ends_with(name, "_norm.weight") || !ends_with(name, ".weight")) return false;
  name.remove_suffix(std::string_view(".weight").size());
  if (starts_with(name, "blk.")) name.remove_prefix(std::min(name.find('.', 4) + 1, name.size()));
  return std::find(std::begin(kKeptF32), std::end(kKeptF32), name) == std::end(kKeptF32);
}

class Converter {
 public:
  Converter(const Family& family, const Scope& scope, const Source& source,
            const OpenOptions& options, const OtherPart& other)
      : family_(family),
        scope_(scope),
        source_(source),
        options_(options),
        other_(other),
        rules_(family, scope),
        layers_(scope.layers()),
        experts_(scope.experts()) {
    for (const TensorRule& rule : family.tensors) {
      if (rule.to + ".weight" == family.embedding && !rule.shape.empty())
        vocabulary_size_ = rule.shape[0].text;
      stacks_of_group_[rule.group] += stack_of(rule) != nullptr && scope.holds(rule.when);
    }
  }

  void run(Model& model) {
    for (const GeneratedTensor& rule : family_.generate)
      if (scope_.holds(rule.when)) generate(rule);
    // Blocks that stay as they are come first.
    for (const bool blocks : {true, false})
      for (std::size_t i = 0; i < source_.tensors().size(); ++i)
        if ((source_.tensors()[i].type == DType::mxfp4) == blocks) take(i);
    refuse_unmapped();
    refuse_missing();
    model.tensors = std::move(tensors_);
    model.ignored = std::move(ignored_);
    model.other_part = std::move(other_part_);
  }

 private:
  using Shapes = std::vector<std::optional<std::uint64_t>>;

  const std::string& path_of(const SourceTensor& tensor) const {
    return source_.files()[tensor.file].path;
  }
  static const TensorStep* stack_of(const TensorRule& rule) {
    for (const TensorStep& step : rule.steps)
      if (step.operation == TensorOperation::stack) return &step;
    return nullptr;
  }

  void generate(const GeneratedTensor& rule) {
    std::vector<float> values;
    if (rule.generator == Generator::llama3_rope_factors) {
      values = llama3_rope_factors(scope_.configuration());
    } else {
      const Operand list = rule.each ? Operand() : scope_.evaluate(rule.from);
      const std::uint64_t count = rule.each ? scope_.size(rule.each).value_or(0)
                                  : list.kind == Operand::Kind::list ? list.at.size()
                                                                     : 0;
      if (count > kMaxGenerated)
        scope_.refuse(ErrorCode::CF04, list, "tensor " + quoted(rule.to) + " is too large");
      for (std::uint64_t n = 0; n < count; ++n) {
        const Operand value =
            rule.each ? scope_.evaluate(rule.from, {&n, 1}) : scope_.entry(list, n);
        if (!value.is_number())
          scope_.refuse(ErrorCode::CF03, value, "a value of " + quoted(rule.to) + " is no number");
        values.push_back(static_cast<float>(value.number()));
      }
    }
    if (values.empty()) return;
    const Shape shape{values.size()};
    emit(rule.to, generated(std::move(values), shape), nullptr, nullptr);
  }

  void take(std::size_t index) {
    const SourceTensor& tensor = source_.tensors()[index];
    const TensorNames::Found found = rules_.find(tensor.name, [&](const DropRule& rule) {
      return (!rule.zero || require_zeros(index)) &&
             (rule.equal_to.empty() || equals(index, rule.equal_to));
    });
    const NamePattern& pattern = found.pattern;
    bool known = false, emitted = false;
    if (found.rules != nullptr)
      for (const TensorRule* rule : *found.rules) {
        if (!fits(*rule, pattern.numbers) || !scope_.holds(rule->when, pattern.numbers)) continue;
        known = true;
        if (rule->to.empty()) continue;
        emitted = true;
        check_source(tensor, *rule);
        check_shape(*rule, tensor, found.suffix == ".bias", pattern.numbers);
        transform(*rule, index,
                  filled_in(rule->to, scope_, family_, pattern.numbers) + std::string(found.suffix),
                  pattern.numbers);
      }
    const auto wanted = [&](const std::string& glob) { return matches_glob(glob, tensor.name); };
    if (emitted) return;
    if (!known && other_.has(tensor.name))
      other_part_.push_back(tensor.name);
    else if (known || found.dropped ||
             std::any_of(options_.ignore_unmapped.begin(), options_.ignore_unmapped.end(), wanted))
      ignored_.push_back(tensor.name);
    else
      unmapped_.push_back(index);
  }

  // The values of a tensor as they are stored, in pieces; false from `visit` ends it.
  template <class Visit>
  void read_values(std::size_t index, Visit visit) const {
    const SourceTensor& tensor = source_.tensors()[index];
    const Value value = read_tensor(source_, index);
    const std::uint64_t count = tensor.shape.values(),
                        piece = std::uint64_t{info(tensor.type).block_values} * kPiece;
    std::vector<std::byte> raw;
    for (std::uint64_t at = 0; at < count; at += piece) {
      const std::uint64_t values = std::min(piece, count - at);
      raw.resize(static_cast<std::size_t>(stored_bytes(tensor.type, values)));
      fetch(*value, source_, at, values, raw);
      if (!visit(at, raw)) return;
    }
  }

  // No bias in the output means none: one that is not zero is no part of the family.
  bool require_zeros(std::size_t index) const {
    const SourceTensor& tensor = source_.tensors()[index];
    read_values(index, [&](std::uint64_t, const std::vector<std::byte>& raw) {
      if (std::any_of(raw.begin(), raw.end(), [](std::byte b) { return b != std::byte{0}; }))
        fail(ErrorCode::CF06, path_of(tensor), tensor.name_offset,
             "a variant of " + quoted(family_.name) +
                 " that is not converted: " + quoted(tensor.name) + " is not zero");
      return true;
    });
    return true;
  }

  bool equals(std::size_t index, const std::string& other) const {
    const auto& tensors = source_.tensors();
    const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const SourceTensor& t) {
      return rules_.find(t.name).name == other;
    });
    if (found == tensors.end() || found->type != tensors[index].type ||
        !std::equal(found->shape.dims().begin(), found->shape.dims().end(),
                    tensors[index].shape.dims().begin(), tensors[index].shape.dims().end()))
      return false;
    const Value twin = read_tensor(source_, static_cast<std::size_t>(found - tensors.begin()));
    std::vector<std::byte> theirs;
    bool same = true;
    read_values(index, [&](std::uint64_t at, const std::vector<std::byte>& raw) {
      theirs.resize(raw.size());
      const std::uint64_t values = std::min(std::uint64_t{info(found->type).block_values} * kPiece,
                                            found->shape.values() - at);
      fetch(*twin, source_, at, values, theirs);
      return same = raw == theirs;
    });
    return same;
  }

  void check_source(const SourceTensor& tensor, const TensorRule& rule) const {
    if (!std::count(std::begin(kConverted), std::end(kConverted), tensor.type))
      fail(ErrorCode::QZ03, path_of(tensor), tensor.type_offset,
           "tensor " + quoted(tensor.name) + " has a type that is not converted",
           std::string(info(tensor.type).name));
    if (tensor.shape.rank() > kMaxRank && rule.steps.empty())
      fail(ErrorCode::QZ06, path_of(tensor), tensor.shape_offset,
           "tensor " + quoted(tensor.name) + " has too many dimensions", tensor.shape.text(),
           "at most 4");
  }

  // A name's numbers by the rule's letters: {n} is first, then {e}, then {i}.
  bool fits(const TensorRule& rule, const std::vector<std::uint64_t>& numbers) const {
    const bool layered = rule.from.find("{n}") != std::string::npos;
    if (layered && (numbers.empty() || numbers[0] >= layers_)) return false;
    if (rule.from.find("{e}") == std::string::npos) return true;
    const std::size_t part = layered ? 1 : 0;
    return numbers.size() > part && numbers[part] < stack_size(rule);
  }

  std::uint64_t stack_size(const TensorRule& rule) const {
    const TensorStep* step = stack_of(rule);
    if (step == nullptr || step->arguments.empty()) return experts_;
    return std::min<std::uint64_t>(scope_.size(step->arguments[0]).value_or(0), kMaxStacked);
  }

  void transform(const TensorRule& rule, std::size_t index, const std::string& to,
                 const std::vector<std::uint64_t>& numbers) {
    const SourceTensor& tensor = source_.tensors()[index];
    Value value = read_tensor(source_, index);
    for (const TensorStep& step : rule.steps) {
      if (step.operation == TensorOperation::stack)
        return collect(rule, numbers, std::move(value), to);
      value = applied(step, std::move(value), tensor, numbers);
    }
    emit(to, std::move(value), &rule, &tensor);
  }

  Value applied(const TensorStep& step, Value value, const SourceTensor& tensor,
                const std::vector<std::uint64_t>& numbers) const {
    const auto refuse = [&](const std::string& what, const std::string& allowed) {
      fail(ErrorCode::CF05, path_of(tensor), tensor.shape_offset,
           "rows of " + quoted(tensor.name) + " are not " + what, tensor.shape.text(), allowed);
    };
    const bool scales =
        step.operation == TensorOperation::scale || step.operation == TensorOperation::scale_rows;
    std::vector<std::uint64_t> arguments;
    for (std::size_t i = 0; i + (scales ? 1 : 0) < step.arguments.size(); ++i)
      arguments.push_back(scope_.size(step.arguments[i], numbers).value_or(0));
    const float factor =
        scales ? static_cast<float>(scope_.real(step.arguments.back(), numbers).value_or(1)) : 1.0f;
    const std::vector<std::uint64_t> dims(value->shape.dims().begin(), value->shape.dims().end());
    const std::uint64_t rows =
        dims.size() < 2 ? value->shape.values() : value->shape.values() / dims.back();
    switch (step.operation) {
      case TensorOperation::plus_one:
        return map(std::move(value), MapOp::plus_one);
      case TensorOperation::neg_exp:
        return map(std::move(value), MapOp::negative_exponential);
      case TensorOperation::transpose:
        return dims.size() < 2 ? value : transpose(std::move(value));
      case TensorOperation::squeeze: {
        std::vector<std::uint64_t> kept;
        for (const std::uint64_t d : dims)
          if (d != 1) kept.push_back(d);
        if (kept.empty()) kept.push_back(1);
        return reshape(std::move(value), Shape(kept));
      }
      case TensorOperation::permute_rotary: {
        const std::uint64_t heads = arguments[0];
        if (heads == 0 || rows == 0 || rows % heads != 0 || rows / heads % 2 != 0)
          refuse("whole heads of even size",
                 "a multiple of 2 x " + std::to_string(heads) + " rows");
        return permute_rotary(std::move(value), rows / heads);
      }
      case TensorOperation::halve_rotary: {
        const std::uint64_t heads = arguments[0], rotary = arguments[1];
        if (heads == 0 || rows == 0 || rows % heads != 0 || rotary % 2 != 0 ||
            rotary > rows / heads || dims[0] != rows)
          refuse("whole heads with an even part",
                 std::to_string(heads) + " x " + std::to_string(rotary) + " or more");
        const std::uint64_t head = rows / heads;
        if (rotary == head) return swap_rows(std::move(value), head / 2, 2, 1);
        std::vector<Value> parts;
        for (std::uint64_t first = 0; first < rows; first += head) {
          parts.push_back(swap_rows(slice_rows(value, first, rotary), rotary / 2, 2, 1));
          parts.push_back(slice_rows(value, first + rotary, head - rotary));
        }
        return concatenate(std::move(parts));
      }
      case TensorOperation::reshape: {
        std::uint64_t known = 1;
        for (std::size_t i = 0; i < arguments.size(); ++i)
          if (step.arguments[i]) known = checked_multiply(known, arguments[i]).value_or(0);
        for (std::size_t i = 0; i < arguments.size(); ++i)
          if (!step.arguments[i] && known != 0) {
            arguments[i] = value->shape.values() / known;
            known = checked_multiply(known, arguments[i]).value_or(0);
          }
        if (known != value->shape.values())
          fail(ErrorCode::CF05, path_of(tensor), tensor.shape_offset,
               "tensor " + quoted(tensor.name) + " has not the size that its family states",
               tensor.shape.text(), std::to_string(known) + " values");
        return reshape(std::move(value), Shape(arguments));
      }
      case TensorOperation::slice:
        if (dims.empty() || arguments[0] > dims[0] || arguments[1] > dims[0] - arguments[0])
          refuse("as many as are taken", std::to_string(arguments[0] + arguments[1]) + " or more");
        return slice_rows(std::move(value), arguments[0], arguments[1]);
      case TensorOperation::swap: {
        const auto ab = checked_multiply(arguments[0], arguments[1]);
        const auto group = ab ? checked_multiply(*ab, arguments[2]) : std::nullopt;
        const std::uint64_t before = arguments.size() > 3 ? arguments[3] : 0;
        if (!group || *group == 0 || before > rows || (rows - before) % *group != 0 ||
            (before > 0 && dims.size() > 2))
          refuse("whole groups", "a multiple of " + std::to_string(group.value_or(0)));
        if (before == 0)
          return swap_rows(std::move(value), arguments[0], arguments[1], arguments[2]);
        return concatenate(
            {slice_rows(value, 0, before), swap_rows(slice_rows(value, before, rows - before),
                                                     arguments[0], arguments[1], arguments[2])});
      }
      case TensorOperation::regroup: {
        std::vector<RowRun> pieces;
        std::uint64_t each = 0;
        for (std::size_t i = 1; i < arguments.size(); ++i) {
          pieces.push_back({each, arguments[i]});
          each += arguments[i];
        }
        if (arguments[0] == 0 || checked_multiply(arguments[0], each) != rows)
          refuse("those of its groups",
                 std::to_string(arguments[0]) + " x " + std::to_string(each));
        std::vector<RowRun> taken;
        for (const std::uint64_t piece : step.take)
          taken.push_back(pieces[static_cast<std::size_t>(piece)]);
        return regroup_rows(std::move(value), arguments[0], step.take.empty() ? pieces : taken);
      }
      case TensorOperation::scale:
        return map(std::move(value), MapOp::scale, factor);
      case TensorOperation::scale_rows: {
        const std::uint64_t first = arguments[0], count = arguments[1];
        if (dims.empty() || first > dims[0] || count > dims[0] - first)
          refuse("as many as are scaled", std::to_string(first + count) + " or more");
        const std::uint64_t after = first + count;
        return concatenate({map(slice_rows(value, 0, first), MapOp::scale),
                            map(slice_rows(value, first, count), MapOp::scale, factor),
                            map(slice_rows(value, after, dims[0] - after), MapOp::scale)});
      }
      case TensorOperation::pad_rows: {
        if (dims.empty() || dims[0] >= arguments[0]) return value;
        std::vector<std::uint64_t> missing = dims;
        missing[0] = arguments[0] - dims[0];
        if (!checked_multiply(arguments[0],
                              value->shape.values() / std::max<std::uint64_t>(1, dims[0])))
          refuse("as many as fit", {});
        const DType type = value->type;
        return concatenate({std::move(value), zeros(type, Shape(missing))});
      }
      case TensorOperation::stack:
        break;
    }
    return value;
  }

  // Experts (or other numbered parts) arrive one by one; when those of a group are complete in a
  // layer, each rule gives one stacked tensor.
  struct Stacked {
    std::string to;
    std::vector<Value> parts;
  };
  void collect(const TensorRule& rule, const std::vector<std::uint64_t>& numbers, Value value,
               const std::string& to) {
    const bool layered = rule.from.find("{n}") != std::string::npos;
    const auto key = std::pair(layered ? numbers[0] : 0, rule.group);
    auto& group = stacks_[key];
    Stacked& stacked = group[{&rule, to}];
    if (stacked.parts.empty()) {
      stacked.to = to;
      stacked.parts.resize(static_cast<std::size_t>(stack_size(rule)));
    }
    const std::uint64_t part = numbers[layered ? 1 : 0];
    if (part >= stacked.parts.size()) return;
    stacked.parts[static_cast<std::size_t>(part)] = std::move(value);
    std::size_t complete = 0;
    for (const auto& entry : group)
      complete += std::all_of(entry.second.parts.begin(), entry.second.parts.end(),
                              [](const Value& v) { return v != nullptr; });
    if (complete < stacks_of_group_[rule.group]) return;
    for (auto& entry : group) {
      const TensorRule& of = *entry.first.first;
      Value whole = stack(std::move(entry.second.parts));
      bool after = false;
      for (const TensorStep& step : of.steps) {
        const SourceTensor& first = source_.tensors()[first_source(*whole)];
        if (after) whole = applied(step, std::move(whole), first, numbers);
        after = after || step.operation == TensorOperation::stack;
      }
      emit(entry.second.to, std::move(whole), &of, nullptr);
    }
    stacks_.erase(key);
  }

  static std::size_t first_source(const ValueNode& value) {
    std::vector<std::size_t> tensors;
    source_tensors(value, tensors);
    return tensors.front();
  }

  void check_shape(const TensorRule& rule, const SourceTensor& tensor, bool bias, Numbers numbers) {
    if (rule.shape.empty()) return;
    Shapes expected;
    for (const Expression& expression : rule.shape)
      expected.push_back(scope_.size(expression, numbers));
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
    if (rule.shape[0].text == vocabulary_size_ && dims.size() == rank && rank == 2 &&
        expected[0] != dims[0])
      if (const auto field = scope_.configuration().find(vocabulary_size_))
        scope_.configuration().refuse(
            ErrorCode::CF05, *field,
            quoted(vocabulary_size_) + " differs from the rows of " + quoted(tensor.name),
            std::to_string(dims[0]));
    fail(ErrorCode::CF05, path_of(tensor), tensor.shape_offset,
         "tensor " + quoted(tensor.name) + " has another shape than configured",
         tensor.shape.text(), text);
  }

  void emit(const std::string& name, Value value, const TensorRule* rule,
            const SourceTensor* tensor) {
    const auto refuse = [&](ErrorCode code, std::string text, std::string allowed) {
      if (tensor == nullptr) fail(code, std::string(source_.path()), std::nullopt, std::move(text));
      fail(code, path_of(*tensor), tensor->name_offset, std::move(text), {}, std::move(allowed));
    };
    if (name.size() > gguf::kMaxTensorName)
      refuse(ErrorCode::QZ04, "output name " + quoted(name) + " is too long",
             "at most " + std::to_string(gguf::kMaxTensorName) + " bytes");
    if (!names_.insert(name).second)
      refuse(ErrorCode::QZ05, "two tensors have the output name " + quoted(name), {});
    if (value->shape.rank() > kMaxRank)
      refuse(ErrorCode::QZ06, "tensor " + quoted(name) + " has too many dimensions", "at most 4");
    ModelTensor out;
    out.name = name;
    out.shape = value->shape;
    out.follows_file_type = (follows_file_type(name, out.shape.rank()) ||
                             (rule != nullptr && rule->follows_file_type)) &&
                            !(rule != nullptr && rule->store);
    out.f16_in_f16_files = rule != nullptr && rule->f16_in_f16_files && out.shape.rank() > 1;
    out.stored_type =
        rule != nullptr && out.shape.rank() > 1 ? rule->store.value_or(DType::f32) : DType::f32;
    if (value->type == DType::mxfp4) {
      out.follows_file_type = false;
      out.stored_type = value->type;
    }
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
    if (!stacks_.empty()) {
      const auto& first = *stacks_.begin();
      fail(ErrorCode::IX04, std::string(source_.path()), std::nullopt,
           "parts of " + quoted(first.second.begin()->second.to) + " are missing");
    }
    for (const TensorRule& rule : family_.tensors) {
      if (rule.to.empty() || !(rule.required || rule.bias_required)) continue;
      const bool layered = rule.to.find("{n}") != std::string::npos;
      for (std::uint64_t n = 0; n < (layered ? layers_ : 1); ++n) {
        if (!scope_.holds(rule.when, {&n, 1})) continue;
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
  const Scope& scope_;
  const Source& source_;
  const OpenOptions& options_;
  const OtherPart& other_;
  const TensorNames rules_;
  std::string vocabulary_size_;  // the expression of the embedding's rows
  std::map<std::string, std::size_t> stacks_of_group_;
  std::uint64_t layers_ = 0, experts_ = 0;
  // By layer and group; there by rule (in the family's order) and output name.
  std::map<std::pair<std::uint64_t, std::string>,
           std::map<std::pair<const TensorRule*, std::string>, Stacked>>
      stacks_;
  std::vector<ModelTensor> tensors_;
  std::unordered_set<std::string> names_;
  std::vector<std::string> ignored_, other_part_;
  std::vector<std::size_t> unmapped_;
};

ParameterCounts count_parameters(const Model& model) {
  ParameterCounts counts;
  std::uint64_t experts = 0, tensors = 0;
  for (const ModelTensor& tensor : model.tensors) {
    const std::uint64_t values = tensor.shape.values();
    const auto dims = tensor.shape.dims();
    counts.total += values;
    if (tensor.name.find("_exps.") == std::string::npos || dims.size() < 3) {
      counts.shared += values;
      continue;
    }
    const std::uint64_t n = dims[dims.size() - (ends_with(tensor.name, ".bias") ? 2 : 3)];
    counts.expert += n == 0 ? 0 : values / n;
    experts += n;
    ++tensors;
  }
  if (tensors > 0) counts.experts = static_cast<double>(experts) / static_cast<double>(tensors);
  return counts;
}

std::vector<VocabularyRoute> routes_of(const Family& family, const Scope& scope) {
  std::vector<VocabularyRoute> routes;
  for (const Choice& choice : family.vocabulary) {
    const std::optional<VocabularyRoute> route = vocabulary_route(choice.word);
    if (!route)
      fail(ErrorCode::CF06, family.name, std::nullopt,
           "unknown vocabulary route " + quoted(choice.word));
    if (scope.holds(choice.when)) routes.push_back(*route);
  }
  return routes;
}

}  // namespace

// The type of the intermediate file (decision: nothing is lost unless the user asks for it).
DType intermediate_type(const Model& model, const OpenOptions& options) {
  if (options.outtype) return *options.outtype;
  if (options.outtype_auto) {
    // The reference looks at the first tensor in file order that is not F32.
    std::unordered_set<std::string_view> ignored(model.ignored.begin(), model.ignored.end());
    ignored.insert(model.other_part.begin(), model.other_part.end());
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
  if (common == DType::f16 &&
      std::any_of(model.tensors.begin(), model.tensors.end(), [](const ModelTensor& tensor) {
        return tensor.f16_in_f16_files && tensor.value->type != DType::f16;
      }))
    return DType::f32;
  return common == DType::bf16 || common == DType::f16 ? *common : DType::f32;
}

std::uint32_t file_type_of(DType type) {
  return type == DType::bf16 ? 32 : type == DType::f16 ? 1 : 0;
}

Model convert_directory(const Directory& directory, const std::string& directory_name,
                        std::shared_ptr<const Source> source, const OpenOptions& options,
                        Warnings& warnings) {
  const FamilyPart part = options.projector ? FamilyPart::projector : FamilyPart::language_model;
  Configuration configuration(directory, part, warnings);
  const Family family = choose_family(configuration, options, warnings);
  const Scope scope(family, configuration, directory, *source);
  for (const Expression& field : family.required) scope.size(field);
  configuration.inject(family, scope);
  for (const Expression& field : family.required)
    if (!scope.evaluate(field))
      fail(ErrorCode::CF02, configuration.file(), std::nullopt, quoted(field.text) + " is missing");
  for (const Expression& relation : family.relations) scope.evaluate(relation);
  for (const Refusal& refusal : family.refusals)
    if (scope.holds(refusal.when))
      fail(ErrorCode::CF06, configuration.file(), std::nullopt,
           "a variant of " + quoted(family.name) + " that is not converted: " + refusal.what);
  const std::string& architecture = scope.first_of(family.architectures);

  Model model;
  model.source = std::move(source);
  model.kind = ModelKind::converted;
  model.architecture = architecture;
  model.family = family.name;
  model.projector = options.projector;
  const OtherPart other(part, directory, *model.source);
  Converter(family, scope, *model.source, options, other).run(model);
  model.intermediate = intermediate_type(model, options);
  std::uint64_t embedding_rows = 0;
  for (ModelTensor& tensor : model.tensors) {
    if (tensor.follows_file_type || (tensor.f16_in_f16_files && model.intermediate == DType::f16))
      tensor.stored_type = model.intermediate;
    if (tensor.name == family.embedding) embedding_rows = tensor.shape.dims()[0];
  }

  Metadata& metadata = model.metadata;
  const auto family_keys = [&](const std::vector<KeyRule>& rules) {
    append_family_keys(rules, architecture, scope, directory, file_type_of(model.intermediate),
                       metadata, warnings);
  };
  metadata.append("general.architecture", architecture);
  family_keys(family.first_keys);
  metadata.append("general.type", std::string(options.projector ? "mmproj" : "model"));
  append_sampling(directory, metadata, warnings);
  append_authorship(
      {directory, directory_name, configuration.raw(), options.model_name, count_parameters(model)},
      metadata, warnings);
  family_keys(family.keys);
  metadata.append("general.quantization_version", kQuantizationVersion);
  family_keys(family.vocabulary_keys);
  if (!options.projector)
    append_vocabulary({directory, configuration.root(), routes_of(family, scope), embedding_rows,
                       options.pre_tokenizer, family.special_tokens},
                      metadata, warnings);
  family_keys(family.last_keys);
  return model;
}

}  // namespace quantize
