// What a model takes to run, for shapes whose figures are known.
#include "quantize/memory.hpp"

#include <gtest/gtest.h>

namespace quantize {
namespace {

Plan model(std::uint32_t layers, std::uint32_t width, std::uint32_t heads, MetaValue kv_heads) {
  Plan plan;
  PlannedFile file;
  file.metadata.append("general.architecture", std::string("llama"));
  file.metadata.append("llama.block_count", layers);
  file.metadata.append("llama.context_length", std::uint32_t{131072});
  file.metadata.append("llama.embedding_length", width);
  file.metadata.append("llama.feed_forward_length", std::uint32_t{14336});
  file.metadata.append("llama.attention.head_count", heads);
  file.metadata.append("llama.attention.head_count_kv", std::move(kv_heads));
  PlannedTensor output;
  output.name = "output.weight";
  output.shape = {128256, width};
  output.bytes = 1000;
  file.tensors.assign(64, {});
  file.tensors.push_back(output);
  plan.files.push_back(std::move(file));
  return plan;
}

// Llama 3.1 8B, as llama.cpp reports it: 1024 MiB of cache and a compute buffer of 258.50 MiB for
// 8192 tokens.
TEST(Memory, OfAnEightBillionModelIsWhatLlamaCppReports) {
  const MemoryEstimate memory = estimate_memory(model(32, 4096, 32, std::uint32_t{8}), 8192);
  EXPECT_EQ(memory.context, 8192U);
  EXPECT_EQ(memory.weights, 1000U);
  EXPECT_EQ(memory.cache, std::uint64_t{1024} << 20);
  EXPECT_EQ(memory.compute, 258 * 1024 * 1024U + 512 * 1024U);
  EXPECT_EQ(memory.total(), memory.weights + memory.cache + memory.compute);
}

TEST(Memory, CountsHeadsPerLayerAndTheDefaultContext) {
  const MetaArray heads(std::vector<std::uint32_t>{8, 0, 4});
  const MemoryEstimate memory = estimate_memory(model(3, 4096, 32, heads), 0);
  EXPECT_EQ(memory.context, 4096U);
  EXPECT_EQ(memory.cache, 4096U * (8 + 0 + 4) * 2 * 128 * 2);
}

TEST(Memory, NumbersBeyondReasonAreMoreThanThereIs) {
  Plan plan = model(0xFFFFFFFF, 0xFFFFFFFF, 1, std::uint32_t{0xFFFFFFFF});
  plan.files[0].metadata.set("llama.block_count", std::uint64_t{1} << 63);
  EXPECT_EQ(estimate_memory(plan, 1U << 30).total(), ~std::uint64_t{0});
}

TEST(Memory, WithoutHeadsOrCausalityThereIsNoCache) {
  EXPECT_EQ(estimate_memory(model(2, 4096, 0, std::uint32_t{0}), 100).cache, 0U);
  Plan bert = model(2, 384, 12, std::uint32_t{12});
  bert.files[0].metadata.append("llama.attention.causal", false);
  EXPECT_EQ(estimate_memory(bert, 100).cache, 0U);
}

}  // namespace
}  // namespace quantize
