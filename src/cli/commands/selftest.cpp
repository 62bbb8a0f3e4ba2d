// quantize selftest: does this program, on this CPU, write the bytes it should? As JSON:
//
//   { "schema": "quantize-selftest-1", "passed", "in_use",
//     "sets": [{ "set", "usable", "encodings", "fused", "differ": [name] }] }
#include <nlohmann/json.hpp>
#include <spdlog/fmt/fmt.h>

#include "commands.hpp"
#include "process.hpp"

namespace quantize::cli {

int selftest(const Request& request) {
  std::string text = fmt::format("{:<8} {:>9}  {:<11} {}\n", "set", "encodings", "arithmetic", "");
  bool passed = true;
  nlohmann::ordered_json sets = nlohmann::ordered_json::array();
  for (const SelftestSet& set : run_selftest()) {
    sets.push_back({{"set", set.isa},
                    {"usable", set.usable},
                    {"encodings", set.encodings},
                    {"fused", set.contracted},
                    {"differ", set.differ}});
    if (!set.usable) {
      text += fmt::format("{:<8} {:>9}  {:<11} not offered by this CPU\n", set.isa, "", "");
      continue;
    }
    passed = passed && set.passed();
    text += fmt::format("{:<8} {:>9}  {:<11} {}\n", set.isa, set.encodings,
                        set.contracted ? "FUSED" : "exact",
                        set.differ.empty() ? "all as the official library's"
                                           : fmt::format("{} DIFFER", set.differ.size()));
    for (const std::string& name : set.differ) text += fmt::format("  differs: {}\n", name);
  }
  text += passed ? fmt::format("passed; in use: {}\n", active_isa())
                 : std::string("FAILED: do not trust files that this build writes\n");
  if (request.json) {
    const nlohmann::ordered_json document = {{"schema", "quantize-selftest-1"},
                                             {"passed", passed},
                                             {"in_use", active_isa()},
                                             {"sets", std::move(sets)}};
    text = document.dump(1) + '\n';
  }
  if (!request.quiet) print(text);
  return passed ? 0 : 1;
}

}  // namespace quantize::cli
