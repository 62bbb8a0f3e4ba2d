// The tables of malformed tokenizers (tests/hardening/tokenizers.md), row by row: code, exit status
// and offset.
#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "convert/vocabulary.hpp"
#include "support/temporary_directory.hpp"

namespace quantize {
namespace {

using Files = std::vector<std::pair<std::string, std::string>>;

struct Case {
  std::string id;
  Files files;
  std::string code;  // empty: accepted without a warning; "w:TK06": accepted with that warning
  int exit = 0;
  std::optional<std::uint64_t> offset;
  std::string config = "{}";
  std::uint64_t rows = 0;
};

std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7F) | 0x80);
  return out + static_cast<char>(value);
}
std::string bytes_field(unsigned number, const std::string& content) {
  return varint((number << 3) | 2) + varint(content.size()) + content;
}
std::string raw(std::initializer_list<int> bytes) {
  std::string out;
  for (const int b : bytes) out += static_cast<char>(b);
  return out;
}
// A piece with a score of 0 (four bytes after the tag) and a type.
std::string piece(const std::string& text, int type, const std::string& score = raw({0, 0, 0, 0})) {
  return bytes_field(1, bytes_field(1, text) + "\x15" + score + "\x18" + raw({type}));
}
std::string table(const std::string& content) { return bytes_field(3, bytes_field(2, content)); }
const std::string kTable = raw({8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8});

std::string base() {  // 8 pieces
  std::string out = piece("<unk>", 2);
  for (const char* text : {"a", "b", "c", "d", "e", "f", "g"}) out += piece(text, 1);
  return out;
}
std::string sound() { return base() + table(kTable); }

std::vector<Case> sentencepiece_cases() {
  std::vector<Case> out;
  const std::uint64_t end = base().size(), whole = sound().size();
  const auto row = [&](std::string id, std::string content, std::string code,
                       std::optional<std::uint64_t> offset) {
    out.push_back({std::move(id),
                   {{"tokenizer.model", std::move(content)}},
                   code,
                   code.empty() ? 0 : 65,
                   offset});
  };
  row("sp_000_sound", sound(), "", {});
  row("sp_001", "", "SP03", 0);
  row("sp_002", sound() + raw({0x80}), "SP01", whole + 1);
  row("sp_003", sound() + raw({0x28}) + std::string(10, '\xFF') + raw({1}), "SP01", whole + 1);
  row("sp_004", sound() + raw({0x0A, 100}), "SP02", whole + 1);
  row("sp_005", sound() + raw({0x0A}) + varint(std::uint64_t{1} << 63), "SP02", whole + 1);
  for (const int type : {3, 4, 6, 7})
    row("sp_006_" + std::to_string(type), sound() + raw({0x50 | type}), "SP01", whole);
  row("sp_007", sound() + raw({0, 0}), "SP01", whole);
  row("sp_008", sound() + varint(std::uint64_t{1} << 32) + raw({0}), "SP01", whole);
  row("sp_009", table(kTable), "SP03", {});
  row("sp_010_encoding", base() + piece("\xFF", 1), "SP04", end + 4);
  row("sp_010_empty", base() + piece("", 1), "SP04", end + 4);
  row("sp_011_nan", base() + piece("h", 1, raw({0, 0, 0xC0, 0x7F})), "SP05", end + 6);
  row("sp_011_inf", base() + piece("h", 1, raw({0, 0, 0x80, 0x7F})), "SP05", end + 6);
  row("sp_012_0", base() + piece("h", 0), "SP06", end + 11);
  row("sp_012_7", base() + piece("h", 7), "SP06", end + 11);
  row("sp_013_two", base() + piece("h", 2), "SP07", end + 11);
  row("sp_013_none", piece("a", 1), "SP07", {});
  for (const std::size_t size : {1u, 2u, 3u})
    row("sp_014_" + std::to_string(size), base() + table(std::string(size, '\0')), "SP08", end + 4);
  row("sp_015_large", base() + table(raw({12, 0, 0, 0, 1, 2, 3, 4})), "SP08", end + 4);
  row("sp_015_odd", base() + table(raw({3, 0, 0, 0, 1, 2, 3, 4})), "SP08", end + 4);
  row("sp_015_max", base() + table(raw({255, 255, 255, 255, 1, 2, 3, 4})), "SP08", end + 4);
  row("sp_016", base() + raw({0x0A, 3, 0x0A, 50, 'x'}), "SP02", end + 3);
  row("sp_017", sound() + bytes_field(50, std::string(1 << 20, '\x0A')), "", {});
  {
    std::string many = piece("<unk>", 2);
    std::uint64_t last = 0;
    for (int i = 0; i < 4194304; ++i) {
      last = many.size();
      many += bytes_field(1, bytes_field(1, std::to_string(i)));
    }
    row("sp_018", std::move(many), "SP09", last + 2);
  }
  row("sp_019", base() + piece("a", 1), "SP04", end + 4);
  row("sp_020", sound() + raw({0x50, 1, 0x51, 1, 2, 3, 4, 5, 6, 7, 8, 0x52, 0, 0x55, 1, 2, 3, 4}),
      "", {});
  row("sp_021", std::string((std::size_t{64} << 20) + 1, '\0'), "SP09", {});
  return out;
}

