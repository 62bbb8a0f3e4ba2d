// One line per tensor, for spreadsheets. The first column is an index, so that no line begins with
// text from an input; fields that a spreadsheet would take for a formula get a leading apostrophe.
#include <cmath>
#include <ostream>

#include "quantize/escape.hpp"

#include "report/numbers.hpp"
#include "report/writers.hpp"

namespace quantize::report {
namespace {

constexpr std::string_view kHeading =
    "index,model,target,tensor,shape,source_type,type,wanted,copied,importance,values,bytes_before,"
    "bytes_after,relative_rmse,snr_db,cosine,max_abs_error,nonfinite,saturated,rule\n";

std::string field(std::string_view text) {
  std::string escaped = escape(text, 1000);
  if (!escaped.empty() && std::string_view("=+-@").find(escaped[0]) != std::string_view::npos) {
    escaped.insert(0, "'");
  }
  // escape() left every quote behind a backslash; inside a quoted field it is doubled.
  std::string result = "\"";
  for (const char c : escaped) {
    result += c;
    if (c == '"') result += c;
  }
  return result + '"';
}

std::string figure(double value) { return std::isfinite(value) ? general(value, 9) : ""; }

}  // namespace

void write_csv(std::span<const InputReport> inputs, std::ostream& out) {
  out << kHeading;
  std::uint64_t index = 0;
  for (const InputReport& input : inputs) {
    for (const Report& report : input.outputs) {
      for (const TensorReport& tensor : report.tensors) {
        const ErrorStats& error = tensor.error;
        out << index++ << ',' << field(report.model) << ',' << field(report.target) << ','
            << field(tensor.name) << ',' << field(tensor.shape.text()) << ','
            << info(tensor.source_type).name << ',' << tensor.type_name << ','
            << (tensor.wanted ? info(*tensor.wanted).name : "") << ',' << int{tensor.copied} << ','
            << int{tensor.importance} << ',' << tensor.shape.values() << ',' << tensor.bytes_before
            << ',' << tensor.bytes_after << ',';
        if (!tensor.copied && error.values != 0) {
          out << figure(error.relative_rmse()) << ',' << figure(error.snr_db()) << ','
              << figure(error.cosine()) << ',' << figure(error.max_abs_error);
        } else {
          out << ",,,";
        }
        out << ',' << error.nonfinite << ',' << error.saturated << ',' << field(tensor.rule)
            << '\n';
      }
    }
  }
}

}  // namespace quantize::report
