#include "quantize/error.hpp"

#include <gtest/gtest.h>

#include "quantize/escape.hpp"

namespace quantize {
namespace {

TEST(Error, LineNamesCodeFileOffsetFoundAndAllowed) {
  const Problem problem{
      ErrorCode::ST25, "dir/a.safetensors", 17, "the shape is not usable", "9", "8"};
  EXPECT_EQ(format_problem("error", problem),
            "error[ST25]: dir/a.safetensors@17: the shape is not usable (found 9, allowed 8)");
}

TEST(Error, LineIsPrintableAndShortWhateverTheFileHolds) {
  const Problem problem{ErrorCode::IO01, std::string(5000, '\x1b') + "\n", {},
                        "a\nb",          std::string(9000, '\xff'),        ""};
  const std::string line = format_problem("warning", problem);
  EXPECT_LE(line.size(), 1000u);
  for (const char c : line) EXPECT_TRUE(c >= 0x20 && c < 0x7F);
}

TEST(Error, ExitStatusFollowsTheCode) {
  EXPECT_EQ(exit_status(ErrorCode::USE01), 64);
  EXPECT_EQ(exit_status(ErrorCode::GG25), 65);
  EXPECT_EQ(exit_status(ErrorCode::GG27), 66);
  EXPECT_EQ(exit_status(ErrorCode::IO05), 74);
  EXPECT_EQ(exit_status(ErrorCode::OUT12), 70);
  EXPECT_EQ(exit_status(ErrorCode::BUG01), 70);
  EXPECT_EQ(code_name(ErrorCode::OUT13), "OUT13");
}

TEST(Warnings, OnePerCodeAndFileWithItsCountAndFirstPlace) {
  Warnings warnings;
  warnings.add(ErrorCode::GG26, "a", 5, "first");
  warnings.add(ErrorCode::GG26, "b", 6, "other file");
  warnings.add(ErrorCode::GG26, "a", 9, "second");
  const auto entries = warnings.entries();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].count, 2u);
  EXPECT_EQ(entries[0].first.offset, 5u);
}

TEST(Warnings, StrictMakesThemErrors) {
  Warnings warnings;
  warnings.make_fatal(ErrorCode::GG26);
  EXPECT_NO_THROW(warnings.add(ErrorCode::GG07, "a", 5, "kept"));
  EXPECT_THROW(warnings.add(ErrorCode::GG26, "a", 5, "fatal"), Error);
}

TEST(Escape, EachClassHasItsForm) {
  EXPECT_EQ(escape("a\"b\\c\n\r\t"), "a\\\"b\\\\c\\n\\r\\t");
  EXPECT_EQ(escape(std::string_view("\0", 1)), "\\0");
  EXPECT_EQ(escape("\x1b[2J"), "\\u{1B}[2J");
  EXPECT_EQ(escape("\xc3\xa9"), "\\u{E9}");
  EXPECT_EQ(escape("\xe2\x80\xae"), "\\u{202E}");
  EXPECT_EQ(escape("\xc3\x28\xff"), "\\xC3(\\xFF");
  EXPECT_EQ(escape("\xed\xa0\x80"), "\\xED\\xA0\\x80");  // an encoded surrogate is not UTF-8
  EXPECT_EQ(escape("\xe2\x80"), "\\xE2\\x80");
}

TEST(Escape, LongTextIsCutBetweenCodePoints) {
  EXPECT_EQ(escape("abc\xc3\xa9xyz", 4), "abc...(+5 bytes)");
  EXPECT_EQ(escape("abcd", 4), "abcd");
}

}  // namespace
}  // namespace quantize
