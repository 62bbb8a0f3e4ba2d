// The report for a model card or a pull request.
#include <ostream>

#include "quantize/escape.hpp"

#include "report/numbers.hpp"
#include "report/summary.hpp"
#include "report/writers.hpp"

namespace quantize::report {
namespace {

constexpr std::size_t kWorst = 10;

// Escaped text in which no character means anything to Markdown or HTML: punctuation becomes a
// numeric character reference, which every renderer shows as the character.
std::string inert(std::string_view text) {
  std::string result;
  for (const char c : escape(text)) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                       c == ' ' || c == '.' || c == ',' || c == '/';
    result += plain ? std::string(1, c) : "&#" + std::to_string(int{c}) + ';';
  }
  return result;
}

void write_output(const Report& report, std::ostream& out) {
  const Summary summary = summarize(report, kWorst);
  out << "## " << inert(report.model) << ": " << inert(report.target) << "\n\n"
      << "| | before | after |\n|---|---:|---:|\n"
      << "| bytes | " << grouped(report.source_bytes) << " | " << grouped(report.output_bytes)
      << " |\n"
      << "| bits per weight | " << fixed(summary.source_bits_per_weight, 3) << " | "
      << fixed(summary.bits_per_weight, 3) << " |\n\n"
      << fixed(summary.ratio, 2) << " times smaller: " << grouped(report.tensor_bytes)
      << " bytes of tensors, " << grouped(report.padding_bytes) << " of padding, "
      << grouped(report.header_bytes) << " of header.\n\n";
  for (const FileReport& file : report.files) {
    out << "- file " << inert(file.path) << ", " << grouped(file.bytes) << " bytes\n";
  }
  out << "\n| type | tensors | weights | bytes |\n|---|---:|---:|---:|\n";
  for (const TypeShare& share : summary.types) {
    out << "| " << share.type_name << " | " << grouped(share.tensors) << " | "
        << grouped(share.values) << " | " << grouped(share.bytes) << " |\n";
  }
  if (summary.error.values != 0) {
    const auto row = [&](const std::string& label, std::string_view type, const ErrorStats& error) {
      out << "| " << label << " | " << type << " | " << general(error.relative_rmse(), 4) << " | "
          << fixed(error.snr_db(), 2) << " | " << fixed(error.cosine(), 6) << " | "
          << general(error.max_abs_error, 4) << " |\n";
    };
    out << "\n| tensor | type | relative RMSE | SNR dB | cosine | largest error |\n"
        << "|---|---|---:|---:|---:|---:|\n";
    row("all encoded tensors", "", summary.error);
    for (const TensorReport* tensor : summary.worst) {
      row(inert(tensor->name), tensor->type_name, tensor->error);
    }
  }
  out << '\n';
  for (const Substitution& s : summary.substitutions) {
    out << "- substitution: " << info(s.wanted).name << " became " << info(s.type).name << " in "
        << grouped(s.tensors) << " tensors (" << inert(s.reason) << ")\n";
  }
  for (const std::string& note : report.notes) out << "- note: " << inert(note) << '\n';
}

}  // namespace

void write_markdown(std::span<const InputReport> inputs, std::ostream& out) {
  out << "# Quantization report\n";
  for (const InputReport& input : inputs) {
    out << '\n';
    if (input.error) {
      out << "- failed: " << inert(format_problem("error", *input.error)) << '\n';
    }
    for (const Report& report : input.outputs) write_output(report, out);
    for (const Warnings::Entry& warning : input.warnings) {
      out << "- " << inert(format_problem("warning", warning.first)) << ", " << warning.count
          << " times\n";
    }
  }
}

}  // namespace quantize::report
