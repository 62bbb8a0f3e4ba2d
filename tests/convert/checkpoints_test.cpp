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
#include "support/temporary_directory.hpp"

namespace quantize {
namespace {

namespace fs = std::filesystem;
using Text = nlohmann::json;

fs::path golden() {
  const char* other = std::getenv("QUANTIZE_CHECKPOINTS");
  return other ? fs::path(other) : fs::path(QUANTIZE_TEST_DATA) / "golden/checkpoints";
}

std::vector<float> values_of(const Source& source, std::size_t tensor, std::uint64_t first,
                             std::uint64_t count) {
  const DType type = source.tensors()[tensor].type;
  std::vector<std::byte> raw(static_cast<std::size_t>(stored_bytes(type, count)));
  source.read(tensor, stored_bytes(type, first), raw);
  std::vector<float> out(static_cast<std::size_t>(count));
  find_quantizer(type)->decode(raw.data(), count, out.data());
  return out;
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

}  // namespace
}  // namespace quantize
