// Whole files again: what options do to an output is what they do in the official library.
#include <filesystem>
#include <functional>
#include <memory>

#include <gtest/gtest.h>
#include <unistd.h>

#include "quantize/quantize.hpp"

#include "support/process.hpp"
#include "support/synthetic_model.hpp"

namespace quantize::test {
namespace {

namespace fs = std::filesystem;

constexpr ModelShape kLlama = {"llama", "llama", 9, 256, 32, 256, 8, 2, 96, 0, false, DType::f16};
constexpr ModelShape kExperts = {"llama", "experts", 3,  256, 16,    256,
                                 4,       2,         64, 8,   false, DType::bf16};

ModelShape split_in(std::uint32_t pieces) {
  ModelShape shape = kLlama;
  shape.pieces = pieces;
  return shape;
}

ModelShape falcon() {
  ModelShape shape = kLlama;
  shape.architecture = "falcon";
  shape.layers = 17;
  shape.kv_heads = 1;
  shape.fused = true;
  return shape;
}

// One set of options, as we and as the library are told about it.
struct Case {
  const char* name;
  ModelShape shape;
  std::vector<const char*> targets;
  std::function<void(const SyntheticModel&, Recipe&, Oracle::QuantizeOptions&)> set;
};

// --override-kv on both sides.
void override_kv(Recipe& recipe, Oracle::QuantizeOptions& options, const std::string& key,
                 const MetaValue& ours,
                 const std::variant<std::int64_t, double, bool, std::string>& theirs) {
  recipe.override_kv.emplace_back(key, ours);
  options.override_kv.emplace_back(key, theirs);
}

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

const std::vector<Case>& cases() {
  using M = const SyntheticModel&;
  using R = Recipe&;
  using O = Oracle::QuantizeOptions&;
  const auto nothing = [](M, R, O) {};
  const auto weighted = [](M m, R r, O o) { add_importance(m, r, o); };
  static const std::vector<Case> kCases = {
      {"pure", kLlama, {"q4_k_m", "iq4_xs", "tq2_0"}, [](M, R r, O o) { r.pure = o.pure = true; }},
      {"pure_with_importance",
       kLlama,
       {"iq2_xxs", "q3_k_l"},
       [](M m, R r, O o) {
         add_importance(m, r, o);
         // The library asserts that there are weights for what it makes of the embeddings.
         r.token_embedding_type = r.output_tensor_type = DType::q6_k;
         o.token_embedding_type = o.output_tensor_type = info(DType::q6_k).gguf_id;
         r.pure = o.pure = true;
       }},
      {"leave_output",
       kLlama,
       {"q4_k_m", "iq3_m"},
       [](M, R r, O o) {
         r.leave_output_tensor = true;
         o.quantize_output_tensor = false;
       }},
      {"output_and_embedding_types",
       kLlama,
       {"q4_k_m", "f16", "mxfp4_moe"},
       [](M, R r, O o) {
         r.output_tensor_type = DType::q5_k;
         o.output_tensor_type = info(DType::q5_k).gguf_id;
         r.token_embedding_type = DType::iq4_nl;
         o.token_embedding_type = info(DType::iq4_nl).gguf_id;
       }},
      {"output_type_of_tied_embeddings",
       [] {
         ModelShape shape = kLlama;
         shape.tied = true;
         return shape;
       }(),
       {"q4_k_m", "iq3_s", "q8_0"},
       [](M, R r, O o) {
         r.output_tensor_type = DType::q5_0;
         o.output_tensor_type = info(DType::q5_0).gguf_id;
       }},
      {"tensor_types",
       kLlama,
       {"q4_k_m", "iq3_s"},
       [](M, R r, O o) {
         r.tensor_types = {
             {"blk\\.[0-2]\\.attn_v", "q8_0"}, {"ffn_d.*n", "nvfp4"}, {"attn_v", "q5_1"}};
         o.tensor_types = {{"blk\\.[0-2]\\.attn_v", info(DType::q8_0).gguf_id},
                           {"ffn_d.*n", info(DType::nvfp4).gguf_id},
                           {"attn_v", info(DType::q5_1).gguf_id}};
       }},
      {"pruned",
       kLlama,
       {"q4_k_m", "q4_k_s", "copy"},
       [](M, R r, O o) {
         r.prune_layers = {1, 4, 8};
         o.prune_layers = {1, 4, 8};
       }},
      {"pruned_with_importance",
       kLlama,
       {"iq2_m", "q4_0"},
       [](M m, R r, O o) {
         add_importance(m, r, o);
         r.prune_layers = {0, 5};
         o.prune_layers = {0, 5};
       }},
      {"pruned_experts",
       kExperts,
       {"q4_k_m", "iq3_xs"},
       [](M m, R r, O o) {
         add_importance(m, r, o);
         r.prune_layers = {1};
         o.prune_layers = {1};
       }},
      {"overridden_keys",
       kLlama,
       {"q8_0", "copy"},
       [](M, R r, O o) {
         override_kv(r, o, "general.name", std::string("another"), std::string("another"));
         override_kv(r, o, "x.number", std::uint32_t{7}, std::int64_t{-7});
         override_kv(r, o, "x.real", 0.1F, 0.1);
         override_kv(r, o, "x.flag", true, true);
       }},
      {"overridden_heads",
       kLlama,
       {"q2_k", "iq4_xs"},
       [](M, R r, O o) {
         override_kv(r, o, "llama.attention.head_count_kv", std::uint32_t{8}, std::int64_t{8});
       }},
      {"overridden_layers",
       kLlama,
       {"q4_k_s"},
       [](M, R r, O o) {
         override_kv(r, o, "llama.block_count", std::uint32_t{32}, std::int64_t{32});
       }},
      {"merged", split_in(3), {"q4_k_m", "iq4_nl", "copy"}, nothing},
      {"kept_split",
       split_in(3),
       {"q4_k_m", "q5_k_m", "copy"},
       [](M, R r, O o) { r.keep_split = o.keep_split = true; }},
      {"kept_single",
       kLlama,
       {"q4_k_m", "copy"},
       [](M, R r, O o) { r.keep_split = o.keep_split = true; }},
      {"kept_split_empty_first",
       [] {
         ModelShape shape = split_in(3);
         shape.empty_first = true;
         return shape;
       }(),
       {"q4_k_m", "copy"},
       [](M, R r, O o) { r.keep_split = o.keep_split = true; }},
      {"kept_split_pruned",
       split_in(4),
       {"q4_k_s", "iq3_xxs"},
       [](M m, R r, O o) {
         add_importance(m, r, o);
         r.prune_layers = {2};
         o.prune_layers = {2};
         r.keep_split = o.keep_split = true;
       }},
      {"falcon",
       falcon(),
       {"q2_k", "q3_k_m", "q3_k_l", "q4_k_s", "q4_k_m", "q5_k_m", "iq4_xs"},
       nothing},
      {"falcon_with_importance",
       falcon(),
       {"iq1_s", "iq2_s", "iq3_xxs", "iq3_m", "q4_0"},
       weighted},
      {"heads_by_layer",
       [] {
         ModelShape shape = kLlama;
         shape.heads_by_layer = true;
         return shape;
       }(),
       {"q2_k", "iq3_s"},
       nothing},
      {"requantized",
       [] {
         ModelShape shape = kLlama;
         shape.type = DType::q5_k;
         return shape;
       }(),
       {"f32", "q4_k_m", "q5_k_s", "tq1_0", "iq4_xs"},
       [](M, R r, O o) { r.allow_requantize = o.allow_requantize = true; }},
      {"requantized_experts",
       [] {
         ModelShape shape = kExperts;
         shape.type = DType::mxfp4;
         return shape;
       }(),
       {"mxfp4_moe", "q8_0", "iq2_xs"},
       [](M m, R r, O o) {
         add_importance(m, r, o);
         r.allow_requantize = o.allow_requantize = true;
       }},
  };
  return kCases;
}

class OptionEquality : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    QUANTIZE_REQUIRE_ORACLE(Oracle::kName);
    folder_ = fs::temp_directory_path() /
              ("quantize-options-" + std::to_string(::getpid()) + GetParam().name);
    fs::create_directories(folder_);
    model_ = write_model(GetParam().shape, path("model.gguf"));
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path(const char* name) const { return (folder_ / name).string(); }

