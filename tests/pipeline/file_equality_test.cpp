// Whole files: from GGUF to GGUF, what we write is what the official library writes, byte for byte.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include <gtest/gtest.h>
#include <unistd.h>

#include "quantize/quantize.hpp"

#include "support/gguf_builder.hpp"
#include "support/oracle.hpp"
#include "support/process.hpp"
#include "support/random.hpp"

namespace quantize::test {
namespace {

namespace fs = std::filesystem;

// A synthetic model of the llama architecture, just large enough for its rules. `rows`: of all
// matrices but keys and values (nobody checks that they fit the heads).
struct ModelShape {
  const char* name;
  std::uint32_t layers, width, rows, feed_forward, heads, kv_heads, vocabulary, experts;
  bool tied;
  DType type;
};

constexpr ModelShape kShapes[] = {
    {"grouped_queries", 9, 256, 32, 256, 8, 2, 96, 0, false, DType::f16},
    {"tied_bf16", 3, 256, 64, 512, 4, 4, 96, 0, true, DType::bf16},
    {"rows_force_substitutes", 5, 288, 32, 96, 4, 2, 128, 0, false, DType::f32},
    {"odd_rows", 3, 256, 64, 40, 4, 1, 96, 0, true, DType::f16},
    {"deep", 32, 256, 16, 32, 8, 1, 32, 0, false, DType::bf16},
    {"eight_experts", 2, 256, 16, 64, 4, 2, 64, 8, false, DType::f16},
    {"experts_whole_blocks", 1, 256, 32, 256, 4, 2, 64, 8, false, DType::f16},
};

std::string values(DType type, std::uint64_t count, Random& random) {
  std::vector<float> row(count);
  fill_row(random.below(7) == 0 ? RowKind::zero_groups : RowKind::normal, random, row);
  std::string data(stored_bytes(type, count), '\0');
  EncodeInput input{row.data(), 1, count, nullptr, nullptr};
  find_quantizer(type)->encode(input, reinterpret_cast<std::byte*>(data.data()));
  return data;
}

// For the names of the tests.
void PrintTo(const ModelShape& shape, std::ostream* out) { *out << shape.name; }

struct Written {
  std::string path;
  std::vector<std::pair<std::string, Shape>> tensors;
};

Written write_model(const ModelShape& m, const fs::path& folder) {
  testing::GgufBuilder builder;
  builder.key("general.architecture", std::string("llama"))
      .key("general.name", std::string("synthetic"))
      .key("llama.block_count", m.layers)
      .key("llama.context_length", std::uint32_t{128})
      .key("llama.embedding_length", m.width)
      .key("llama.feed_forward_length", m.feed_forward)
      .key("llama.attention.head_count", m.heads)
      .key("llama.attention.head_count_kv", m.kv_heads)
      .key("llama.attention.layer_norm_rms_epsilon", 1e-5F)
      .key("llama.vocab_size", m.vocabulary)
      .key("general.file_type", std::uint32_t{1})
      .key("x.words", MetaArray(std::vector<std::string>{"a", "", "b c"}));
  if (m.experts) {
    builder.key("llama.expert_count", m.experts).key("llama.expert_used_count", std::uint32_t{2});
  }
  Random random(m.width * 131 + m.layers);
  Written written;
  const auto add = [&](const std::string& name, DType type, const Shape& shape) {
    builder.tensor(name, type, shape, values(type, shape.values(), random));
    written.tensors.emplace_back(name, shape);
  };
  const std::uint64_t width = m.width;
  const std::uint64_t rows = m.rows;
  const std::uint64_t kv = rows / m.heads * m.kv_heads;
  add("token_embd.weight", m.type, {m.vocabulary, width});
  for (std::uint32_t l = 0; l < m.layers; ++l) {
    const std::string block = "blk." + std::to_string(l) + ".";
    add(block + "attn_norm.weight", DType::f32, {width});
    add(block + "attn_q.weight", m.type, {rows, width});
    add(block + "attn_k.weight", m.type, {kv, width});
    add(block + "attn_v.weight", m.type, {kv, width});
    add(block + "attn_output.weight", m.type, {rows, width});
    add(block + "ffn_norm.weight", DType::f32, {width});
    if (m.experts) {
      add(block + "ffn_gate_inp.weight", DType::f32, {m.experts, width});
      add(block + "ffn_gate_exps.weight", m.type, {m.experts, rows, width});
      add(block + "ffn_down_exps.weight", m.type, {m.experts, rows, m.feed_forward});
      add(block + "ffn_up_exps.weight", m.type, {m.experts, rows, width});
    } else {
      add(block + "ffn_gate.weight", m.type, {rows, width});
      add(block + "ffn_down.weight", m.type, {rows, m.feed_forward});
      add(block + "ffn_up.weight", m.type, {rows, width});
    }
  }
  add("output_norm.weight", DType::f32, {width});
  if (!m.tied) add("output.weight", m.type, {m.vocabulary, width});
  written.path = (folder / (std::string(m.name) + ".gguf")).string();
  std::ofstream(written.path, std::ios::binary) << builder.build().bytes;
  return written;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void expect_equal_files(const std::string& theirs, const std::string& ours) {
  const std::string expected = read_file(theirs);
  const std::string actual = read_file(ours);
  EXPECT_EQ(expected.size(), actual.size());
  EXPECT_TRUE(expected == actual)
      << "they differ at byte "
      << std::mismatch(expected.begin(), expected.end(), actual.begin(), actual.end()).first -
             expected.begin();
}

class FileEquality : public ::testing::TestWithParam<ModelShape> {
 protected:
  void SetUp() override {
    QUANTIZE_REQUIRE_ORACLE(Oracle::kName);
    folder_ = fs::temp_directory_path() /
              ("quantize-files-" + std::to_string(::getpid()) + GetParam().name);
    fs::create_directories(folder_);
    model_ = write_model(GetParam(), folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // All presets in one run of ours, each against a run of the reference's.
  void compare(const Recipe& common, const Oracle::QuantizeOptions& common_options) {
    Warnings warnings;
    const Model model = open_model(model_.path, {}, warnings);
    std::vector<Plan> plans;
    for (const Preset& preset : presets()) {
      Recipe recipe = common;
      recipe.target = find_target(preset.name);
      recipe.reference_quirks = true;
      try {
        plans.push_back(make_plan(model, recipe, warnings));
      } catch (const Error&) {
        const auto options = options_for(preset, {}, common_options);
        EXPECT_NE(Oracle::instance().quantize_file(model_.path, theirs(), options), 0U)
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
      ASSERT_EQ(Oracle::instance().quantize_file(model_.path, theirs(),
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
    options.only_copy = preset.name == "copy";
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
  Written model_;
};

TEST_P(FileEquality, EveryPresetPlain) { compare({}, {}); }

TEST_P(FileEquality, EveryPresetWithImportance) {
  auto data = std::make_shared<ImportanceData>();
  data->name = "weights.imatrix";
  data->datasets = {"calibration.txt"};
  data->chunks = 12;
  Oracle::QuantizeOptions options;
  Random random(99);
  for (const auto& [name, shape] : model_.tensors) {
    if (shape.rank() < 2 || name == "token_embd.weight" || name == "output.weight") continue;
    data->entries.push_back({name, importance_row(random, shape.row_values() * shape.matrices())});
  }
  std::sort(data->entries.begin(), data->entries.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  for (const auto& entry : data->entries)
    options.importance.emplace_back(entry.name, entry.weights);
  Recipe recipe;
  recipe.importance = data;
  // The library leaves these keys to its command, which gives them as overrides.
  options.override_kv = {
      {"quantize.imatrix.file", data->name},
      {"quantize.imatrix.dataset", data->datasets.front()},
      {"quantize.imatrix.entries_count", static_cast<std::int64_t>(data->entries.size())},
      {"quantize.imatrix.chunks_count", std::int64_t{data->chunks}}};
  compare(recipe, options);
}

INSTANTIATE_TEST_SUITE_P(Shapes, FileEquality, ::testing::ValuesIn(kShapes),
                         [](const auto& shape) { return std::string(shape.param.name); });

}  // namespace
}  // namespace quantize::test
