// Plans that were saved with `plan --json`, perhaps edited, and given back: of each, the target's
// name and the type of every tensor. Everything else of the document is what follows from them.
#include <algorithm>
#include <memory>

#include "quantize/escape.hpp"
#include "quantize/plan.hpp"

#include "core/input_file.hpp"
#include "core/json.hpp"

namespace quantize {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{256} << 20;
constexpr std::size_t kMaxLabel = 64;

// The member of that name and kind. JS01.
Json member(const Json& object, const char* key, JsonKind kind, const std::string& file) {
  const auto found = object.is_object() ? object.find(key) : std::nullopt;
  if (!found || found->kind() != kind) {
    fail(ErrorCode::JS01, file, found ? found->offset() : object.offset(),
         "not a saved plan: " + quoted(key) + " is missing or of another kind", {},
         "what 'quantize plan --json' writes");
  }
  return *found;
}

// The target's label goes into file names.
bool is_label(std::string_view text) {
  return !text.empty() && text.size() <= kMaxLabel && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-' || c == '.';
         });
}

Target read_target(const Json& plan, const std::string& file) {
  if (const auto none = plan.is_object() ? plan.find("preset") : std::nullopt;
      none && none->kind() == JsonKind::null) {
    fail(ErrorCode::USE04, file, none->offset(),
         "a plan for another loader cannot be given back: take it out, and name it with --to");
  }
  const Json preset = member(plan, "preset", JsonKind::string, file);
  Target target;
  for (const Preset& known : presets())
    if (known.name == preset.string()) target.preset = &known;
  if (!target.preset) {
    fail(ErrorCode::USE04, file, preset.offset(), "unknown preset", std::string(preset.string()),
         "a preset that 'quantize types' lists");
  }
  const Json label = member(plan, "target", JsonKind::string, file);
  if (!is_label(label.string())) {
    fail(ErrorCode::USE04, file, label.offset(), "not a name for a target",
         std::string(label.string()), "letters, digits, '_', '-' and '.'");
  }
  target.label = label.string();
  auto types = std::make_shared<SavedTypes>();
  types->file = file;
  for (const Json tensor : member(plan, "tensors", JsonKind::array, file).children()) {
    const Json name = member(tensor, "name", JsonKind::string, file);
    const Json text = member(tensor, "type", JsonKind::string, file);
    const auto type = type_from_name(text.string());
    if (!type || info(*type).gguf_id < 0) {
      fail(ErrorCode::USE04, file, text.offset(), "unknown tensor type", std::string(text.string()),
           "a type that 'quantize types' lists");
    }
    if (!types->types.emplace(name.string(), *type).second) {
      fail(ErrorCode::JS04, file, name.offset(),
           "tensor " + quoted(name.string()) + " is listed twice");
    }
  }
  target.saved = std::move(types);
  return target;
}

}  // namespace

std::vector<Target> load_saved_plans(const std::string& path, Warnings& warnings) {
  const InputFile input(path);
  if (input.size() > kMaxBytes) {
    fail(ErrorCode::JS06, path, {}, "too large for a saved plan",
         std::to_string(input.size()) + " bytes", std::to_string(kMaxBytes) + " bytes");
  }
  const auto document = JsonDocument::parse(input.read_text(0, input.size()), path, {}, &warnings);
  const Json root = document->root();
  const Json schema = member(root, "schema", JsonKind::string, path);
  if (schema.string() != "quantize-plan-1") {
    fail(ErrorCode::JS01, path, schema.offset(), "a plan of another kind",
         std::string(schema.string()), "quantize-plan-1");
  }
  std::vector<Target> targets;
  for (const Json plan : member(root, "plans", JsonKind::array, path).children())
    targets.push_back(read_target(plan, path));
  if (targets.empty()) fail(ErrorCode::JS01, path, root.offset(), "the saved plan has no outputs");
  return targets;
}

}  // namespace quantize
