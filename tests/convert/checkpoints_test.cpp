// Quantized checkpoints that the packages of their formats wrote
// (tools/golden/checkpoints/make.py): decoded values against theirs, value by value, and what is
// refused.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "quantize/model.hpp"
#include "quantize/quantizer.hpp"

#include "core/sha256.hpp"
#include "support/safetensors_builder.hpp"
#include "support/source_values.hpp"
#include "support/temporary_directory.hpp"

namespace quantize {
namespace {

namespace fs = std::filesystem;
using test::values_of;
using Text = nlohmann::json;

fs::path golden() {
  const char* other = std::getenv("QUANTIZE_CHECKPOINTS");
  return other ? fs::path(other) : fs::path(QUANTIZE_TEST_DATA) / "golden/checkpoints";
}

std::string hash_as(DType type, const std::vector<float>& values) {
  std::vector<std::byte> out(static_cast<std::size_t>(stored_bytes(type, values.size())));
  find_quantizer(type)->encode({values.data(), 1, values.size(), nullptr, nullptr}, out.data());
  return sha256_hex({reinterpret_cast<const char*>(out.data()), out.size()});
}

TEST(Checkpoints, DecodeAsTheirPackages) {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(golden())) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  ASSERT_GE(folders.size(), 60U);
  for (const fs::path& folder : folders) {
    SCOPED_TRACE(folder.filename().string());
    std::ifstream in(folder / "decoded.json");
    const Text expected = Text::parse(in);
    Warnings warnings;
    std::shared_ptr<const Source> source;
    try {
      source = open_source(folder.string(), {}, warnings);
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
      continue;
    }
    EXPECT_EQ(source->tensors().size(), expected.size());
    for (std::size_t t = 0; t < source->tensors().size(); ++t) {
      const SourceTensor& tensor = source->tensors()[t];
      ASSERT_TRUE(expected.contains(tensor.name)) << tensor.name;
      const Text& about = expected[tensor.name];
      EXPECT_FALSE(tensor.decoded_from.empty());
      const std::vector<std::uint64_t> dims(tensor.shape.dims().begin(), tensor.shape.dims().end());
      EXPECT_EQ(Text(dims), about["shape"]);
      const DType type = *type_from_name(about["type"].get<std::string>());
      const std::uint64_t count = tensor.shape.values();
      try {
        const std::vector<float> all = values_of(*source, t, 0, count);
        EXPECT_EQ(hash_as(type, all), about["sha256"])
            << tensor.name << " from " << tensor.decoded_from;
        // Pieces that cut rows give the same.
        const std::uint64_t block = info(tensor.type).block_values;
        const std::uint64_t first = count / 3 / block * block;
        const std::uint64_t piece = (count / 2 + 1) / block * block;
        EXPECT_TRUE(std::equal(all.begin() + static_cast<std::ptrdiff_t>(first),
                               all.begin() + static_cast<std::ptrdiff_t>(first + piece),
                               values_of(*source, t, first, piece).begin()));
      } catch (const Error& error) {
        ADD_FAILURE() << error.what();
      }
    }
  }
}

// A checkpoint of one layer whose parts can be left out or changed.
struct Part {
  std::string name, type;
  std::vector<std::uint64_t> shape;
};
std::uint64_t width(const std::string& type) {
  return info(*type_from_safetensors(type)).block_bytes;
}

std::string message_of(const std::vector<Part>& parts, const std::string& settings) {
  const testing::TemporaryDirectory directory;
  testing::SafetensorsBuilder builder;
  for (const Part& part : parts) {
    std::uint64_t values = 1;
    for (const std::uint64_t d : part.shape) values *= d;
    std::string data(static_cast<std::size_t>(values * width(part.type)), '\0');
    if (part.name == "a.weight_shape") data[0] = 64, data[8] = 64;
    if (part.name == "a.g_idx") data[0] = 9;
    builder.tensor(part.name, part.type, part.shape, data);
  }
  std::ofstream(directory.path() + "/model.safetensors", std::ios::binary) << builder.build();
  std::ofstream(directory.path() + "/config.json")
      << "{\"quantization_config\": " << settings << "}";
  Warnings warnings;
  try {
    const auto source = open_source(directory.path(), {}, warnings);
    for (std::size_t t = 0; t < source->tensors().size(); ++t)
      values_of(*source, t, 0, source->tensors()[t].shape.values());
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

struct Malformed {
  const char* what;
  std::vector<Part> parts;
  const char* settings;
  const char* message;  // a piece of it
};

const char* const kGptq = R"({"quant_method": "gptq", "bits": 4, "group_size": 32})";
const char* const kPacked = R"({"quant_method": "compressed-tensors", "config_groups": {"g":
    {"weights": {"num_bits": 4, "group_size": 32, "symmetric": true}}}})";
