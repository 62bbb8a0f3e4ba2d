// The report that a person reads: one screen per output.
//
// Every line begins with a label or blanks of ours, and every string that came from an input is
// escaped, so nothing in a file can move the cursor or look like a line of its own.
#include <algorithm>
#include <ostream>

#include "quantize/escape.hpp"

#include "report/numbers.hpp"
#include "report/summary.hpp"
#include "report/table.hpp"
#include "report/writers.hpp"

namespace quantize::report {
namespace {

constexpr std::size_t kWorst = 5;
constexpr std::size_t kNameWidth = 200;

std::vector<std::string> error_row(std::string label, std::string type, const ErrorStats& error) {
  return {std::move(label),         std::move(type),          general(error.relative_rmse(), 4),
          fixed(error.snr_db(), 2), fixed(error.cosine(), 6), general(error.max_abs_error, 4)};
}

std::string type_name(DType type) { return std::string(info(type).name); }

void write_errors(const Report& report, const Summary& summary, std::ostream& out) {
  if (summary.error.values == 0) return;
  Table table;
  table.row({"error", "type", "relative RMSE", "SNR dB", "cosine", "largest"});
  table.row(error_row("all encoded tensors", "", summary.error));
  if (!summary.worst.empty()) table.row({"worst:"});
  for (const TensorReport* tensor : summary.worst) {
    table.row(error_row("  " + escape(tensor->name, kNameWidth), tensor->type_name, tensor->error));
  }
  out << '\n';
  table.print(out);
  if (summary.error.nonfinite != 0) {
    out << "  " << grouped(summary.error.nonfinite) << " values are NaN or infinite\n";
  }
  if (summary.error.saturated != 0) {
    out << "  " << grouped(summary.error.saturated) << " values became infinite\n";
  }
  const auto weighted = std::count_if(report.tensors.begin(), report.tensors.end(),
                                      [](const TensorReport& t) { return t.importance; });
  if (weighted != 0) out << "  " << weighted << " tensors were encoded with importance weights\n";
}

void write_output(const Report& report, std::ostream& out) {
  const Summary summary = summarize(report, kWorst);
  out << "model   " << escape(report.model) << " (" << escape(report.architecture) << ", "
      << escape(report.source_format) << ") -> " << escape(report.target) << '\n';
  for (const FileReport& file : report.files) {
    out << "file    " << escape(file.path) << "  " << grouped(file.bytes) << " bytes\n";
  }
  out << "size    " << megabytes(report.source_bytes) << " -> " << megabytes(report.output_bytes)
      << ", " << fixed(summary.ratio, 2) << " times smaller\n"
      << "bits    " << fixed(summary.source_bits_per_weight, 2) << " -> "
      << fixed(summary.bits_per_weight, 2) << " per weight, " << grouped(report.values)
      << " weights\n"
      << "bytes   " << grouped(report.tensor_bytes) << " tensors + "
      << grouped(report.padding_bytes) << " padding + " << grouped(report.header_bytes)
      << " header = " << grouped(report.output_bytes) << "\n\n";

  Table types;
  types.row({"type", "tensors", "weights", "bytes", "of file"});
  for (const TypeShare& share : summary.types) {
    types.row({share.type_name, grouped(share.tensors), grouped(share.values), grouped(share.bytes),
               percent(share.bytes, report.output_bytes)});
  }
  types.print(out);
  write_errors(report, summary, out);

  if (!summary.substitutions.empty()) out << "\nsubstitutions\n";
  for (const Substitution& s : summary.substitutions) {
    out << "  " << type_name(s.wanted) << " -> " << type_name(s.type) << ": " << grouped(s.tensors)
        << (s.tensors == 1 ? " tensor, " : " tensors, ") << percent(s.values, report.values)
        << " of the weights: " << escape(s.reason) << " (" << escape(s.first, kNameWidth)
        << (s.tensors == 1 ? ")" : ", ...)") << '\n';
  }
  if (!report.notes.empty()) out << "\nnotes\n";
  for (const std::string& note : report.notes) out << "  " << escape(note, 400) << '\n';
}

}  // namespace

void write_text(std::span<const InputReport> inputs, std::ostream& out) {
  bool first = true;
  const auto separate = [&] {
    if (!first) out << '\n';
    first = false;
  };
  for (const InputReport& input : inputs) {
    if (input.error) {
      separate();
      out << "failed  " << escape(input.path) << '\n'
          << "  " << format_problem("error", *input.error) << '\n';
    }
    for (const Report& report : input.outputs) {
      separate();
      write_output(report, out);
    }
    if (!input.warnings.empty()) out << "\nwarnings\n";
    for (const Warnings::Entry& warning : input.warnings) {
      out << "  " << format_problem("warning", warning.first);
      if (warning.count > 1) out << " (" << warning.count << " times, the first shown)";
      out << '\n';
    }
  }
}

}  // namespace quantize::report
