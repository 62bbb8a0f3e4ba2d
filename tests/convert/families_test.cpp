// Every family against the reference converter: golden/convert/families describes tiny models and
// what the reference makes of them (tools/golden/convert/families.py). Each file is a test.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "quantize/model.hpp"

#include "support/golden_model.hpp"
#include "support/temporary_directory.hpp"
#include "support/test_name.hpp"

namespace quantize {
namespace {

namespace fs = std::filesystem;

const fs::path kFamilies = fs::path(QUANTIZE_TEST_DATA) / "golden/convert/families";

std::vector<std::string> models() {
  std::vector<std::string> out;
  for (const fs::directory_entry& entry : fs::directory_iterator(kFamilies))
    out.push_back(entry.path().stem().string());
  std::sort(out.begin(), out.end());
  return out;
}

class Families : public ::testing::TestWithParam<std::string> {};

TEST_P(Families, AreConvertedAsTheReferenceDoes) {
  std::ifstream in(kFamilies / (GetParam() + ".json"));
  const auto golden = nlohmann::ordered_json::parse(in);
  const auto& description = golden["model"];
  const testing::TemporaryDirectory directory;
  const std::string folder = directory.path_of(GetParam());
  test::write_described_model(description, folder);
  OpenOptions options;
  options.outtype = type_from_name(description["outtype"].get<std::string>());
  if (!description["pre"].is_null()) options.pre_tokenizer = description["pre"].get<std::string>();
  Warnings warnings;
  const Model model = open_model(folder, options, warnings);
  test::expect_golden(model, golden);
}

INSTANTIATE_TEST_SUITE_P(Golden, Families, ::testing::ValuesIn(models()),
                         [](const auto& row) { return test::test_name(row.param); });

}  // namespace
}  // namespace quantize