// A byte-level tokenizer of a few tokens around `vocab`, `merges` and `rest`.
std::string tokenizer(const std::string& vocab, const std::string& merges = "",
                      const std::string& rest = "") {
  return R"({"pre_tokenizer": {"type": "ByteLevel"}, "model": {"type": "BPE", "vocab": {)" + vocab +
         R"(}, "merges": [)" + merges + "]}" + rest + "}";
}
const std::string kVocab = R"("a": 0, "b": 1, "ab": 2)";

std::vector<Case> json_cases() {
  std::vector<Case> out;
  // `mark` is the text at whose first byte the error stands.
  const auto row = [&](std::string id, std::string text, std::string code, std::string mark,
                       std::string config = "{}", std::uint64_t rows = 0) {
    std::optional<std::uint64_t> offset;
    if (!mark.empty()) offset = text.find(mark);
    const bool refused = !code.empty() && code[0] != 'w';
    out.push_back({std::move(id),
                   {{"tokenizer.json", std::move(text)}},
                   std::move(code),
                   refused ? 65 : 0,
                   offset,
                   std::move(config),
                   rows});
  };
  row("tk_000_sound", tokenizer(kVocab, R"("a b")"), "w:TK06", "");
  out.push_back({"tk_001", {}, "TK01", 66, {}});
  row("tk_002", tokenizer(R"("a": 0, "b":  0)"), "TK02", "0}");
  for (const std::string id :
       {"-1", "1.5", "\"7\"", "4194304", "2147483648", "9223372036854775808"})
    row("tk_004_005_" + std::to_string(out.size()), tokenizer(R"("a": 0, "b": )" + id), "TK02",
        id + "}");
  // Decision: gaps are filled, an added token has the id of its text or the next free one.
  row("tk_003", tokenizer(R"("a": 0, "b": 5)"), "w:TK02", "");
  row("tk_003_list",
      R"({"decoder": {"type": "Sequence"}, "model": {"type": "BPE", "byte_fallback": true, )"
      R"("vocab": {"a": 0, "b": 5}, "merges": []}})",
      "w:TK02", "");
  row("tk_008", tokenizer(kVocab, "", R"(, "added_tokens": [{"id": 1, "content": "<x>"}])"),
      "w:TK02", "");
  row("tk_008_beyond", tokenizer(kVocab, "", R"(, "added_tokens": [{"id": 3, "content": "<x>"}])"),
      "TK02", "", R"({"vocab_size": 3})");
  row("tk_011", tokenizer(R"("a": 0, "b": 1)"), "w:TK06", "");
  row("tk_013", tokenizer("\"\\u0000\": 0, \"\\u001b\": 1, \"\\u202e\": 2"), "w:TK06", "");
  row("tk_006", tokenizer(kVocab, R"("a c")"), "TK03", "\"a c\"");
  row("tk_007_one", tokenizer(kVocab, R"("ab")"), "TK03", "\"ab\"]");
  row("tk_007_three", tokenizer(kVocab, R"(["a", "b", "ab"])"), "TK03", "[\"a\"");
  row("tk_007_empty", tokenizer(kVocab, R"(["a", ""])"), "TK03", "[\"a\"");
  row("tk_009", tokenizer(kVocab), "CF05", "", "{}", 2);
  row("tk_012", tokenizer("\"" + std::string(1 << 20, 'x') + "\": 0"), "TK05", "\"xxx");
  row("tk_014", tokenizer(R"("": 0)"), "TK05", "\"\": 0");
  for (const std::string text : {"<0x-1>", "<0x+1>", "<0xZZ>", "<0x1>", "<0x001>"})
    row("tk_015_" + std::to_string(out.size()),
        R"({"decoder": {"type": "Sequence"}, "model": {"type": "BPE", "byte_fallback": true, "vocab": {")" +
            text + R"(": 0}, "merges": []}})",
        "TK07", "\"" + text);
  {
    std::string nested = "{\"normalizer\": ";
    for (int i = 0; i < 10000; ++i) nested += R"({"type": "Sequence", "normalizers": [)";
    row("tk_019", nested, "JS03", "");
    std::size_t levels = 0;  // the first that is one too many
    out.back().offset = static_cast<std::size_t>(
        std::find_if(nested.begin(), nested.end(),
                     [&](char c) { return (c == '{' || c == '[') && ++levels == 65; }) -
        nested.begin());
  }
  row("tk_017", R"({"model": {"type": "Unknown", "vocab": {}}})", "TK06", "\"Unknown\"");
  row("tk_018",
      R"({"pre_tokenizer": {"type": "Split", "behavior": "Isolated", "pattern": {"Regex": "(a+)+$"}},)"
      R"("model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}})",
      "TK06", "\"(a+)+$\"");
  // Decision: a special id out of range is left out with a warning.
  row("tk_010_large", tokenizer(kVocab), "w:TK04", "", R"({"bos_token_id": 4294967296})");
  row("tk_010_minus", tokenizer(kVocab), "w:TK04", "", R"({"bos_token_id": -1})");
  const auto tekken = [&](std::string id, const std::string& first, const std::string& last,
                          const std::string& size, std::string code, const std::string& mark) {
    std::string vocab = first;
    for (int i = first.empty() ? 0 : 1; i < 256; ++i) {
      constexpr std::string_view digits =
          "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
      const auto byte = static_cast<unsigned>(i);
      vocab += std::string(vocab.empty() ? "" : ",") + R"({"rank": )" + std::to_string(i) +
               R"(, "token_bytes": ")" + digits[byte >> 2] + digits[(byte & 3) << 4] + "==\"}";
    }
    std::string text = R"({"config": {"default_vocab_size": )" + size +
                       R"(, "default_num_special_tokens": 3, "version": "v3"}, "vocab": [)" +
                       vocab + last + "]}";
    std::optional<std::uint64_t> offset;
    if (!mark.empty()) offset = text.find(mark);
    const int exit = code.empty() ? 0 : 65;
    out.push_back(
        {std::move(id), {{"tekken.json", std::move(text)}}, std::move(code), exit, offset});
  };
  const std::string more = R"(,{"rank": 256, "token_bytes": "YWI="})";
  tekken("tekken_sound", "", more, "260", "", "");
  tekken("tekken_few", "", "", "260", "TK02", "[{");
  tekken("tekken_rank", R"({"rank": 1, "token_bytes": "AA=="})", more, "260", "TK02",
         "{\"rank\": 1,");
  tekken("tekken_base64", R"({"rank": 0, "token_bytes": "A==="})", more, "260", "TK02",
         "{\"rank\": 0,");
  tekken("tekken_empty", R"({"rank": 0, "token_bytes": ""})", more, "260", "TK05", "\"\"");
  tekken("tekken_merge", "", R"(,{"rank": 256, "token_bytes": "YWJj"})", "260", "TK03", "");
  tekken("tekken_small", "", "", "258", "TK06", "{\"default");
  tekken("tekken_large", "", "", "4194305", "TK06", "4194305");
  // Lines of a token and its rank; the marked one is at fault.
  const auto tiktoken = [&](const std::string& id, const std::string& text, std::string code,
                            const std::string& mark) {
    std::optional<std::uint64_t> offset;
    if (!mark.empty()) offset = text.find(mark);
    const int exit = code[0] == 'w' ? 0 : 65;
    out.push_back({"tiktoken_" + id, {{"tiktoken.model", text}}, std::move(code), exit, offset});
  };
  tiktoken("sound", "YQ== 0\nYg== 1\r\n\nYWI= 2", "w:TK06", "");
  tiktoken("any_order", "YWI= 2\nYg== 1\nYQ== 0\n", "w:TK06", "");
  tiktoken("unmade", "YQ== 0\nYWI= 1\n", "w:TK03", "");
  tiktoken("empty", "\n", "TK02", "\n");
  tiktoken("base64", "YQ== 0\nA=== 1\n", "TK02", "A===");
  tiktoken("no_rank", "YQ==\n", "TK02", "YQ==");
  tiktoken("rank_text", "YQ== 0\nYg== -1\n", "TK02", "Yg==");
  tiktoken("rank_large", "YQ== 4194304\n", "TK02", "YQ==");
  tiktoken("gap", "YQ== 0\nYg== 2\n", "TK02", "Yg==");
  tiktoken("one_rank", "YQ== 0\nYg== 0\n", "TK02", "Yg==");
  tiktoken("one_token", "YQ== 0\nYQ== 1\n", "TK02", "");
  tiktoken("no_token", " 0\n", "TK05", " 0");
  std::string allowed, too_long;  // 1024 bytes of 0, and 3 more
  for (int i = 0; i < 341; ++i) allowed += "AAAA";
  too_long = allowed + "AAAA 0\n";
  tiktoken("longest", allowed + "AA== 0\n", "w:TK03", "");
  tiktoken("too_long", too_long, "TK05", "AAAA");
  Case large = {"tk_020", {{"tokenizer.json", tokenizer(kVocab)}}, "TK05", 65, {}};
  large.files.emplace_back("tokenizer_config.json",
                           "{\"chat_template\": \"" + std::string((1 << 20) + 1, 'x') + "\"}");
  out.push_back(large);
  out.push_back({"tk_021",
                 {{"tokenizer.json", tokenizer(kVocab)}, {"tokenizer.model", sound()}},
                 "w:TK06",
                 0,
                 {}});
  return out;
}