  fs::path folder_;
  SyntheticModel model_;
};

TEST_P(OptionEquality, IsThatOfTheReference) {
  Warnings warnings;
  const Model model = open_model(model_.paths[0], {}, warnings);
  for (const char* target : GetParam().targets) {
    SCOPED_TRACE(target);
    Recipe recipe;
    recipe.target = find_target(target);
    recipe.reference_quirks = true;
    Oracle::QuantizeOptions options;
    options.file_type = std::max(recipe.target.preset->file_type, 0);
    options.only_copy = keeps_types(*recipe.target.preset);
    GetParam().set(model_, recipe, options);
    const Plan plan = make_plan(model, recipe, warnings);
    const auto sink = make_file_sink(path("ours.gguf"), {}, warnings);
    const Output output{&plan, sink.get()};
    run(model, {&output, 1}, {}, warnings);
    ASSERT_EQ(sink->paths().size(), recipe.keep_split ? GetParam().shape.pieces : 1U);
    const std::string theirs = path(recipe.keep_split ? "theirs" : "theirs.gguf");
    ASSERT_EQ(Oracle::instance().quantize_file(model_.paths[0], theirs, options), 0U);
    for (const std::string& ours : sink->paths()) {
      const std::string rest = ours.substr(path("ours").size());
      expect_equal_files(path("theirs") + rest, ours);
      fs::remove(ours);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, OptionEquality, ::testing::ValuesIn(cases()),
                         [](const auto& c) { return std::string(c.param.name); });

// What --reference-quirks undoes: IQ3_S after a group of zeros; no other type of these presets.
TEST(ReferenceQuirks, ChangeOnlyWhatDecodesWrongly) {
  const fs::path folder =
      fs::temp_directory_path() / ("quantize-quirks-" + std::to_string(::getpid()));
  fs::create_directories(folder);
  const SyntheticModel synthetic = write_model(kLlama, (folder / "model.gguf").string());
  Warnings warnings;
  const Model model = open_model(synthetic.paths[0], {}, warnings);
  const auto error_and_data = [&](const char* target, bool quirks) {
    Recipe recipe;
    recipe.target = find_target(target);
    recipe.reference_quirks = quirks;
    const Plan plan = make_plan(model, recipe, warnings);
    const auto sink = make_file_sink((folder / "out.gguf").string(), {}, warnings);
    const Output output{&plan, sink.get()};
    const std::vector<Report> reports = run(model, {&output, 1}, {}, warnings);
    double error = 0;
    for (const TensorReport& tensor : reports[0].tensors) error += tensor.error.sum_squared_error;
    std::string data = read_file(sink->paths()[0]).substr(plan.files[0].header_bytes);
    fs::remove(sink->paths()[0]);
    return std::pair(error, data);
  };
  const auto right = error_and_data("iq3_s", false);
  const auto quirky = error_and_data("iq3_s", true);
  EXPECT_NE(right.second, quirky.second);
  EXPECT_LT(right.first, quirky.first / 2);
  EXPECT_EQ(error_and_data("q4_k_m", false), error_and_data("q4_k_m", true));
  fs::remove_all(folder);
}

// A plan that was only to be looked at.
TEST(MissingImportance, IsAnErrorNotACrashWhenAPlanRunsAllTheSame) {
  const fs::path folder =
      fs::temp_directory_path() / ("quantize-missing-" + std::to_string(::getpid()));
  fs::create_directories(folder);
  const SyntheticModel synthetic = write_model(kLlama, (folder / "model.gguf").string());
  Warnings warnings;
  const Model model = open_model(synthetic.paths[0], {}, warnings);
  Recipe recipe;
  recipe.target = find_target("iq2_xxs");
  const Plan plan = make_plan(model, recipe, warnings, false);
  const auto sink = make_file_sink((folder / "out.gguf").string(), {}, warnings);
  const Output output{&plan, sink.get()};
  try {
    run(model, {&output, 1}, {}, warnings);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::QZ07);
  }
  EXPECT_FALSE(fs::exists(folder / "out.gguf"));
  fs::remove_all(folder);
}

}  // namespace
}  // namespace quantize::test
