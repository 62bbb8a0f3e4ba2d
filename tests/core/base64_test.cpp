#include "core/base64.hpp"

#include <gtest/gtest.h>

namespace quantize {
namespace {

TEST(Base64, DecodesWholeTextsOnly) {
  EXPECT_EQ(decode_base64(""), "");
  EXPECT_EQ(decode_base64("YQ=="), "a");
  EXPECT_EQ(decode_base64("YWI="), "ab");
  EXPECT_EQ(decode_base64("YWJj"), "abc");
  EXPECT_EQ(decode_base64("//79"), "\xFF\xFE\xFD");
  for (const char* wrong : {"Y", "YQ=", "YQ", "Y===", "YR==", "Y*==", "=YQ=", "YQ==YQ=="})
    EXPECT_FALSE(decode_base64(wrong)) << wrong;
}

}  // namespace
}  // namespace quantize
