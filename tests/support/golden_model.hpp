// Models that golden data describes instead of holding: configuration, tokenizer and the names and
// shapes of the tensors, whose weights come from an integer generator (tools/golden/convert).
#pragma once

#include <filesystem>

#include <nlohmann/json.hpp>

#include "quantize/model.hpp"

namespace quantize::test {

// Writes the described model into `folder`, which is made.
void write_described_model(const nlohmann::ordered_json& description,
                           const std::filesystem::path& folder);

// Expects every key and every tensor of `golden`, in order, with the same bytes.
void expect_golden(const Model& model, const nlohmann::json& golden);

}  // namespace quantize::test
