// The commands. Each returns the exit status, or throws what main() reports.
#pragma once

#include <exception>

#include "options.hpp"

namespace quantize::cli {

int convert(const Request& request);
int plan(const Request& request);
int inspect(const Request& request);
int types(const Request& request);
int selftest(const Request& request);

int run_command(const Request& request);

// Prints failures as they happen, and remembers the exit status of the first.
class Failures {
 public:
  // `after`: what remains, appended to the line.
  void add(const Error& error, const char* after = "");
  int status() const noexcept { return status_; }

 private:
  int status_ = 0;
};

// Applies --strict to a collector.
void apply_strict(const Request& request, Warnings& warnings);
// --imatrix with its filters; null without.
std::shared_ptr<const ImportanceData> load_importance_option(const Request& request);
// The request's recipe for one target.
// Reads the weights, if a target or option asks for exact types.
void find_exact_types_if_asked(const Request& request, Model& model);
Recipe recipe_for(const Request& request, const Target& target,
                  std::shared_ptr<const ImportanceData> importance);
// --explain.
std::string explanation(const Request& request, const Plan& plan);

}  // namespace quantize::cli
