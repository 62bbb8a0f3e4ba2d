#include "support/synthetic_model.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <memory>
#include <ostream>

#include <gtest/gtest.h>

#include "quantize/quantizer.hpp"

#include "support/gguf_builder.hpp"
#include "support/quantize_rows.hpp"
#include "support/random.hpp"

namespace quantize::test {
namespace {

std::string values(DType type, std::uint64_t count, Random& random) {
  std::vector<float> row(count);
  fill_row(random.below(7) == 0 ? RowKind::zero_groups : RowKind::normal, random, row);
  std::string data(stored_bytes(type, count), '\0');
  const EncodeInput input{row.data(), 1, count, nullptr, nullptr};
  find_quantizer(type)->encode(input, reinterpret_cast<std::byte*>(data.data()));
  return data;
}

std::vector<std::pair<std::string, Shape>> tensors_of(const ModelShape& m) {
  std::vector<std::pair<std::string, Shape>> tensors;
  const std::uint64_t width = m.width;
  const std::uint64_t rows = m.rows;
  const std::uint64_t kv = rows / m.heads * m.kv_heads;
  const auto add = [&](std::string name, const Shape& shape) {
    tensors.emplace_back(std::move(name), shape);
  };
  add("token_embd.weight", {m.vocabulary, width});
  for (std::uint32_t l = 0; l < m.layers; ++l) {
    const std::string block = "blk." + std::to_string(l) + ".";
    add(block + "attn_norm.weight", {width});
    if (m.fused) {
      add(block + "attn_qkv.weight", {rows + 2 * kv, width});
    } else {
      add(block + "attn_q.weight", {rows, width});
      add(block + "attn_k.weight", {kv, width});
      add(block + "attn_v.weight", {kv, width});
    }
    add(block + "attn_output.weight", {rows, width});
    add(block + "ffn_norm.weight", {width});
    if (m.experts) {
      add(block + "ffn_gate_inp.weight", {m.experts, width});
      add(block + "ffn_gate_exps.weight", {m.experts, rows, width});
      add(block + "ffn_down_exps.weight", {m.experts, rows, m.feed_forward});
      add(block + "ffn_up_exps.weight", {m.experts, rows, width});
    } else {
      if (!m.fused) add(block + "ffn_gate.weight", {rows, width});
      add(block + "ffn_down.weight", {rows, m.feed_forward});
      add(block + "ffn_up.weight", {rows, width});
    }
  }
  add("output_norm.weight", {width});
  if (!m.tied) add("output.weight", {m.vocabulary, width});
  return tensors;
}

void add_keys(const ModelShape& m, testing::GgufBuilder& builder) {
  const std::string prefix = m.architecture + std::string(".");
  builder.key("general.architecture", std::string(m.architecture))
      .key("general.name", std::string("synthetic"))
      .key(prefix + "block_count", m.layers)
      .key(prefix + "context_length", std::uint32_t{128})
      .key(prefix + "embedding_length", m.width)
      .key(prefix + "feed_forward_length", m.feed_forward)
      .key(prefix + "attention.head_count", m.heads)
      .key(prefix + "attention.layer_norm_rms_epsilon", 1e-5F)
      .key(prefix + "attention.layer_norm_epsilon", 1e-5F)
      .key(prefix + "vocab_size", m.vocabulary)
      .key("general.file_type", std::uint32_t{1})
      .key("x.text", std::string("a\0b", 3))
      .key("x.words", MetaArray(std::vector<std::string>{"a", "", std::string("b\0 c", 4)}));
  if (m.heads_by_layer) {
    builder.key(prefix + "attention.head_count_kv",
                MetaArray(std::vector<std::uint32_t>(m.layers, m.kv_heads)));
  } else {
    builder.key(prefix + "attention.head_count_kv", m.kv_heads);
  }
  if (m.experts) {
    builder.key(prefix + "expert_count", m.experts)
        .key(prefix + "expert_used_count", std::uint32_t{2});
  }
}

std::string five_digits(std::size_t n) {
  const std::string digits = std::to_string(n);
  return std::string(5 - digits.size(), '0') + digits;
}

}  // namespace

void PrintTo(const ModelShape& shape, std::ostream* out) { *out << shape.name; }

SyntheticModel write_model(const ModelShape& m, const std::string& path) {
  SyntheticModel model;
  model.tensors = tensors_of(m);
  Random random(m.width * 131 + m.layers);
  const std::size_t empty = m.empty_first ? 1 : 0;
  const std::size_t filled = m.pieces - empty;
  const std::size_t each = (model.tensors.size() + filled - 1) / filled;
  for (std::size_t piece = 0; piece < m.pieces; ++piece) {
    testing::GgufBuilder builder;
    if (piece == 0) add_keys(m, builder);
    if (m.pieces > 1) {
      builder.key("split.no", static_cast<std::uint16_t>(piece))
          .key("split.count", static_cast<std::uint16_t>(m.pieces))
          .key("split.tensors.count", static_cast<std::int32_t>(model.tensors.size()));
    }
    const std::size_t end = std::min((piece + 1 - empty) * each, model.tensors.size());
    for (std::size_t i = piece < empty ? end : (piece - empty) * each; i < end; ++i) {
      const auto& [name, shape] = model.tensors[i];
      const bool small = shape.rank() < 2 || name.find("ffn_gate_inp") != name.npos;
      const DType type = small ? DType::f32 : m.type;
      builder.tensor(name, type, shape, values(type, shape.values(), random));
    }
    std::string file = path;
    if (m.pieces > 1) {
      file.resize(file.rfind(".gguf"));
      file += "-" + five_digits(piece + 1) + "-of-" + five_digits(m.pieces) + ".gguf";
    }
    std::ofstream(file, std::ios::binary) << builder.build().bytes;
    model.paths.push_back(file);
  }
  return model;
}

void add_importance(const SyntheticModel& model, Recipe& recipe, Oracle::QuantizeOptions& options) {
  const auto data = std::make_shared<ImportanceData>();
  data->name = "weights.imatrix";
  data->datasets = {"calibration.txt"};
  data->chunks = 12;
  Random random(99);
  for (const auto& [name, shape] : model.tensors) {
    if (shape.rank() < 2 || name == "token_embd.weight" || name == "output.weight") continue;
    data->entries.push_back({name, importance_row(random, shape.row_values() * shape.matrices())});
  }
  std::sort(data->entries.begin(), data->entries.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  for (const auto& entry : data->entries)
    options.importance.emplace_back(entry.name, entry.weights);
  recipe.importance = data;
  const auto override_with = [&](const char* key, auto value) {
    options.override_kv.emplace_back(key, value);
  };
  override_with("quantize.imatrix.file", data->name);
  override_with("quantize.imatrix.dataset", data->datasets.front());
  override_with("quantize.imatrix.entries_count", static_cast<std::int64_t>(data->entries.size()));
  override_with("quantize.imatrix.chunks_count", std::int64_t{data->chunks});
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

}  // namespace quantize::test
