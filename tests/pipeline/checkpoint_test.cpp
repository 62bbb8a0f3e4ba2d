// Checkpoints as a whole: complete, the same for any number of threads, and read back as they were
// planned.
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "quantize/quantize.hpp"

#include "core/sha256.hpp"
#include "support/temporary_directory.hpp"
#include "support/test_name.hpp"

namespace quantize::test {
namespace {

const std::string kModel = QUANTIZE_TEST_DATA "/data/techdoc-llama-3m";

// The beginning of the weights' SHA-256: the same with every compiler and on every processor.
struct Golden {
  const char* target;
  const char* hash;
};

class Checkpoint : public ::testing::TestWithParam<Golden> {
 protected:
  std::string make(const std::string& path, unsigned threads) const {
    Warnings warnings;
    const Model model = open_unconverted(kModel, {}, warnings);
    Recipe recipe;
    recipe.target = find_target(GetParam().target);
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

TEST_P(Checkpoint, HasTheSameBytesForAnyNumberOfThreads) {
  const quantize::testing::TemporaryDirectory folder;
  const std::string one = make(folder.path_of("one"), 1);
  EXPECT_TRUE(one == make(folder.path_of("three"), 3));
  EXPECT_EQ(sha256_hex(one).substr(0, 16), GetParam().hash);
  EXPECT_TRUE(std::filesystem::exists(folder.path_of("one/config.json")));
  EXPECT_TRUE(std::filesystem::exists(folder.path_of("one/tokenizer.model")));
  EXPECT_THROW(make(folder.path_of("one"), 1), Error);
}

INSTANTIATE_TEST_SUITE_P(Targets, Checkpoint,
                         ::testing::Values(Golden{"ct:int8", "e064fc1ffd094d70"},
                                           Golden{"ct:int4-g32-asym", "f7eb536ec680e6e7"},
                                           Golden{"bnb:int8", "dab1cb75b9b68660"},
                                           Golden{"nf4", "2422237d105fc294"},
                                           Golden{"bnb:fp4-plain", "ca549d9a2ca67e1a"},
                                           Golden{"gptq", "f6e80411cb9bf833"},
                                           Golden{"awq", "25211369f326e47c"},
                                           Golden{"fp8:tensor", "53002cdf5e99d881"},
                                           Golden{"fp8:block", "51752065e8c25f91"},
                                           Golden{"ct:mxfp4", "66f94acd648c6e59"},
                                           Golden{"modelopt:nvfp4", "45c9d1c366578348"}),
                         [](const auto& row) { return test_name(row.param.target); });

}  // namespace
}  // namespace quantize::test
