// Matrices that bite (ties, zeros, outliers, denormals, odd rows), written as checkpoints: byte for
// byte what the packages of the formats store (tools/golden/checkpoints/writers.py).
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "quantize/quantize.hpp"

#include "core/sha256.hpp"
#include "support/safetensors_builder.hpp"
#include "support/temporary_directory.hpp"

namespace quantize::test {
namespace {

namespace fs = std::filesystem;
using Text = nlohmann::json;

const fs::path kFolder = fs::path(QUANTIZE_TEST_DATA) / "golden/written";

void write_checkpoint(const std::string& target, const std::string& path) {
  Warnings warnings;
  const Model model = open_unconverted(kFolder.string(), {}, warnings);
  Recipe recipe;
  recipe.target = find_target(target);
  const Plan plan = make_plan(model, recipe, warnings);
  const auto sink = make_directory_sink(path, {}, warnings);
  const Output output{&plan, sink.get()};
  run(model, {&output, 1}, {}, warnings);
}

// A file's header and data, read without the library.
struct Stored {
  Text header;
  std::string data;
};

Stored stored_in(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  std::uint64_t length = 0;
  std::memcpy(&length, all.data(), sizeof length);
  return {Text::parse(all.substr(8, length)), all.substr(8 + length)};
}

TEST(WrittenCheckpoints, AreByteForByteThePackages) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    const fs::path& path = entry.path();
    if (path.extension() == ".json" && path.filename() != "config.json") files.push_back(path);
  }
  std::sort(files.begin(), files.end());
  ASSERT_GE(files.size(), 39U);
  for (const fs::path& file : files) {
    std::string target = file.stem().string();
    target[target.find('-')] = ':';
    SCOPED_TRACE(target);
    std::ifstream in(file);
    const Text expected = Text::parse(in)["tensors"];
    const quantize::testing::TemporaryDirectory folder;
    ASSERT_NO_THROW(write_checkpoint(target, folder.path_of("out")));
    const Stored stored = stored_in(folder.path_of("out/model.safetensors"));
    for (const auto& [name, about] : expected.items()) {
      ASSERT_TRUE(stored.header.contains(name)) << name;
      const Text& tensor = stored.header[name];
      std::string found = tensor["dtype"].get<std::string>() + ' ';
      for (const Text& length : tensor["shape"])
        found += (found.back() == ' ' ? "" : "x") + std::to_string(length.get<std::uint64_t>());
      const auto begin = tensor["data_offsets"][0].get<std::size_t>();
      const auto end = tensor["data_offsets"][1].get<std::size_t>();
      found += ' ' + sha256_hex(stored.data.substr(begin, end - begin)).substr(0, 16);
      EXPECT_EQ(found, about) << name;
    }
  }
}

// GPT-2's projections are stored inputs by outputs: loaders would read them the other way round.
TEST(WrittenCheckpoints, KeepConv1d) {
  for (const std::string type : {"gpt2", "gpt_bigcode"}) {
    const quantize::testing::TemporaryDirectory folder;
    quantize::testing::SafetensorsBuilder builder;
    builder.tensor("h.0.attn.c_attn.weight", "F32", {32, 64}, quantize::testing::f32_data(32 * 64));
    builder.tensor("score_head.weight", "F32", {32, 64}, quantize::testing::f32_data(32 * 64));
    folder.write("model.safetensors", builder.build());
    folder.write("config.json", "{\"model_type\": \"" + type + "\"}");
    Warnings warnings;
    const Model model = open_unconverted(folder.path(), {}, warnings);
    Recipe recipe;
    recipe.target = find_target("ct:int8");
    const Plan plan = make_plan(model, recipe, warnings);
    for (const PlannedTensor& tensor : plan.files[0].tensors) {
      const bool kept = type == "gpt2" && tensor.name == "h.0.attn.c_attn.weight";
      EXPECT_EQ(tensor.parts.empty(), kept) << type << ' ' << tensor.name;
      if (kept) {
        EXPECT_EQ(tensor.rule, "stored inputs by outputs (Conv1D)");
      }
    }
  }
}

}  // namespace
}  // namespace quantize::test
