// The known split patterns against the tokenizers library's cuts of the check string (golden/
// tokenizers/split_patterns.txt, made by tools/golden/convert/split_patterns.py).
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "convert/tokenizer/pattern.hpp"
#include "convert/tokenizer/pre_tokenizer.hpp"
#include "convert/tokenizer/split.hpp"

namespace quantize {
namespace {

const std::map<std::string, std::string> kPatterns = {
#define QUANTIZE_SPLIT_PATTERN(word, regex) {word, regex},
#include "convert/tokenizer/split_patterns.def"
#undef QUANTIZE_SPLIT_PATTERN
};
const std::map<std::string, SplitBehavior> kBehaviors = {
    {"removed", SplitBehavior::removed},
    {"isolated", SplitBehavior::isolated},
    {"contiguous", SplitBehavior::contiguous},
    {"merged_with_previous", SplitBehavior::merged_with_previous},
    {"merged_with_next", SplitBehavior::merged_with_next}};

TEST(SplitPatterns, CutAsTheTokenizersLibraryDoes) {
  std::ifstream in(std::string(QUANTIZE_TEST_DATA) + "/golden/tokenizers/split_patterns.txt");
  ASSERT_TRUE(in);
  std::size_t rows = 0;
  for (std::string line; std::getline(in, line); ++rows) {
    std::istringstream fields(line);
    std::string word, behavior, inverted;
    fields >> word >> behavior >> inverted;
    SCOPED_TRACE(word + " " + behavior + " " + inverted);
    ASSERT_TRUE(kPatterns.contains(word));
    std::vector<std::size_t> expected, lengths;
    for (std::size_t length = 0; fields >> length;) expected.push_back(length);
    const Pattern pattern(kPatterns.at(word));
    std::vector<std::u32string> pieces{std::u32string(kCheckString)};
    split(
        pieces, [&](std::u32string_view text, std::size_t at) { return pattern.match(text, at); },
        kBehaviors.at(behavior), inverted == "inverted");
    for (const std::u32string& piece : pieces) lengths.push_back(piece.size());
    EXPECT_EQ(lengths, expected);
  }
  EXPECT_EQ(rows, kPatterns.size() + 10);
}

}  // namespace
}  // namespace quantize
