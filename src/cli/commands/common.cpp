#include <array>

#include "commands.hpp"
#include "progress.hpp"

namespace quantize::cli {

int run_command(const Request& request) {
  constexpr std::array kCommands = {convert, plan, inspect, types,
                                    selftest};  // in the order of Command
  return kCommands[static_cast<std::size_t>(request.command)](request);
}

void Failures::add(const Error& error, const char* after) {
  log_error(std::string(error.what()) + after);
  if (status_ == 0) status_ = exit_status(error.code());
}

void apply_strict(const Request& request, Warnings& warnings) {
  if (request.all_warnings_fatal) warnings.make_all_fatal();
  for (const ErrorCode code : request.fatal_warnings) warnings.make_fatal(code);
}

std::shared_ptr<const ImportanceData> load_importance_option(const Request& request) {
  if (!request.importance_path) return nullptr;
  Warnings warnings;
  apply_strict(request, warnings);
  ImportanceData data = load_importance(*request.importance_path, warnings);
  log_warnings(warnings);
  filter_importance(data, request.include_weights, request.exclude_weights);
  return std::make_shared<const ImportanceData>(std::move(data));
}

void find_exact_types_if_asked(const Request& request, Model& model) {
  for (const Target& target : request.targets)
    if (is_lossless(recipe_for(request, target, nullptr))) return find_exact_types(model);
}

Recipe recipe_for(const Request& request, const Target& target,
                  std::shared_ptr<const ImportanceData> importance) {
  Recipe recipe = request.recipe;
  recipe.target = target;
  recipe.importance = std::move(importance);
  return recipe;
}

std::string explanation(const Request& request, const Plan& plan) {
  return plan.target.label + ": " + quantize::explain(plan, *request.explain) + '\n';
}

}  // namespace quantize::cli
