#include "support/golden_model.hpp"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "quantize/quantizer.hpp"

#include "convert/value.hpp"
#include "core/float16.hpp"
#include "core/sha256.hpp"
#include "support/describe.hpp"
#include "support/safetensors_builder.hpp"

namespace quantize::test {
namespace {

namespace fs = std::filesystem;

// The generator of tools/golden/convert/weights.py.
class Weights {
 public:
  // step: only multiples of step/8192.
  std::string take(std::uint64_t count, const std::string& type, int step) {
    std::string out;
    for (std::uint64_t i = 0; i < count; ++i) {
      state_ = state_ * 6364136223846793005u + 1442695040888963407u;
      const std::uint64_t drawn = state_ >> 40;
      const int whole = (static_cast<int>(drawn % 4095) - 2047) / step * step;
      const float value = static_cast<float>(whole) / 8192.0f;
      if (type == "U8") {
        out += static_cast<char>(drawn % 256);
      } else if (type == "F32") {
        append(out, value);
      } else if (type == "F16") {
        append(out, float_to_half(value));
      } else {  // BF16, by leaving bits out
        std::uint32_t bits = 0;
        std::memcpy(&bits, &value, sizeof bits);
        append(out, static_cast<std::uint16_t>(bits >> 16));
      }
    }
    return out;
  }

 private:
  template <class T>
  static void append(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  std::uint64_t state_ = 1;
};

std::string_view text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::vector<std::byte> stored(const ModelTensor& tensor, const Source& source) {
  const std::uint64_t count = tensor.shape.values();
  std::vector<std::byte> raw(static_cast<std::size_t>(stored_bytes(tensor.value->type, count)));
  fetch(*tensor.value, source, 0, count, raw);
  if (tensor.value->type == tensor.stored_type) return raw;
  std::vector<float> values(static_cast<std::size_t>(count));
  find_quantizer(tensor.value->type)->decode(raw.data(), count, values.data());
  std::vector<std::byte> out(static_cast<std::size_t>(stored_bytes(tensor.stored_type, count)));
  find_quantizer(tensor.stored_type)
      ->encode({values.data(), 1, count, nullptr, nullptr}, out.data());
  return out;
}

}  // namespace

void write_described_model(const nlohmann::ordered_json& description, const fs::path& folder) {
  fs::create_directories(folder);
  const auto write = [&](const fs::path& name, const std::string& text) {
    fs::create_directories((folder / name).parent_path());
    std::ofstream(folder / name, std::ios::binary) << text;
  };
  write("config.json", description["config"].dump(1));
  for (const auto& [name, text] : description["files"].items())
    write(name, text.get<std::string>());
  const fs::path tokenizer = fs::path(QUANTIZE_TEST_DATA) / "golden/tokenizers" /
                             description["tokenizer"].get<std::string>();
  for (const fs::directory_entry& entry : fs::directory_iterator(tokenizer)) {
    const std::string name = entry.path().filename().string();
    if (name != "config.json" && name != "case.json" && name != "keys.json")
      fs::copy_file(entry.path(), folder / name, fs::copy_options::overwrite_existing);
  }
  Weights weights;
  testing::SafetensorsBuilder file;
  for (const auto& tensor : description["tensors"]) {
    const auto shape = tensor[1].get<std::vector<std::uint64_t>>();
    const auto type = (tensor.size() > 2 ? tensor[2] : description["dtype"]).get<std::string>();
    std::uint64_t count = 1;
    for (const std::uint64_t d : shape) count *= d;
    const int step = tensor.size() > 3 ? tensor[3].get<int>() : 1;
    file.tensor(tensor[0].get<std::string>(), type, shape, weights.take(count, type, step));
  }
  write("model.safetensors", file.build());
}

void expect_golden(const Model& model, const nlohmann::json& golden) {
  std::vector<Text> keys;
  for (const Metadata::Entry& entry : model.metadata.entries()) keys.push_back(describe(entry));
  for (std::size_t i = 0; i < std::max(keys.size(), golden["keys"].size()); ++i)
    ASSERT_EQ(i < keys.size() ? keys[i] : Text(),
              i < golden["keys"].size() ? golden["keys"][i] : Text());
  for (std::size_t i = 0; i < std::max(model.tensors.size(), golden["tensors"].size()); ++i) {
    ASSERT_LT(i, golden["tensors"].size()) << "additional tensor " << model.tensors[i].name;
    ASSERT_LT(i, model.tensors.size()) << "missing tensor " << golden["tensors"][i];
    const ModelTensor& tensor = model.tensors[i];
    const std::vector<std::uint64_t> dims(tensor.shape.dims().begin(), tensor.shape.dims().end());
    const Text described = {tensor.name, std::string(info(tensor.stored_type).name), dims,
                            sha256_hex(text_of(stored(tensor, *model.source)))};
    EXPECT_EQ(described, golden["tensors"][i]);
  }
}

}  // namespace quantize::test
