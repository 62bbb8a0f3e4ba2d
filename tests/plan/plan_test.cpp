#include "quantize/plan.hpp"

#include <algorithm>
#include <array>

#include <gtest/gtest.h>

#include "support/memory_source.hpp"

namespace quantize {
namespace {

// A Llama-shaped model of headers only.
Model llama(std::uint32_t layers, std::uint32_t heads, std::uint32_t shared, std::uint64_t width,
            bool tied, DType weights = DType::f16) {
  Model model;
  const auto source = std::make_shared<testing::MemorySource>();
  model.source = source;
  model.kind = ModelKind::gguf;
  model.name = "m";
  model.architecture = "llama";
  model.metadata.append("general.architecture", std::string("llama"));
  model.metadata.append("general.file_type", std::uint32_t{1});
  model.metadata.append("llama.block_count", layers);
  model.metadata.append("llama.attention.head_count", heads);
  model.metadata.append("llama.attention.head_count_kv", shared);
  const auto add = [&](std::string name, Shape shape, DType type) {
    ModelTensor tensor;
    tensor.name = std::move(name);
    tensor.shape = shape;
    tensor.stored_type = type;
    source->add(tensor.name, tensor.stored_type, tensor.shape, {});
    tensor.source_tensors = {model.tensors.size()};
    model.tensors.push_back(std::move(tensor));
  };
  add("token_embd.weight", {64, width}, weights);
  if (!tied) add("output.weight", {64, width}, weights);
  add("output_norm.weight", {width}, DType::f32);
  for (std::uint32_t i = 0; i < layers; ++i) {
    const std::string blk = "blk." + std::to_string(i) + ".";
    for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_up", "ffn_down"}) {
      add(blk + name + ".weight", {64, width}, weights);
    }
    add(blk + "attn_norm.weight", {width}, DType::f32);
  }
  return model;
}

Recipe recipe_for(std::string_view target) {
  Recipe recipe;
  recipe.target = find_target(target);
  return recipe;
}

const PlannedTensor& tensor(const Plan& plan, std::string_view name) {
  for (const PlannedTensor& t : plan.files.front().tensors) {
    if (t.name == name) return t;
  }
  throw std::out_of_range(std::string(name));
}

ErrorCode code_of(const Model& model, const Recipe& recipe) {
  Warnings warnings;
  try {
    make_plan(model, recipe, warnings);
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::BUG01;
}

TEST(Plan, CountsPiecesInSixteenBits) {
  const Model model = llama(9363, 32, 8, 32, false);  // 65544 tensors
  Recipe recipe = recipe_for("copy");
  recipe.split_max_tensors = 2;
  Warnings warnings;
  EXPECT_EQ(make_plan(model, recipe, warnings).files.size(), 32772);
  recipe.split_max_tensors = 1;
  EXPECT_EQ(code_of(model, recipe), ErrorCode::USE03);
}

TEST(Plan, GivesSensitiveTensorsMoreBits) {
  Warnings warnings;
  const Plan plan = make_plan(llama(16, 32, 8, 256, false), recipe_for("q4_k_m"), warnings);
  EXPECT_EQ(tensor(plan, "output.weight").type, DType::q6_k);
  EXPECT_EQ(tensor(plan, "token_embd.weight").type, DType::q4_k);
  EXPECT_EQ(tensor(plan, "blk.0.attn_v.weight").type, DType::q6_k);
  EXPECT_EQ(tensor(plan, "blk.2.attn_v.weight").type, DType::q4_k);
  EXPECT_EQ(tensor(plan, "blk.4.attn_v.weight").type, DType::q6_k);
  EXPECT_EQ(tensor(plan, "blk.0.attn_norm.weight").type, DType::f32);
  EXPECT_EQ(plan.files.front().tensors.front().name, "output.weight");
  EXPECT_EQ(plan.files.front().metadata.entries().back().first, "general.file_type");
}

TEST(Plan, ReplacesTypesThatRowsDoNotFit) {
  Warnings warnings;
  const Plan plan = make_plan(llama(2, 4, 4, 96, true), recipe_for("q4_k_s"), warnings);
  EXPECT_EQ(tensor(plan, "blk.0.attn_q.weight").type, DType::q5_0);
  EXPECT_EQ(tensor(plan, "blk.0.attn_q.weight").wanted, DType::q4_k);
  EXPECT_EQ(tensor(plan, "token_embd.weight").type, DType::q8_0);
  ASSERT_EQ(warnings.entries().size(), 1u);
  EXPECT_EQ(warnings.entries().front().first.code, ErrorCode::QZ03);
}

TEST(Plan, OverriddenTensorsDoNotAdvanceTheCount) {
  Warnings warnings;
  Recipe recipe = recipe_for("q4_k_s");
  recipe.tensor_types = {{"blk\\.0\\.attn_v", "q8_0"}};
  const Plan plan = make_plan(llama(8, 4, 4, 256, true), recipe, warnings);
  EXPECT_EQ(tensor(plan, "blk.0.attn_v.weight").type, DType::q8_0);
  EXPECT_EQ(tensor(plan, "blk.4.attn_v.weight").type, DType::q5_k);
  EXPECT_EQ(tensor(plan, "blk.5.attn_v.weight").type, DType::q4_k);
  recipe.tensor_types = {{"nothing", "q8_0"}};
  EXPECT_EQ(code_of(llama(8, 4, 4, 256, true), recipe), ErrorCode::USE04);
}

TEST(Plan, PrunedLayersCloseTheGap) {
  Warnings warnings;
  Recipe recipe = recipe_for("q8_0");
  recipe.prune_layers = {1};
  const Plan plan = make_plan(llama(3, 4, 4, 256, true), recipe, warnings);
  EXPECT_EQ(tensor(plan, "blk.1.attn_q.weight").model_tensor, 2u + 7u * 2u);
  EXPECT_EQ(*plan.files.front().metadata.get<std::uint32_t>("llama.block_count"), 2u);
}

TEST(Plan, RefusesWhatCannotBe) {
  EXPECT_EQ(code_of(llama(2, 4, 4, 256, true), recipe_for("q2_k_s")), ErrorCode::QZ07);
  Model model = llama(1, 4, 4, 256, true);
  model.tensors.push_back(model.tensors.front());
  EXPECT_EQ(code_of(model, recipe_for("q8_0")), ErrorCode::QZ05);
  model.tensors.clear();
  EXPECT_EQ(code_of(model, recipe_for("q8_0")), ErrorCode::QZ08);
}

std::string message_of(const Model& model, const Recipe& recipe) {
  Warnings warnings;
  try {
    make_plan(model, recipe, warnings);
  } catch (const Error& error) {
    return error.problem().text;
  }
  return {};
}

std::shared_ptr<ImportanceData> importance_of(const Model& model) {
  auto data = std::make_shared<ImportanceData>();
  data->name = "i.gguf";
  for (const ModelTensor& t : model.tensors) {
    if (t.shape.rank() > 1)
      data->entries.push_back({t.name, std::vector<float>(t.shape.row_values(), 1.0F)});
  }
  std::sort(data->entries.begin(), data->entries.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return data;
}

TEST(Plan, NamesTheTensorsThatNeedImportance) {
  const Model model = llama(2, 4, 4, 256, false);
  Recipe recipe = recipe_for("q2_k_s");
  EXPECT_EQ(message_of(model, recipe),
            "Q2_K_S needs importance weights (--imatrix) for \"blk.0.attn_k.weight\" (q2_K), "
            "\"blk.0.attn_output.weight\" (q2_K), \"blk.0.attn_q.weight\" (q2_K), "
            "\"blk.0.attn_v.weight\" (q2_K), \"blk.0.ffn_down.weight\" (q2_K), "
            "\"blk.0.ffn_up.weight\" (q2_K) and 6 more");
  const auto data = importance_of(model);
  recipe.importance = data;
  EXPECT_EQ(message_of(model, recipe), "");
  data->entries.erase(std::find_if(data->entries.begin(), data->entries.end(),
                                   [](const auto& e) { return e.name == "blk.1.ffn_up.weight"; }));
  EXPECT_EQ(message_of(model, recipe),
            "Q2_K_S needs importance weights (--imatrix) for \"blk.1.ffn_up.weight\" (q2_K)");
  // Only planning, it is a warning.
  Warnings warnings;
  make_plan(model, recipe, warnings, false);
  ASSERT_EQ(warnings.entries().size(), 1u);
  EXPECT_EQ(warnings.entries().front().first.code, ErrorCode::QZ07);
}

TEST(Plan, APresetSaysWhetherItNeedsImportance) {
  const Model model = llama(16, 8, 8, 256, false);
  for (const Preset& preset : presets()) {
    Warnings warnings;
    const Plan plan = make_plan(model, recipe_for(preset.name), warnings, false);
    EXPECT_EQ(plan.missing_importance != 0, preset.needs_importance) << preset.name;
    bool needed = false;
    for (const auto& entry : warnings.entries()) needed |= entry.first.code == ErrorCode::QZ07;
    EXPECT_EQ(needed, preset.needs_importance) << preset.name;
  }
}

TEST(Plan, CopiesNeedNoImportance) {
  const Model model = llama(1, 4, 4, 256, false, DType::iq2_xxs);
  EXPECT_EQ(message_of(model, recipe_for("copy")), "");
}

TEST(Plan, ForcedTypesMustFit) {
  Recipe recipe = recipe_for("q8_0");
  recipe.output_tensor_type = DType::q6_k;
  EXPECT_EQ(code_of(llama(1, 4, 4, 96, false), recipe), ErrorCode::QZ03);
}

// No preset of the reference: the tables are this project's own.
TEST(Plan, Nvfp4KeepsTheOutputInQ8AndFallsBackToIt) {
  const auto types_at = [](std::uint64_t width, bool tied) {
    Warnings warnings;
    const Plan plan = make_plan(llama(8, 32, 8, width, tied), recipe_for("nvfp4"), warnings, false);
    EXPECT_EQ(*plan.files.front().metadata.get<std::uint32_t>("general.file_type"), 39u);
    return std::array{tensor(plan, tied ? "token_embd.weight" : "output.weight").type,
                      tensor(plan, "blk.0.attn_v.weight").type,
                      tensor(plan, "blk.7.ffn_down.weight").type,
                      tensor(plan, "token_embd.weight").type};
  };
  using enum DType;
  EXPECT_EQ(types_at(128, false), (std::array{q8_0, nvfp4, nvfp4, nvfp4}));
  EXPECT_EQ(types_at(128, true), (std::array{q8_0, nvfp4, nvfp4, q8_0}));
  EXPECT_EQ(types_at(96, false), (std::array{q8_0, q8_0, q8_0, q8_0}));
  EXPECT_EQ(types_at(40, true), (std::array{f16, f16, f16, f16}));
}

// As the reference guesses it.
TEST(Plan, ACopyWithoutFileTypeGetsAGuess) {
  const auto guess = [](DType type) {
    Model model = llama(1, 4, 4, 256, false, type);
    model.metadata.erase("general.file_type");
    Warnings warnings;
    const Plan plan = make_plan(model, recipe_for("copy"), warnings);
    return *plan.files.front().metadata.get<std::uint32_t>("general.file_type");
  };
  EXPECT_EQ(guess(DType::q3_k), 1024u | 12u);
  EXPECT_EQ(guess(DType::q4_k), 1024u | 15u);
  EXPECT_EQ(guess(DType::iq2_s), 1024u | 28u);
  EXPECT_EQ(guess(DType::iq3_s), 1024u | 26u);
  EXPECT_EQ(guess(DType::mxfp4), 1024u);  // unknown to it
}

TEST(Plan, SomeArchitecturesRunMoreLayersThanTheyCount) {
  Model model = llama(4, 4, 4, 256, false);
  model.architecture = "nanbeige";
  model.metadata.append("nanbeige.block_count", std::uint32_t{4});
  model.metadata.append("nanbeige.num_loops", std::uint32_t{2});
  Warnings warnings;
  // Of eight layers the first eighth is one.
  EXPECT_EQ(tensor(make_plan(model, recipe_for("q4_k_s"), warnings), "blk.0.ffn_down.weight").type,
            DType::q5_k);
  EXPECT_EQ(tensor(make_plan(llama(4, 4, 4, 256, false), recipe_for("q4_k_s"), warnings),
                   "blk.0.ffn_down.weight")
                .type,
            DType::q4_k);
}

TEST(Targets, ABlockTypeIsNotAPresetOfThatName) {
  const Target preset = find_target("iq2_s");
  EXPECT_EQ(preset.preset->default_type, DType::iq2_xs);
  EXPECT_FALSE(preset.pure);
  const Target type = find_target("type:IQ2_S");
  EXPECT_EQ(type.preset->default_type, DType::iq2_s);
  EXPECT_TRUE(type.pure);
  EXPECT_EQ(find_target("type:q3_k").preset->name, "q3_k_m");
  EXPECT_EQ(find_target("mxfp4").preset->name, "mxfp4_moe");
  EXPECT_TRUE(find_target("mxfp4").pure);
  EXPECT_THROW(find_target("type:q4_k_m"), Error);
  EXPECT_THROW(find_target("q8_1"), Error);
  EXPECT_THROW(find_target("type:copy"), Error);
}

TEST(Targets, AreFoundInAnyCaseAndByFriendlyName) {
  EXPECT_EQ(find_target("INT4").preset->name, "q4_0");
  EXPECT_EQ(find_target("q4_k").label, "Q4_K_M");
  EXPECT_TRUE(find_target("type:q6_K").pure);
  EXPECT_THROW(find_target("q4_k_x"), Error);
}

}  // namespace
}  // namespace quantize
