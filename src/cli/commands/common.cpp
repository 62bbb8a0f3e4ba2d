#include <algorithm>
#include <array>

#include "commands.hpp"
#include "process.hpp"
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

void Documents::add(std::string document) {
  while (!document.empty() && document.back() == '\n') document.pop_back();
  documents_.push_back(std::move(document));
  any_ = true;
}

void Documents::add(const std::string& path, const Problem& problem) {
  documents_.push_back(failed_input_json(path, problem));
}

void Documents::print() const {
  if (!any_) return;
  if (inputs_ == 1) return cli::print(documents_.front() + '\n');
  std::string text = "{\"schema\": \"" + schema_ + "\",\n\"inputs\": [";
  const char* separator = "\n";
  for (const std::string& document : documents_) {
    text += separator + document;
    separator = ",\n";
  }
  cli::print(text + "\n]}\n");
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

const Model& OpenedInput::model_for(const Request& request, const std::string& input,
                                    const Target& target, Warnings& warnings) {
  std::optional<Model>& model = target.checkpoint ? unconverted : converted;
  if (model) return *model;
  model = target.checkpoint ? open_unconverted(input, request.open, warnings)
                            : open_model(input, request.open, warnings);
  const bool exact =
      std::any_of(request.targets.begin(), request.targets.end(), [&](const Target& any) {
        return !target.checkpoint && is_lossless(recipe_for(request, any, nullptr));
      });
  if (exact) find_exact_types(*model);  // reads the weights
  return *model;
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