TEST(ListedVocabulary, GapsAreFilledAsInOtherRoutes) {
  const testing::TemporaryDirectory directory;
  directory.write(
      "tokenizer.json",
      R"({"decoder": {"type": "Sequence"}, "added_tokens": [{"id": 9, "content": "<x>"}], )"
      R"("model": {"type": "BPE", "byte_fallback": true, "vocab": {"a": 0, "b": 2}, "merges": []}})");
  const Directory opened(directory.path(), true);
  Warnings warnings;
  Metadata metadata;
  const auto config = JsonDocument::parse("{}", "config.json", JsonRules{}, nullptr);
  append_vocabulary({opened, config->root(), {VocabularyRoute::llama_hf}, 0, {}}, metadata,
                    warnings);
  using Tokens = std::vector<std::string>;
  using Types = std::vector<std::int32_t>;
  const auto list = [&](const char* key) { return *metadata.get<MetaArray>(key); };
  // The added token has the first id that transformers counts as free, whoever has it.
  EXPECT_EQ(std::get<Tokens>(list("tokenizer.ggml.tokens")), (Tokens{"a", "[PAD1]", "<x>"}));
  EXPECT_EQ(std::get<Types>(list("tokenizer.ggml.token_type")), (Types{1, 5, 4}));
}

// case-tk-016, and the same for the other files of tokenizers. Holes, not bytes.
TEST(SizeLimits, ReadNothingOfALargerFile) {
  constexpr std::uint64_t kMaxBytes = std::uint64_t{256} << 20;
  for (const char* name : {"tokenizer.json", "tekken.json", "tiktoken.model", "vocab.json"}) {
    SCOPED_TRACE(name);
    const testing::TemporaryDirectory directory;
    directory.write("tokenizer_config.json", R"({"tokenizer_class": "GPT2Tokenizer"})");
    directory.write(name, "");
    std::filesystem::resize_file(directory.path_of(name), kMaxBytes + 1);
    const Directory opened(directory.path(), true);
    Warnings warnings;
    Metadata metadata;
    const auto config = JsonDocument::parse("{}", "config.json", JsonRules{}, nullptr);
    const VocabularyRequest request{
        opened,
        config->root(),
        {VocabularyRoute::tekken, VocabularyRoute::byte_level_bpe, VocabularyRoute::tiktoken_kimi},
        0,
        {}};
    try {
      append_vocabulary(request, metadata, warnings);
      ADD_FAILURE() << "not refused";
    } catch (const Error& error) {
      EXPECT_EQ(code_name(error.code()), "JS06") << error.what();
      EXPECT_EQ(exit_status(error.code()), 65);
      EXPECT_EQ(error.problem().file, directory.path_of(name));
    }
  }
}

