// quantize types: what --to and the --*-type options accept.
#include <sstream>

#include <spdlog/fmt/fmt.h>

#include "commands.hpp"
#include "process.hpp"

namespace quantize::cli {
namespace {

double bits_per_weight(const TypeInfo& type) { return 8.0 * type.block_bytes / type.block_values; }

const char* importance_text(DType type, bool needed) {
  const Quantizer* quantizer = find_quantizer(type);
  if (needed || (quantizer && quantizer->importance == ImportanceUse::required)) return "needed";
  return quantizer && quantizer->importance == ImportanceUse::optional ? "helps" : "not used";
}

}  // namespace

int types(const Request& request) {
  std::string text = fmt::format("Presets (--to)\n  {:<10} {:<8} {:>15}  {:<10}\n", "", "mostly",
                                 "bits per weight", "importance data");
  for (const Preset& preset : presets()) {
    if (preset.file_type < 0) {
      text += fmt::format("  {:<45}          {}\n", preset.name, preset.about);
      continue;
    }
    const TypeInfo& type = info(preset.default_type);
    text += fmt::format(
        "  {:<10} {:<8} {:>15.4f}  {:<15}  {}\n", preset.name, type.name, bits_per_weight(type),
        importance_text(preset.default_type, preset.needs_importance), preset.about);
  }
  text += "\nFriendly names (--to)\n";
  for (const TargetAlias& alias : target_aliases()) {
    text += fmt::format("  {:<10} = {}{}{}\n", alias.name, alias.preset,
                        alias.about.empty() ? "" : ": ", alias.about);
  }
  text +=
      "\nCheckpoints for other loaders (--to), with -g32, -g64, -g128, -channel, -sym, -asym,\n"
      "-absmax, -percentile, -mse where the format has a choice\n";
  for (const CheckpointName& checkpoint : checkpoint_names())
    text += fmt::format("  {:<15} {}\n", checkpoint.name, checkpoint.about);
  text += fmt::format(
      "\nTypes (--tensor-type; --to type:NAME makes every tensor of that type)\n"
      "  {:<10} {:>15} {:>6} {:>6}  {}\n",
      "", "bits per weight", "block", "bytes", "importance data");
  for (const Quantizer& quantizer : quantizers()) {
    const TypeInfo& type = info(quantizer.type);
    if (quantizer.encode == nullptr || type.gguf_id < 0) continue;
    text += fmt::format("  {:<10} {:>15.4f} {:>6} {:>6}  {}\n", type.name, bits_per_weight(type),
                        type.block_values, type.block_bytes, importance_text(type.type, false));
  }
  if (!request.quiet) print(text);
  return 0;
}

}  // namespace quantize::cli
