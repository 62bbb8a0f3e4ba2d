// quantize types: what --to and the --*-type options accept. As JSON:
//
//   { "schema": "quantize-types-1",
//     "presets": [{ "name", "file_type": n | null, "type", "bits_per_weight", "importance",
//                   "about" }],
//     "aliases": [{ "name", "preset", "about" }],
//     "checkpoints": [{ "name", "about" }],
//     "types": [{ "name", "bits_per_weight", "block_values", "block_bytes", "importance" }] }
#include <nlohmann/json.hpp>
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

bool is_listed(const Quantizer& quantizer) {
  return quantizer.encode != nullptr && info(quantizer.type).gguf_id >= 0;
}

std::string json_text() {
  using Json = nlohmann::ordered_json;
  Json presets = Json::array(), aliases = Json::array(), checkpoints = Json::array(),
       types = Json::array();
  for (const Preset& preset : quantize::presets()) {
    const bool keeps = keeps_types(preset);
    const TypeInfo& type = info(preset.default_type);
    presets.push_back(
        {{"name", preset.name},
         {"file_type", keeps ? Json(nullptr) : Json(preset.file_type)},
         {"type", keeps ? Json(nullptr) : Json(type.name)},
         {"bits_per_weight", keeps ? Json(nullptr) : Json(bits_per_weight(type))},
         {"importance",
          keeps ? Json(nullptr) : Json(importance_text(type.type, preset.needs_importance))},
         {"about", preset.about}});
  }
  for (const TargetAlias& alias : target_aliases())
    aliases.push_back({{"name", alias.name}, {"preset", alias.preset}, {"about", alias.about}});
  for (const CheckpointName& checkpoint : checkpoint_names())
    checkpoints.push_back({{"name", checkpoint.name}, {"about", checkpoint.about}});
  for (const Quantizer& quantizer : quantizers()) {
    if (!is_listed(quantizer)) continue;
    const TypeInfo& type = info(quantizer.type);
    types.push_back({{"name", type.name},
                     {"bits_per_weight", bits_per_weight(type)},
                     {"block_values", type.block_values},
                     {"block_bytes", type.block_bytes},
                     {"importance", importance_text(type.type, false)}});
  }
  const Json document = {{"schema", "quantize-types-1"},
                         {"presets", std::move(presets)},
                         {"aliases", std::move(aliases)},
                         {"checkpoints", std::move(checkpoints)},
                         {"types", std::move(types)}};
  return document.dump(1) + '\n';
}

}  // namespace

int types(const Request& request) {
  if (request.json) {
    print(json_text());
    return 0;
  }
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
    if (!is_listed(quantizer)) continue;
    const TypeInfo& type = info(quantizer.type);
    text += fmt::format("  {:<10} {:>15.4f} {:>6} {:>6}  {}\n", type.name, bits_per_weight(type),
                        type.block_values, type.block_bytes, importance_text(type.type, false));
  }
  if (!request.quiet) print(text);
  return 0;
}

}  // namespace quantize::cli