const char* const kFp8 = R"({"quant_method": "fp8", "weight_block_size": [32, 32]})";

TEST(Checkpoints, MalformedOnesAreRefused) {
  const Part qweight{"a.qweight", "I32", {8, 32}}, qzeros{"a.qzeros", "I32", {2, 4}},
      scales{"a.scales", "F16", {2, 32}}, packed{"a.weight_packed", "I32", {64, 8}},
      packed_scale{"a.weight_scale", "BF16", {64, 2}}, shape{"a.weight_shape", "I64", {2}},
      fp8{"a.weight", "F8_E4M3", {64, 64}}, blocks{"a.weight_scale_inv", "F32", {2, 2}};
  EXPECT_EQ(message_of({qweight, qzeros, scales}, kGptq), "");
  EXPECT_EQ(message_of({packed, packed_scale, shape}, kPacked), "");
  EXPECT_EQ(message_of({fp8, blocks}, kFp8), "");
  const Malformed cases[] = {
      {"no zeros", {qweight, scales}, kGptq, "error[CK01]"},
      {"no scales", {qweight, qzeros}, kGptq, "\"a.scales\" is missing"},
      {"scales of another width",
       {qweight, qzeros, {"a.scales", "F16", {2, 31}}},
       kGptq,
       "error[CK02]"},
      {"scales of integers", {qweight, qzeros, {"a.scales", "I32", {2, 32}}}, kGptq, "error[CK02]"},
      {"zeros of another width",
       {qweight, {"a.qzeros", "I32", {2, 5}}, scales},
       kGptq,
       "error[CK02]"},
      {"codes cut", {{"a.qweight", "I32", {4, 32}}, qzeros, scales}, kGptq, "error[CK0"},
      {"empty codes", {{"a.qweight", "I32", {0, 32}}, qzeros, scales}, kGptq, "error[CK02]"},
      {"a group size that contradicts",
       {qweight, qzeros, scales},
       R"({"bits": 4, "group_size": 128})",
       "error[CK03]"},
      {"no bits", {qweight, qzeros, scales}, R"({"group_size": 32})", "error[CK03]"},
      {"unusual bits",
       {qweight, qzeros, scales},
       R"({"bits": 5, "group_size": 32})",
       "error[CK04]"},
      {"bits that contradict",
       {qweight, qzeros, scales, {"a.g_idx", "I32", {64}}},
       R"({"bits": 8, "group_size": 32})",
       "error[CK03]"},
      {"a group that is none",
       {qweight, qzeros, scales, {"a.g_idx", "I32", {64}}},
       kGptq,
       "names a group that has no scale"},
      {"Marlin's order",
       {qweight, qzeros, scales},
       R"({"bits": 4, "is_marlin_format": true})",
       "error[CK04]"},
      {"AWQ with other scales",
       {qweight, qzeros, {"a.scales", "F16", {2, 255}}},
       R"({"quant_method": "awq", "bits": 4})",
       "error[CK02]"},
      {"AWQ of 3 bits",
       {qweight, qzeros, {"a.scales", "F16", {2, 256}}},
       R"({"quant_method": "awq", "bits": 3})",
       "error[CK04]"},
      {"packed, no scale", {packed, shape}, kPacked, "error[CK01]"},
      {"packed, no shape", {packed, packed_scale}, kPacked, "error[CK01]"},
      {"packed, another shape",
       {{"a.weight_packed", "I32", {32, 8}}, packed_scale, shape},
       kPacked,
       "error[CK02]"},
      {"packed, another width",
       {{"a.weight_packed", "I32", {64, 9}}, packed_scale, shape},
       kPacked,
       "error[CK03]"},
      {"packed, zeros promised",
       {packed, packed_scale, shape},
       R"({"config_groups": {"g": {"weights":
       {"num_bits": 4, "group_size": 32, "symmetric": false}}}})",
       "error[CK01]"},
      {"packed, transformed",
       {packed, packed_scale, shape},
       R"({"transform_config": {"a": 1}})",
       "error[CK04]"},
      {"8 bits, no scale", {fp8}, kFp8, "its scale is missing"},
      {"integers, no scale", {{"a.weight", "I8", {64, 64}}}, "{}", "error[CK01]"},
      {"a scale alone", {blocks}, kFp8, "nothing uses it"},
      {"a scale too many", {fp8, blocks, {"b.weight_scale", "F32", {1}}}, kFp8, "error[CK05]"},
      {"another block size", {fp8, {"a.weight_scale_inv", "F32", {3, 2}}}, kFp8, "error[CK03]"},
      {"scales of integers", {fp8, {"a.weight_scale_inv", "I32", {2, 2}}}, kFp8, "error[CK02]"},
      {"NVFP4 without its factor",
       {{"a.weight_packed", "U8", {4, 32}}, {"a.weight_scale", "F8_E4M3", {4, 4}}},
       "{}",
       "error[CK01]"},
      {"NVFP4 of other blocks",
       {{"a.weight", "U8", {4, 32}}, {"a.weight_scale", "F8_E4M3", {4, 2}}},
       "{}",
       "error[CK02]"},
      {"MXFP4 of other blocks",
       {{"e_blocks", "U8", {2, 4, 2, 16}}, {"e_scales", "U8", {2, 4, 3}}},
       "{}",
       "error[CK02]"},
      {"bitsandbytes without scales",
       {{"a.weight", "I8", {4, 4}}, {"a.SCB", "F32", {3}}},
       "{}",
       "error[CK02]"},
      {"an empty state",
       {{"a.weight", "U8", {8, 1}}, {"a.weight.quant_state.bitsandbytes__nf4", "U8", {0}}},
       "{}",
       "error[JS01]"},
      {"HQQ without its bits", {{"a.W_q", "U8", {4, 4}}}, "{}", "error[CK01]"},
      {"BitNet without its scale",
       {{"a.weight", "U8", {4, 4}}},
       R"({"quant_method": "bitnet"})",
       "error[CK01]"},
  };
  for (const Malformed& c : cases) {
    const std::string message = message_of(c.parts, c.settings);
    EXPECT_NE(message.find(c.message), std::string::npos) << c.what << ": " << message;
  }
}

