// Whole files: from GGUF to GGUF, what we write is what the official library writes, byte for byte.
#include <algorithm>
#include <filesystem>
#include <memory>

#include <gtest/gtest.h>
#include <unistd.h>

#include "quantize/quantize.hpp"

#include "support/oracle.hpp"
#include "support/process.hpp"
#include "support/random.hpp"
#include "support/synthetic_model.hpp"

namespace quantize::test {
namespace {

namespace fs = std::filesystem;

constexpr ModelShape kShapes[] = {
    {"llama", "grouped_queries", 9, 256, 32, 256, 8, 2, 96, 0, false, DType::f16},
    {"llama", "tied_bf16", 3, 256, 64, 512, 4, 4, 96, 0, true, DType::bf16},
    {"llama", "rows_force_substitutes", 5, 288, 32, 96, 4, 2, 128, 0, false, DType::f32},
    {"llama", "odd_rows", 3, 256, 64, 40, 4, 1, 96, 0, true, DType::f16},
    {"llama", "deep", 32, 256, 16, 32, 8, 1, 32, 0, false, DType::bf16},
    {"llama", "eight_experts", 2, 256, 16, 64, 4, 2, 64, 8, false, DType::f16},
    {"llama", "experts_whole_blocks", 1, 256, 32, 256, 4, 2, 64, 8, false, DType::f16},
};

class FileEquality : public ::testing::TestWithParam<ModelShape> {
 protected:
  void SetUp() override {
    QUANTIZE_REQUIRE_ORACLE(Oracle::kName);
    folder_ = fs::temp_directory_path() /
              ("quantize-files-" + std::to_string(::getpid()) + GetParam().name);
    fs::create_directories(folder_);
    model_ = write_model(GetParam(), (folder_ / "model.gguf").string());
  }
  void TearDown() override { fs::remove_all(folder_); }

  // All presets in one run of ours, each against a run of the reference's.
  void compare(const Recipe& common, const Oracle::QuantizeOptions& common_options) {
    Warnings warnings;
    const Model model = open_model(model_.paths[0], {}, warnings);
    std::vector<Plan> plans;
    for (const Preset& preset : presets()) {
      Recipe recipe = common;
      recipe.target = find_target(preset.name);
      recipe.reference_quirks = true;
      try {
        plans.push_back(make_plan(model, recipe, warnings));
      } catch (const Error&) {
        const auto options = options_for(preset, {}, common_options);
        EXPECT_NE(Oracle::instance().quantize_file(model_.paths[0], theirs(), options), 0U)
            << preset.name << " is refused by us alone";
      }
    }
    std::vector<std::unique_ptr<Sink>> sinks;
    std::vector<Output> outputs;
    for (const Plan& plan : plans) {
      sinks.push_back(make_file_sink(ours(*plan.target.preset), {}, warnings));
      outputs.push_back({&plan, sinks.back().get()});
    }
    RunOptions options;
    options.threads = 3;
    run(model, outputs, options, warnings);
    for (const Plan& plan : plans) {
      const Preset& preset = *plan.target.preset;
      SCOPED_TRACE(preset.name);
      ASSERT_EQ(Oracle::instance().quantize_file(model_.paths[0], theirs(),
                                                 options_for(preset, plan, common_options)),
                0U);
      expect_equal_files(theirs(), ours(preset));
      fs::remove(ours(preset));
    }
  }

  // The reference has no preset NVFP4: there it is Q8_0 with every other type asked for by name.
  static Oracle::QuantizeOptions options_for(const Preset& preset, const Plan& plan,
                                             const Oracle::QuantizeOptions& common) {
    Oracle::QuantizeOptions options = common;
    options.file_type = preset.file_type;
    options.only_copy = keeps_types(preset);
    if (options.only_copy) options.file_type = 0;
    if (preset.name != "nvfp4") return options;
    options.file_type = 7;
    options.override_kv.insert(options.override_kv.begin(),
                               {"general.file_type", std::int64_t{preset.file_type}});
    for (const PlannedTensor& t : plan.files.front().tensors) {
      if (!t.copied && t.type != DType::q8_0)
        options.tensor_types.emplace_back("^" + t.name + "$", info(t.type).gguf_id);
    }
    return options;
  }

  std::string theirs() const { return (folder_ / "reference.gguf").string(); }
  std::string ours(const Preset& preset) const {
    return (folder_ / (std::string(preset.name) + "-ours.gguf")).string();
  }

  fs::path folder_;
  SyntheticModel model_;
};

TEST_P(FileEquality, EveryPresetPlain) { compare({}, {}); }

TEST_P(FileEquality, EveryPresetWithImportance) {
  Recipe recipe;
  Oracle::QuantizeOptions options;
  add_importance(model_, recipe, options);
  compare(recipe, options);
}

INSTANTIATE_TEST_SUITE_P(Shapes, FileEquality, ::testing::ValuesIn(kShapes),
                         [](const auto& shape) { return std::string(shape.param.name); });

}  // namespace
}  // namespace quantize::test
