// Vocabularies against the reference converter: what it writes for each folder of golden/tokenizers
// is kept there (keys.json, made by tools/golden/convert/vocabularies.py, which says what a case
// is).
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "convert/vocabulary.hpp"
#include "support/describe.hpp"
#include "support/process.hpp"
#include "support/temporary_directory.hpp"

namespace quantize {
namespace {

namespace fs = std::filesystem;
using Text = nlohmann::json;

const fs::path kCases = fs::path(QUANTIZE_TEST_DATA) / "golden/tokenizers";

Text read_json(const fs::path& path) {
  std::ifstream in(path);
  return Text::parse(in);
}

std::vector<std::string> cases() {
  std::vector<std::string> out;
  for (const fs::directory_entry& entry : fs::directory_iterator(kCases))
    if (fs::exists(entry.path() / "case.json")) out.push_back(entry.path().filename().string());
  std::sort(out.begin(), out.end());
  return out;
}

class ReferenceKeys : public ::testing::TestWithParam<std::string> {};

TEST_P(ReferenceKeys, AreThoseOfTheReferenceConverter) {
  const fs::path folder = kCases / GetParam();
  const Text described = read_json(folder / "case.json");
  const testing::TemporaryDirectory directory;
  fs::copy(folder, directory.path(), fs::copy_options::recursive);
  if (described.contains("from"))
    for (const auto& [file, origin] : described["from"].items()) {
      QUANTIZE_REQUIRE_ORACLE(origin.get<std::string>());
      fs::copy_file(fs::path(QUANTIZE_ORACLES) / origin.get<std::string>(),
                    directory.path_of(file));
    }
  std::vector<VocabularyRoute> routes;
  for (const std::string name : described["routes"]) {
    ASSERT_TRUE(vocabulary_route(name)) << name;
    routes.push_back(*vocabulary_route(name));
  }
  std::ifstream in(folder / "config.json");
  const auto config = JsonDocument::parse({std::istreambuf_iterator<char>(in), {}}, "config.json",
                                          JsonRules{}, nullptr);
  std::optional<std::string> pre;
  if (described.contains("pre")) pre = described["pre"].get<std::string>();
  const Directory opened(directory.path(), true);
  Warnings warnings;
  Metadata metadata;
  append_vocabulary({opened, config->root(), routes, 0, pre}, metadata, warnings);

  const Text golden = read_json(folder / "keys.json");
  const auto& entries = metadata.entries();
  for (std::size_t i = 0; i < std::max(entries.size(), golden.size()); ++i)
    EXPECT_EQ(i < entries.size() ? test::describe(entries[i]) : Text(),
              i < golden.size() ? golden[i] : Text());
  std::vector<std::string> codes;
  for (const Warnings::Entry& entry : warnings.entries())
    codes.emplace_back(code_name(entry.first.code));
  EXPECT_EQ(Text(codes), described.value("warnings", Text::array()));
}

INSTANTIATE_TEST_SUITE_P(Golden, ReferenceKeys, ::testing::ValuesIn(cases()), [](const auto& row) {
  std::string name = row.param;
  std::replace_if(
      name.begin(), name.end(),
      [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
});

}  // namespace
}  // namespace quantize
