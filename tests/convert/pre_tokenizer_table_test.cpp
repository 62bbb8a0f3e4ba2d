// The table of pre-tokenizers, row by row, against the reference's (golden/tokenizers/
// pre_tokenizers.txt, made by tools/golden/convert/pre_tokenizers.py).
#include <algorithm>
#include <fstream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "convert/tokenizer/pre_tokenizer.hpp"

namespace quantize {
namespace {

using Row = std::pair<std::string, std::string>;

std::vector<Row> reference_rows() {
  std::ifstream in(std::string(QUANTIZE_TEST_DATA) + "/golden/tokenizers/pre_tokenizers.txt");
  std::vector<Row> rows;
  for (Row row; in >> row.first >> row.second;) rows.push_back(row);
  return rows;
}

TEST(PreTokenizerTable, HasTheReferencesRowsInItsOrder) {
  const std::vector<Row> ours = {
#define QUANTIZE_PRE_TOKENIZER(digest, name) {digest, name},
#include "convert/tokenizer/pre_tokenizers.def"
#undef QUANTIZE_PRE_TOKENIZER
  };
  const std::vector<Row> rows = reference_rows();
  EXPECT_EQ(rows.size(), 97u);
  for (std::size_t i = 0; i < std::max(ours.size(), rows.size()); ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(i < ours.size() ? ours[i] : Row(), i < rows.size() ? rows[i] : Row());
  }
}

TEST(PreTokenizerTable, EveryNameIsOneThatMayBeGiven) {
  for (const Row& row : reference_rows()) EXPECT_EQ(checked_pre_tokenizer(row.second), row.second);
}

}  // namespace
}  // namespace quantize
