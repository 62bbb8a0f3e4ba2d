// What a run did and what it cost: a pure value, the same for every thread count.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quantize/error.hpp"
#include "quantize/plan.hpp"

namespace quantize {

// Sums over values against the source's values. Finished from 16 lanes (lane = index mod 16),
// folded in fixed order per slab, then in slab order (src/pipeline/measure.hpp).
struct ErrorStats {
  std::uint64_t values = 0;
  double sum_squared_error = 0;
  double sum_squared_source = 0;
  double sum_squared_result = 0;
  double sum_product = 0;
  double max_abs_error = 0;
  std::uint64_t nonfinite = 0;  // source values that are NaN or infinite; left out of the sums
  std::uint64_t saturated = 0;  // finite source values whose result is not finite

  void merge(const ErrorStats& next) noexcept;
  double relative_rmse() const noexcept;  // RMSE / RMS of the source; 0 for an all-zero tensor
  double snr_db() const noexcept;         // infinite when the error is 0
  double cosine() const noexcept;         // 1 when both are zero
};

struct TensorReport {
  std::string name;
  Shape shape;
  DType source_type{};
  DType type{};
  std::string type_name;  // "q4_K"; of checkpoints the format's name: "nf4"
  std::uint64_t bytes_before = 0, bytes_after = 0;
  ErrorStats error;  // all zero sums for copied tensors
  bool copied = false;
  bool importance = false;
  std::string rule;
  std::optional<DType> wanted;
  std::string substitution;
};

struct FileReport {
  std::string path;  // as the user named it
  std::uint64_t bytes = 0;
};

struct Report {
  std::string model;  // Model::name
  std::string architecture;
  std::string source_format;
  std::string target;              // label
  std::uint64_t source_bytes = 0;  // sum of the input weight files
  std::uint64_t header_bytes = 0, padding_bytes = 0, tensor_bytes = 0;  // together: output_bytes
  std::uint64_t output_bytes = 0;
  std::uint64_t values = 0;
  std::vector<FileReport> files;
  std::vector<TensorReport> tensors;
  std::vector<Warnings::Entry> warnings;
  std::vector<std::string> notes;  // ignored tensors, requantized from, unmatched importance ...
};

// Starts a report from a plan (sizes, types, rules, substitutions); run() fills in the errors.
Report make_report(const Model& model, const Plan& plan);

// What became of one input: its outputs, or why there are none.
struct InputReport {
  std::string path;
  std::vector<Report> outputs;
  std::vector<Warnings::Entry> warnings;
  std::optional<Problem> error;
};

std::span<const std::string_view> report_formats() noexcept;  // "txt", "json", "csv", "md"
// {"path", "error": problem}, in the terms of the JSON report: an input that gave no document.
std::string failed_input_json(const std::string& path, const Problem& problem);
// The format that a file's suffix names: "a/b.json" gives "json". USE04 if none does.
std::string_view report_format_of(const std::string& path);

// One document for all inputs. USE04 for an unknown format. All text that came from an input is
// escaped for that format.
void write_reports(std::span<const InputReport> inputs, std::string_view format, std::ostream& out);

}  // namespace quantize
