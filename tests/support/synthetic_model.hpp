// Small GGUF models of several architectures and shapes, just large enough for the rules about
// them, as input for us and for the official library.
#pragma once

#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

#include "quantize/plan.hpp"

#include "support/oracle.hpp"

namespace quantize::test {

// `rows`: of all matrices but keys and values (nobody checks that they fit the heads).
struct ModelShape {
  const char* architecture;
  const char* name;
  std::uint32_t layers, width, rows, feed_forward, heads, kv_heads, vocabulary, experts;
  bool tied;
  DType type;
  std::uint32_t pieces = 1;     // of a split model
  bool heads_by_layer = false;  // the number of key-value heads as an array
  bool fused = false;           // queries, keys and values in one matrix; no gate
  bool empty_first = false;     // the first piece holds metadata only
};
void PrintTo(const ModelShape& shape, std::ostream* out);  // for the names of the tests

struct SyntheticModel {
  std::vector<std::string> paths;  // one, or its pieces
  std::vector<std::pair<std::string, Shape>> tensors;
};

// `path` ends in ".gguf"; pieces get their numbers. Values are of all kinds, zero groups among
// them; strings hold NULs.
SyntheticModel write_model(const ModelShape& shape, const std::string& path);

// Importance weights for all matrices but embeddings and output, on both sides. (The library leaves
// the metadata about them to its command, which gives it as overrides.)
void add_importance(const SyntheticModel& model, Recipe& recipe, Oracle::QuantizeOptions& options);

std::string read_file(const std::string& path);
// Byte for byte.
void expect_equal_files(const std::string& theirs, const std::string& ours);

}  // namespace quantize::test
