// `inspect` prints what a file holds and nothing that could act on a terminal (table 9.8).
#include "quantize/inspect.hpp"

#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/memory_source.hpp"

namespace quantize {
namespace {

using testing::MemorySource;

std::string inspect(const Source& source, bool json = false, bool full = false) {
  std::ostringstream out;
  write_inspection(source, {json, full}, out);
  return out.str();
}

// Printable ASCII and newlines, and no line that begins with text of the input.
void expect_inert(const std::string& text, bool json) {
  bool line_start = true;
  for (const char c : text) {
    ASSERT_TRUE(c == '\n' || (c >= 0x20 && c < 0x7F)) << static_cast<int>(c);
    if (line_start) {
      ASSERT_NE(c, ':');
      ASSERT_NE(c, '#');
    }
    line_start = c == '\n';
  }
  if (json) {
    ASSERT_TRUE(nlohmann::json::accept(text)) << text.substr(0, 2000);
  }
}

MemorySource with_text(const std::string& text) {
  MemorySource source("/models/" + text, "safetensors");
  source.meta.append("general.architecture", text);
  source.meta.append(text, std::string("value"));
  source.meta.append("list", MetaArray(std::vector<std::string>{text, "b"}));
  source.add(text, DType::f32, Shape{1}, "1234");
  return source;
}

TEST(Inspect, ShowsTheHeadTheMetadataAndTheTensors) {
  MemorySource source("model.gguf");
  source.meta.append("general.architecture", std::string("llama"));
  source.meta.append("llama.block_count", std::uint32_t{2});
  source.meta.append("llama.eps", 1e-5f);
  source.meta.append("x.flag", true);
  source.meta.append("x.ids", MetaArray(std::vector<std::int32_t>{1, -2, 3}));
  source.add("a.weight", DType::q8_0, Shape{2, 32}, std::string(68, 'x'));
  source.add("b", DType::f32, Shape{64}, std::string(256, 'x'));
  const std::string text = inspect(source);
  for (const char* part : {"\"model.gguf\"", "Tensors   2", "Weights   128",
                           "Data      324 bytes, 20.2500 bits", "1 x q8_0", "1 x f32", "\"llama\"",
                           "1e-05", "true", "i32[3]", "[1, -2, 3]", "a.weight", "[2, 32]"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  const auto json = nlohmann::json::parse(inspect(source, true));
  EXPECT_EQ(json["schema"], "quantize-inspect-1");
  EXPECT_EQ(json["weights"], 128);
  EXPECT_EQ(json["bits_per_weight"], 20.25);
  EXPECT_EQ(json["metadata"][1]["value"], 2);
  EXPECT_EQ(json["metadata"][2]["value"], 1e-5);
  EXPECT_EQ(json["metadata"][4]["first"], nlohmann::json({1, -2, 3}));
  EXPECT_EQ(json["tensors"][0]["shape"], nlohmann::json({2, 32}));
  EXPECT_EQ(json["tensors"][1]["offset"], 68);
}

TEST(Inspect, AnEmptyFileIsShownToo) {
  const MemorySource source("empty.gguf");
  EXPECT_NE(inspect(source).find("Tensors   0"), std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(inspect(source, true))["bits_per_weight"], nullptr);
}

TEST(Inspect, LongValuesAreSizeAndDigestUnlessAskedFor) {
  MemorySource source;
  source.meta.append("template", std::string(201, 'a'));
  source.meta.append("ids", MetaArray(std::vector<std::uint32_t>(100, 7)));
  const std::string text = inspect(source);
  EXPECT_NE(text.find("201 bytes, SHA-256 "), std::string::npos);
  EXPECT_EQ(text.find("aaaa"), std::string::npos);
  EXPECT_NE(text.find("u32[100]"), std::string::npos);
  EXPECT_NE(text.find("7, ...]"), std::string::npos);
  EXPECT_NE(inspect(source, false, true).find(std::string(201, 'a')), std::string::npos);
  const auto json = nlohmann::json::parse(inspect(source, true));
  EXPECT_EQ(json["metadata"][0]["bytes"], 201);
  EXPECT_EQ(json["metadata"][0]["sha256"].get<std::string>().size(), 64u);
  EXPECT_EQ(json["metadata"][1]["count"], 100);
  EXPECT_EQ(json["metadata"][1]["first"].size(), 8u);
  const auto all = nlohmann::json::parse(inspect(source, true, true));
  EXPECT_EQ(all["metadata"][0]["value"], std::string(201, 'a'));
  EXPECT_EQ(all["metadata"][1]["value"].size(), 100u);
}

TEST(Inspect, NumbersThatJsonLacksAreObjects) {
  MemorySource source;
  source.meta.append("nan", std::numeric_limits<float>::quiet_NaN());
  source.meta.append("inf", -std::numeric_limits<double>::infinity());
  source.meta.append("u64", std::numeric_limits<std::uint64_t>::max());
  const auto json = nlohmann::json::parse(inspect(source, true));
  EXPECT_EQ(json["metadata"][0]["value"], nlohmann::json({{"float", "nan"}}));
  EXPECT_EQ(json["metadata"][1]["value"], nlohmann::json({{"float", "-inf"}}));
  EXPECT_EQ(json["metadata"][2]["value"], std::numeric_limits<std::uint64_t>::max());
}

TEST(Inspect, TextThatIsNotUtf8IsAnObject) {
  const auto json = nlohmann::json::parse(inspect(with_text("a\xFF"), true));
  EXPECT_EQ(json["tensors"][0]["name"], nlohmann::json({{"hex", "61ff"}}));
  EXPECT_EQ(json["metadata"][1]["key"], nlohmann::json({{"hex", "61ff"}}));
}

// case-es-001 to case-es-011 of the escaping table.
TEST(Inspect, NothingThatActsOnATerminalPasses) {
  std::vector<std::string> texts = {
      "\x1B[2J\x1B]0;title\x07\x1B]8;;x\x1BP",
      "a\rb\bc\vd",
      "x\n::error::x\n##vso[x]",
      "\xC3\x28",
      "\xFF",
      "ab\xE2\x82",
      "\\u001b \\x1b \\n",
      "|`<script>[x](y)",
      "=1+1",
      "\xE2\x80\xAE\xE2\x80\x8B\xE2\x80\xA8\xF3\xA0\x80\x81\xEF\xBB\xBF",
      "#x",
      "::notice::x"};
  for (int byte = 0; byte < 0x20; ++byte) texts.emplace_back(1, static_cast<char>(byte));
  texts.emplace_back("\x7F");
  for (int c = 0x80; c < 0xA0; ++c) texts.push_back(std::string("\xC2") + static_cast<char>(c));
  for (const std::string& text : texts) {
    const MemorySource source = with_text(text);
    for (const bool full : {false, true}) {
      expect_inert(inspect(source, false, full), false);
      expect_inert(inspect(source, true, full), true);
    }
  }
  EXPECT_NE(inspect(with_text("\\n")).find("\\\\n"), std::string::npos);
}

// case-es-010
TEST(Inspect, AValueOfTenMegabytesIsOneLine) {
  MemorySource source;
  source.meta.append("big", std::string(10'000'000, '\x1B'));
  const std::string text = inspect(source);
  EXPECT_LT(text.size(), 1000u);
  EXPECT_NE(text.find("10000000 bytes"), std::string::npos);
}

// case-es-012: every scalar value, a batch per name.
TEST(Inspect, EveryCodePointIsPrintedAsAscii) {
  MemorySource source;
  std::string name;
  const auto put = [&name](std::uint32_t c) {
    const auto tail = [&](int shift) { name += static_cast<char>(0x80u | ((c >> shift) & 0x3Fu)); };
    if (c < 0x80) {
      name += static_cast<char>(c);
    } else if (c < 0x800) {
      name += static_cast<char>(0xC0u | (c >> 6));
      tail(0);
    } else if (c < 0x10000) {
      name += static_cast<char>(0xE0u | (c >> 12));
      tail(6);
      tail(0);
    } else {
      name += static_cast<char>(0xF0u | (c >> 18));
      tail(12);
      tail(6);
      tail(0);
    }
  };
  for (std::uint32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    put(c);
    if (c % 64 == 63) {
      source.add(name, DType::i8, Shape{1}, "x");
      name.clear();
    }
  }
  EXPECT_EQ(source.tensors().size(), 1112064u / 64);
  expect_inert(inspect(source), false);
  expect_inert(inspect(source, true), true);
}

}  // namespace
}  // namespace quantize
