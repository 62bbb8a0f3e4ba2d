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
#include "quantize/plan.hpp"

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

nlohmann::ordered_json golden_of(const std::string& model) {
  std::ifstream in(kFamilies / (model + ".json"));
  return nlohmann::ordered_json::parse(in);
}

class Families : public ::testing::TestWithParam<std::string> {};

TEST_P(Families, AreConvertedAsTheReferenceDoes) {
  const auto golden = golden_of(GetParam());
  const auto& description = golden["model"];
  const testing::TemporaryDirectory directory;
  const std::string folder = directory.path_of(GetParam());
  test::write_described_model(description, folder);
  OpenOptions options;
  const auto outtype = description["outtype"].get<std::string>();
  options.projector = description.contains("part") && description["part"] == "projector";
  if (!options.projector) options.outtype = type_from_name(outtype);
  if (!description["pre"].is_null()) options.pre_tokenizer = description["pre"].get<std::string>();
  Warnings warnings;
  Model model = open_model(folder, options, warnings);
  if (options.projector) {  // as its plan stores it: Q8_0 is no type of an intermediate file
    Recipe recipe;
    recipe.target = find_target(outtype);
    const Plan plan = make_plan(model, recipe, warnings);
    model.metadata = plan.files[0].metadata;
    ASSERT_EQ(plan.files[0].tensors.size(), model.tensors.size());
    for (std::size_t i = 0; i < model.tensors.size(); ++i) {
      ASSERT_EQ(plan.files[0].tensors[i].name, model.tensors[i].name);
      model.tensors[i].stored_type = plan.files[0].tensors[i].type;
    }
  }
  test::expect_golden(model, golden);
}

INSTANTIATE_TEST_SUITE_P(Golden, Families, ::testing::ValuesIn(models()),
                         [](const auto& row) { return test::test_name(row.param); });

Model open_described(const nlohmann::ordered_json& description) {
  const testing::TemporaryDirectory directory;
  const std::string folder = directory.path_of("model");
  test::write_described_model(description, folder);
  OpenOptions options;
  options.pre_tokenizer = "gpt-2";
  Warnings warnings;
  return open_model(folder, options, warnings);
}

void expect_refused(const nlohmann::ordered_json& description, const std::string& what) {
  try {
    open_described(description);
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::CF06) << error.what();
    EXPECT_NE(std::string(error.what()).find(what), std::string::npos) << error.what();
  }
}

// Gives one tensor the ordinary numbers instead of its zeros or its repetition.
void alter(nlohmann::ordered_json& description, const std::string& name) {
  bool found = false;
  for (auto& tensor : description["tensors"]) {
    if (tensor[0] != name) continue;
    tensor[3] = 1;
    found = true;
  }
  EXPECT_TRUE(found) << name;
}

// Ling's "norm_head" divides the output's rows, which nothing here does.
TEST(FamiliesRefuse, VariantsThatTheyDoNotConvert) {
  auto description = golden_of("ling-lite")["model"];
  description["config"]["norm_head"] = true;
  expect_refused(description, "norm_head");
}

// Biases of zero are left out; one that is not zero has no place in the output.
TEST(FamiliesRefuse, BiasesThatAreNotZeroWhereThereAreNone) {
  auto description = golden_of("command-r7b")["model"];
  alter(description, "model.layers.1.self_attn.k_proj.bias");
  expect_refused(description, "k_proj.bias");
}

// An output is left out only if it repeats the embedding.
TEST(FamiliesKeep, AnOutputThatDiffersFromTheEmbedding) {
  auto description = golden_of("mamba-repeated")["model"];
  alter(description, "lm_head.weight");
  const Model model = open_described(description);
  EXPECT_TRUE(std::any_of(model.tensors.begin(), model.tensors.end(),
                          [](const ModelTensor& t) { return t.name == "output.weight"; }));
}

TEST(FamiliesWarn, OfDenseLayersThatAreLeftOut) {
  const testing::TemporaryDirectory directory;
  const std::string folder = directory.path_of("embedding-gemma");
  test::write_described_model(golden_of("embedding-gemma")["model"], folder);
  Warnings warnings;
  open_model(folder, {}, warnings);
  std::uint64_t layers = 0;
  for (const Warnings::Entry& warning : warnings.entries())
    if (warning.first.code == ErrorCode::CF06) layers += warning.count;
  EXPECT_EQ(layers, 2u);
}

}  // namespace
}  // namespace quantize
