// Vocabularies against the reference converter: what it writes for each folder of golden/tokenizers
// is kept there (keys.json, made by tools/golden/convert/vocabularies.py, which says what a case
// is).
#include <algorithm>
#include <cctype>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/describe.hpp"
#include "support/process.hpp"
#include "support/test_name.hpp"
#include "support/vocabulary_case.hpp"

namespace quantize {
namespace {

using Text = nlohmann::json;

class ReferenceKeys : public ::testing::TestWithParam<std::string> {};

TEST_P(ReferenceKeys, AreThoseOfTheReferenceConverter) {
  const test::VocabularyCase vocabulary(GetParam());
  for (const std::string& file : vocabulary.oracles()) QUANTIZE_REQUIRE_ORACLE(file);
  Warnings warnings;
  const Metadata metadata = vocabulary.convert(warnings);
  std::ifstream in(vocabulary.path_of("keys.json"));
  const Text golden = Text::parse(in);
  const auto& entries = metadata.entries();
  for (std::size_t i = 0; i < std::max(entries.size(), golden.size()); ++i)
    EXPECT_EQ(i < entries.size() ? test::describe(entries[i]) : Text(),
              i < golden.size() ? golden[i] : Text());
  std::vector<std::string> codes;
  for (const Warnings::Entry& entry : warnings.entries())
    codes.emplace_back(code_name(entry.first.code));
  EXPECT_EQ(Text(codes), vocabulary.described.value("warnings", Text::array()));
}

INSTANTIATE_TEST_SUITE_P(Golden, ReferenceKeys, ::testing::ValuesIn(test::vocabulary_case_names()),
                         [](const auto& row) { return test::test_name(row.param); });

}  // namespace
}  // namespace quantize
