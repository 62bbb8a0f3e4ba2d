// quantize plan: what the outputs would be, to the byte, from headers alone.
#include <sstream>

#include <spdlog/fmt/fmt.h>

#include "quantize/plan_text.hpp"

#include "commands.hpp"
#include "process.hpp"
#include "progress.hpp"

namespace quantize::cli {
namespace {

// The plans of one input, and what they are made for.
struct Planned {
  OpenedInput input;
  std::vector<Plan> plans;
};

// What was asked for, or every preset that the model can be made into; a warning tells why the
// others are missing. Checkpoints only by name.
Planned make_plans(const Request& request, const std::string& input,
                   const std::shared_ptr<const ImportanceData>& importance, Warnings& warnings) {
  Planned planned;
  for (const Target& target : request.targets) {
    const Model& model = planned.input.model_for(request, input, target, warnings);
    planned.plans.push_back(
        make_plan(model, recipe_for(request, target, importance), warnings, false));
  }
  if (!request.targets.empty()) return planned;
  for (const Preset& preset : presets()) {
    const Target target = find_target(preset.name);
    const Model& model = planned.input.model_for(request, input, target, warnings);
    Warnings unused;  // of thirty plans, the warnings would be the same thirty times
    try {
      planned.plans.push_back(
          make_plan(model, recipe_for(request, target, importance), unused, false));
    } catch (const Error& error) {
      warnings.add(error.problem());
    }
  }
  return planned;
}

std::string plans_text(const Request& request, const Planned& planned) {
  std::ostringstream text;
  if (request.explain) {
    for (const Plan& made : planned.plans) text << explanation(request, made);
    return text.str();
  }
  const auto& [converted, unconverted] = planned.input;
  std::vector<ModelPlan> plans;
  for (const Plan& made : planned.plans)
    plans.push_back({made.target.checkpoint ? &*unconverted : &*converted, &made});
  const bool memory = request.ram != 0 || request.context != 0;
  write_plan(converted ? *converted : *unconverted, plans,
             {request.json, request.tensors, memory, request.context, request.ram}, text);
  return text.str();
}

}  // namespace

int plan(const Request& request) {
  const auto importance = load_importance_option(request);
  Failures failures;
  Documents documents("quantize-plan-set-1", request.inputs.size());
  for (const std::string& input : request.inputs) {
    try {
      Warnings warnings;
      apply_strict(request, warnings);
      const Planned planned = make_plans(request, input, importance, warnings);
      log_warnings(warnings);
      if (request.json && !request.explain) {
        documents.add(plans_text(request, planned));
      } else if (!request.quiet) {
        print(plans_text(request, planned));
      }
    } catch (const Error& error) {
      if (error.code() == ErrorCode::OUT11) throw;
      failures.add(error);
      documents.add(input, error.problem());
    }
  }
  documents.print();
  return failures.status();
}

}  // namespace quantize::cli