TEST(Merges, AMillionInAdversarialOrderAreRead) {
  // Every merge of two of a thousand tokens, the longest ranks first.
  std::string vocab, merges;
  constexpr int kTokens = 1000;
  int id = 0;
  for (int a = 0; a < kTokens; ++a)
    vocab += "\"" + std::to_string(a) + ".\": " + std::to_string(id++) + ",";
  for (int a = kTokens; a-- > 0;)
    for (int b = kTokens; b-- > 0;) {
      const std::string left = std::to_string(a) + ".", right = std::to_string(b) + ".";
      vocab += "\"" + left + right + "\": " + std::to_string(id++) + ",";
      merges += "\"" + left + " " + right + "\",";
    }
  vocab.pop_back();
  merges.pop_back();
  const testing::TemporaryDirectory directory;
  directory.write("tokenizer.json", tokenizer(vocab, merges));
  const Directory opened(directory.path(), true);
  Warnings warnings;
  Metadata metadata;
  const auto config = JsonDocument::parse("{}", "config.json", JsonRules{}, nullptr);
  append_vocabulary({opened, config->root(), {VocabularyRoute::byte_level_bpe}, 0, {}}, metadata,
                    warnings);
  const auto* list = metadata.get<MetaArray>("tokenizer.ggml.merges");
  ASSERT_NE(list, nullptr);
  EXPECT_EQ(element_count(*list), std::uint64_t{kTokens} * kTokens);
}

