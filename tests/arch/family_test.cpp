// Family files: the built-in ones are sound, and a word the program does not know is refused.
#include "arch/family.hpp"

#include <set>

#include <gtest/gtest.h>

namespace quantize {
namespace {

TEST(Family, BuiltInFamiliesAreFoundByModelName) {
  std::set<std::pair<FamilyPart, std::string>> models;
  for (const Family& family : builtin_families())
    for (const std::string& model : family.models)
      EXPECT_TRUE(models.emplace(family.part, model).second)
          << model << " belongs to two families of one part";
  ASSERT_NE(find_family("LlavaForConditionalGeneration", FamilyPart::projector), nullptr);
  EXPECT_EQ(find_family("LlavaForConditionalGeneration", FamilyPart::projector)->name,
            "llava-vision");
  EXPECT_EQ(find_family("LlavaForConditionalGeneration")->name, "llama");
  ASSERT_NE(find_family("MistralForCausalLM"), nullptr);
  EXPECT_EQ(find_family("MistralForCausalLM")->architectures[0].word, "llama");
  EXPECT_EQ(find_family("BertModel")->architectures[0].word, "bert");
  EXPECT_EQ(find_family("NoSuchModel"), nullptr);
}

TEST(Family, LayeredRulesMapLayersToLayers) {
  for (const Family& family : builtin_families())
    for (const TensorRule& rule : family.tensors)
      EXPECT_TRUE(rule.to.empty() || rule.to.find("blk.{n}") == std::string::npos ||
                  rule.from.find("{n}") != std::string::npos)
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
  refuse(R"("include": @"nothing"})", ErrorCode::CF06);
  refuse(R"("keys": [{"key": "k", "type": @"u33", "from": "a"}]})", ErrorCode::CF06);
  refuse(R"("tensors": [{"from": "a", "to": "b", "when": "a == @"}]})", ErrorCode::CF06);
  refuse(R"("tensors": [{"from": "a", "to": "b", "apply": {"slice": @["1"]}}]})", ErrorCode::CF03);
  refuse(
      R"("tensors": [{"from": "a", "to": "b", "apply": {"regroup": ["1", "2"], "take": [@1]}}]})",
      ErrorCode::CF04);
}

TEST(Family, AnInclusionIsTheGroundThatAFileChanges) {
  Warnings warnings;
  const Family family = parse_family(R"({"name": "x", "include": "decoder", "architecture": "y",
    "layer": "h.{n}", "tensors": [".self_attn.q_proj -> .attn_q", ".mlp.gate_proj -> gates.{n}"]})",
                                     "x.json", warnings);
  std::map<std::string, std::string> to;
  for (const TensorRule& rule : family.tensors) EXPECT_TRUE(to.emplace(rule.from, rule.to).second);
  EXPECT_EQ(to["h.{n}.self_attn.q_proj"], "blk.{n}.attn_q");
  EXPECT_EQ(to["h.{n}.mlp.gate_proj"], "gates.{n}");
  EXPECT_EQ(to["model.embed_tokens"], "token_embd");
  EXPECT_EQ(family.embedding, "token_embd.weight");
  EXPECT_TRUE(family.models.empty());
}

TEST(Expression, HasTheUsualStrengths) {
  const auto sizes = [](const char* text) {
    const Expression out = parse_expression(text, "f", 0);
    return std::pair(out.nodes.back().op, out.nodes.size());
  };
  using Op = Expression::Op;
  EXPECT_EQ(sizes("a+b*c"), std::pair(Op::add, std::size_t{5}));
  EXPECT_EQ(sizes("a*b|c"), std::pair(Op::either, std::size_t{5}));
  EXPECT_EQ(sizes("(a|b)*c"), std::pair(Op::multiply, std::size_t{5}));
  EXPECT_EQ(sizes("not a == 'x' and b"), std::pair(Op::both, std::size_t{6}));
  EXPECT_EQ(sizes("a ? b : c or d"), std::pair(Op::choose, std::size_t{6}));
  EXPECT_EQ(sizes("int(a.b[n] // 2)"), std::pair(Op::call, std::size_t{6}));
  EXPECT_EQ(sizes("orange"), std::pair(Op::name, std::size_t{1}));
  for (const char* wrong :
       {"", "a b", "a +", "(a", "f(a)", "a[1", "'x", "99999999999999999999", "min(a)"})
    EXPECT_THROW(parse_expression(wrong, "f", 0), Error) << wrong;
  EXPECT_THROW(parse_expression(std::string(1000, '('), "f", 0), Error);
  std::string sum = "a";
  for (int i = 0; i < 1000; ++i) sum += "+a";
  EXPECT_THROW(parse_expression(sum, "f", 0), Error);
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
