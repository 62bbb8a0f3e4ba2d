// Checkpoints as a whole: complete, the same for any number of threads, and read back as they were
// planned.
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "quantize/quantize.hpp"

#include "support/temporary_directory.hpp"

namespace quantize::test {
namespace {

const std::string kModel = QUANTIZE_TEST_DATA "/data/techdoc-llama-3m";

class Checkpoint : public ::testing::TestWithParam<const char*> {
 protected:
  std::string make(const std::string& path, unsigned threads) const {
    Warnings warnings;
    const Model model = open_unconverted(kModel, {}, warnings);
    Recipe recipe;
    recipe.target = find_target(GetParam());
    const Plan plan = make_plan(model, recipe, warnings);
    const auto sink = make_directory_sink(path, {}, warnings);
    const Output output{&plan, sink.get()};
    RunOptions options;
    options.threads = threads;
    const std::vector<Report> reports = run(model, {&output, 1}, options, warnings);
    EXPECT_EQ(std::filesystem::file_size(path + "/model.safetensors"), plan.bytes());
    EXPECT_LT(reports[0].output_bytes, reports[0].source_bytes);
    std::ifstream file(path + "/model.safetensors", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

TEST_P(Checkpoint, IsTheSameForAnyNumberOfThreads) {
  const quantize::testing::TemporaryDirectory folder;
  const std::string one = make(folder.path_of("one"), 1);
  EXPECT_TRUE(one == make(folder.path_of("three"), 3));
  EXPECT_TRUE(std::filesystem::exists(folder.path_of("one/config.json")));
  EXPECT_TRUE(std::filesystem::exists(folder.path_of("one/tokenizer.model")));
  EXPECT_THROW(make(folder.path_of("one"), 1), Error);
}

INSTANTIATE_TEST_SUITE_P(Targets, Checkpoint,
                         ::testing::Values("ct:int8", "ct:int4-g32-asym", "bnb:int8", "nf4",
                                           "bnb:fp4-plain", "gptq", "awq", "fp8:tensor",
                                           "fp8:block", "ct:mxfp4", "modelopt:nvfp4"),
                         [](const auto& target) {
                           std::string name = target.param;
                           for (char& c : name) c = c == ':' || c == '-' ? '_' : c;
                           return name;
                         });

}  // namespace
}  // namespace quantize::test
