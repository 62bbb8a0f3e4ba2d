// What a model takes to run, for shapes whose figures are known.
#include "quantize/memory.hpp"

#include <string>
#include <utility>
#include <vector>

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

// Llama 3.1 8B, as llama.cpp reports it: 1024 MiB of cache and, on a GPU, a compute buffer of
// 258.50 MiB for 8192 tokens. (tests/client/memory_test.cpp asks it.)
TEST(Memory, OfAnEightBillionModelIsWhatLlamaCppReports) {
  const MemoryEstimate memory = estimate_memory(model(32, 4096, 32, std::uint32_t{8}), 8192);
  EXPECT_EQ(memory.context, 8192U);
  EXPECT_EQ(memory.weights, 1000U);
  EXPECT_EQ(memory.cache, std::uint64_t{1024} << 20);
  EXPECT_GE(memory.compute, 258 * 1024 * 1024U + 512 * 1024U);
  EXPECT_EQ(memory.compute, 512U * (4 * (3 * 4096 + 14336 + 128256) + 2 * 8192));
  EXPECT_EQ(memory.total(), memory.weights + memory.cache + memory.compute);
}

// A model of another architecture, with keys of its own.
Plan of(const char* architecture, std::uint32_t layers,
        const std::vector<std::pair<std::string, MetaValue>>& keys) {
  Plan plan = model(layers, 1024, 8, std::uint32_t{4});
  Metadata& metadata = plan.files[0].metadata;
  Metadata renamed;
  for (const auto& [key, value] : metadata.entries())
    renamed.append(key.rfind("llama.", 0) == 0 ? architecture + key.substr(5) : key, value);
  renamed.set("general.architecture", std::string(architecture));
  for (const auto& [key, value] : keys) renamed.set(architecture + ("." + key), value);
  metadata = std::move(renamed);
  return plan;
}
constexpr std::uint64_t kPosition = 2 * 2 * 4 * 128;  // bytes of one position of one layer of these

TEST(Memory, WindowsHoldTheirWidthAndOneBatch) {
  using Keys = std::vector<std::pair<std::string, MetaValue>>;
  const std::uint32_t window = 1000;  // with a batch, 1536 cells
  const Keys keys = {{"attention.sliding_window", window}};
  const auto cache = [](const Plan& plan, std::uint64_t context) {
    return estimate_memory(plan, context).cache / kPosition;
  };
  // Every second layer of Gemma 2, five of six of Gemma 3, none of Phi-3.
  EXPECT_EQ(cache(of("gemma2", 4, keys), 8192), 2U * 8192 + 2 * 1536);
  EXPECT_EQ(cache(of("gemma3", 12, keys), 8192), 2U * 8192 + 10 * 1536);
  EXPECT_EQ(cache(of("phi3", 4, keys), 8192), 4U * 8192);
  EXPECT_EQ(cache(of("gemma2", 4, keys), 1024), 4U * 1024);
  EXPECT_EQ(cache(of("gemma2", 4, {}), 8192), 2U * 8192 + 2 * 4608);
  const MetaArray pattern(std::vector<bool>{true, true, true, false});
  const Keys listed = {{"attention.sliding_window", window},
                       {"attention.sliding_window_pattern", pattern}};
  EXPECT_EQ(cache(of("gemma4", 4, listed), 8192), 1U * 8192 + 3 * 1536);
  // Words are no answer: no layer has a window then.
  const Keys words = {
      {"attention.sliding_window", window},
      {"attention.sliding_window_pattern", MetaArray(std::vector<std::string>(4, "yes"))}};
  EXPECT_EQ(cache(of("gemma2", 4, words), 8192), 4U * 8192);
  const Keys shared = {{"attention.sliding_window", window},
                       {"attention.sliding_window_pattern", pattern},
                       {"attention.shared_kv_layers", std::uint32_t{1}}};
  EXPECT_EQ(cache(of("gemma4", 4, shared), 8192), 3U * 1536);
}

TEST(Memory, LatentAttentionKeepsKeysOnly) {
  const Plan plan = of("deepseek2", 4,
                       {{"attention.head_count_kv", std::uint32_t{1}},
                        {"attention.key_length", std::uint32_t{576}},
                        {"attention.value_length", std::uint32_t{512}},
                        {"attention.key_length_mla", std::uint32_t{192}}});
  EXPECT_EQ(estimate_memory(plan, 4096).cache, 4U * 4096 * 576 * 2);
}

TEST(Memory, CachesAreWholeCells) {
  EXPECT_EQ(estimate_memory(of("llama", 1, {}), 1000).cache, 1024 * kPosition);
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
