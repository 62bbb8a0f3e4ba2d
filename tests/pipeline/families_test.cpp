// The described models of golden/convert/families as Q4_K_M: whole files equal what the reference
// quantizer makes of what the reference converter writes
// (tools/golden/convert/quantized_families.py).
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "quantize/quantize.hpp"

#include "convert/value.hpp"
#include "core/sha256.hpp"
#include "support/golden_model.hpp"
#include "support/temporary_directory.hpp"
#include "support/test_name.hpp"

namespace quantize::test {
namespace {

using nlohmann::ordered_json;

const std::string kGolden = std::string(QUANTIZE_TEST_DATA) + "/golden/convert/";

ordered_json read_json(const std::string& path) {
  std::ifstream in(path);
  return ordered_json::parse(in);
}

const ordered_json& golden() {
  static const ordered_json all = read_json(kGolden + "q4_k_m.json");
  return all;
}

std::vector<std::string> models() {
  std::vector<std::string> out;
  for (const auto& entry : golden().items()) out.push_back(entry.key());
  return out;
}

// "name type hash" of every tensor that is not F32.
std::vector<std::string> described(const std::string& file, Warnings& warnings) {
  constexpr std::size_t kDigits = 16;
  const Model model = open_model(file, {}, warnings);
  std::vector<std::string> out;
  for (const ModelTensor& tensor : model.tensors) {
    if (tensor.stored_type == DType::f32) continue;
    const std::uint64_t values = tensor.shape.values();
    std::vector<std::byte> raw(static_cast<std::size_t>(stored_bytes(tensor.stored_type, values)));
    fetch(*tensor.value, *model.source, 0, values, raw);
    const std::string_view bytes(reinterpret_cast<const char*>(raw.data()), raw.size());
    std::string type(info(tensor.stored_type).name);
    for (char& c : type) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    out.push_back(tensor.name + " " + type + " " + sha256_hex(bytes).substr(0, kDigits));
  }
  return out;
}

class FamiliesQuantized : public ::testing::TestWithParam<std::string> {};

TEST_P(FamiliesQuantized, AsTheReferenceDoes) {
  const ordered_json description = read_json(kGolden + "families/" + GetParam() + ".json")["model"];
  const testing::TemporaryDirectory directory;
  const std::string folder = directory.path_of(GetParam());
  write_described_model(description, folder);
  OpenOptions options;
  options.outtype = type_from_name(description["outtype"].get<std::string>());
  if (!description["pre"].is_null()) options.pre_tokenizer = description["pre"].get<std::string>();
  Warnings warnings;
  const Model model = open_model(folder, options, warnings);
  Recipe recipe;
  recipe.target = find_target("q4_k_m");
  recipe.reference_quirks = true;
  const Plan plan = make_plan(model, recipe, warnings);
  const std::string file = directory.path_of("out.gguf");
  const std::unique_ptr<Sink> sink = make_file_sink(file, {}, warnings);
  const Output output = {&plan, sink.get()};
  run(model, {&output, 1}, {}, warnings);

  const ordered_json& wanted = golden()[GetParam()];
  EXPECT_EQ(described(file, warnings), wanted["tensors"].get<std::vector<std::string>>());
  std::ifstream in(file, std::ios::binary);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  EXPECT_EQ(sha256_hex(bytes.str()), wanted["file"].get<std::string>()) << "the whole file differs";
}

INSTANTIATE_TEST_SUITE_P(Golden, FamiliesQuantized, ::testing::ValuesIn(models()),
                         [](const auto& row) { return test_name(row.param); });

}  // namespace
}  // namespace quantize::test
