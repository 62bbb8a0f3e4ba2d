// Family files: the built-in ones are sound, and a word the program does not know is refused.
#include "arch/family.hpp"

#include <set>

#include <gtest/gtest.h>

namespace quantize {
namespace {

TEST(Family, BuiltInFamiliesAreFoundByModelName) {
  std::set<std::string> models;
  for (const Family& family : builtin_families())
    for (const std::string& model : family.models)
      EXPECT_TRUE(models.insert(model).second) << model << " belongs to two families";
  ASSERT_NE(find_family("MistralForCausalLM"), nullptr);
  EXPECT_EQ(find_family("MistralForCausalLM")->architecture, "llama");
  EXPECT_EQ(find_family("BertModel")->architecture, "bert");
  EXPECT_EQ(find_family("NoSuchModel"), nullptr);
}

TEST(Family, LayeredRulesMapLayersToLayers) {
  for (const Family& family : builtin_families())
    for (const TensorRule& rule : family.tensors)
      EXPECT_EQ(rule.from.find("{n}") == std::string::npos,
                rule.to.find("{n}") == std::string::npos)
          << rule.from;
}

TEST(Family, UnknownWordsAreRefusedWithTheirPlace) {
  const std::string head = R"({"name": "x", "architecture": "x", "embedding": "t", )";
  const auto refuse = [&](const std::string& rest, ErrorCode code) {
    const std::size_t mark = rest.find('@');
    std::string text = head + rest;
    text.erase(head.size() + mark, 1);
    Warnings warnings;
    try {
      parse_family(text, "x.json", warnings);
      ADD_FAILURE() << "accepted: " << rest;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_EQ(error.problem().offset, head.size() + mark) << error.what();
    }
  };
  refuse(R"("tensor": @[]})", ErrorCode::CF06);
  refuse(R"("tensors": [{"from": "a", "to": "b", "apply": @"twist"}]})", ErrorCode::CF06);
  refuse(R"("tensors": [{"from": "a", "to": "b", "shapes": @[]}]})", ErrorCode::CF06);
  refuse(R"("tensors": [@{"from": "a"}]})", ErrorCode::CF02);
  refuse(R"("keys": [{"key": "k", "from": @1}]})", ErrorCode::CF03);
  refuse(R"("generate": [@"stars"]})", ErrorCode::CF06);
}

TEST(Family, GlobsMatchWholeNames) {
  EXPECT_TRUE(matches_glob("a*c", "abbc"));
  EXPECT_TRUE(matches_glob("*.bias", "x.bias"));
  EXPECT_TRUE(matches_glob("a*b*c", "a-b-b-c"));
  EXPECT_FALSE(matches_glob("a*c", "abcd"));
  EXPECT_FALSE(matches_glob("abc", "ab"));
  EXPECT_FALSE(matches_glob("", "a"));
  EXPECT_TRUE(matches_glob("*", ""));
}

}  // namespace
}  // namespace quantize
