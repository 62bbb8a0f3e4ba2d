// fetch() against whole tensors computed the simple way, for every cut of the run.
#include "convert/value.hpp"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/float16.hpp"
#include "support/memory_source.hpp"

namespace quantize {
namespace {

using testing::MemorySource;

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  std::string out(values.size() * sizeof(T), '\0');
  std::memcpy(out.data(), values.data(), out.size());
  return out;
}

std::vector<float> counting(std::size_t count, float from = 0) {
  std::vector<float> out(count);
  for (std::size_t i = 0; i < count; ++i) out[i] = from + static_cast<float>(i);
  return out;
}

template <class T>
std::vector<T> fetched(const ValueNode& value, const Source& source, std::uint64_t first,
                       std::uint64_t count) {
  std::vector<T> out(static_cast<std::size_t>(count));
  fetch(value, source, first, count, std::as_writable_bytes(std::span(out)));
  return out;
}

// Every run [first, first + count) of the value equals that run of `whole`.
template <class T>
void expect_every_run(const Value& value, const Source& source, const std::vector<T>& whole) {
  ASSERT_EQ(value->shape.values(), whole.size());
  for (std::size_t first = 0; first < whole.size(); ++first)
    for (std::size_t count = 1; first + count <= whole.size(); ++count) {
      const std::vector<T> expected(whole.begin() + static_cast<std::ptrdiff_t>(first),
                                    whole.begin() + static_cast<std::ptrdiff_t>(first + count));
      ASSERT_EQ(fetched<T>(*value, source, first, count), expected) << first << " + " << count;
    }
}

TEST(Value, ReadsAndReshapes) {
  MemorySource source;
  source.add("x", DType::f32, Shape{4, 3}, bytes_of(counting(12)));
  expect_every_run(read_tensor(source, 0), source, counting(12));
  const Value flat = reshape(read_tensor(source, 0), Shape{2, 6});
  EXPECT_EQ(flat->shape, (Shape{2, 6}));
  expect_every_run(flat, source, counting(12));
}

TEST(Value, PermutesRowsOfHeads) {
  // Two heads of six rows: halves 0 1 2 and 3 4 5 become pairs 0 3, 1 4, 2 5.
  MemorySource source;
  source.add("q", DType::f32, Shape{12, 2}, bytes_of(counting(24)));
  std::vector<float> whole;
  for (const int row : {0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11})
    for (int column = 0; column < 2; ++column)
      whole.push_back(static_cast<float>(row * 2 + column));
  expect_every_run(permute_rotary(read_tensor(source, 0), 6), source, whole);
}

TEST(Value, PermutesABias) {
  MemorySource source;
  source.add("b", DType::f16, Shape{4}, bytes_of(std::vector<std::uint16_t>{10, 11, 12, 13}));
  expect_every_run(permute_rotary(read_tensor(source, 0), 4), source,
                   std::vector<std::uint16_t>{10, 12, 11, 13});
}

TEST(Value, PermutesRowsLongerThanTheScratch) {
  // Rows of 5 MiB: longer than a read of the permutation, and cut by the run.
  const std::uint64_t row = 5 << 18;
  MemorySource source;
  source.add("q", DType::f32, Shape{4, row}, bytes_of(counting(4 * row)));
  const Value value = permute_rotary(read_tensor(source, 0), 4);
  const auto out = fetched<float>(*value, source, row - 1, 2 * row + 2);
  EXPECT_EQ(out[0], static_cast<float>(row - 1));            // end of row 0
  EXPECT_EQ(out[1], static_cast<float>(2 * row));            // row 2 comes second
  EXPECT_EQ(out[1 + row], static_cast<float>(row));          // then row 1
  EXPECT_EQ(out[1 + 2 * row], static_cast<float>(3 * row));  // then row 3
}

TEST(Value, SwapsBlocksOfRows) {
  // Two groups of [2, 3] blocks of two rows.
  MemorySource source;
  source.add("q", DType::f32, Shape{24, 2}, bytes_of(counting(48)));
  std::vector<float> whole;
  for (int group = 0; group < 2; ++group)
    for (int b = 0; b < 3; ++b)
      for (int a = 0; a < 2; ++a)
        for (int value = 0; value < 4; ++value)
          whole.push_back(static_cast<float>(group * 24 + (a * 3 + b) * 4 + value));
  expect_every_run(swap_rows(read_tensor(source, 0), 2, 3, 2), source, whole);
}

TEST(Value, RegroupsRows) {
  // Two groups of four rows, as pieces of one, two and one: the second, then the first.
  MemorySource source;
  source.add("q", DType::f32, Shape{2, 4, 2}, bytes_of(counting(16)));
  std::vector<float> whole;
  for (const int row : {1, 2, 5, 6, 0, 4})
    for (int column = 0; column < 2; ++column)
      whole.push_back(static_cast<float>(row * 2 + column));
  const Value value = regroup_rows(read_tensor(source, 0), 2, {{1, 2}, {0, 1}});
  EXPECT_EQ(value->shape, (Shape{6, 2}));
  expect_every_run(value, source, whole);
}

TEST(Value, Transposes) {
  MemorySource source;
  source.add("w", DType::f32, Shape{2, 3, 4}, bytes_of(counting(24)));
  const Value value = transpose(read_tensor(source, 0));
  EXPECT_EQ(value->shape, (Shape{2, 4, 3}));
  std::vector<float> whole;
  for (int m = 0; m < 2; ++m)
    for (int r = 0; r < 4; ++r)
      for (int c = 0; c < 3; ++c) whole.push_back(static_cast<float>(m * 12 + c * 4 + r));
  expect_every_run(value, source, whole);
}

TEST(Value, SlicesStacksAndConcatenates) {
  MemorySource source;
  source.add("a", DType::f32, Shape{3, 2}, bytes_of(counting(6)));
  source.add("b", DType::f32, Shape{3, 2}, bytes_of(counting(6, 100)));
  const Value a = read_tensor(source, 0), b = read_tensor(source, 1);
  const Value both = stack({b, a});
  EXPECT_EQ(both->shape, (Shape{2, 3, 2}));
  std::vector<float> whole = counting(6, 100);
  for (const float x : counting(6)) whole.push_back(x);
  expect_every_run(both, source, whole);
  const Value rows = concatenate({slice_rows(a, 1, 2), b});
  EXPECT_EQ(rows->shape, (Shape{5, 2}));
  std::vector<float> joined = counting(4, 2);
  for (const float x : counting(6, 100)) joined.push_back(x);
  expect_every_run(rows, source, joined);
  std::vector<std::size_t> order;
  source_tensors(*both, order);
  EXPECT_EQ(order, (std::vector<std::size_t>{1, 0}));
}

TEST(Value, AddsOneInThePrecisionOfTheSource) {
  MemorySource source;
  source.add("h", DType::f16, Shape{2},
             bytes_of(std::vector<std::uint16_t>{float_to_half(0.0004f), 0}));
  source.add("b", DType::bf16, Shape{2},
             bytes_of(std::vector<std::uint16_t>{float_to_bfloat16(0.0078125f), 0}));
  const Value half = map(read_tensor(source, 0), MapOp::plus_one);
  EXPECT_EQ(half->type, DType::f16);
  expect_every_run(half, source,
                   std::vector<std::uint16_t>{float_to_half(1.0f), float_to_half(1.0f)});
  const Value brain = map(read_tensor(source, 1), MapOp::plus_one);
  EXPECT_EQ(brain->type, DType::f32);
  expect_every_run(brain, source, std::vector<float>{1.0078125f, 1.0f});
}

TEST(Value, GivesZerosBesideWeights) {
  MemorySource source;
  source.add("x", DType::f32, Shape{1, 2}, bytes_of(counting(2, 5)));
  expect_every_run(concatenate({read_tensor(source, 0), zeros(DType::f32, Shape{2, 2})}), source,
                   std::vector<float>{5, 6, 0, 0, 0, 0});
}

TEST(Value, Scales) {
  MemorySource source;
  source.add("a", DType::f32, Shape{3}, bytes_of(std::vector<float>{0, 1, -0.125f}));
  expect_every_run(map(read_tensor(source, 0), MapOp::scale, 0.1f), source,
                   std::vector<float>{0, 0.1f, -0.125f * 0.1f});
}

TEST(Value, ReadsBytesAsSignedOnlyIfTheyFit) {
  MemorySource source;
  source.add("u", DType::u8, Shape{3}, std::string("\x00\x7F\x80", 3));
  const Value value = read_as_i8(source, 0);
  EXPECT_EQ(fetched<std::int8_t>(*value, source, 0, 2), (std::vector<std::int8_t>{0, 127}));
  try {
    fetched<std::int8_t>(*value, source, 1, 2);
    FAIL() << "128 was taken for a signed byte";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::QZ02);
    EXPECT_EQ(error.problem().offset, 2u);
  }
}

