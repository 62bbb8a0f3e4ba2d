// Adapters merged on the way: the same file as from weights that were merged before, whatever the
// family does to them, whatever the number of threads; and without training, the same as without
// one.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include <gtest/gtest.h>

#include "quantize/quantize.hpp"

#include "support/safetensors_builder.hpp"
#include "support/temporary_directory.hpp"

namespace quantize::test {
namespace {

namespace fs = std::filesystem;
using quantize::testing::f32_data;
using quantize::testing::SafetensorsBuilder;
using quantize::testing::TemporaryDirectory;

const std::string kModel = QUANTIZE_TEST_DATA "/data/techdoc-llama-3m";

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The only weight file of `directory` for a target of GGUF or of a checkpoint.
std::string make(const TemporaryDirectory& folder, const std::string& input,
                 const std::string& target, const OpenOptions& options, unsigned threads) {
  Warnings warnings;
  Recipe recipe;
  recipe.target = find_target(target);
  const bool checkpoint = recipe.target.checkpoint != nullptr;
  const Model model = checkpoint ? open_unconverted(input, options, warnings)
                                 : open_model(input, options, warnings);
  const Plan plan = make_plan(model, recipe, warnings);
  SinkOptions sink_options;
  sink_options.if_exists = IfExists::replace;
  const std::string path = folder.path_of("out");
  const auto sink = checkpoint ? make_directory_sink(path, sink_options, warnings)
                               : make_file_sink(path, sink_options, warnings);
  const Output output{&plan, sink.get()};
  RunOptions run_options;
  run_options.threads = threads;
  run(model, {&output, 1}, run_options, warnings);
  const std::string bytes = read(checkpoint ? path + "/model.safetensors" : path);
  fs::remove_all(path);
  return bytes;
}

// Rank 3 for some of the model's modules, B of zeros if not trained.
void write_adapter(const TemporaryDirectory& folder, bool trained) {
  SafetensorsBuilder builder;
  std::uint32_t seed = 1;
  const auto add = [&](const std::string& module, std::uint64_t outputs, std::uint64_t inputs) {
    const std::string name = "base_model.model.model.layers." + module;
    builder.tensor(name + ".lora_A.weight", "F32", {3, inputs}, f32_data(3 * inputs, ++seed));
    builder.tensor(name + ".lora_B.weight", "F32", {outputs, 3},
                   trained ? f32_data(outputs * 3, ++seed)
                           : std::string(static_cast<std::size_t>(outputs) * 12, '\0'));
  };
  for (const char* layer : {"0", "2"}) {
    const std::string prefix = layer;
    add(prefix + ".self_attn.q_proj", 256, 256);
    add(prefix + ".self_attn.k_proj", 128, 256);
    add(prefix + ".mlp.down_proj", 256, 768);
  }
  folder.write("adapter_model.safetensors", builder.build());
  folder.write("adapter_config.json", R"({"peft_type": "LORA", "r": 3, "lora_alpha": 0.25})");
}

TEST(AdapterRuns, EqualModelsThatWereMergedBefore) {
  const TemporaryDirectory folder, adapter, merged;
  write_adapter(adapter, true);
  OpenOptions options;
  options.adapters = {{adapter.path(), 0.5}};
  Warnings warnings;
  const auto source = open_source(kModel, options, warnings);
  SafetensorsBuilder builder;
  std::size_t changed = 0;
  for (std::size_t t = 0; t < source->tensors().size(); ++t) {
    const SourceTensor& tensor = source->tensors()[t];
    std::string bytes(static_cast<std::size_t>(tensor.bytes), '\0');
    source->read(t, 0, std::as_writable_bytes(std::span(bytes)));
    if (!tensor.changed_by.empty()) ++changed;
    const auto dims = tensor.shape.dims();
    builder.tensor(tensor.name, info(tensor.type).safetensors_name, {dims.begin(), dims.end()},
                   bytes);
  }
  EXPECT_EQ(changed, 6U);
  // Names in the metadata follow from the directory's.
  const std::string before = merged.path_of("techdoc-llama-3m");
  fs::copy(kModel, before, fs::copy_options::recursive);
  merged.write("techdoc-llama-3m/model.safetensors", builder.build());
  for (const char* target : {"q4_k_m", "f32", "bf16", "q8_0", "ct:int8"}) {
    SCOPED_TRACE(target);
    const std::string expected = make(folder, before, target, {}, 2);
    EXPECT_TRUE(expected == make(folder, kModel, target, options, 1));
    EXPECT_TRUE(expected == make(folder, kModel, target, options, 3));
    EXPECT_FALSE(expected == make(folder, kModel, target, {}, 2));
  }
}

TEST(AdapterRuns, WithoutTrainingEqualNone) {
  const TemporaryDirectory folder, adapter;
  write_adapter(adapter, false);
  OpenOptions options;
  options.adapters = {{adapter.path(), 1}};
  for (const char* target : {"q4_k_m", "f32", "f16", "bf16", "iq4_nl"}) {
    SCOPED_TRACE(target);
    EXPECT_TRUE(make(folder, kModel, target, {}, 2) == make(folder, kModel, target, options, 2));
  }
}

TEST(AdapterRuns, ReportNamesWhatWasMerged) {
  const TemporaryDirectory adapter;
  write_adapter(adapter, true);
  OpenOptions options;
  options.adapters = {{adapter.path(), -2}};
  Warnings warnings;
  const Model model = open_model(kModel, options, warnings);
  Recipe recipe;
  recipe.target = find_target("q4_0");
  const Report report = make_report(model, make_plan(model, recipe, warnings));
  ASSERT_EQ(report.notes.size(), 1U);
  EXPECT_EQ(report.notes[0],
            "6 tensors were merged with adapter " + adapter.path() +
                " (rank 3, scale -0.16666666666666666): "
                "model.layers.0.mlp.down_proj.weight, model.layers.0.self_attn.k_proj.weight, "
                "model.layers.0.self_attn.q_proj.weight, model.layers.2.mlp.down_proj.weight, "
                "model.layers.2.self_attn.k_proj.weight, model.layers.2.self_attn.q_proj.weight");
}

TEST(AdapterRuns, RefuseGguf) {
  const TemporaryDirectory folder, adapter;
  write_adapter(adapter, true);
  const std::string gguf = folder.write("a.gguf", make(folder, kModel, "f16", {}, 1));
  OpenOptions options;
  options.adapters = {{adapter.path(), 1}};
  Warnings warnings;
  try {
    open_model(gguf, options, warnings);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::LR05);
  }
}

}  // namespace
}  // namespace quantize::test
