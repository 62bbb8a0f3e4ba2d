// What all report formats tell about one output beyond its list of tensors, worked out once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quantize/report.hpp"
#include "quantize/source.hpp"

namespace quantize::report {

struct TypeShare {
  std::string type_name;
  std::uint64_t tensors = 0, values = 0, bytes = 0;
};

// Tensors that got another type than wanted, for one reason.
struct Substitution {
  DType wanted{}, type{};
  std::string reason;
  std::uint64_t tensors = 0, values = 0;
  std::string first;  // a tensor's name
};

struct Summary {
  ErrorStats error;                                        // over all encoded tensors
  double ratio = 0;                                        // source bytes over output bytes
  double bits_per_weight = 0, source_bits_per_weight = 0;  // of the tensors, no header or padding
  std::vector<TypeShare> types;                            // largest first
  std::vector<Substitution> substitutions;                 // in order of first occurrence
  std::vector<const TensorReport*> worst;                  // encoded with loss, lowest SNR first
};

// One sentence per kind of packed tensors that were decoded, and per adapter and rank one that
// names the tensors that it changed.
std::vector<std::string> source_notes(const Source& source);

Summary summarize(const Report& report, std::size_t worst_count);

}  // namespace quantize::report
