// --mmproj: the projector of a multimodal directory. Its files are held to the reference's by
// families_test.cpp; here is LLaVA, which the reference makes with an older script, what belongs in
// which file, and what is refused.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "quantize/model.hpp"
#include "quantize/plan.hpp"

#include "support/golden_model.hpp"
#include "support/temporary_directory.hpp"

namespace quantize {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

const fs::path kGolden = fs::path(QUANTIZE_TEST_DATA) / "golden/convert";

Json golden(const std::string& name) {
  std::ifstream in(kGolden / (name + ".json"));
  return Json::parse(in);
}

Model open_projector(const std::string& path) {
  OpenOptions options;
  options.projector = true;
  Warnings warnings;
  return open_model(path, options, warnings);
}

// The names and types of GGUF are the converter's; order and additional keys are not compared.
TEST(Projector, OfLlavaHasTheTensorsAndKeysOfTheOlderScript) {
  const Json expected = golden("llava-mmproj");
  const testing::TemporaryDirectory directory;
  const std::string folder = directory.path_of("llava");
  test::write_described_model(expected["model"], folder);
  Model model = open_projector(folder);
  std::map<std::string, Json> keys, tensors;
  for (const Json& key : expected["keys"]) keys[key[0].get<std::string>()] = key;
  for (const Json& tensor : expected["tensors"]) tensors[tensor[0].get<std::string>()] = tensor;
  keys.erase("clip.vision.projection_dim");  // there CLIP's own, which nobody reads
  keys.erase("clip.has_text_encoder");       // no key of today's files
  // Those of ours that the script has too, in our order: then they are to be equal.
  Json ours{{"keys", Json::array()}, {"tensors", Json::array()}};
  Metadata kept;
  for (const Metadata::Entry& entry : model.metadata.entries()) {
    const auto at = keys.find(entry.first);
    if (at == keys.end()) continue;
    ours["keys"].push_back(at->second);
    kept.append(entry.first, entry.second);
    keys.erase(at);
  }
  EXPECT_EQ(keys.size(), 0u) << keys.begin()->first;
  for (const ModelTensor& tensor : model.tensors) {
    ASSERT_EQ(tensors.count(tensor.name), 1u) << tensor.name;
    ours["tensors"].push_back(tensors[tensor.name]);
  }
  EXPECT_EQ(model.tensors.size(), tensors.size());
  model.metadata = std::move(kept);
  test::expect_golden(model, nlohmann::json(ours));
  // The layer after the one that is looked at.
  EXPECT_EQ(std::count_if(model.ignored.begin(), model.ignored.end(),
                          [](const std::string& name) {
                            return name.find("encoder.layers.2.") != std::string::npos;
                          }),
            16);
}

class MultimodalDirectory : public ::testing::Test {
 protected:
  void SetUp() override {
    description = golden("families/smolvlm")["model"];
    write();
  }
  void write() { test::write_described_model(description, folder); }
  Problem problem_of_projector() {
    try {
      open_projector(folder);
    } catch (const Error& error) {
      return error.problem();
    }
    return {ErrorCode::BUG01, {}, {}, "accepted", {}, {}};
  }