// gpt-oss: codes of a block change places, the exponent's bits stay.
TEST(Checkpoints, ExpertsInMxfp4KeepTheirBits) {
  const testing::TemporaryDirectory directory;
  std::string codes;
  for (int i = 0; i < 16; ++i) codes += static_cast<char>((2 * i) % 16 | (2 * i + 1) % 16 << 4);
  testing::SafetensorsBuilder builder;
  builder.tensor("m.experts.down_proj_blocks", "U8", {1, 1, 1, 16}, codes);
  builder.tensor("m.experts.down_proj_scales", "U8", {1, 1, 1}, "\x7F");
  std::ofstream(directory.path() + "/model.safetensors", std::ios::binary) << builder.build();
  std::ofstream(directory.path() + "/config.json") << "{}";
  Warnings warnings;
  const auto source = open_source(directory.path(), {}, warnings);
  ASSERT_EQ(source->tensors().size(), 1U);
  EXPECT_EQ(source->tensors()[0].name, "m.experts.down_proj");
  EXPECT_EQ(source->tensors()[0].type, DType::mxfp4);
  EXPECT_EQ(source->tensors()[0].shape, (Shape{1, 1, 32}));
  std::vector<std::byte> block(17);
  source->read(0, 0, block);
  EXPECT_EQ(std::to_integer<int>(block[0]), 0x7F);
  for (int i = 0; i < 16; ++i)
    EXPECT_EQ(std::to_integer<int>(block[static_cast<std::size_t>(i + 1)]), 0x11 * i);
}

}  // namespace
}  // namespace quantize
