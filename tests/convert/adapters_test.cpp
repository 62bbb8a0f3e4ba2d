// LoRA adapters that the PEFT package saved (tools/golden/lora/make.py), merged here and by PEFT;
// and adapters that must be refused.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "quantize/model.hpp"
#include "quantize/quantizer.hpp"

#include "convert/adapters/low_rank.hpp"
#include "convert/checkpoints/matrix.hpp"
#include "core/sha256.hpp"
#include "formats/readers.hpp"
#include "support/safetensors_builder.hpp"
#include "support/source_values.hpp"
#include "support/temporary_directory.hpp"

namespace quantize {
namespace {

namespace fs = std::filesystem;
using test::values_of;
using Text = nlohmann::json;
using testing::SafetensorsBuilder;
using testing::TemporaryDirectory;

fs::path golden() { return fs::path(QUANTIZE_TEST_DATA) / "golden/lora"; }
fs::path adapter(const std::string& name) { return golden() / "adapters" / name; }

std::shared_ptr<const Source> open_with(const fs::path& model,
                                        const std::vector<AdapterOption>& adapters,
                                        Warnings& warnings) {
  OpenOptions options;
  options.adapters = adapters;
  return open_source(model.string(), options, warnings);
}

std::size_t find(const Source& source, const std::string& name) {
  for (std::size_t t = 0; t < source.tensors().size(); ++t)
    if (source.tensors()[t].name == name) return t;
  ADD_FAILURE() << name << " is not there";
  return 0;
}

std::vector<float> values_of(const Source& source, const std::string& name) {
  const std::size_t tensor = find(source, name);
  return values_of(source, tensor, 0, source.tensors()[tensor].shape.values());
}

std::string hash_of(const std::vector<float>& values) {
  return sha256_hex({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
}

// Every merged value is the sum in double precision, rounded once; what PEFT has in float32 is
// within four units in the last place of the tensor's largest value.
TEST(Adapters, MergeAsPeft) {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(golden() / "adapters"))
    folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  ASSERT_GE(folders.size(), 16U);
  for (const fs::path& folder : folders) {
    SCOPED_TRACE(folder.filename().string());
    std::ifstream in(folder / "about.json");
    const Text about = Text::parse(in);
    const fs::path model = golden() / "models" / about["model"].get<std::string>();
    Warnings warnings;
    const auto base = open_with(model, {}, warnings);
    const auto peft = open_safetensors((folder / "merged.safetensors").string(), warnings);
    std::shared_ptr<const Source> merged;
    try {
      merged = open_with(model, {{folder.string(), 1}}, warnings);
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
      continue;
    }
    EXPECT_TRUE(warnings.entries().empty());
    std::size_t changed = 0;
    for (std::size_t t = 0; t < merged->tensors().size(); ++t) {
      const SourceTensor& tensor = merged->tensors()[t];
      const std::uint64_t count = tensor.shape.values();
      const std::vector<float> all = values_of(*merged, t, 0, count);
      if (!about["sha256"].contains(tensor.name)) {
        EXPECT_EQ(tensor.type, base->tensors()[t].type) << tensor.name;
        EXPECT_EQ(hash_of(all), hash_of(values_of(*base, t, 0, count))) << tensor.name;
        continue;
      }
      ++changed;
      EXPECT_FALSE(tensor.changed_by.empty()) << tensor.name;
      EXPECT_EQ(hash_of(all), about["sha256"][tensor.name]) << tensor.name << tensor.changed_by;
      const std::vector<float> theirs = values_of(*peft, tensor.name);
      ASSERT_EQ(theirs.size(), all.size());
      float largest = 0, difference = 0;
      for (std::size_t i = 0; i < all.size(); ++i) {
        largest = std::max(largest, std::abs(theirs[i]));
        difference = std::max(difference, std::abs(all[i] - theirs[i]));
      }
      EXPECT_LE(difference, std::ldexp(largest, -21)) << tensor.name;
      // Pieces that cut rows give the same.
      for (const std::uint64_t pieces : {2U, 3U, 7U}) {
        const std::uint64_t first = count / pieces, piece = count / 2 - count / 11;
        const std::vector<float> some =
            values_of(*merged, t, first, std::min(piece, count - first));
        EXPECT_TRUE(
            std::equal(some.begin(), some.end(), all.begin() + static_cast<std::ptrdiff_t>(first)));
      }
    }
    EXPECT_EQ(changed, about["sha256"].size());
  }
}

// An adapter that was never trained adds nothing: every value keeps its bits.
TEST(Adapters, FreshOneChangesNothing) {
  Warnings warnings;
  const auto base = open_with(golden() / "models/llama", {}, warnings);
  const auto merged =
      open_with(golden() / "models/llama", {{adapter("llama-fresh").string(), 3}}, warnings);
  const std::string name = "model.layers.0.self_attn.q_proj.weight";
  EXPECT_EQ(merged->tensors()[find(*merged, name)].type, DType::f32);
  EXPECT_EQ(hash_of(values_of(*merged, name)), hash_of(values_of(*base, name)));
}

TEST(Adapters, ScaleAndSecondAdapter) {
  Warnings warnings;
  const fs::path model = golden() / "models/llama";
  const std::string name = "model.layers.0.self_attn.k_proj.weight";
  const std::string first = adapter("llama-attention").string();
  const std::string second = adapter("llama-all-stabilized").string();
  const auto base = values_of(*open_with(model, {}, warnings), name);
  const auto once = values_of(*open_with(model, {{first, 1}}, warnings), name);
  const auto half = values_of(*open_with(model, {{first, 0.5}}, warnings), name);
  const auto other = values_of(*open_with(model, {{second, 1}}, warnings), name);
  const auto taken = values_of(*open_with(model, {{first, 1}, {first, -1}}, warnings), name);
  const auto both_source = open_with(model, {{first, 1}, {second, 1}}, warnings);
  const auto both = values_of(*both_source, name);
  for (std::size_t i = 0; i < base.size(); ++i) {
    ASSERT_NEAR(half[i], (base[i] + once[i]) / 2, 1e-6);
    ASSERT_NEAR(both[i], once[i] + other[i] - base[i], 1e-6);
    ASSERT_NEAR(taken[i], base[i], 1e-6);
    ASSERT_GT(std::abs(once[i] - base[i]) + std::abs(other[i] - base[i]), 0);
  }
  EXPECT_EQ(both_source->tensors()[find(*both_source, name)].changed_by,
            "merged with adapter " + first + " (rank 4, scale 2), then merged with adapter " +
                second + " (rank 3, scale 4.041451884327381)");
  EXPECT_EQ(both_source->files().size(), 3U);
  EXPECT_TRUE(warnings.entries().empty());
}

// QLoRA: the model's own values come from a quantized checkpoint.
TEST(Adapters, MergeIntoDecodedCheckpoints) {
  for (const char* checkpoint : {"bnb-nf4-bfloat16-double", "gptq-4-order", "ct-fp8-block"}) {
    SCOPED_TRACE(checkpoint);
    const std::string model =
        (fs::path(QUANTIZE_TEST_DATA) / "golden/checkpoints" / checkpoint).string();
    Warnings warnings;
    const auto base = open_source(model, {}, warnings);
    const SourceTensor& target = base->tensors()[0];
    ASSERT_FALSE(target.decoded_from.empty());
    const std::uint64_t rows = target.shape.dims()[0], columns = target.shape.dims()[1];
    std::vector<float> a(static_cast<std::size_t>(2 * columns)),
        b(static_cast<std::size_t>(2 * rows));
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = 0.01F * static_cast<float>(i % 37) - 0.2F;
    for (std::size_t i = 0; i < b.size(); ++i) b[i] = 0.02F * static_cast<float>(i % 23) - 0.2F;
    const auto bytes = [](const std::vector<float>& values) {
      return std::string(reinterpret_cast<const char*>(values.data()),
                         values.size() * sizeof(float));
    };
    const std::string module = target.name.substr(0, target.name.size() - 7);
    SafetensorsBuilder builder;
    builder.tensor("base_model.model." + module + ".lora_A.weight", "F32", {2, columns}, bytes(a));
    builder.tensor("base_model.model." + module + ".lora_B.weight", "F32", {rows, 2}, bytes(b));
    const TemporaryDirectory directory;
    directory.write("adapter_model.safetensors", builder.build());
    directory.write("adapter_config.json", R"({"peft_type": "LORA", "r": 2, "lora_alpha": 3})");
    const auto merged = open_with(model, {{directory.path(), 1}}, warnings);
    const auto before = values_of(*base, target.name), after = values_of(*merged, target.name);
    for (std::size_t i = 0; i < before.size(); ++i) {
      const std::size_t row = i / static_cast<std::size_t>(columns),
                        column = i % static_cast<std::size_t>(columns);
      const double sum = static_cast<double>(b[row * 2]) * static_cast<double>(a[column]) +
                         static_cast<double>(b[row * 2 + 1]) *
                             static_cast<double>(a[static_cast<std::size_t>(columns) + column]);
      ASSERT_EQ(after[i], static_cast<float>(static_cast<double>(before[i]) + sum * 1.5)) << i;
    }
  }
}

// Factors that do not fit at once: tiles of both, and a rank that is no multiple of four.
TEST(Adapters, LargeProductsAreSumsInOrder) {
  constexpr std::uint64_t kRows = 1100, kColumns = 1300, kRank = 70;
  const TemporaryDirectory directory;
  const std::string left = testing::f32_data(kRows * kRank, 5),
                    right = testing::f32_data(kRank * kColumns, 6);
  SafetensorsBuilder builder;
  builder.tensor("left", "F32", {kRows, kRank}, left);
  builder.tensor("right", "F32", {kRank, kColumns}, right);
  Warnings warnings;
  const auto source = open_safetensors(directory.write("a.safetensors", builder.build()), warnings);
  adapters::LowRank product;
  product.rows = kRows;
  product.columns = kColumns;
  product.rank = kRank;
  product.scale = 0.75;
  product.matrices.push_back(
      {std::make_shared<checkpoints::StoredMatrix>(*source, find(*source, "left"), kRows, kRank),
       std::make_shared<checkpoints::StoredMatrix>(*source, find(*source, "right"), kRank,
                                                   kColumns)});
  const auto l = values_of(*source, "left"), r = values_of(*source, "right");
  std::uint64_t seen = 0, wrong = 0;
  product.evaluate(
      *source, 0, {0, kRows, 0, kColumns},
      [&](std::uint64_t row, std::uint64_t column, std::uint64_t n, const double* sums) {
        seen += n;
        for (std::uint64_t j = 0; j < n; ++j) {
          double sum = 0;
          for (std::uint64_t k = 0; k < kRank; ++k)
            sum += static_cast<double>(l[row * kRank + k]) *
                   static_cast<double>(r[k * kColumns + column + j]);
          wrong += sums[j] != sum * 0.75;
        }
      });
  EXPECT_EQ(seen, kRows * kColumns);
  EXPECT_EQ(wrong, 0U);
  EXPECT_LT(product.scratch_bytes(), std::uint64_t{4} << 20);
}

struct Tensor {
  std::string name;
  std::vector<std::uint64_t> shape;
  std::string type = "F32";
};

// What merging gives: "" or the message.
std::string message_of(const std::vector<Tensor>& model, const std::vector<Tensor>& tensors,
                       const std::string& settings) {
  const TemporaryDirectory directory;
  const auto build = [](const std::vector<Tensor>& list) {
    SafetensorsBuilder builder;
    for (const Tensor& tensor : list) {
      std::uint64_t bytes = tensor.type == "F32" || tensor.type == "I32" ? 4 : 2;
      for (const std::uint64_t d : tensor.shape) bytes *= d;
      builder.tensor(tensor.name, tensor.type, tensor.shape,
                     std::string(static_cast<std::size_t>(bytes), '\0'));
    }
    return builder.build();
  };
  const std::string path = directory.write("model.safetensors", build(model));
  directory.write("adapter_model.safetensors", build(tensors));
  directory.write("adapter_config.json", settings);
  Warnings warnings;
  OpenOptions options;
  options.tensors_only = true;
  options.adapters = {{directory.path(), 1}};
  try {
    open_source(path, options, warnings);
    return "";
  } catch (const Error& error) {
    return std::string(code_name(error.code())) + " " + error.what();
  }
}

const std::vector<Tensor> kModel = {{"model.layers.0.q.weight", {6, 4}},
                                    {"model.layers.0.q.bias", {6}},
                                    {"model.layers.0.s.weight", {4, 4}},
                                    {"a.x.weight", {6, 4}},
                                    {"b.x.weight", {6, 4}},
                                    {"ids.weight", {6, 4}, "I32"}};
const std::string kQ = "base_model.model.model.layers.0.q";
const std::vector<Tensor> kPair = {{kQ + ".lora_A.weight", {2, 4}},
                                   {kQ + ".lora_B.weight", {6, 2}}};
std::string settings(const std::string& more = "") {
  return R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4)" + more + "}";
}
std::vector<Tensor> pair_for(const std::string& module, std::uint64_t outputs = 6,
                             std::uint64_t inputs = 4) {
  return {{module + ".lora_A.weight", {2, inputs}}, {module + ".lora_B.weight", {outputs, 2}}};
}
std::vector<Tensor> with(std::vector<Tensor> tensors, const Tensor& more) {
  tensors.push_back(more);
  return tensors;
}

TEST(Adapters, NamesOfModelsThatAreWrappedOtherwise) {
  for (const char* module :
       {"base_model.model.model.layers.0.q", "base_model.model.layers.0.q", "layers.0.q",
        "model.language_model.layers.0.q", "base_model.model.language_model.model.layers.0.q",
        "other.model.layers.0.q"})
    EXPECT_EQ(message_of(kModel, pair_for(module), settings()), "") << module;
}

TEST(Adapters, AreRefused) {
  const struct {
    const char* what;
    std::vector<Tensor> tensors;
    std::string settings;
    const char* wanted;
  } cases[] = {
      {"A alone", {kPair[0]}, settings(), "LR01"},
      {"B alone", {kPair[1]}, settings(), "LR01"},
      {"magnitude alone",
       {{kQ + ".lora_magnitude_vector", {6}}},
       settings(R"(, "use_dora": true)"),
       "LR01"},
      {"DoRA without magnitude", kPair, settings(R"(, "use_dora": true)"), "LR01"},
      {"nothing", {}, settings(), "LR01"},
      {"no such module", pair_for("model.layers.1.q"), settings(), "LR02"},
      {"two modules fit", pair_for("x"), settings(), "LR02"},
      {"bias that is not there", with(pair_for("a.x"), {"a.x.lora_B.bias", {6}}),
       settings(R"(, "lora_bias": true)"), "LR02"},
      {"one tensor twice",
       with(with(kPair, {"layers.0.q.lora_A.weight", {2, 4}}),
            {"layers.0.q.lora_B.weight", {6, 2}}),
       settings(), "LR02"},
      {"other inputs", pair_for(kQ, 6, 5), settings(), "LR03"},
      {"other outputs", pair_for(kQ, 7), settings(), "LR03"},
      {"factors of two ranks", {kPair[0], {kQ + ".lora_B.weight", {6, 3}}}, settings(), "LR03"},
      {"another rank than stated", kPair, R"({"peft_type": "LORA", "r": 3, "lora_alpha": 4})",
       "LR03"},
      {"vectors",
       {{kQ + ".lora_A.weight", {8}}, {kQ + ".lora_B.weight", {6, 2}}},
       settings(),
       "LR03"},
      {"magnitudes of another number", with(kPair, {kQ + ".lora_magnitude_vector", {5}}),
       settings(R"(, "use_dora": true)"), "LR03"},
      {"square and contradicting others",
       [] {
         std::vector<Tensor> all = kPair;
         for (const Tensor& t : pair_for("model.layers.0.s", 4)) all.push_back(t);
         return all;
       }(),
       settings(R"(, "fan_in_fan_out": true)"), "LR03"},
      {"replacement of another shape", with(kPair, {"a.x.weight", {6, 5}}),
       settings(R"(, "modules_to_save": ["x"])"), "LR03"},
      {"rank 0", kPair, R"({"peft_type": "LORA", "r": 0, "lora_alpha": 4})", "LR04"},
      {"rank -1", kPair, R"({"peft_type": "LORA", "r": -1, "lora_alpha": 4})", "LR04"},
      {"no rank", kPair, R"({"peft_type": "LORA", "lora_alpha": 4})", "LR04"},
      {"no alpha", kPair, R"({"peft_type": "LORA", "r": 2})", "LR04"},
      {"alpha that is text", kPair, R"({"peft_type": "LORA", "r": 2, "lora_alpha": "4"})", "LR04"},
      {"a list", kPair, "[]", "LR04"},
      {"rank 0 in a pattern", kPair, settings(R"(, "rank_pattern": {"q": 0})"), "LR04"},
      {"no kind", kPair, R"({"r": 2, "lora_alpha": 4})", "LR04"},
      {"another kind", kPair, R"({"peft_type": "LOHA", "r": 2, "lora_alpha": 4})", "LR05"},
      {"setting of tomorrow", kPair, settings(R"(, "use_magic": true)"), "LR05"},
      {"activated by tokens", kPair, settings(R"(, "alora_invocation_tokens": [1, 2])"), "LR05"},
      {"replicated layers", kPair, settings(R"(, "layer_replication": [[0, 1], [0, 1]])"), "LR05"},
      {"other beginning", kPair, settings(R"(, "init_lora_weights": "pissa")"), "LR05"},
      {"pattern with groups", kPair, settings(R"x(, "rank_pattern": {"(q|k)": 2})x"), "LR05"},
      {"magnitude without DoRA", with(kPair, {kQ + ".lora_magnitude_vector", {6}}), settings(),
       "LR05"},
      {"tensor of nobody", with(kPair, {"model.layers.0.q.weight", {6, 4}}), settings(), "LR05"},
      {"bias that the settings do not state", with(kPair, {"model.layers.0.q.bias", {6}}),
       settings(), "LR05"},
      {"unknown factor", with(kPair, {kQ + ".lora_C.weight", {6, 4}}), settings(), "LR05"},
      {"whole numbers", {{kQ + ".lora_A.weight", {2, 4}, "I32"}, kPair[1]}, settings(), "LR05"},
      {"for whole numbers", pair_for("ids"), settings(), "LR05"},
  };
  for (const auto& c : cases)
    EXPECT_EQ(message_of(kModel, c.tensors, c.settings).substr(0, 4), c.wanted) << c.what;
  EXPECT_EQ(message_of(kModel, kPair, settings()), "");
  EXPECT_EQ(
      message_of(kModel, kPair,
                 settings(R"(, "use_magic": false, "x": null, "y": [], "z": {}, "bias": "none")")),
      "");
}

// Tensors of experts: which tensor, and which way, is said by shapes alone.
TEST(Adapters, ParametersByShape) {
  const std::string stated =
      R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_parameters": ["e.wide", "e.square"]})";
  const std::vector<Tensor> wide = {{"m.e.base_layer.lora_A.weight", {6, 8}},
                                    {"m.e.base_layer.lora_B.weight", {4, 6}}};
  const std::vector<Tensor> square = {{"m.e.lora_A.weight", {6, 4}}, {"m.e.lora_B.weight", {4, 6}}};
  const std::vector<Tensor> model = {{"m.e.wide", {3, 4, 8}}, {"m.e.square", {3, 4, 4}}};
  std::vector<Tensor> both = wide;
  both.insert(both.end(), square.begin(), square.end());
  EXPECT_EQ(message_of(model, both, stated), "");
  EXPECT_EQ(message_of(model, wide, stated), "");
  EXPECT_EQ(message_of(model, square, stated).substr(0, 4), "LR03");
  std::vector<Tensor> other = wide;
  other[0].shape = {6, 5};
  EXPECT_EQ(message_of(model, other, stated).substr(0, 4), "LR03");
  EXPECT_EQ(message_of(model, square, settings()).substr(0, 4), "LR02");
}

TEST(Adapters, PatternsOfNames) {
  const auto fits = [](const std::string& pattern) {
    return message_of(kModel, kPair,
                      R"({"peft_type": "LORA", "r": 9, "lora_alpha": 4, "rank_pattern": {")" +
                          pattern + R"(": 2}})")
        .empty();
  };
  for (const char* pattern :
       {"q", "0.q", "layers.0.q", "model.layers.0.q", R"(layers\\.\\d+\\.q)", ".*",
        R"(^model\\.layers\\.\\d\\.q$)", R"(\\w+.q)", "layerz*s.0.q", "layerz?s.0.q"})
    EXPECT_TRUE(fits(pattern)) << pattern;
  for (const char* pattern :
       {"k", "ayers.0.q", "layers.0", "^layers.0.q", R"(layers\\.\\d\\d\\.q)", "layerz+s.0.q", ""})
    EXPECT_FALSE(fits(pattern)) << pattern;
}

TEST(Adapters, FilesThatAreMissing) {
  const TemporaryDirectory directory;
  const std::string path = directory.write(
      "model.safetensors", SafetensorsBuilder().tensor("a.weight", "F32", {1, 1}, "0000").build());
  const auto code = [&] {
    Warnings warnings;
    OpenOptions options;
    options.tensors_only = true;
    options.adapters = {{directory.path_of("adapter"), 1}};
    try {
      open_source(path, options, warnings);
    } catch (const Error& error) {
      return std::string(code_name(error.code()));
    }
    return std::string();
  };
  EXPECT_EQ(code(), "IO01");
  fs::create_directory(directory.path_of("adapter"));
  EXPECT_EQ(code(), "CF01");
  directory.write("adapter/adapter_config.json", settings());
  EXPECT_EQ(code(), "IX09");
  directory.write("adapter/adapter_model.bin", "x");
  EXPECT_EQ(code(), "IX08");
}

}  // namespace
}  // namespace quantize
