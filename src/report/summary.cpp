#include "report/summary.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace quantize::report {

Summary summarize(const Report& report, std::size_t worst_count) {
  Summary summary;
  std::map<std::pair<DType, std::string>, TypeShare> types;
  std::map<std::tuple<DType, DType, std::string>, std::size_t> substitutions;
  std::uint64_t bytes_before = 0;

  for (const TensorReport& tensor : report.tensors) {
    const std::uint64_t values = tensor.shape.values();
    bytes_before += tensor.bytes_before;
    TypeShare& share = types[{tensor.type, tensor.type_name}];
    share.type_name = tensor.type_name;
    ++share.tensors;
    share.values += values;
    share.bytes += tensor.bytes_after;
    if (tensor.wanted) {
      const auto key = std::make_tuple(*tensor.wanted, tensor.type, tensor.substitution);
      const auto [at, added] = substitutions.try_emplace(key, summary.substitutions.size());
      if (added) {
        summary.substitutions.push_back(
            {*tensor.wanted, tensor.type, tensor.substitution, 0, 0, tensor.name});
      }
      Substitution& substitution = summary.substitutions[at->second];
      ++substitution.tensors;
      substitution.values += values;
    }
    if (!tensor.copied) {
      summary.error.merge(tensor.error);
      if (tensor.error.sum_squared_error > 0) summary.worst.push_back(&tensor);
    }
  }

  for (const auto& [type, share] : types) summary.types.push_back(share);
  std::stable_sort(summary.types.begin(), summary.types.end(),
                   [](const TypeShare& a, const TypeShare& b) { return a.bytes > b.bytes; });
  std::stable_sort(summary.worst.begin(), summary.worst.end(),
                   [](const TensorReport* a, const TensorReport* b) {
                     return a->error.snr_db() < b->error.snr_db();
                   });
  if (summary.worst.size() > worst_count) summary.worst.resize(worst_count);

  if (report.output_bytes != 0) {
    summary.ratio =
        static_cast<double>(report.source_bytes) / static_cast<double>(report.output_bytes);
  }
  if (report.values != 0) {
    const double values = static_cast<double>(report.values);
    summary.bits_per_weight = 8 * static_cast<double>(report.tensor_bytes) / values;
    summary.source_bits_per_weight = 8 * static_cast<double>(bytes_before) / values;
  }
  return summary;
}

}  // namespace quantize::report
