// quantize types: what --to and the --*-type options accept.
#include <sstream>

#include <spdlog/fmt/fmt.h>

#include "commands.hpp"
#include "process.hpp"

namespace quantize::cli {
namespace {

const char* importance_text(ImportanceUse use) {
  switch (use) {
    case ImportanceUse::unused:
      return "not used";
    case ImportanceUse::optional:
      return "helps";
    case ImportanceUse::required:
      return "needed";
  }
  return "";
}

}  // namespace

int types(const Request& request) {
  std::string text = "Presets (--to)\n";
  for (const Preset& preset : presets()) {
    text += fmt::format("  {:<10} {}\n", preset.name, preset.about);
  }
  text += "\nFriendly names (--to)\n";
  for (const TargetAlias& alias : target_aliases()) {
    text += fmt::format("  {:<10} = {:<8} {}\n", alias.name, alias.preset, alias.about);
  }
  text += fmt::format("\nTypes (--to, --tensor-type)\n  {:<10} {:>15} {:>6} {:>6}  {}\n", "",
                      "bits per weight", "block", "bytes", "importance data");
  for (const Quantizer& quantizer : quantizers()) {
    const TypeInfo& type = info(quantizer.type);
    if (quantizer.encode == nullptr || type.gguf_id < 0) continue;
    const double bits = 8.0 * type.block_bytes / type.block_values;
    text += fmt::format("  {:<10} {:>15.4f} {:>6} {:>6}  {}\n", type.name, bits, type.block_values,
                        type.block_bytes, importance_text(quantizer.importance));
  }
  if (!request.quiet) print(text);
  return 0;
}

}  // namespace quantize::cli
