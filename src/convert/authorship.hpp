// general.* metadata about who made a model: from README.md's front matter, the name in
// config.json and the directory's name, in that order of trust, split and spelled as the reference
// converter does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "quantize/metadata.hpp"

#include "core/directory.hpp"
#include "core/json.hpp"

namespace quantize {

// "org/Name-7B-Instruct-v0.1" taken apart; absent parts are empty.
struct ModelId {
  std::string name, organization, basename, finetune, version, size_label;
};
ModelId split_model_id(std::string_view id, std::uint64_t total_parameters);

// "all-MiniLM-L6-v2" -> "All MiniLM L6 v2".
std::string title_of(std::string_view id);

// Weights of the output tensors, counted as the reference counts them.
struct ParameterCounts {
  std::uint64_t total = 0, shared = 0, expert = 0;
  double experts = 0;  // mean number of experts of the tensors that have them
};
std::string size_label(const ParameterCounts& counts);

// general.sampling.* from generation_config.json; a broken file is a warning.
void append_sampling(const Directory& directory, Metadata& metadata, Warnings& warnings);

struct AuthorshipRequest {
  const Directory& directory;
  std::string directory_name;  // last component of the path as given
  Json config;                 // raw config.json
  std::optional<std::string> model_name;
  ParameterCounts counts;
};
void append_authorship(const AuthorshipRequest& request, Metadata& metadata, Warnings& warnings);

}  // namespace quantize
