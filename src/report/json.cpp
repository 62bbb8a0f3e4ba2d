// The report for programs. One document, always of this form:
//
//   { "schema": "quantize-report-1",
//     "inputs": [ { "path", "error": null | problem, "warnings": [problem + "count"],
//                   "outputs": [ { "model", "architecture", "source_format", "target",
//                                  "files": [{ "path", "bytes" }],
//                                  "source_bytes", "output_bytes", "header_bytes",
//                                  "padding_bytes", "tensor_bytes", "values", "ratio",
//                                  "bits_per_weight", "source_bits_per_weight",
//                                  "error": figures | null,
//                                  "types": [{ "type", "tensors", "values", "bytes" }],
//                                  "substitutions": [{ "wanted", "type", "reason", "tensors",
//                                                      "values" }],
//                                  "tensors": [{ "name", "shape", "source_type", "type", "copied",
//                                                "importance", "rule", "wanted", "bytes_before",
//                                                "bytes_after", "error": figures | null }],
//                                  "notes": [...] } ] } ] }
//   problem: { "code", "file", "offset": n | null, "text", "found", "allowed" }
//   figures: { "values", "relative_rmse", "snr_db": x | null for infinity, "cosine",
//              "max_abs_error", "nonfinite", "saturated" }
//
// Output is ASCII. A string that is not UTF-8 becomes { "hex": "..." }.
#include <ostream>

#include "report/json_values.hpp"
#include "report/summary.hpp"
#include "report/writers.hpp"

namespace quantize::report {
namespace {

Object problem_object(const Problem& problem) {
  return Object{{"code", code_name(problem.code)},
                {"file", string(problem.file)},
                {"offset", problem.offset ? Object(*problem.offset) : Object(nullptr)},
                {"text", string(problem.text)},
                {"found", string(problem.found)},
                {"allowed", string(problem.allowed)}};
}

Object error_object(const ErrorStats& error) {
  if (error.values == 0) return nullptr;
  return Object{{"values", error.values},
                {"relative_rmse", number(error.relative_rmse())},
                {"snr_db", number(error.snr_db())},
                {"cosine", number(error.cosine())},
                {"max_abs_error", number(error.max_abs_error)},
                {"nonfinite", error.nonfinite},
                {"saturated", error.saturated}};
}

Object tensor_object(const TensorReport& tensor) {
  Object shape = Object::array();
  for (const std::uint64_t dimension : tensor.shape.dims()) shape.push_back(dimension);
  return Object{{"name", string(tensor.name)},
                {"shape", std::move(shape)},
                {"source_type", info(tensor.source_type).name},
                {"type", tensor.type_name},
                {"copied", tensor.copied},
                {"importance", tensor.importance},
                {"rule", string(tensor.rule)},
                {"wanted", tensor.wanted ? Object(info(*tensor.wanted).name) : Object(nullptr)},
                {"bytes_before", tensor.bytes_before},
                {"bytes_after", tensor.bytes_after},
                {"error", tensor.copied ? Object(nullptr) : error_object(tensor.error)}};
}

Object output_object(const Report& report) {
  const Summary summary = summarize(report, 0);
  Object files = Object::array();
  for (const FileReport& file : report.files) {
    files.push_back({{"path", string(file.path)}, {"bytes", file.bytes}});
  }
  Object tensors = Object::array();
  for (const TensorReport& tensor : report.tensors) tensors.push_back(tensor_object(tensor));
  Object notes = Object::array();
  for (const std::string& note : report.notes) notes.push_back(string(note));

  return Object{{"model", string(report.model)},
                {"architecture", string(report.architecture)},
                {"source_format", report.source_format},
                {"target", string(report.target)},
                {"files", std::move(files)},
                {"source_bytes", report.source_bytes},
                {"output_bytes", report.output_bytes},
                {"header_bytes", report.header_bytes},
                {"padding_bytes", report.padding_bytes},
                {"tensor_bytes", report.tensor_bytes},
                {"values", report.values},
                {"ratio", number(summary.ratio)},
                {"bits_per_weight", number(summary.bits_per_weight)},
                {"source_bits_per_weight", number(summary.source_bits_per_weight)},
                {"error", error_object(summary.error)},
                {"types", types_array(summary)},
                {"substitutions", substitutions_array(summary)},
                {"tensors", std::move(tensors)},
                {"notes", std::move(notes)}};
}

}  // namespace

void write_json(std::span<const InputReport> inputs, std::ostream& out) {
  Object list = Object::array();
  for (const InputReport& input : inputs) {
    Object warnings = Object::array();
    for (const Warnings::Entry& entry : input.warnings) {
      warnings.push_back(problem_object(entry.first));
      warnings.back()["count"] = entry.count;
    }
    Object outputs = Object::array();
    for (const Report& report : input.outputs) outputs.push_back(output_object(report));
    list.push_back({{"path", string(input.path)},
                    {"error", input.error ? problem_object(*input.error) : Object(nullptr)},
                    {"warnings", std::move(warnings)},
                    {"outputs", std::move(outputs)}});
  }
  const Object document = {{"schema", "quantize-report-1"}, {"inputs", std::move(list)}};
  out << document.dump(1, ' ', true) << '\n';
}

}  // namespace quantize::report

namespace quantize {

std::string failed_input_json(const std::string& path, const Problem& problem) {
  const report::Object document = {{"path", report::string(path)},
                                   {"error", report::problem_object(problem)}};
  return document.dump(1, ' ', true);
}

}  // namespace quantize