class VocabularyCase : public ::testing::TestWithParam<Case> {};

TEST_P(VocabularyCase, IsRefusedOrAcceptedAsTheTableSays) {
  const Case& row = GetParam();
  const testing::TemporaryDirectory directory;
  for (const auto& [name, content] : row.files) directory.write(name, content);
  const Directory opened(directory.path(), true);
  Warnings warnings;
  const auto config = JsonDocument::parse(row.config, "config.json", JsonRules{}, nullptr);
  Metadata metadata;
  const VocabularyRequest request{
      opened,
      config->root(),
      {VocabularyRoute::tekken, VocabularyRoute::sentencepiece, VocabularyRoute::llama_hf,
       VocabularyRoute::byte_level_bpe, VocabularyRoute::tiktoken_kimi},
      row.rows,
      {}};
  const bool accepted = row.exit == 0;
  try {
    append_vocabulary(request, metadata, warnings);
    ASSERT_TRUE(accepted) << "not refused";
  } catch (const Error& error) {
    ASSERT_FALSE(accepted) << error.what();
    EXPECT_EQ(code_name(error.code()), row.code) << error.what();
    EXPECT_EQ(exit_status(error.code()), row.exit);
    EXPECT_EQ(error.problem().offset, row.offset) << error.what();
    return;
  }
  EXPECT_NE(metadata.find("tokenizer.ggml.tokens"), nullptr);
  bool warned = row.code.empty();
  for (const Warnings::Entry& entry : warnings.entries())
    warned = row.code.empty()
                 ? false
                 : warned || "w:" + std::string(code_name(entry.first.code)) == row.code;
  EXPECT_TRUE(warned);
}

const auto name_of = [](const auto& row) { return row.param.id; };
INSTANTIATE_TEST_SUITE_P(SentencePiece, VocabularyCase, ::testing::ValuesIn(sentencepiece_cases()),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Json, VocabularyCase, ::testing::ValuesIn(json_cases()), name_of);

}  // namespace
}  // namespace quantize
