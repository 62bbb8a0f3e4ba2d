// quantize plan: what the outputs would be, to the byte, from headers alone.
#include <sstream>

#include <spdlog/fmt/fmt.h>

#include "quantize/plan_text.hpp"

#include "commands.hpp"
#include "process.hpp"
#include "progress.hpp"

namespace quantize::cli {
namespace {

// What was asked for, or every preset that the model can be made into; a warning tells why the
// others are missing.
std::vector<Plan> make_plans(const Request& request, const Model& model,
                             const std::shared_ptr<const ImportanceData>& importance,
                             Warnings& warnings) {
  std::vector<Plan> plans;
  for (const Target& target : request.targets) {
    plans.push_back(make_plan(model, recipe_for(request, target, importance), warnings, false));
  }
  if (!request.targets.empty()) return plans;
  for (const Preset& preset : presets()) {
    const Target target = find_target(preset.name);
    Warnings unused;  // of thirty plans, the warnings would be the same thirty times
    try {
      plans.push_back(make_plan(model, recipe_for(request, target, importance), unused, false));
    } catch (const Error& error) {
      warnings.add(error.problem());
    }
  }
  return plans;
}

void write_plans(const Request& request, const Model& model,
                 const std::shared_ptr<const ImportanceData>& importance, Warnings& warnings,
                 std::ostream& text) {
  const std::vector<Plan> plans = make_plans(request, model, importance, warnings);
  if (request.explain) {
    for (const Plan& made : plans) text << explanation(request, made);
    return;
  }
  const bool memory = request.ram != 0 || request.context != 0;
  write_plan(model, plans, {request.json, request.tensors, memory, request.context, request.ram},
             text);
}

}  // namespace

int plan(const Request& request) {
  const auto importance = load_importance_option(request);
  Failures failures;
  for (const std::string& input : request.inputs) {
    try {
      Warnings warnings;
      apply_strict(request, warnings);
      std::ostringstream text;
      for (const bool checkpoints : {false, true}) {
        Request part = request;
        part.targets.clear();
        for (const Target& target : request.targets)
          if (bool(target.checkpoint) == checkpoints) part.targets.push_back(target);
        // Without targets, every preset; checkpoints only by name.
        if (part.targets.empty() && (checkpoints || !request.targets.empty())) continue;
        Model model = checkpoints ? open_unconverted(input, request.open, warnings)
                                  : open_model(input, request.open, warnings);
        if (!checkpoints) find_exact_types_if_asked(part, model);
        write_plans(part, model, importance, warnings, text);
      }
      log_warnings(warnings);
      if (request.quiet) continue;
      print(text.str());
    } catch (const Error& error) {
      if (error.code() == ErrorCode::OUT11) throw;
      failures.add(error);
    }
  }
  return failures.status();
}

}  // namespace quantize::cli
