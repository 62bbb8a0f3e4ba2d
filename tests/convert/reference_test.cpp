// Conversion against the reference converter: what it writes for real and synthetic models is kept
// in tests/golden/convert (made by tools/golden/convert/generate.py). Every key with its type and
// value, every tensor's name, type, shape and data, in order.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "quantize/model.hpp"

#include "support/golden_model.hpp"
#include "support/process.hpp"

namespace quantize {
namespace {

using Text = nlohmann::json;
namespace fs = std::filesystem;

void compare(const fs::path& model_directory, const std::string& outtype) {
  SCOPED_TRACE(model_directory.filename().string() + " as " + outtype);
  std::ifstream in(fs::path(QUANTIZE_TEST_DATA) / "golden/convert" /
                   (model_directory.filename().string() + "." + outtype + ".json"));
  ASSERT_TRUE(in);
  const Text golden = Text::parse(in);
  OpenOptions options;
  options.outtype = type_from_name(outtype);
  Warnings warnings;
  const Model model = open_model(model_directory.string(), options, warnings);

  test::expect_golden(model, golden);
}

TEST(ReferenceConverter, SyntheticModels) {
  const fs::path models = fs::path(QUANTIZE_TEST_DATA) / "golden/convert/models";
  for (const char* name : {"linear-tied", "Yarn-Mistral-0.02M-Instruct-v0.3", "llama3-wide-heads",
                           "longrope", "dynamic-biases", "rope-parameters", "mixtral"})
    for (const char* outtype : {"f32", "f16", "bf16"}) compare(models / name, outtype);
}

TEST(ReferenceConverter, SampleModel) {
  for (const char* outtype : {"f32", "f16", "bf16"})
    compare(fs::path(QUANTIZE_TEST_DATA) / "data/techdoc-llama-3m", outtype);
}

TEST(ReferenceConverter, MiniLm) {
  QUANTIZE_REQUIRE_ORACLE("minilm/model.safetensors");
  for (const char* outtype : {"f32", "f16", "bf16"}) compare(test::oracle_path("minilm"), outtype);
}

TEST(ReferenceConverter, LosslessIntermediateIsTheSourcesType) {
  Warnings warnings;
  const fs::path models = fs::path(QUANTIZE_TEST_DATA) / "golden/convert/models";
  OpenOptions reference_flow;
  reference_flow.outtype_auto = true;
  for (const auto& [name, lossless, automatic] :
       {std::tuple("linear-tied", DType::f16, DType::f16),
        std::tuple("longrope", DType::bf16, DType::bf16),
        std::tuple("dynamic-biases", DType::f32, DType::f16)}) {
    EXPECT_EQ(open_model((models / name).string(), {}, warnings).intermediate, lossless) << name;
    EXPECT_EQ(open_model((models / name).string(), reference_flow, warnings).intermediate,
              automatic)
        << name;
  }
}

}  // namespace
}  // namespace quantize
