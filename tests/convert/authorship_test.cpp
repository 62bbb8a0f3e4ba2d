// Names taken apart and spelled as the reference does: vectors made by running it.
#include "convert/authorship.hpp"

#include <gtest/gtest.h>

namespace quantize {
namespace {

struct Vector {
  const char *id, *title, *basename, *finetune, *version, *size;
  double total = 0;
};

TEST(Authorship, SplitsModelNames) {
  const Vector vectors[] = {
      {"Llama-3.2-1B-Instruct", "Llama 3.2 1B Instruct", "Llama-3.2", "Instruct", "", "1B"},
      {"SmolLM2-135M-Instruct", "SmolLM2 135M Instruct", "SmolLM2", "Instruct", "", "135M"},
      {"Mixtral-8x7B-Instruct-v0.1", "Mixtral 8x7B Instruct v0.1", "Mixtral", "Instruct", "v0.1",
       "8x7B"},
      {"gemma-2-2b-it", "Gemma 2 2b It", "gemma-2", "it", "", "2B"},
      {"Phi-3-mini-4k-instruct", "Phi 3 Mini 4k Instruct", "Phi-3", "4k-instruct", "", "mini",
       3.8e9},
      {"gpt2", "Gpt2", "", "", "", ""},
      {"pythia-70m", "Pythia 70m", "pythia", "", "", "70M"},
      {"all-MiniLM-L6-v2", "All MiniLM L6 v2", "all-MiniLM-L6", "", "v2", ""},
      {"bge-small-en-v1.5", "Bge Small En v1.5", "bge", "en", "v1.5", "small"},
      {"DeepSeek-R1-Distill-Qwen-1.5B", "DeepSeek R1 Distill Qwen 1.5B", "DeepSeek-R1-Distill-Qwen",
       "", "", "1.5B"},
      {"Qwen3-30B-A3B-Instruct-2507", "Qwen3 30B A3B Instruct 2507", "Qwen3", "Instruct", "2507",
       "30B-A3B"},
      {"OLMo-2-0425-1B", "OLMo 2 0425 1B", "OLMo-2-0425", "", "", "1B"},
      {"Yi-1.5-9B-Chat-16K", "Yi 1.5 9B Chat 16K", "Yi-1.5", "Chat-16k", "", "9B", 8.8e9},
      {"bloom-7b1", "Bloom 7b1", "bloom", "", "", "7.1B"},
      {"meta-llama/Llama-2-7b-hf", "Llama 2 7b Hf", "Llama-2", "hf", "", "7B"},
      {"A sentence of words", "A Sentence Of Words", "", "", "", ""},
      {"", "", "", "", "", ""},
  };
  for (const Vector& v : vectors) {
    const ModelId id = split_model_id(v.id, static_cast<std::uint64_t>(v.total));
    EXPECT_EQ(title_of(id.name), v.title) << v.id;
    EXPECT_EQ(id.basename, v.basename) << v.id;
    EXPECT_EQ(id.finetune, v.finetune) << v.id;
    EXPECT_EQ(id.version, v.version) << v.id;
    EXPECT_EQ(id.size_label, v.size) << v.id;
  }
  EXPECT_EQ(title_of(split_model_id("meta-llama/Llama-2-7b-hf", 0).organization), "Meta Llama");
  EXPECT_EQ(title_of("abc2def"), "Abc2Def");
}

TEST(Authorship, WritesSizesWithTwoDigits) {
  const std::pair<std::uint64_t, const char*> vectors[] = {
      {134515008, "135M"}, {1235814432, "1.2B"}, {7248023552, "7.2B"},
      {22565376, "23M"},   {999500, "1000K"},    {500, "0.50K"}};
  for (const auto& [weights, label] : vectors) {
    ParameterCounts counts;
    counts.total = weights;
    EXPECT_EQ(size_label(counts), label);
  }
}

}  // namespace
}  // namespace quantize
