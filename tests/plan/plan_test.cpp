#include "quantize/plan.hpp"

#include <gtest/gtest.h>

#include "support/memory_source.hpp"

namespace quantize {
namespace {

// A Llama-shaped model of headers only.
Model llama(std::uint32_t layers, std::uint32_t heads, std::uint32_t shared, std::uint64_t width,
            bool tied) {
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
  add("token_embd.weight", {64, width}, DType::f16);
  if (!tied) add("output.weight", {64, width}, DType::f16);
  add("output_norm.weight", {width}, DType::f32);
  for (std::uint32_t i = 0; i < layers; ++i) {
    const std::string blk = "blk." + std::to_string(i) + ".";
    for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_up", "ffn_down"}) {
      add(blk + name + ".weight", {64, width}, DType::f16);
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

TEST(Targets, AreFoundInAnyCaseAndByFriendlyName) {
  EXPECT_EQ(find_target("INT4").preset->name, "q4_0");
  EXPECT_EQ(find_target("q4_k").label, "Q4_K_M");
  EXPECT_TRUE(find_target("type:q6_K").pure);
  EXPECT_THROW(find_target("q4_k_x"), Error);
}

}  // namespace
}  // namespace quantize
