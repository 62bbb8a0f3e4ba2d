// What the expressions of a family mean for one model: its configuration's fields and a few names
// besides.
//   n, e, i             numbers in a tensor's name; n also an index of "each"
//   layers, experts     how many there are
//   model               the class name
//   labelled            a classifier with labels of its own
//   rope.X              a parameter of the rotary embeddings, wherever it is kept
//   raw.X               config.json without anything put into it
//   text.X              of a projector: a field of its language model, as config.json has it
//   preprocessor.X      how images are prepared: of processor_config.json's image_processor, of
//   that
//                       file, or of preprocessor_config.json, whichever has it
//   tokenizer.X, tokenizer_config.X, generation_config.X   fields of those files
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>

#include "quantize/source.hpp"

#include "arch/expression.hpp"
#include "arch/family.hpp"
#include "convert/configuration.hpp"
#include "core/directory.hpp"

namespace quantize {

struct Operand {
  enum class Kind : std::uint8_t { missing, integer, real, truth, text, list };
  Kind kind = Kind::missing;
  std::int64_t integer = 0;
  double real = 0;
  bool truth = false;
  std::string text;
  Json at;  // the field that it was made of, if any; the list itself

  explicit operator bool() const noexcept { return kind != Kind::missing; }
  bool is_number() const noexcept { return kind == Kind::integer || kind == Kind::real; }
  double number() const noexcept {
    return kind == Kind::integer ? static_cast<double>(integer) : real;
  }
  bool holds() const noexcept;  // nothing, 0, "" and empty lists do not
};

// Numbers in a tensor's name, in their order.
using Numbers = std::span<const std::uint64_t>;

class Scope {
 public:
  Scope(const Family& family, const Configuration& configuration, const Directory& directory,
        const Source& source);
  ~Scope();

  // CF03 and CF04 for fields that do not fit, CF05 for divisions that are not exact.
  Operand evaluate(const Expression& expression, Numbers numbers = {}) const;
  bool holds(const Expression& when, Numbers numbers = {}) const;  // true for no condition
  // A list's entry, if it has so many; anything else is the same for every index.
  Operand entry(const Operand& list, std::uint64_t index) const;
  // A size or count, at most 2^40; nothing if a field is missing.
  std::optional<std::uint64_t> size(const Expression& expression, Numbers numbers = {}) const;
  std::optional<double> real(const Expression& expression, Numbers numbers = {}) const;
  std::uint64_t layers() const;
  std::uint64_t experts() const;
  const std::string& first_of(const std::vector<Choice>& choices) const;  // CF06 if none holds

  [[noreturn]] void refuse(ErrorCode code, const Operand& value, std::string text,
                           std::string allowed = {}) const;
  const Configuration& configuration() const noexcept { return configuration_; }

 private:
  class Evaluation;
  Operand field(std::string_view name) const;
  Json side_file(std::string_view name) const;  // "{}" if there is none
  // The object that has the field, if any.
  std::optional<Json> preprocessor(std::string_view key) const;
  Operand operand_of(const Json& value) const;

  const Family& family_;
  const Configuration& configuration_;
  const Directory& directory_;
  const Source& source_;
  mutable std::map<std::string, std::unique_ptr<JsonDocument>, std::less<>> files_;
};

}  // namespace quantize
