// Rows of the tables of malformed inputs that a reader accepts and a conversion refuses, or takes
// over as they are (tests/hardening/gguf.md).
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "quantize/plan.hpp"

#include "support/gguf_builder.hpp"
#include "support/safetensors_builder.hpp"
#include "support/temporary_directory.hpp"

namespace quantize {
namespace {

using testing::GgufBuilder;
using testing::GgufImage;
using testing::SafetensorsBuilder;
using testing::TemporaryDirectory;

struct Outcome {
  std::optional<ErrorCode> code;
  std::optional<std::uint64_t> offset;
  Metadata metadata;
};

Outcome plan_of(const std::string& bytes, const char* target = "q8_0") {
  const TemporaryDirectory folder;
  Warnings warnings;
  try {
    const Model model = open_model(folder.write("model", bytes), {}, warnings);
    Recipe recipe;
    recipe.target = find_target(target);
    return {{}, {}, make_plan(model, recipe, warnings).files[0].metadata};
  } catch (const Error& error) {
    EXPECT_EQ(exit_status(error.code()), 65);
    return {error.code(), error.problem().offset, {}};
  }
}

GgufBuilder with_tensor() {
  return GgufBuilder().tensor("blk.0.ffn_up.weight", DType::f16, Shape{2, 32});
}

TEST(Malformed, CaseGg030AUsedKeyOfTheWrongType) {
  for (const MetaValue& value :
       {MetaValue(std::string("2")), MetaValue(true), MetaValue(std::int32_t{-1}), MetaValue(2.0F),
        MetaValue(MetaArray(std::vector<std::string>{"2"}))}) {
    const GgufImage image = with_tensor()
                                .key("general.architecture", std::string("llama"))
                                .key("llama.block_count", value)
                                .build();
    const Outcome outcome = plan_of(image.bytes);
    EXPECT_EQ(outcome.code, ErrorCode::GG24);
    EXPECT_EQ(outcome.offset, image.at("value llama.block_count"));
  }
}

TEST(Malformed, CaseGg074AHostileTemplateIsCopiedByteForByte) {
  using namespace std::string_literals;
  const std::string text = "{{ ''.__class__.__mro__[1].__subclasses__() }}\x1B[2J\0\r\n::error::x"s;
  const Outcome outcome = plan_of(with_tensor()
                                      .key("general.architecture", std::string("llama"))
                                      .key("tokenizer.chat_template", text)
                                      .build()
                                      .bytes);
  ASSERT_FALSE(outcome.code);
  ASSERT_NE(outcome.metadata.get<std::string>("tokenizer.chat_template"), nullptr);
  EXPECT_EQ(*outcome.metadata.get<std::string>("tokenizer.chat_template"), text);
}

TEST(Malformed, CaseGg081NothingToQuantize) {
  const std::string empty = GgufBuilder().build().bytes;
  EXPECT_EQ(empty.size(), 24U);
  EXPECT_EQ(plan_of(empty).code, ErrorCode::QZ08);
  EXPECT_FALSE(plan_of(empty, "copy").code);
}

TEST(Malformed, CaseGg087TheArchitectureIsANameOrAbsent) {
  EXPECT_FALSE(plan_of(with_tensor().build().bytes).code);
  for (const MetaValue& value :
       {MetaValue(std::string()), MetaValue(MetaArray(std::vector<std::string>{"llama"}))}) {
    const GgufImage image = with_tensor().key("general.architecture", value).build();
    const Outcome outcome = plan_of(image.bytes);
    EXPECT_EQ(outcome.code, ErrorCode::GG24);
    EXPECT_EQ(outcome.offset, image.at("value general.architecture"));
  }
}

TEST(Malformed, CaseSt070NothingToQuantize) {
  EXPECT_EQ(plan_of(SafetensorsBuilder().build()).code, ErrorCode::QZ08);
}

TEST(Malformed, CaseSt073ATypeThatCannotBeConverted) {
  const std::string bytes = SafetensorsBuilder().tensor("a", "C64", {1}, "12345678").build();
  const Outcome outcome = plan_of(bytes);
  EXPECT_EQ(outcome.code, ErrorCode::QZ03);
  EXPECT_EQ(outcome.offset, bytes.find("\"C64\""));
}

}  // namespace
}  // namespace quantize