TEST(Value, ExchangesRowsOfBlocks) {
  MemorySource source;
  const std::string a(34, 'a'), b(34, 'b'), c(34, 'c'), d(34, 'd');
  source.add("q", DType::q8_0, Shape{4, 32}, a + b + c + d);
  const Value swapped = swap_rows(read_tensor(source, 0), 2, 2, 1);
  std::string out(4 * 34, '\0');
  fetch(*swapped, source, 0, 128, std::as_writable_bytes(std::span(out)));
  EXPECT_EQ(out, a + c + b + d);
  const Value second = regroup_rows(swapped, 2, {{1, 1}});
  out.resize(2 * 34);
  fetch(*second, source, 0, 64, std::as_writable_bytes(std::span(out)));
  EXPECT_EQ(out, c + d);
}

TEST(Value, GivesGeneratedValuesAndBlocks) {
  MemorySource source;
  source.add("q", DType::q8_0, Shape{2, 32}, std::string(34, 'a') + std::string(34, 'b'));
  expect_every_run(generated(counting(3), Shape{3}), source, counting(3));
  std::string block(34, '\0');
  fetch(*read_tensor(source, 0), source, 32, 32, std::as_writable_bytes(std::span(block)));
  EXPECT_EQ(block, std::string(34, 'b'));
}

}  // namespace
}  // namespace quantize
