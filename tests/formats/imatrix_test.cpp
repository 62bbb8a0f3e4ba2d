// Importance matrices in both forms: values, and every way that they can be wrong (QZ-17).
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "quantize/importance.hpp"

#include "support/gguf_builder.hpp"
#include "support/temporary_directory.hpp"

namespace quantize {
namespace {

using testing::GgufBuilder;
using testing::GgufImage;
using testing::little_endian;
using testing::TemporaryDirectory;

std::string floats(const std::vector<float>& values) {
  std::string out;
  for (const float v : values) out += little_endian(std::bit_cast<std::uint32_t>(v), 4);
  return out;
}
std::string i32(std::int32_t value) { return little_endian(static_cast<std::uint32_t>(value), 4); }

GgufBuilder head() {
  return GgufBuilder()
      .key("general.type", std::string("imatrix"))
      .key("imatrix.datasets", MetaArray(std::vector<std::string>{"wiki.txt", "b"}))
      .key("imatrix.chunk_count", std::uint32_t{7})
      .key("imatrix.chunk_size", std::uint32_t{512});
}
GgufBuilder& entry(GgufBuilder& builder, const std::string& name, std::vector<float> sums,
                   std::vector<float> counts) {
  const std::uint64_t matrices = counts.size(), columns = sums.size() / matrices;
  return builder.tensor(name + ".in_sum2", DType::f32, Shape{matrices, columns}, floats(sums))
      .tensor(name + ".counts", DType::f32, Shape{matrices, 1}, floats(counts));
}
GgufImage sound() {
  GgufBuilder builder = head();
  entry(builder, "blk.1.ffn_up.weight", {1, 2, 3, 4}, {3});
  entry(builder, "blk.0.ffn_up_exps.weight", {6, 3, 8, 4}, {3, 0});
  return builder.build();
}

std::string legacy() {
  return i32(2) + i32(3) + "b.w" + i32(4) + i32(2) + floats({8, 2}) + i32(3) + "a.w" + i32(0) +
         i32(1) + floats({5}) + i32(9) + i32(3) + "set";
}

ImportanceData load(const std::string& bytes) {
  const TemporaryDirectory scratch;
  Warnings strict;
  strict.make_all_fatal();
  return load_importance(scratch.write("imatrix", bytes), strict);
}

TEST(Importance, GgufFormIsNormalisedByItsCounts) {
  const TemporaryDirectory scratch;
  Warnings warnings;
  const std::string path = scratch.write("imatrix.gguf", sound().bytes);
  const ImportanceData data = load_importance(path, warnings);
  EXPECT_EQ(data.name, path);
  EXPECT_EQ(data.chunks, 7u);
  EXPECT_EQ(data.datasets, (std::vector<std::string>{"wiki.txt", "b"}));
  ASSERT_EQ(data.entries.size(), 2u);
  EXPECT_EQ(data.entries[0].name, "blk.0.ffn_up_exps.weight");
  EXPECT_EQ(data.entries[0].weights, (std::vector<float>{2, 1, 1, 1}));  // no token: all alike
  const ImportanceEntry* up = data.find("blk.1.ffn_up.weight");
  ASSERT_NE(up, nullptr);
  EXPECT_EQ(up->weights, (std::vector<float>{1.0f / 3, 2.0f / 3, 1.0f, 4.0f / 3}));
  EXPECT_EQ(data.find("blk.1.ffn_up"), nullptr);
  EXPECT_EQ(data.find("blk.2"), nullptr);
}

TEST(Importance, CountsRoundToWholeTokens) {
  GgufBuilder builder = head();
  entry(builder, "a", {6, 9}, {2.5f});
  entry(builder, "b", {6, 9}, {0.4f});
  const ImportanceData data = load(builder.build().bytes);
  EXPECT_EQ(data.find("a")->weights, (std::vector<float>{2, 3}));
  EXPECT_EQ(data.find("b")->weights, (std::vector<float>{1, 1}));
}

TEST(Importance, LegacyFormIsDividedByItsCalls) {
  const ImportanceData data = load(legacy());
  EXPECT_EQ(data.chunks, 9u);
  EXPECT_EQ(data.datasets, (std::vector<std::string>{"set"}));
  EXPECT_EQ(data.find("b.w")->weights, (std::vector<float>{2, 0.5f}));
  EXPECT_EQ(data.find("a.w")->weights, (std::vector<float>{5}));
}

TEST(Importance, LegacyFormNeedsNoTrailer) {
  const std::string bytes = legacy();
  const ImportanceData data = load(bytes.substr(0, bytes.size() - 11));
  EXPECT_EQ(data.chunks, 0u);
  EXPECT_TRUE(data.datasets.empty());
  EXPECT_EQ(data.entries.size(), 2u);
}

TEST(Importance, EntriesAreChosenByPartsOfNames) {
  ImportanceData data = load(sound().bytes);
  ImportanceData some = data;
  filter_importance(some, {"exps"}, {});
  ASSERT_EQ(some.entries.size(), 1u);
  EXPECT_EQ(some.entries[0].name, "blk.0.ffn_up_exps.weight");
  filter_importance(data, {}, {"exps", "blk.1"});
  EXPECT_TRUE(data.entries.empty());
}

// ---- what is refused

struct Wrong {
  const char* about;
  std::function<std::pair<std::string, std::optional<std::uint64_t>>()> make;
};

std::pair<std::string, std::optional<std::uint64_t>> with_sum(float value) {
  GgufBuilder builder = head();
  entry(builder, "a", {1, value}, {3});
  const GgufImage image = builder.build();
  return {image.bytes, image.at("data a.in_sum2") + 4};
}

TEST(Importance, WhatIsWrongIsRefusedWithItsPlace) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const std::vector<Wrong> rows = {
      {"case-qz-017a: NaN", [] { return with_sum(kNan); }},
      {"infinity", [] { return with_sum(kInf); }},
      {"case-qz-017b: negative", [] { return with_sum(-1); }},
      {"count NaN",
       [] {
         GgufBuilder builder = head();
         entry(builder, "a", {1, 2}, {kNan});
         const GgufImage image = builder.build();
         return std::pair(image.bytes, std::optional(image.at("data a.counts")));
       }},
      {"case-qz-017c: length is no multiple of the counts",
       [] {
         const GgufImage image = head()
                                     .tensor("a.in_sum2", DType::f32, Shape{3}, floats({1, 2, 3}))
                                     .tensor("a.counts", DType::f32, Shape{2, 1}, floats({1, 2}))
                                     .build();
         return std::pair(image.bytes, std::optional(image.at("dim a.in_sum2 0")));
       }},
      {"case-qz-017d: sums without counts",
       [] {
         const GgufImage image = head().tensor("a.in_sum2", DType::f32, Shape{3}).build();
         return std::pair(image.bytes, std::optional(image.at("tensor a.in_sum2")));
       }},
      {"a tensor that is neither",
       [] {
         const GgufImage image = head().tensor("a.weight", DType::f32, Shape{3}).build();
         return std::pair(image.bytes, std::optional(image.at("tensor a.weight")));
       }},
      {"sums in f16",
       [] {
         const GgufImage image = head()
                                     .tensor("a.in_sum2", DType::f16, Shape{3})
                                     .tensor("a.counts", DType::f32, Shape{1})
                                     .build();
         return std::pair(image.bytes, std::optional(image.at("dtype a.in_sum2")));
       }},
      {"no entry", [] { return std::pair(head().build().bytes, std::optional<std::uint64_t>()); }},
      {"a key is missing",
       [] {
         GgufBuilder builder;
         entry(builder, "a", {1}, {1});
         return std::pair(builder.build().bytes, std::optional<std::uint64_t>());
       }},
      {"a key is of another type",
       [] {
         GgufBuilder builder;
         builder.key("imatrix.datasets", std::string("x"));
         entry(builder, "a", {1}, {1});
         const GgufImage image = builder.build();
         return std::pair(image.bytes, std::optional(image.at("value imatrix.datasets")));
       }},
      {"legacy: empty", [] { return std::pair(std::string(), std::optional<std::uint64_t>(0)); }},
      {"legacy: no entries",
       [] { return std::pair(i32(0) + i32(0), std::optional<std::uint64_t>(0)); }},
      {"legacy: more entries than bytes",
       [] { return std::pair(i32(1000) + legacy().substr(4), std::optional<std::uint64_t>(0)); }},
      {"legacy: name longer than the rest",
       [] {
         return std::pair(i32(1) + i32(500) + "abc" + i32(1) + i32(1) + floats({1}),
                          std::optional<std::uint64_t>(4));
       }},
      {"legacy: negative number of values",
       [] {
         return std::pair(i32(1) + i32(1) + "a" + i32(1) + i32(-1) + floats({1}),
                          std::optional<std::uint64_t>(13));
       }},
      {"legacy: NaN",
       [] {
         return std::pair(i32(1) + i32(1) + "a" + i32(1) + i32(1) + floats({kNan}),
                          std::optional<std::uint64_t>(17));
       }},
      {"legacy: one entry twice",
       [] {
         const std::string one = i32(1) + "a" + i32(1) + i32(1) + floats({1});
         return std::pair(i32(2) + one + one, std::optional<std::uint64_t>());
       }},
      {"another kind of file",
       [] {
         return std::pair(std::string("<!DOCTYPE html>    "), std::optional<std::uint64_t>(0));
       }},
  };
  for (const Wrong& row : rows) {
    SCOPED_TRACE(row.about);
    const auto [bytes, offset] = row.make();
    try {
      load(bytes);
      ADD_FAILURE() << "accepted";
    } catch (const Error& e) {
      EXPECT_EQ(code_name(e.code()), "QZ07") << e.what();
      EXPECT_EQ(e.problem().offset, offset) << e.what();
    }
  }
}

TEST(Importance, EveryPrefixOfTheLegacyFormIsRefusedOrHasNoTrailer) {
  const std::string bytes = legacy();
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    if (length == bytes.size() - 11) continue;  // ends where the trailer would begin
    try {
      load(bytes.substr(0, length));
      ADD_FAILURE() << "accepted " << length << " bytes";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::QZ07);
    }
  }
}

}  // namespace
}  // namespace quantize