  testing::TemporaryDirectory directory;
  std::string folder = directory.path_of("smolvlm");
  Json description;
};

TEST_F(MultimodalDirectory, EveryTensorIsInOneOfTheFilesAndNamedInTheOther) {
  Warnings warnings;
  const Model language = open_model(folder, {}, warnings), projector = open_projector(folder);
  EXPECT_TRUE(language.ignored.empty());
  EXPECT_TRUE(projector.ignored.empty());
  std::vector<std::string> all;
  for (const auto& tensor : description["tensors"]) all.push_back(tensor[0].get<std::string>());
  std::vector<std::string> named = language.other_part;
  named.insert(named.end(), projector.other_part.begin(), projector.other_part.end());
  std::sort(all.begin(), all.end());
  std::sort(named.begin(), named.end());
  EXPECT_EQ(named, all);
  EXPECT_EQ(language.other_part.size(), projector.tensors.size());
}

TEST_F(MultimodalDirectory, WhatBelongsToNoPartIsAnError) {
  description["tensors"].push_back({"model.strange.weight", {8}});
  write();
  const Problem problem = problem_of_projector();
  EXPECT_EQ(problem.code, ErrorCode::IX04);
  EXPECT_NE(problem.text.find("model.strange.weight"), std::string::npos) << problem.text;
}

TEST_F(MultimodalDirectory, WithoutVisionThereIsNoProjector) {
  description["config"].erase("vision_config");
  write();
  EXPECT_EQ(problem_of_projector().code, ErrorCode::CF07);
  EXPECT_EQ(exit_status(ErrorCode::CF07), 65);
}

TEST_F(MultimodalDirectory, AFileAloneHasNoProjector) {
  const std::string alone = directory.path_of("alone.safetensors");
  fs::copy_file(folder + "/model.safetensors", alone);
  folder = alone;
  EXPECT_EQ(problem_of_projector().code, ErrorCode::CF07);
}

TEST_F(MultimodalDirectory, AnUnknownProjectorIsNamed) {
  description["config"]["architectures"] = {"NoSuchForConditionalGeneration"};
  write();
  const Problem problem = problem_of_projector();
  EXPECT_EQ(problem.code, ErrorCode::CF06);
  EXPECT_NE(problem.found.find("NoSuchForConditionalGeneration"), std::string::npos);
  EXPECT_NE(problem.allowed.find("ForConditionalGeneration"), std::string::npos);
  EXPECT_TRUE(problem.offset.has_value());
}

TEST_F(MultimodalDirectory, AConfigurationThatContradictsTheTensorsIsShown) {
  description["config"]["vision_config"]["hidden_size"] = 48;
  write();
  Problem problem = problem_of_projector();
  EXPECT_EQ(problem.code, ErrorCode::CF05);
  EXPECT_NE(problem.file.find("model.safetensors"), std::string::npos);
  EXPECT_EQ(problem.allowed, "[64, 768]");                     // 4 x 4 times 48
  description["config"]["vision_config"]["hidden_size"] = 33;  // of two heads
  write();
  problem = problem_of_projector();
  EXPECT_EQ(problem.code, ErrorCode::CF05);
  EXPECT_NE(problem.file.find("config.json"), std::string::npos);
}

TEST_F(MultimodalDirectory, FaultsInVisionConfigHaveTheirPlaceInTheFile) {
  description["config"]["vision_config"]["patch_size"] = "eight";
  write();
  const Problem problem = problem_of_projector();
  EXPECT_EQ(problem.code, ErrorCode::CF03);
  std::ifstream in(folder + "/config.json");
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  EXPECT_EQ(problem.offset, text.find("\"eight\""));
}

TEST_F(MultimodalDirectory, FaultsInThePreprocessorHaveTheirPlaceInItsFile) {
  description["files"]["preprocessor_config.json"] = R"({"image_mean": 0.5, "image_std": [1]})";
  write();
  Problem problem = problem_of_projector();
  EXPECT_EQ(problem.code, ErrorCode::CF03);
  EXPECT_NE(problem.file.find("preprocessor_config.json"), std::string::npos) << problem.file;
  EXPECT_EQ(problem.offset, 15u);
  description["files"]["preprocessor_config.json"] = "{}";
  write();
  problem = problem_of_projector();
  EXPECT_EQ(problem.code, ErrorCode::CF02);
  EXPECT_NE(problem.text.find("image_mean"), std::string::npos);
}

// What llama.cpp reads in one type only stays in it, whatever the target.
TEST_F(MultimodalDirectory, FixedTypesStayInQuantizedFiles) {
  description = golden("families/gemma3")["model"];
  folder = directory.path_of("gemma3");
  write();
  const Model model = open_projector(folder);
  for (const char* target : {"q8_0", "q4_k_m", "q4_0"}) {
    Recipe recipe;
    recipe.target = find_target(target);
    Warnings warnings;
    const Plan plan = make_plan(model, recipe, warnings);
    std::map<std::string, DType> types;
    for (const PlannedTensor& tensor : plan.files[0].tensors) types[tensor.name] = tensor.type;
    EXPECT_EQ(types["mm.input_projection.weight"], DType::f16) << target;
    EXPECT_EQ(types["v.patch_embd.weight"], DType::f32) << target;
    EXPECT_EQ(types["v.position_embd.weight"], DType::f32) << target;
    EXPECT_TRUE(is_quantized(types["v.blk.0.attn_q.weight"])) << target;
  }
}

}  // namespace
}  // namespace quantize
