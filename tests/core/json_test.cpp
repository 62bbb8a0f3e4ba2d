#include "core/json.hpp"

#include <chrono>
#include <limits>

#include <gtest/gtest.h>

namespace quantize {
namespace {

std::unique_ptr<JsonDocument> parsed(std::string text, Warnings* warnings = nullptr,
                                     const JsonRules& rules = {}) {
  return JsonDocument::parse(std::move(text), "f.json", rules, warnings);
}

TEST(Json, ReadsEveryKindOfValue) {
  const auto document = parsed(
      R"( {"n":null,"t":true,"f":false,"i":-12,"d":2.5e1,"s":"x","a":[1,[],{}],"o":{"p":{}}} )");
  const Json root = document->root();
  ASSERT_TRUE(root.is_object());
  EXPECT_EQ(root.offset(), 1u);
  EXPECT_EQ(root.size(), 8u);
  EXPECT_TRUE(root.find("n")->is_null());
  EXPECT_TRUE(root.find("t")->boolean());
  EXPECT_FALSE(root.find("f")->boolean());
  EXPECT_EQ(root.find("i")->as_i64(), -12);
  EXPECT_EQ(root.find("i")->as_u64(), std::nullopt);
  EXPECT_EQ(root.find("d")->as_double(), 25.0);
  EXPECT_FALSE(root.find("d")->is_integer());
  EXPECT_EQ(root.find("s")->string(), "x");
  EXPECT_EQ(root.find("missing"), std::nullopt);
  const Json array = *root.find("a");
  EXPECT_EQ(array.size(), 3u);
  EXPECT_EQ(array.key(), "a");
  EXPECT_EQ(array.first_child().next_sibling().size(), 0u);
  EXPECT_EQ(array.first_child().next_sibling().pointer(), "/a/1");
  EXPECT_EQ(root.find("o")->find("p")->pointer(), "/o/p");
  std::string keys;
  for (const Json child : root.children()) keys += child.key();
  EXPECT_EQ(keys, "ntfidsao");
  EXPECT_FALSE(root.next_sibling());
}

TEST(Json, DecodesStringsExactly) {
  const auto document = parsed(R"(["a\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\uD83D\uDE00\u0000z","é"])");
  const Json first = document->root().first_child();
  EXPECT_EQ(first.string(),
            std::string_view("a\"\\/\b\f\n\r\tA\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\0z", 21));
  EXPECT_EQ(first.next_sibling().string(), "é");
}

TEST(Json, ReadsNumbersExactly) {
  const auto document = parsed(
      "[9223372036854775807,9223372036854775808,18446744073709551615,"
      "18446744073709551616,0.1,1e-400,-0.0001e-400,1e400,NaN,-Infinity,-0]");
  std::vector<Json> v;
  for (const Json child : document->root().children()) v.push_back(child);
  EXPECT_EQ(v[0].as_i64(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(v[1].as_i64(), std::nullopt);
  EXPECT_EQ(v[2].as_u64(), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(v[3].as_u64(), std::nullopt);
  EXPECT_EQ(v[3].as_double(), 18446744073709551616.0);
  EXPECT_EQ(v[4].as_double(), 0.1);
  EXPECT_EQ(v[5].as_double(), 0.0);
  EXPECT_EQ(v[6].as_double(), 0.0);
  EXPECT_EQ(v[7].as_double(), std::nullopt);
  EXPECT_TRUE(v[8].is_number());
  EXPECT_EQ(v[8].as_double(), std::nullopt);
  EXPECT_EQ(v[9].as_double(), std::nullopt);
  EXPECT_FALSE(v[9].is_integer());
  EXPECT_EQ(v[10].as_i64(), 0);
}

struct Refusal {
  const char* id;
  std::string text;
  ErrorCode code;
  std::uint64_t offset;
};

std::string repeated(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

class JsonRefusals : public ::testing::TestWithParam<Refusal> {};

TEST_P(JsonRefusals, NameCodeAndPlace) {
  try {
    parsed(GetParam().text);
    ADD_FAILURE() << "was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(code_name(error.code()), code_name(GetParam().code)) << error.what();
    EXPECT_EQ(error.problem().offset, GetParam().offset) << error.what();
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, JsonRefusals,
    ::testing::Values(
        Refusal{"case_js_001", "", ErrorCode::JS01, 0},
        Refusal{"case_js_001_spaces", "  ", ErrorCode::JS01, 2},
        Refusal{"case_js_002", "\xEF\xBB\xBF{}", ErrorCode::JS02, 0},
        Refusal{"case_js_003", std::string("\xFF\xFE{\0}\0", 6), ErrorCode::JS02, 0},
        Refusal{"case_js_003_be", std::string("\0{\0}", 4), ErrorCode::JS02, 0},
        Refusal{"case_js_004", repeated("[", 65) + repeated("]", 65), ErrorCode::JS03, 64},
        Refusal{"case_js_005_arrays", repeated("[", 100000), ErrorCode::JS03, 64},
        Refusal{"case_js_005_objects", repeated("{\"a\":", 100000), ErrorCode::JS03, 64 * 5},
        Refusal{"case_js_010", "{} x", ErrorCode::JS01, 3},
        Refusal{"case_js_012", std::string("{\"a\":\0 1}", 9), ErrorCode::JS02, 5},
        Refusal{"case_js_012_after", std::string("{}\0", 3), ErrorCode::JS02, 2},
        Refusal{"case_js_013", "{\"a\":\"x\ny\"}", ErrorCode::JS01, 7},
        Refusal{"case_js_014", "{\"a\":\"x\\ud800\"}", ErrorCode::JS02, 7},
        Refusal{"case_js_014_low", "[\"\\udc00\\ud800\"]", ErrorCode::JS02, 2},
        Refusal{"case_js_014_two", "[\"\\ud800\\ud800\"]", ErrorCode::JS02, 2},
        Refusal{"case_js_017", "[" + repeated("1", 10000) + "]", ErrorCode::JS05, 1},
        Refusal{"leading_zero", "[02]", ErrorCode::JS05, 1},
        Refusal{"no_fraction", "[1.]", ErrorCode::JS05, 1},
        Refusal{"no_exponent", "[1e]", ErrorCode::JS05, 1},
        Refusal{"minus", "[-]", ErrorCode::JS05, 1},
        Refusal{"two_numbers", "[1 2]", ErrorCode::JS01, 3},
        Refusal{"comma_in_array", "[1,]", ErrorCode::JS01, 3},
        Refusal{"comma_in_object", "{\"a\":1,}", ErrorCode::JS01, 7},
        Refusal{"comma_first", "[,1]", ErrorCode::JS01, 1},
        Refusal{"no_colon", "{\"a\" 1}", ErrorCode::JS01, 5},
        Refusal{"number_key", "{1:2}", ErrorCode::JS01, 1},
        Refusal{"single_quotes", "['a']", ErrorCode::JS01, 1},
        Refusal{"comment", "{/* */}", ErrorCode::JS01, 1},
        Refusal{"crossed", "[}", ErrorCode::JS01, 1}, Refusal{"unclosed", "[1", ErrorCode::JS01, 2},
        Refusal{"open_string", "[\"abc", ErrorCode::JS01, 1},
        Refusal{"open_escape", "[\"abc\\", ErrorCode::JS01, 5},
        Refusal{"bad_escape", "[\"\\x41\"]", ErrorCode::JS01, 2},
        Refusal{"short_escape", "[\"\\u12g4\"]", ErrorCode::JS01, 2},
        Refusal{"cut_escape", "[\"\\u12", ErrorCode::JS01, 2},
        Refusal{"word", "[nul]", ErrorCode::JS01, 1},
        Refusal{"overlong", "[\"\xC0\x80\"]", ErrorCode::JS02, 2},
        Refusal{"encoded_surrogate", "[\"\xED\xA0\x80\"]", ErrorCode::JS02, 2}),
    [](const auto& row) { return std::string(row.param.id); });

TEST(Json, TheLastOfDuplicateKeysCounts) {
  for (const int fillers : {0, 100}) {  // a scanned object and an indexed one
    std::string text = "{\"a\":1,\"b\":{\"x\":1,\"x\":[2]},\"\\u0061\":2,";
    for (int i = 0; i < fillers; ++i)
      text += "\"k" + std::to_string(i) + "\":" + std::to_string(i) + ',';
    text += "\"a\":3}";
    Warnings warnings;
    const auto document = parsed(text, &warnings);
    const Json root = document->root();
    EXPECT_EQ(root.find("a")->as_i64(), 3);
    EXPECT_EQ(root.size(), 2u + static_cast<std::size_t>(fillers));
    EXPECT_EQ(root.first_child().key(), "b");
    EXPECT_EQ(root.find("b")->size(), 1u);
    EXPECT_EQ(root.find("b")->find("x")->pointer(), "/b/x");
    for (int i = 0; i < fillers; ++i) EXPECT_EQ(root.find("k" + std::to_string(i))->as_i64(), i);
    EXPECT_EQ(root.find("k100"), std::nullopt);
    ASSERT_EQ(warnings.entries().size(), 1u);
    EXPECT_EQ(warnings.entries()[0].first.code, ErrorCode::JS04);
    EXPECT_EQ(warnings.entries()[0].first.offset, 18u);

    JsonRules strict;
    strict.duplicates_are_errors = true;
    EXPECT_THROW(parsed(text, nullptr, strict), Error);
  }
}

TEST(Json, KeepsLoneSurrogatesWhereAsked) {
  JsonRules rules;
  rules.lone_surrogates_are_errors = false;
  const auto document = parsed("[\"\\ud800x\",\"\\ud800\\u0041\"]", nullptr, rules);
  EXPECT_EQ(document->root().first_child().string(), "\xED\xA0\x80x");
  EXPECT_EQ(document->root().first_child().next_sibling().string(),
            "\xED\xA0\x80"
            "A");
}

TEST(Json, AcceptsTheDeepestAllowedText) {
  const auto document = parsed(repeated("[", 64) + repeated("]", 64));
  EXPECT_EQ(document->root().size(), 1u);
}

// Quadratic work would take minutes here.
TEST(Json, TakesTheTimeOfItsLength) {
  std::string text = "{\"v\":{";
  for (int i = 0; i < 1000000; ++i)
    text += "\"token " + std::to_string(i) + "\":" + std::to_string(i) + ',';
  text.back() = '}';
  text += '}';
  const auto start = std::chrono::steady_clock::now();
  const auto document = parsed(text);
  const Json vocabulary = *document->root().find("v");
  std::int64_t sum = 0;
  for (int i = 0; i < 1000000; i += 10)
    sum += *vocabulary.find("token " + std::to_string(i))->as_i64();
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(sum, std::int64_t{10} * 99999 * 100000 / 2);
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
  RecordProperty("milliseconds", static_cast<int>(milliseconds));
  EXPECT_LT(milliseconds, 10000);
}

}  // namespace
}  // namespace quantize
