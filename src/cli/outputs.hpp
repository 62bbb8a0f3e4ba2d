// Where outputs go: names from templates, and the check that no two files are the same.
#pragma once

#include <string>
#include <vector>

#include "options.hpp"

namespace quantize::cli {

// The path of one output of one model.
std::string output_path(const Request& request, const Model& model, const Target& target);

struct NamedPaths {
  std::vector<std::string> inputs, outputs, reports;
};
// OUT03 if an output is another output, or a report is an input; USE05 if a report is an output or
// another report. Symbolic and hard links count as what they name.
void check_distinct(const NamedPaths& paths);

}  // namespace quantize::cli
