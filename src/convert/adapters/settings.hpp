// adapter_config.json of a LoRA adapter as the PEFT package writes it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "quantize/error.hpp"

#include "core/directory.hpp"
#include "core/json.hpp"

namespace quantize::adapters {

// The key of rank_pattern and alpha_pattern: a regular expression for the end of a module's name,
// from its beginning or after a dot. Of the language of expressions, characters, ".", "\d", "\w",
// escaped characters, the repetitions "*", "+", "?" and the anchors are known (and matched in time
// that is the product of the lengths); everything else is refused.
class NamePattern {
 public:
  // LR05 at the key's place.
  NamePattern(Json entry, const std::string& file);
  bool matches(std::string_view name) const;

 private:
  struct Atom {
    enum class Kind : std::uint8_t { character, any, digit, word } kind{};
    char character = 0;
    bool optional = false, repeated = false;
    bool holds(char c) const noexcept;
  };
  bool matches_all(std::string_view text) const;

  std::vector<Atom> atoms_;
  bool anchored_ = false;
};

struct Settings {
  std::string file;
  bool dora = false, biases = false, transposed = false, rank_stabilized = false;
  std::vector<std::string> saved_modules;  // modules_to_save
  std::vector<std::string> parameters;     // target_parameters

  std::uint64_t rank_of(std::string_view module) const;
  // What B x A is multiplied by: alpha / rank, or alpha / sqrt(rank).
  double scale_of(std::string_view module) const;

 private:
  friend Settings read_settings(const Directory&, Warnings&);
  template <class T>
  struct Rule {
    NamePattern pattern;
    T value;
  };
  std::uint64_t rank_ = 0;
  double alpha_ = 0;
  std::vector<Rule<std::uint64_t>> ranks_;
  std::vector<Rule<double>> alphas_;
};

// CF01 if there is no adapter_config.json, LR04 for values that cannot be, LR05 for whatever would
// change the weights in a way that is not known here: another method, another initial weight, a
// setting of a name that is not known and that is not null, false or empty.
Settings read_settings(const Directory& directory, Warnings& warnings);

}  // namespace quantize::adapters
