// Importance weights (an "importance matrix"): per tensor, one weight per column and matrix.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quantize/error.hpp"

namespace quantize {

struct ImportanceEntry {
  std::string name;            // the model tensor's GGUF name
  std::vector<float> weights;  // columns x matrices, already normalised as the reference does
};

struct ImportanceData {
  std::string name;  // the argument as the user typed it, for quantize.imatrix.file
  std::vector<ImportanceEntry> entries;  // sorted by name
  std::vector<std::string> datasets;
  std::uint32_t chunks = 0;

  const ImportanceEntry* find(std::string_view tensor) const noexcept;
};

// Reads both file forms (GGUF, legacy .dat). QZ07, IO*, GG*.
ImportanceData load_importance(const std::string& path, Warnings& warnings);

// Keeps entries whose name contains one of `include` (if not empty) and none of `exclude`.
void filter_importance(ImportanceData& data, const std::vector<std::string>& include,
                       const std::vector<std::string>& exclude);

}  // namespace quantize
