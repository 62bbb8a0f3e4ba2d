// What is refused in config.json, with code, exit status and offset: the rows JS and CF of the
// table of malformed inputs, on a small model directory that is sound before each change.
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "quantize/model.hpp"

#include "support/temporary_directory.hpp"

namespace quantize {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryDirectory;

std::string content(const fs::path& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

void copy_model(const TemporaryDirectory& to, const char* name) {
  fs::copy(fs::path(QUANTIZE_TEST_DATA) / "golden/convert/models" / name, to.path(),
           fs::copy_options::recursive);
}

// `from` becomes `to` in config.json; "@" in `to` marks the byte that the message must name.
struct Row {
  const char* id;
  std::string from, to;
  std::optional<ErrorCode> code;  // nothing: accepted
};

class Config : public ::testing::Test {
 protected:
  Config() { copy_model(directory, "longrope"); }

  void expect(const Row& row) const {
    SCOPED_TRACE(row.id);
    std::string text = content(directory.path_of("config.json"));
    const std::string before = text;
    const std::size_t at = text.find(row.from);
    ASSERT_NE(at, std::string::npos);
    text.replace(at, row.from.size(), row.to);
    const std::size_t mark = text.find('@');
    if (mark != std::string::npos) text.erase(mark, 1);
    directory.write("config.json", text);
    Warnings warnings;
    try {
      open_model(directory.path(), {}, warnings);
      EXPECT_FALSE(row.code) << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(row.code, error.code()) << error.what();
      EXPECT_EQ(exit_status(error.code()), 65);
      if (mark != std::string::npos) {
        EXPECT_EQ(error.problem().offset, mark) << error.what();
      }
      EXPECT_EQ(std::string(error.what()).find_first_of("\n\x1b"), std::string::npos);
    }
    directory.write("config.json", before);
  }

  TemporaryDirectory directory;
};

TEST_F(Config, Malformed) {
  const auto count = [](const char* key, int value) {
    return "\"" + std::string(key) + "\": " + std::to_string(value);
  };
  const std::string hidden = count("hidden_size", 32), heads = count("num_attention_heads", 4);
  const std::string kv = count("num_key_value_heads", 2), layers = count("num_hidden_layers", 2);
  const std::string wide = count("intermediate_size", 48), rows = count("vocab_size", 24);
  const std::string epsilon = "\"rms_norm_eps\": 1e-05", model = "[\n  \"LlamaForCausalLM\"\n ]";
  const std::string theta = epsilon + ", \"rope_theta\": ";
  const std::string deep(100000, '['), digits(10000, '1');
  std::string nested = "{\"unused\": " + std::string(63, '[') + "@[" + std::string(64, ']') + ", ";
  const Row table[] = {
      {"JS-02", "{", "@\xEF\xBB\xBF{", ErrorCode::JS02},
      {"JS-03", "{", std::string("@\xFF\xFE{\0", 5), ErrorCode::JS02},
      {"JS-04", "{", nested, ErrorCode::JS03},
      {"JS-05", "{", "{\"a\": " + deep, ErrorCode::JS03},
      {"JS-06 a repeated key is a warning", hidden, hidden + ", " + hidden, std::nullopt},
      {"JS-07", epsilon, theta + "@1e999", ErrorCode::JS05},
      {"JS-08", "{", "{\"unused\": NaN, ", std::nullopt},
      {"JS-09", epsilon, "\"rms_norm_eps\": @NaN", ErrorCode::JS05},
      {"JS-10", "{", "{} @{", ErrorCode::JS01},
      {"JS-12", hidden, hidden + std::string(" @\0", 3), ErrorCode::JS02},
      {"JS-13", model, "[\"Llama@\nForCausalLM\"]", ErrorCode::JS01},
      {"JS-14", model, "[\"@\\ud800\"]", ErrorCode::JS02},
      {"JS-17", hidden, "\"hidden_size\": @" + digits, ErrorCode::JS05},
      {"JS-15", hidden, "\"hidden_size\": @64.0", ErrorCode::CF03},
      {"JS-16", hidden, "\"hidden_size\": @\"64\"", ErrorCode::CF03},
      {"CF-02 missing", "\"architectures\"", "\"other\"", ErrorCode::CF02},
      {"CF-02 empty", model, "[]", ErrorCode::CF02},
      {"CF-03", "\"hidden_size\"", "\"other\"", ErrorCode::CF02},
      {"CF-04", hidden, "\"hidden_size\": @0", ErrorCode::CF04},
      {"CF-05", heads, "\"num_attention_heads\": @-1", ErrorCode::CF04},
      {"CF-06 2^31", wide, "\"intermediate_size\": @2147483648", ErrorCode::CF04},
      {"CF-06 2^63", wide, "\"intermediate_size\": @9223372036854775808", ErrorCode::CF04},
      {"CF-06 2^64", wide, "\"intermediate_size\": @18446744073709551616", ErrorCode::JS05},
      {"CF-07", heads, "\"num_attention_heads\": @5", ErrorCode::CF05},
      {"CF-08 string", layers, "\"num_hidden_layers\": @\"2\"", ErrorCode::CF03},
      {"CF-08 list", layers, "\"num_hidden_layers\": @[2]", ErrorCode::CF03},
      {"CF-09 513", layers, "\"num_hidden_layers\": @513", ErrorCode::CF04},
      {"CF-09 10^9", layers, "\"num_hidden_layers\": @1000000000", ErrorCode::CF04},
      {"CF-10", rows, "\"vocab_size\": @25", ErrorCode::CF05},
      {"CF-11", model, "[@\"NoSuchForCausalLM\"]", ErrorCode::CF06},
      {"CF-12", model, "[@\"\\u001b[31m\\n\"]", ErrorCode::CF06},
      {"CF-14 zero", epsilon, theta + "@0", ErrorCode::CF04},
      {"CF-14 negative", epsilon, theta + "@-1", ErrorCode::CF04},
      {"CF-15 negative", epsilon, "\"rms_norm_eps\": @-1", ErrorCode::CF04},
      {"CF-15 large", epsilon, "\"rms_norm_eps\": @2", ErrorCode::CF04},
      {"CF-16 many", epsilon, epsilon + ", \"num_local_experts\": @1025", ErrorCode::CF04},
      {"CF-16 used", epsilon, epsilon + ", \"num_local_experts\": 2, \"num_experts_per_tok\": @3",
       ErrorCode::CF05},
      {"CF-17 more", kv, "\"num_key_value_heads\": @5", ErrorCode::CF05},
      {"CF-17 none", kv, "\"num_key_value_heads\": @0", ErrorCode::CF04},
      {"CF-20 a layer's tensors missing", layers, "\"num_hidden_layers\": 3", ErrorCode::IX04},
      {"tensors of a layer too many", layers, "\"num_hidden_layers\": 1", ErrorCode::IX04},
      {"yarn without its context", "\"original_max_position_embeddings\": 64",
       "\"rope_type\": \"yarn\"", ErrorCode::CF02},
  };
  for (const Row& row : table) expect(row);
}

TEST_F(Config, AnotherShapeThanConfiguredNamesThePlaceInTheWeights) {
  std::string weights = content(directory.path_of("model.safetensors"));
  const std::string name = "\"model.norm.weight\":{\"dtype\":\"BF16\",\"shape\":";
  const std::size_t at = weights.find(name);
  ASSERT_NE(at, std::string::npos);
  weights.replace(at + name.size(), 4, "[32,");  // [32] -> [32, 1], paid for with padding
  weights.insert(at + name.size() + 4, "1]");
  const std::size_t padding = weights.find("}}  ", at);
  ASSERT_NE(padding, std::string::npos) << "the fixture's header has no room";
  weights.erase(padding + 2, 2);
  directory.write("model.safetensors", weights);
  Warnings warnings;
  try {
    open_model(directory.path(), {}, warnings);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::CF05) << error.what();
    EXPECT_EQ(error.problem().offset, at + name.size());
  }
}

TEST_F(Config, MustBeAFileThatCanBeRead) {
  Warnings warnings;
  const auto code = [&] {
    try {
      open_model(directory.path(), {}, warnings);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::BUG01;
  };
  fs::remove(directory.path_of("config.json"));
  EXPECT_EQ(code(), ErrorCode::CF01);
  EXPECT_EQ(exit_status(ErrorCode::CF01), 66);
  fs::create_directory(directory.path_of("config.json"));
  EXPECT_EQ(code(), ErrorCode::IO03);
  fs::remove(directory.path_of("config.json"));
  ASSERT_EQ(::mkfifo(directory.path_of("config.json").c_str(), 0600), 0);
  EXPECT_EQ(code(), ErrorCode::IO04);
  fs::remove(directory.path_of("config.json"));
  directory.write("config.json", "");
  EXPECT_EQ(code(), ErrorCode::JS01);
  directory.write("config.json", std::string((16u << 20) - 1, ' ') + "{}");
  EXPECT_EQ(code(), ErrorCode::JS06);
}

TEST_F(Config, UnmappedTensorsAreNamedOrIgnoredOnRequest) {
  std::string weights = content(directory.path_of("model.safetensors"));
  const std::size_t at = weights.find("lm_head.weight");
  ASSERT_NE(at, std::string::npos);
  weights.replace(at, 14, "strange.weight");
  directory.write("model.safetensors", weights);
  Warnings warnings;
  try {
    open_model(directory.path(), {}, warnings);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::IX04);
    EXPECT_NE(std::string(error.what()).find("strange.weight"), std::string::npos);
  }
  OpenOptions options;
  options.ignore_unmapped = {"str*.weight"};
  EXPECT_EQ(open_model(directory.path(), options, warnings).ignored,
            std::vector<std::string>{"strange.weight"});
}

TEST_F(Config, TwoTensorsMustNotGetOneName) {
  std::string weights = content(directory.path_of("model.safetensors"));
  // Both names lose "text_model." and "language_model." and then are one.
  const std::string lm_head = "\"lm_head.weight\"", embedding = "\"model.embed_tokens.weight\"";
  const std::size_t at = weights.find(lm_head), other = weights.find(embedding);
  ASSERT_TRUE(at != std::string::npos && other < at);
  const std::string one = "\"text_model.lm_head.weight\"";
  ASSERT_EQ(one.size(), embedding.size());
  weights.replace(other, embedding.size(), one);
  directory.write("model.safetensors", weights);
  Warnings warnings;
  try {
    open_model(directory.path(), {}, warnings);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::QZ05) << error.what();
    EXPECT_EQ(error.problem().offset, other) << error.what();
  }
}

