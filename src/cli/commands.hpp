// The commands. Each returns the exit status, or throws what main() reports.
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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

// What --json prints for inputs: the document of the only one, or one document of those of all,
// {"schema", "inputs": [document, or {"path", "error"} of an input that has none]}.
class Documents {
 public:
  Documents(std::string schema, std::size_t inputs) : schema_(std::move(schema)), inputs_(inputs) {}
  void add(std::string document);
  void add(const std::string& path, const Problem& problem);
  void print() const;  // nothing if there is no document at all

 private:
  std::string schema_;
  std::size_t inputs_;
  std::vector<std::string> documents_;
  bool any_ = false;
};

// An input as GGUF has it, and as checkpoints have it; what no target needs is not opened.
struct OpenedInput {
  std::optional<Model> converted, unconverted;
  const Model& model_for(const Request& request, const std::string& input, const Target& target,
                         Warnings& warnings);
};

// Applies --strict to a collector.
void apply_strict(const Request& request, Warnings& warnings);
// --imatrix with its filters; null without.
std::shared_ptr<const ImportanceData> load_importance_option(const Request& request);
// The request's recipe for one target.
Recipe recipe_for(const Request& request, const Target& target,
                  std::shared_ptr<const ImportanceData> importance);
// --explain.
std::string explanation(const Request& request, const Plan& plan);

}  // namespace quantize::cli
