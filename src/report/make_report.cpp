// A report before the run: everything that the plan already knows.
#include <algorithm>
#include <map>
#include <utility>

#include "quantize/escape.hpp"
#include "quantize/report.hpp"

#include "report/summary.hpp"

namespace quantize {
namespace {

std::uint64_t source_bytes_of(const Model& model, const ModelTensor& tensor) {
  std::uint64_t bytes = 0;
  for (const std::size_t index : tensor.source_tensors) {
    const SourceTensor& source = model.source->tensors()[index];
    bytes += source.packed_bytes != 0 ? source.packed_bytes : source.bytes;
  }
  return bytes;
}

}  // namespace

std::vector<std::string> report::source_notes(const Source& source) {
  std::map<std::string_view, std::size_t> counts;
  for (const SourceTensor& tensor : source.tensors())
    if (!tensor.decoded_from.empty()) ++counts[tensor.decoded_from];
  std::vector<std::string> notes;
  for (const auto& [scheme, tensors] : counts)
    notes.push_back(std::to_string(tensors) + (tensors == 1 ? " tensor was" : " tensors were") +
                    " decoded from " + std::string(scheme));
  std::map<std::string_view, std::vector<std::string_view>> changed;
  for (const SourceTensor& tensor : source.tensors())
    if (!tensor.changed_by.empty()) changed[tensor.changed_by].push_back(tensor.name);
  for (const auto& [how, names] : changed) {
    std::string list;
    for (const std::string_view name : names) list += (list.empty() ? "" : ", ") + escape(name);
    notes.push_back(std::to_string(names.size()) +
                    (names.size() == 1 ? " tensor was " : " tensors were ") + std::string(how) +
                    ": " + list);
  }
  return notes;
}

Report make_report(const Model& model, const Plan& plan) {
  Report report;
  report.model = model.name;
  report.architecture = model.architecture;
  report.source_format = model.source->format();
  report.target = plan.target.label;
  report.values = plan.values;
  for (const SourceFile& file : model.source->files()) report.source_bytes += file.bytes;

  for (const PlannedFile& file : plan.files) {
    report.output_bytes += file.bytes();
    report.header_bytes += file.header_bytes;
    std::uint64_t file_tensor_bytes = 0;
    for (const PlannedTensor& planned : file.tensors) {
      file_tensor_bytes += planned.bytes;
      TensorReport tensor;
      tensor.name = planned.name;
      tensor.shape = planned.shape;
      tensor.source_type = planned.source_type;
      tensor.type = planned.type;
      tensor.type_name = planned.type_name();
      tensor.bytes_before = source_bytes_of(model, model.tensors[planned.model_tensor]);
      tensor.bytes_after = planned.bytes;
      tensor.copied = planned.copied;
      tensor.importance = planned.importance != nullptr;
      tensor.rule = planned.rule;
      tensor.wanted = planned.wanted;
      tensor.substitution = planned.substitution;
      report.tensors.push_back(std::move(tensor));
    }
    report.tensor_bytes += file_tensor_bytes;
    report.padding_bytes += file.data_bytes - file_tensor_bytes;
  }

  if (model.kind == ModelKind::tensors_only) {
    report.notes.push_back(model.family.empty()
                               ? "tensors only: names kept, no model configuration was converted"
                               : "a " + model.family +
                                     " model by the names of its tensors, which are kept");
  }
  for (std::string& note : report::source_notes(*model.source))
    report.notes.push_back(std::move(note));
  std::map<DType, std::size_t> exact;
  for (const PlannedFile& file : plan.files)
    for (const PlannedTensor& planned : file.tensors) exact[planned.type] += planned.exact;
  for (const auto& [type, tensors] : exact)
    if (tensors != 0)
      report.notes.push_back(std::to_string(tensors) + " tensors became " +
                             std::string(info(type).name) +
                             " exactly: their values lie on its grid");
  const auto note_names = [&](const std::vector<std::string>& sources, const std::string& what) {
    if (sources.empty()) return;
    std::string names;
    for (const std::string& name : sources) names += (names.empty() ? "" : ", ") + escape(name);
    report.notes.push_back(std::to_string(sources.size()) + what + names);
  };
  note_names(model.other_part,
             model.projector
                 ? " source tensors are the language model's, which is made without --mmproj: "
                 : " source tensors are the vision part's, which --mmproj writes: ");
  note_names(model.ignored, " source tensors are not in the output, by rule or request: ");
  const auto requantized = static_cast<std::size_t>(std::count_if(
      report.tensors.begin(), report.tensors.end(),
      [](const TensorReport& t) { return !t.copied && is_quantized(t.source_type); }));
  if (requantized != 0) {
    report.notes.push_back(
        std::to_string(requantized) +
        " tensors were quantized before: the errors are those of this step only");
  }
  return report;
}

}  // namespace quantize