TEST_F(Config, AFamilyFileReplacesTheBuiltInOne) {
  Warnings warnings;
  OpenOptions options;
  options.family_file = directory.write("mine.json", R"({"name": "mine", "architecture": "mine",
    "embedding": "token_embd.weight", "keys": ["base"], "vocabulary": ["sentencepiece"],
    "rename": [{"prefix": "model.layers.", "to": "blk."}], "drop": ["blk.*", "lm_head.*"],
    "tensors": [{"from": "model.embed_tokens", "to": "token_embd"}, {"from": "model.norm", "to": "output_norm"}]})");
  const Model model = open_model(directory.path(), options, warnings);
  EXPECT_EQ(model.family, "mine");
  EXPECT_EQ(model.tensors.size(), 2u);
  EXPECT_EQ(*model.metadata.get<std::uint32_t>("mine.embedding_length"), 32u);
}

TEST_F(Config, WeightsAloneKeepTheirNames) {
  Warnings warnings;
  OpenOptions options;
  options.tensors_only = true;
  const Model whole = open_model(directory.path(), options, warnings);
  EXPECT_EQ(whole.kind, ModelKind::tensors_only);
  EXPECT_EQ(whole.architecture, "unknown");
  fs::remove(directory.path_of("config.json"));
  const Model file = open_model(directory.path_of("model.safetensors"), {}, warnings);
  EXPECT_EQ(file.kind, ModelKind::tensors_only);
  EXPECT_EQ(file.tensors.size(), whole.tensors.size());
  EXPECT_EQ(file.tensors.front().name, "model.embed_tokens.weight");
  EXPECT_EQ(file.name, fs::path(directory.path()).filename().string());
  EXPECT_EQ(file.intermediate, DType::bf16);
}

}  // namespace
}  // namespace quantize
