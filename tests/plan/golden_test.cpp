// The type of every tensor of well-known models under every preset, against the tables that
// tools/golden/plans/make.py took from the official library.
#include <chrono>
#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include "quantize/plan.hpp"

#include "support/memory_source.hpp"

namespace quantize {
namespace {

struct Published {
  const char* name;
  std::uint64_t layers, width, feed_forward, heads, shared, head, vocabulary;
  bool tied;
};
constexpr Published kPublished[] = {
    {"llama-3.2-1b", 16, 2048, 8192, 32, 8, 64, 128256, true},
    {"llama-3.1-8b", 32, 4096, 14336, 32, 8, 128, 128256, false},
    {"llama-3.1-70b", 80, 8192, 28672, 64, 8, 128, 128256, false},
    {"smollm2-135m", 30, 576, 1536, 9, 3, 64, 49152, true},
    {"mistral-7b", 32, 4096, 14336, 32, 8, 128, 32768, false},
    {"tinyllama-1.1b", 22, 2048, 5632, 32, 4, 64, 32000, false},
};

Model headers_of(const Published& p) {
  Model model;
  const auto source = std::make_shared<testing::MemorySource>();
  model.source = source;
  model.kind = ModelKind::gguf;
  model.name = p.name;
  model.architecture = "llama";
  model.intermediate = DType::f16;
  const auto number = [&](const char* key, std::uint64_t value) {
    model.metadata.append(key, static_cast<std::uint32_t>(value));
  };
  model.metadata.append("general.architecture", std::string("llama"));
  number("llama.block_count", p.layers);
  number("llama.attention.head_count", p.heads);
  number("llama.attention.head_count_kv", p.shared);
  number("general.file_type", 1);
  const auto add = [&](std::string name, const Shape& shape) {
    ModelTensor tensor;
    tensor.name = std::move(name);
    tensor.shape = shape;
    tensor.stored_type = shape.rank() > 1 ? DType::f16 : DType::f32;
    source->add(tensor.name, tensor.stored_type, tensor.shape, {});
    tensor.source_tensors = {model.tensors.size()};
    model.tensors.push_back(std::move(tensor));
  };
  add("token_embd.weight", {p.vocabulary, p.width});
  if (!p.tied) add("output.weight", {p.vocabulary, p.width});
  add("output_norm.weight", {p.width});
  for (std::uint64_t i = 0; i < p.layers; ++i) {
    const std::string blk = "blk." + std::to_string(i) + ".";
    add(blk + "attn_norm.weight", {p.width});
    add(blk + "attn_q.weight", {p.heads * p.head, p.width});
    add(blk + "attn_k.weight", {p.shared * p.head, p.width});
    add(blk + "attn_v.weight", {p.shared * p.head, p.width});
    add(blk + "attn_output.weight", {p.width, p.heads * p.head});
    add(blk + "ffn_norm.weight", {p.width});
    add(blk + "ffn_gate.weight", {p.feed_forward, p.width});
    add(blk + "ffn_up.weight", {p.feed_forward, p.width});
    add(blk + "ffn_down.weight", {p.width, p.feed_forward});
  }
  return model;
}

Plan plan_of(const Model& model, const std::string& target) {
  Recipe recipe;
  recipe.target = find_target(target);
  Warnings warnings;
  return make_plan(model, recipe, warnings, false);
}

class PublishedModel : public ::testing::TestWithParam<Published> {};

TEST_P(PublishedModel, GetsTheTypesOfTheReference) {
  const Model model = headers_of(GetParam());
  std::ifstream file(std::string(QUANTIZE_TEST_DATA "/golden/plans/") + GetParam().name + ".txt");
  ASSERT_TRUE(file);
  std::string line, word;
  std::getline(file, line);
  std::istringstream head(line);
  head >> word;
  std::vector<std::string> targets;
  while (head >> word) targets.push_back(word);
  ASSERT_EQ(targets.size(), 18u);
  std::vector<Plan> plans;
  for (const std::string& target : targets) plans.push_back(plan_of(model, target));
  std::size_t row = 0;
  while (std::getline(file, line)) {
    std::istringstream cells(line);
    std::string name;
    cells >> name;
    for (std::size_t i = 0; i < targets.size(); ++i) {
      cells >> word;
      const auto& tensors = plans[i].files.at(0).tensors;
      ASSERT_LT(row, tensors.size());
      ASSERT_EQ(tensors[row].name, name);
      EXPECT_EQ(info(tensors[row].type).name, word) << targets[i] << " " << name;
    }
    ++row;
  }
  EXPECT_EQ(row, model.tensors.size());
}

INSTANTIATE_TEST_SUITE_P(Golden, PublishedModel, ::testing::ValuesIn(kPublished),
                         [](const auto& p) {
                           std::string name = p.param.name;
                           for (char& c : name) c = c == '-' || c == '.' ? '_' : c;
                           return name;
                         });

TEST(PlanSpeed, SeventyBillionWeightsInLessThanATenthOfASecond) {
  const Model model = headers_of(kPublished[2]);
  const auto start = std::chrono::steady_clock::now();
  plan_of(model, "q4_k_m");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(100));
}

}  // namespace
}  // namespace quantize
