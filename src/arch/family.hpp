// A model family as data: which models it covers, how their configuration becomes metadata and how
// their tensors are named, shaped and transformed. Read from JSON (src/arch/families, or a file
// the user names; families/README.md describes it); what a rule may do is the closed set of named
// operations below.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "quantize/dtype.hpp"
#include "quantize/error.hpp"
#include "quantize/metadata.hpp"

#include "arch/expression.hpp"
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
  value,             // an expression, a list, or one value per index
  base,              // the block of keys that most families share
  rope,              // the part of it about rotary embeddings
  file_type,         // general.file_type, which base ends with
  pooling_type,      // from sentence-transformers' modules.json
  classifier_labels  // id2label, unless it is only the placeholder
};

struct KeyRule {
  std::string key;  // without "{architecture}.", unless it begins "general." or "tokenizer."
  MetaType type = MetaType::u32;
  bool array = false;
  KeyOperation operation = KeyOperation::value;
  Expression from;
  std::vector<Expression> elements;                     // of a constant array
  Expression each;                                      // an array: `from` for n = 0 ... each - 1
  std::vector<std::pair<std::string, Expression>> map;  // names to values; "*" is any other
  ValueRange range = ValueRange::any;
  Expression when;
  bool required = false;
};

enum class TensorOperation : std::uint8_t {
  plus_one,
  neg_exp,
  transpose,       // the last two dimensions
  squeeze,         // dimensions of size one go
  permute_rotary,  // (heads)
  halve_rotary,    // (heads, rotary rows of each): pairs to halves, the other rows stay
  reshape,         // (dimensions, outermost first; one may be "*")
  slice,           // (first, count) of the outermost dimension
  swap,            // (a, b, inner) rows, perhaps only (first) and those that follow
  regroup,         // (groups, sizes ...) rows, of which `take` are taken
  scale,           // (factor)
  scale_rows,      // (first, count, factor)
  pad_rows,        // (count): zeros, until there are so many
  stack            // (count): one by one, numbered {e}
};

// A multimodal model is two files, each with a family of its own.
enum class FamilyPart : std::uint8_t {
  language_model,
  projector  // and the vision tower: its fields are those of vision_config
};

struct TensorStep {
  TensorOperation operation{};
  std::vector<Expression> arguments;  // an empty one in reshape: what is left
  std::vector<std::uint64_t> take;
};

struct TensorRule {
  std::string from, to;  // without ".weight"/".bias"; {n} a layer, {e} an expert; to "": dropped
  std::vector<Expression> shape;  // outermost first; the bias has the first alone
  std::vector<TensorStep> steps;
  std::string group;  // stacks of one group come together, when all are complete
  Expression when;
  std::optional<DType> store;
  bool follows_file_type = false;  // whatever its name
  bool f16_in_f16_files = false;   // then `store` is F32
  bool required = false;
  bool bias_required = false;
};

struct RenameRule {
  std::string prefix, suffix, anywhere;  // one of them, or prefix ""
  std::string to;
  Expression when;
};

struct DropRule {
  std::string name;  // a glob, after renaming
  Expression when;
  bool zero = false;     // all values must be zero, or the model is refused
  std::string equal_to;  // another tensor: kept if their values differ
};

enum class Generator : std::uint8_t { values, llama3_rope_factors };

struct GeneratedTensor {
  Generator generator{};
  std::string to;
  Expression from, each, when;  // a list of numbers, or `from` for n = 0 ... each - 1
};

// A field's value where a configuration has none; the model classes of the reference's
// configuration library inject them. Or a value that a family puts in place of what is there.
struct FieldRule {
  std::string field;
  std::string json;       // the value as JSON text; empty: `from`
  Expression from, each;  // also replaces null
  Expression when;
};

// A variant that is not converted.
struct Refusal {
  std::string what;
  Expression when;
};

// One of several words, by condition.
struct Choice {
  std::string word;
  Expression when;
};

struct Family {
  std::string name;
  FamilyPart part = FamilyPart::language_model;
  std::vector<Choice> architectures;
  std::vector<std::string> models;  // names in "architectures"; none: only for inclusion
  std::map<std::string, std::vector<FieldRule>, std::less<>> defaults;  // by model_type; "*" any
  std::vector<FieldRule> set;                                           // always, after defaults
  Expression layers;                  // how many there are, if not by the usual fields
  std::vector<Expression> required;   // configuration fields
  std::vector<Expression> relations;  // expressions that must be computable: "a/b" divides
  std::vector<Refusal> refusals;
  std::vector<RenameRule> renames;
  std::vector<DropRule> drop;
  std::vector<KeyRule> first_keys;  // at the very beginning
  std::vector<KeyRule> keys;
  std::vector<KeyRule> vocabulary_keys;  // just before the vocabulary
  std::vector<KeyRule> last_keys;        // after it
  std::vector<TensorRule> tensors;
  std::vector<GeneratedTensor> generate;
  std::string embedding;  // the output tensor whose rows are the vocabulary
  std::vector<Choice> vocabulary;
  // Where nothing else names them: ("eos", "<|endoftext|>")
  std::vector<std::pair<std::string, std::string>> special_tokens;
};

// CF02, CF03, CF06 with offsets into the family's text.
Family parse_family(std::string text, std::string file, Warnings& warnings);

// The families that are built in, sorted by name.
const std::vector<Family>& builtin_families();
const Family* find_family(std::string_view model,
                          FamilyPart part = FamilyPart::language_model) noexcept;

// "*" stands for any run of characters.
bool matches_glob(std::string_view pattern, std::string_view text) noexcept;

}  // namespace quantize
