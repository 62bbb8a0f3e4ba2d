// A model family as data: which models it covers, how their configuration becomes metadata and how
// their tensors are named, shaped and transformed. Read from JSON (src/arch/families, or a file
// the user names); what a rule may do is the closed set of named operations below.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quantize/error.hpp"
#include "quantize/metadata.hpp"

#include "core/json.hpp"

namespace quantize {

// Ranges of configuration values, by meaning.
enum class ValueRange : std::uint8_t {
  any,
  layers,
  experts,
  size,
  heads,
  head_size,
  context,
  vocabulary,
  epsilon,
  positive
};

enum class KeyOperation : std::uint8_t {
  value,             // a configuration field, or a constant
  base,              // the block of keys that most families share
  pooling_type,      // from sentence-transformers' modules.json
  classifier_labels  // id2label, unless it is only the placeholder
};

struct KeyRule {
  std::string key;  // without "{architecture}."
  MetaType type = MetaType::u32;
  KeyOperation operation = KeyOperation::value;
  std::string from;  // an expression (convert/configuration.hpp)
  std::optional<bool> constant;
  ValueRange range = ValueRange::any;
};

enum class TensorOperation : std::uint8_t { none, permute_rotary, plus_one, transpose, stack };

struct TensorRule {
  std::string from, to;            // without ".weight"/".bias"; {n} a layer, {e} an expert
  std::vector<std::string> shape;  // expressions, outermost first; the bias has the first alone
  TensorOperation operation = TensorOperation::none;
  std::string heads;  // permute_rotary: how many heads the rows are
  bool required = false;
  bool bias_required = false;
};

struct RenameRule {
  std::string prefix, suffix, anywhere;  // one of them is not empty
  std::string to;
  std::string model;      // only for this architecture name
  bool labelled = false;  // only for a classifier with labels
};

enum class GeneratedTensor : std::uint8_t { llama3_rope_factors };

// A default that the model class of the reference's configuration library injects.
struct DefaultRule {
  std::string key;
  std::string json;  // the value as JSON text; empty: `from`
  std::string from;  // an expression; also replaces null
};

struct Family {
  std::string name;
  std::string architecture;
  std::vector<std::string> models;  // names in "architectures"
  std::map<std::string, std::vector<DefaultRule>, std::less<>> defaults;  // by model_type
  std::vector<std::string> required;                                      // configuration fields
  std::vector<std::string> relations;  // expressions that must be computable: "a/b" divides
  std::vector<RenameRule> renames;
  std::vector<std::string> drop;  // globs, after renaming
  std::vector<KeyRule> keys;
  std::vector<TensorRule> tensors;
  std::vector<GeneratedTensor> generate;
  std::string embedding;  // the output tensor whose rows are the vocabulary
  std::vector<std::string> vocabulary;
};

// CF02, CF03, CF06 with offsets into the family's text.
Family parse_family(std::string text, std::string file, Warnings& warnings);

// The families that are built in, sorted by name.
const std::vector<Family>& builtin_families();
const Family* find_family(std::string_view model) noexcept;

// "*" stands for any run of characters.
bool matches_glob(std::string_view pattern, std::string_view text) noexcept;

}  // namespace quantize
