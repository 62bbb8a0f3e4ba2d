// The type of every tensor of well-known models under every preset, against the tables that
// tools/golden/plans/make.py took from the official library. A table describes its model itself.
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "quantize/plan.hpp"

#include "support/memory_source.hpp"

namespace quantize {
namespace {

namespace fs = std::filesystem;

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

struct Table {
  std::string architecture;
  std::vector<std::pair<std::string, std::uint64_t>> keys;
  std::vector<std::string> presets;  // with a "+" at the end: with importance weights
  struct Row {
    std::string tensor;
    Shape shape;
    std::vector<std::string> types;
  };
  std::vector<Row> rows;
};

Table read_table(const std::string& name) {
  std::ifstream file(QUANTIZE_TEST_DATA "/golden/plans/" + name + ".txt");
  Table table;
  std::string line, word;
  const auto next_line = [&] {
    const bool more = static_cast<bool>(std::getline(file, line));
    return std::make_pair(more, std::istringstream(line));
  };
  auto keys = next_line().second;
  while (keys >> word) {
    const std::size_t equals = word.find('=');
    if (word.compare(0, equals, "architecture") == 0) {
      table.architecture = word.substr(equals + 1);
    } else if (word.find('.', equals) == word.npos) {  // no rule looks at fractions
      table.keys.emplace_back(word.substr(0, equals), number(word.substr(equals + 1)));
    }
  }
  auto head = next_line().second;
  head >> word >> word;
  while (head >> word) table.presets.push_back(word);
  for (auto [more, cells] = next_line(); more; std::tie(more, cells) = next_line()) {
    Table::Row row;
    cells >> row.tensor >> word;
    std::vector<std::uint64_t> dims;
    std::istringstream shape(word);
    while (std::getline(shape, word, 'x')) dims.push_back(number(word));
    row.shape = Shape(dims);
    while (cells >> word) row.types.push_back(word);
    table.rows.push_back(std::move(row));
  }
  return table;
}

Model headers_of(const Table& table) {
  Model model;
  const auto source = std::make_shared<testing::MemorySource>();
  model.source = source;
  model.kind = ModelKind::gguf;
  model.architecture = table.architecture;
  model.intermediate = DType::f16;
  model.metadata.append("general.architecture", table.architecture);
  for (const auto& [key, value] : table.keys) {
    model.metadata.append(table.architecture + "." + key, static_cast<std::uint32_t>(value));
  }
  for (const Table::Row& row : table.rows) {
    ModelTensor tensor;
    tensor.name = row.tensor;
    tensor.shape = row.shape;
    tensor.stored_type = row.shape.rank() > 1 ? DType::f16 : DType::f32;
    source->add(tensor.name, tensor.stored_type, tensor.shape, {});
    tensor.source_tensors = {model.tensors.size()};
    model.tensors.push_back(std::move(tensor));
  }
  std::reverse(model.tensors.begin(), model.tensors.end());  // the order is for the plan to find
  return model;
}

Plan plan_of(const Model& model, std::string_view target, bool weighted) {
  Recipe recipe;
  recipe.target = find_target(target);
  if (weighted) {
    auto data = std::make_shared<ImportanceData>();
    data->entries.push_back({"any.weight", {1.0F}});
    recipe.importance = data;
  }
  Warnings warnings;
  return make_plan(model, recipe, warnings, false);
}

std::vector<std::string> table_names() {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(QUANTIZE_TEST_DATA "/golden/plans"))
    names.insert(entry.path().stem().string());
  return {names.begin(), names.end()};
}

class PublishedModel : public ::testing::TestWithParam<std::string> {
 protected:
  // `column` of the table against one plan.
  void compare(const Table& table, const Model& model, std::size_t column, bool weighted) {
    std::string preset = table.presets[column];
    if (preset.back() == '+') preset.pop_back();
    SCOPED_TRACE(preset + (weighted ? " with importance" : ""));
    if (table.rows[0].types[column] == "!") {
      EXPECT_THROW(plan_of(model, preset, weighted), Error);
      return;
    }
    const Plan plan = plan_of(model, preset, weighted);
    const auto& tensors = plan.files.at(0).tensors;
    ASSERT_EQ(tensors.size(), table.rows.size());
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      ASSERT_EQ(tensors[i].name, table.rows[i].tensor);
      EXPECT_EQ(info(tensors[i].type).name, table.rows[i].types[column]) << tensors[i].name;
    }
  }
};

TEST_P(PublishedModel, GetsTheTypesOfTheReference) {
  const Table table = read_table(GetParam());
  const Model model = headers_of(table);
  std::set<std::string> seen(table.presets.begin(), table.presets.end());
  for (const Preset& preset : presets()) {
    // The reference has no preset NVFP4, and copies choose nothing.
    EXPECT_TRUE(seen.count(std::string(preset.name)) || preset.name == "nvfp4" ||
                keeps_types(preset));
  }
  for (std::size_t i = 0; i < table.presets.size(); ++i) {
    const std::string& preset = table.presets[i];
    const bool weighted = preset.back() == '+';
    compare(table, model, i, weighted);
    // Without a column of its own a preset gives the same types with importance weights.
    if (!weighted && !seen.count(preset + "+")) compare(table, model, i, true);
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, PublishedModel, ::testing::ValuesIn(table_names()),
                         [](const auto& p) {
                           std::string name = p.param;
                           for (char& c : name) c = c == '-' || c == '.' ? '_' : c;
                           return name;
                         });

TEST(PlanSpeed, SeventyBillionWeightsInLessThanATenthOfASecond) {
  const Model model = headers_of(read_table("llama-3.1-70b"));
  const auto start = std::chrono::steady_clock::now();
  plan_of(model, "q4_k_m", false);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(100));
}

}  // namespace
}  // namespace quantize
