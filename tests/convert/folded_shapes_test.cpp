// Shapes of more than four dimensions, which GGUF files hold folded (decision: the original stands
// in comfy.gguf.orig_shape.NAME). Only what folding gives is unfolded.
#include <fstream>

#include <gtest/gtest.h>

#include "quantize/model.hpp"

#include "support/gguf_builder.hpp"
#include "support/temporary_directory.hpp"

namespace quantize {
namespace {

Shape shape_read(const std::vector<std::int32_t>& original) {
  const testing::TemporaryDirectory folder;
  const std::string path = folder.path_of("model.gguf");
  std::ofstream(path, std::ios::binary) << testing::GgufBuilder()
                                               .key("comfy.gguf.orig_shape.x", MetaArray(original))
                                               .tensor("x", DType::f16, Shape{6, 1, 2, 32})
                                               .build()
                                               .bytes;
  Warnings warnings;
  return open_model(path, {}, warnings).tensors.at(0).shape;
}

TEST(FoldedShapes, AreRestored) {
  EXPECT_EQ(shape_read({2, 3, 1, 2, 32}), (Shape{2, 3, 1, 2, 32}));
}

TEST(FoldedShapes, StayWhereTheRecordIsOfAnythingElse) {
  const Shape stored{6, 1, 2, 32};
  EXPECT_EQ(shape_read({2, 3, 2, 1, 16}), stored);   // too few values
  EXPECT_EQ(shape_read({2, 3, 1, 4, 16}), stored);   // other rows
  EXPECT_EQ(shape_read({12, 32}), stored);           // not folded
  EXPECT_EQ(shape_read({2, 3, -1, 2, 32}), stored);  // no shape
}

}  // namespace
}  // namespace quantize
