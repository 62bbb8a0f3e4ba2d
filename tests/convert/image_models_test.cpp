// Image and video models, known by their tensors' names: against what ComfyUI-GGUF's tool makes of
// the same files (tools/golden/convert/image_models.py), and the types that presets give.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include <gtest/gtest.h>

#include "quantize/plan.hpp"

#include "support/golden_model.hpp"
#include "support/safetensors_builder.hpp"
#include "support/temporary_directory.hpp"

namespace quantize::test {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> golden_files() {
  std::vector<fs::path> files;
  for (const auto& entry :
       fs::directory_iterator(fs::path(QUANTIZE_TEST_DATA) / "golden/convert/image_models"))
    files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

// The tool's rounding is that of --outtype auto.
TEST(ImageModels, EqualTheReference) {
  ASSERT_GE(golden_files().size(), 15U);
  for (const fs::path& path : golden_files()) {
    SCOPED_TRACE(path.filename().string());
    std::ifstream in(path);
    const auto golden = nlohmann::ordered_json::parse(in);
    const testing::TemporaryDirectory folder;
    write_described_model(golden["model"], folder.path());
    fs::remove(folder.path_of("config.json"));
    OpenOptions options;
    options.outtype_auto = true;
    Warnings warnings;
    Model model = open_model(folder.path_of("model.safetensors"), options, warnings);
    // The tool sets these aside.
    const auto deep = [](const ModelTensor& tensor) { return tensor.shape.rank() > 4; };
    const auto set_aside = std::count_if(model.tensors.begin(), model.tensors.end(), deep);
    EXPECT_EQ(set_aside, path.stem() == "hyvid" || path.stem() == "wan" ? 1 : 0);
    model.tensors.erase(std::remove_if(model.tensors.begin(), model.tensors.end(), deep),
                        model.tensors.end());
    expect_golden(model, golden);
    EXPECT_TRUE(warnings.entries().empty());
  }
}

std::string write(const testing::TemporaryDirectory& folder,
                  const std::vector<std::pair<const char*, std::vector<std::uint64_t>>>& tensors) {
  testing::SafetensorsBuilder builder;
  for (const auto& [name, shape] : tensors) {
    std::uint64_t values = 1;
    for (const std::uint64_t d : shape) values *= d;
    builder.tensor(name, "F32", shape, testing::f32_data(values));
  }
  return folder.write("model.safetensors", builder.build());
}

// What the reference's patch of llama-quantize gives.
TEST(ImageModels, TypesOfPresets) {
  const testing::TemporaryDirectory folder;
  const std::string path = write(folder, {{"double_blocks.0.img_attn.proj.weight", {8, 256}},
                                          {"double_blocks.0.img_attn.qkv.weight", {8, 256}},
                                          {"a.to_v.weight", {8, 256}},
                                          {"b.to_v.weight", {8, 256}},
                                          {"c.to_v.weight", {8, 256}},
                                          {"c.ff.net.2.weight", {8, 256}},
                                          {"d.odd.weight", {8, 320}},
                                          {"e.conv.weight", {8, 2, 256}},
                                          {"img_in.weight", {8, 256}},
                                          {"final_layer.linear.weight", {8, 256}},
                                          {"a.scale_shift", {8, 256}}});
  Warnings warnings;
  const Model model = open_model(path, {}, warnings);
  EXPECT_EQ(model.architecture, "flux");
  const auto types = [&](const char* target) {
    Recipe recipe;
    recipe.target = find_target(target);
    const Plan plan = make_plan(model, recipe, warnings);
    std::map<std::string, std::string> out;
    for (const PlannedTensor& tensor : plan.files[0].tensors)
      out[tensor.name] = std::string(info(tensor.type).name);
    return out;
  };
  const std::map<std::string, std::string> kept = {{"e.conv.weight", "f32"},
                                                   {"img_in.weight", "f32"},
                                                   {"final_layer.linear.weight", "f32"},
                                                   {"a.scale_shift", "f32"}};
  const auto expect = [&](const char* target, const char* proj, const char* qkv, const char* v0,
                          const char* v2, const char* down, const char* odd) {
    SCOPED_TRACE(target);
    std::map<std::string, std::string> wanted = kept;
    wanted["double_blocks.0.img_attn.proj.weight"] = proj;
    wanted["double_blocks.0.img_attn.qkv.weight"] = qkv;
    wanted["a.to_v.weight"] = wanted["b.to_v.weight"] = v0;
    wanted["c.to_v.weight"] = v2;
    wanted["c.ff.net.2.weight"] = down;
    wanted["d.odd.weight"] = odd;
    EXPECT_EQ(types(target), wanted);
  };
  expect("q4_k_m", "q4_K", "q5_K", "q6_K", "q6_K", "q6_K", "f16");
  expect("q4_k_s", "q4_K", "q4_K", "q5_K", "q5_K", "q5_K", "f16");
  expect("q3_k_m", "q3_K", "q4_K", "q5_K", "q4_K", "q4_K", "f16");
  expect("q3_k_l", "q3_K", "q4_K", "q5_K", "q5_K", "q5_K", "f16");
  expect("q2_k", "q2_K", "q2_K", "q3_K", "q3_K", "q2_K", "f16");
  expect("q5_k_m", "q5_K", "q6_K", "q6_K", "q6_K", "q6_K", "f16");
  expect("q4_0", "q4_0", "q4_0", "q4_0", "q4_0", "q4_1", "q4_0");
  expect("q5_0", "q5_0", "q5_0", "q5_0", "q5_0", "q5_1", "q5_0");
  expect("q8_0", "q8_0", "q8_0", "q8_0", "q8_0", "q8_0", "q8_0");
}

TEST(ImageModels, LayoutsThatNoLoaderKnows) {
  const testing::TemporaryDirectory folder;
  const std::string path = write(
      folder, {{"transformer_blocks.0.attn.norm_added_k.weight", {8}}, {"x.weight", {8, 256}}});
  Warnings warnings;
  try {
    open_model(path, {}, warnings);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::CF06);
  }
  OpenOptions options;
  options.tensors_only = true;
  EXPECT_EQ(open_model(path, options, warnings).architecture, "unknown");
}

// With --tensors-only or --arch everything stays as it is.
TEST(ImageModels, NamesStayOnRequest) {
  const testing::TemporaryDirectory folder;
  const std::string path =
      write(folder, {{"model.diffusion_model.double_blocks.0.img_attn.proj.weight", {8, 256}},
                     {"vae.weight", {8, 256}}});
  Warnings warnings;
  const Model flux = open_model(path, {}, warnings);
  EXPECT_EQ(flux.tensors.size(), 1U);
  EXPECT_EQ(flux.ignored, std::vector<std::string>{"vae.weight"});
  OpenOptions options;
  options.architecture = "mine";
  const Model mine = open_model(path, options, warnings);
  EXPECT_EQ(mine.architecture, "mine");
  EXPECT_EQ(mine.tensors.size(), 2U);
}

}  // namespace
}  // namespace quantize::test
