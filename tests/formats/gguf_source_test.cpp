// GGUF files opened by path: data, split sets (rows GG-82 to GG-84), and what the header writer
// writes read back strictly.
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "quantize/error.hpp"

#include "core/sha256.hpp"
#include "formats/gguf/layout.hpp"
#include "formats/readers.hpp"
#include "support/gguf_builder.hpp"
#include "support/temporary_directory.hpp"

namespace quantize {
namespace {

using testing::GgufBuilder;
using testing::GgufImage;
using testing::TemporaryDirectory;

constexpr std::uint64_t kMetadata = std::uint64_t{512} << 20;

std::shared_ptr<const Source> open(const std::string& path) {
  Warnings strict;
  strict.make_all_fatal();
  return open_gguf(path, kMetadata, strict);
}

std::string data_of(const Source& source, std::size_t tensor) {
  std::string out(source.tensors()[tensor].bytes, '\0');
  source.read(tensor, 0, std::as_writable_bytes(std::span(out)));
  return out;
}

TEST(GgufSource, ReadsTensorsAndMetadata) {
  const TemporaryDirectory scratch;
  const GgufImage image = GgufBuilder()
                              .key("general.architecture", std::string("llama"))
                              .key("x.ids", MetaArray(std::vector<std::int32_t>{1, 2, 3}))
                              .tensor("a.weight", DType::f16, Shape{3, 5})
                              .tensor("b", DType::q8_0, Shape{2, 64})
                              .build();
  const auto source = open(scratch.write("a.gguf", image.bytes));
  EXPECT_EQ(source->format(), "gguf");
  EXPECT_EQ(source->version(), 3u);
  EXPECT_EQ(source->files().size(), 1u);
  EXPECT_EQ(source->files()[0].bytes, image.bytes.size());
  EXPECT_EQ(*source->metadata().get<std::string>("general.architecture"), "llama");
  EXPECT_EQ(source->metadata_offset("x.ids"), image.at("value x.ids"));
  EXPECT_EQ(source->metadata_offset("x.none"), std::nullopt);
  ASSERT_EQ(source->tensors().size(), 2u);
  EXPECT_EQ(source->tensors()[0].shape, (Shape{3, 5}));
  EXPECT_EQ(source->tensors()[0].type, DType::f16);
  EXPECT_EQ(source->tensors()[1].data_offset, image.at("data b"));
  EXPECT_EQ(source->tensors()[1].name_offset, image.at("tensor b"));
  EXPECT_EQ(source->tensors()[1].shape_offset, image.at("dim b 0"));
  EXPECT_EQ(source->tensors()[1].type_offset, image.at("dtype b"));
  EXPECT_EQ(data_of(*source, 1), image.bytes.substr(image.at("data b"), 136));
  std::string part(4, '\0');
  source->read(1, 130, std::as_writable_bytes(std::span(part)));
  EXPECT_EQ(part, image.bytes.substr(image.at("data b") + 130, 4));
}

// ---- split sets

struct PieceOf {
  std::uint16_t number = 0, count = 2;
  std::int32_t tensors = 2;
  std::string tensor;
};

GgufImage piece(const PieceOf& of) {
  GgufBuilder builder;
  if (of.number == 0) builder.key("general.architecture", std::string("llama"));
  return builder.key("split.no", of.number)
      .key("split.count", of.count)
      .key("split.tensors.count", of.tensors)
      .tensor(of.tensor, DType::f32, Shape{8})
      .build();
}

struct Complaint {
  std::string code;
  int exit = 0;
  std::string file;
  std::optional<std::uint64_t> offset;
};
Complaint complaint_of(const std::string& path) {
  try {
    open(path);
  } catch (const Error& e) {
    return {std::string(code_name(e.code())), exit_status(e.code()), e.problem().file,
            e.problem().offset};
  }
  return {};
}

TEST(GgufSplit, AnyPieceStandsForTheSet) {
  const TemporaryDirectory scratch;
  const GgufImage first = piece({0, 2, 2, "a"}), second = piece({1, 2, 2, "b"});
  const std::string one = scratch.write("m-00001-of-00002.gguf", first.bytes);
  const std::string two = scratch.write("m-00002-of-00002.gguf", second.bytes);
  for (const std::string& path : {one, two}) {
    const auto source = open(path);
    ASSERT_EQ(source->files().size(), 2u);
    EXPECT_EQ(source->files()[0].path, one);
    EXPECT_EQ(source->files()[1].path, two);
    EXPECT_EQ(*source->metadata().get<std::string>("general.architecture"), "llama");
    ASSERT_EQ(source->tensors().size(), 2u);
    EXPECT_EQ(source->tensors()[1].name, "b");
    EXPECT_EQ(source->tensors()[1].file, 1u);
    EXPECT_EQ(data_of(*source, 1), second.bytes.substr(second.at("data b"), 32));
  }
}

// case-gg-082
TEST(GgufSplit, AMissingPieceIsNamed) {
  const TemporaryDirectory scratch;
  const std::string one = scratch.write("m-00001-of-00002.gguf", piece({0, 2, 2, "a"}).bytes);
  const Complaint got = complaint_of(one);
  EXPECT_EQ(got.code, "GG27");
  EXPECT_EQ(got.exit, 66);
  EXPECT_EQ(got.file, scratch.path_of("m-00002-of-00002.gguf"));
  EXPECT_EQ(got.offset, std::nullopt);
}

// case-gg-083a, case-gg-083b
TEST(GgufSplit, NumbersMustAgreeWithNames) {
  const TemporaryDirectory scratch;
  const GgufImage wrong = piece({5, 2, 2, "a"});
  const std::string five = scratch.write("x-00001-of-00002.gguf", wrong.bytes);
  Complaint got = complaint_of(five);
  EXPECT_EQ(got.code, "GG25");
  EXPECT_EQ(got.exit, 65);
  EXPECT_EQ(got.offset, wrong.at("value split.no"));

  const GgufImage again = piece({0, 2, 2, "b"});
  const std::string one = scratch.write("y-00001-of-00002.gguf", piece({0, 2, 2, "a"}).bytes);
  const std::string two = scratch.write("y-00002-of-00002.gguf", again.bytes);
  got = complaint_of(one);
  EXPECT_EQ(got.code, "GG25");
  EXPECT_EQ(got.file, two);
  EXPECT_EQ(got.offset, again.at("value split.no"));
}

// case-gg-084a: merged files carry a count of 0.
TEST(GgufSplit, ACountOfZeroOrOneIsAFileByItself) {
  const TemporaryDirectory scratch;
  for (const std::uint16_t count : {std::uint16_t{0}, std::uint16_t{1}}) {
    const auto source = open(scratch.write("merged.gguf", piece({0, count, 7, "a"}).bytes));
    EXPECT_EQ(source->tensors().size(), 1u);
  }
}

// case-gg-084b
TEST(GgufSplit, ACountOf65535WithOneFileMissesAPiece) {
  const TemporaryDirectory scratch;
  const GgufImage image = piece({0, 65535, 2, "a"});
  const Complaint missing = complaint_of(scratch.write("m-00001-of-65535.gguf", image.bytes));
  EXPECT_EQ(missing.code, "GG27");
  const Complaint unnamed = complaint_of(scratch.write("m.gguf", image.bytes));
  EXPECT_EQ(unnamed.code, "GG25");
  EXPECT_EQ(unnamed.exit, 65);
  EXPECT_EQ(unnamed.offset, image.at("value split.count"));
}

// case-gg-084c
TEST(GgufSplit, ATensorInTwoPiecesIsRefused) {
  const TemporaryDirectory scratch;
  const GgufImage second = piece({1, 2, 2, "a"});
  const std::string one = scratch.write("m-00001-of-00002.gguf", piece({0, 2, 2, "a"}).bytes);
  const std::string two = scratch.write("m-00002-of-00002.gguf", second.bytes);
  const Complaint got = complaint_of(one);
  EXPECT_EQ(got.code, "GG25");
  EXPECT_EQ(got.file, two);
  EXPECT_EQ(got.offset, second.at("tensor a"));
}

TEST(GgufSplit, CountsOfTheSetMustAgree) {
  const TemporaryDirectory scratch;
  const GgufImage first = piece({0, 2, 3, "a"});
  const std::string one = scratch.write("m-00001-of-00002.gguf", first.bytes);
  scratch.write("m-00002-of-00002.gguf", piece({1, 2, 3, "b"}).bytes);
  EXPECT_EQ(complaint_of(one).offset, first.at("value split.tensors.count"));

  const GgufImage other = piece({1, 3, 3, "b"});
  const std::string two = scratch.write("m-00002-of-00002.gguf", other.bytes);
  const Complaint got = complaint_of(one);
  EXPECT_EQ(got.code, "GG25");
  EXPECT_EQ(got.file, two);
  EXPECT_EQ(got.offset, other.at("value split.count"));
}

TEST(GgufSplit, KeysOfTheWrongTypeAreRefused) {
  const TemporaryDirectory scratch;
  const GgufImage image = GgufBuilder()
                              .key("split.no", std::uint16_t{0})
                              .key("split.count", std::uint32_t{2})
                              .tensor("a", DType::f32, Shape{8})
                              .build();
  const Complaint got = complaint_of(scratch.write("m-00001-of-00002.gguf", image.bytes));
  EXPECT_EQ(got.code, "GG25");
  EXPECT_EQ(got.offset, image.at("value split.count"));
}

TEST(GgufSplit, APieceMustBeGguf) {
  const TemporaryDirectory scratch;
  const std::string one = scratch.write("m-00001-of-00002.gguf", piece({0, 2, 2, "a"}).bytes);
  scratch.write("m-00002-of-00002.gguf", "<!DOCTYPE html><html></html>");
  EXPECT_EQ(complaint_of(one).code, "GG01");
}

// ---- what we write

// A model's header with every kind of value, as the planner would ask for it.
struct Written {
  Metadata metadata;
  std::vector<gguf::TensorEntry> tensors;
  std::uint64_t data_bytes = 0;

  void add(std::string name, DType type, const Shape& shape) {
    tensors.push_back({std::move(name), shape, type, data_bytes});
    const std::uint64_t bytes = stored_bytes(type, shape.values());
    data_bytes += (bytes + gguf::kAlignment - 1) / gguf::kAlignment * gguf::kAlignment;
  }
};
Written every_kind() {
  Written w;
  w.metadata.append("general.architecture", std::string("llama"));
  w.metadata.append("x.u8", std::uint8_t{200});
  w.metadata.append("x.i8", std::int8_t{-7});
  w.metadata.append("x.u16", std::uint16_t{60000});
  w.metadata.append("x.i16", std::int16_t{-300});
  w.metadata.append("x.u32", std::uint32_t{4000000000u});
  w.metadata.append("x.i32", std::int32_t{-5});
  w.metadata.append("x.f32", 1e-5f);
  w.metadata.append("x.yes", true);
  w.metadata.append("x.text", std::string("a\0b\xC3\xA9", 5));
  w.metadata.append("x.u64", ~std::uint64_t{0});
  w.metadata.append("x.i64", std::int64_t{-1});
  w.metadata.append("x.f64", -0.25);
  w.metadata.append("x.words", MetaArray(std::vector<std::string>{"a", "", "bc"}));
  w.metadata.append("x.flags", MetaArray(std::vector<bool>{true, false}));
  w.metadata.append("x.floats", MetaArray(std::vector<float>{0.5f, -0.0f}));
  w.metadata.append("x.none", MetaArray(std::vector<std::int32_t>{}));
  w.add("a.weight", DType::q4_k, Shape{3, 256});
  w.add("b.weight", DType::f16, Shape{2, 3, 5});
  w.add(std::string(gguf::kMaxTensorName, 'n'), DType::f32, Shape{});
  w.add("d", DType::bf16, Shape{1});
  return w;
}

// Rule U26.
TEST(GgufWriter, WhatIsWrittenIsReadBackWithoutAWarning) {
  const TemporaryDirectory scratch;
  const Written w = every_kind();
  const std::vector<std::byte> header = gguf::encode_header(w.metadata, w.tensors);
  EXPECT_EQ(header.size(), gguf::header_bytes(w.metadata, w.tensors));
  EXPECT_EQ(header.size() % gguf::kAlignment, 0u);
  std::string bytes(header.size() + w.data_bytes, '\0');
  std::memcpy(bytes.data(), header.data(), header.size());
  const auto source = open(scratch.write("w.gguf", bytes));
  EXPECT_EQ(source->metadata().entries(), w.metadata.entries());
  ASSERT_EQ(source->tensors().size(), w.tensors.size());
  for (std::size_t i = 0; i < w.tensors.size(); ++i) {
    EXPECT_EQ(source->tensors()[i].name, w.tensors[i].name);
    EXPECT_EQ(source->tensors()[i].type, w.tensors[i].type);
    EXPECT_EQ(source->tensors()[i].shape, w.tensors[i].shape);
    EXPECT_EQ(source->tensors()[i].data_offset, header.size() + w.tensors[i].offset);
  }
}

// The builder shares no code with the writer: the same fields must give the same bytes.
TEST(GgufWriter, AgreesWithAnIndependentWriter) {
  const Written w = every_kind();
  GgufBuilder builder;
  for (const auto& [key, value] : w.metadata.entries()) builder.key(key, value);
  for (const gguf::TensorEntry& t : w.tensors) builder.tensor(t.name, t.type, t.shape);
  const GgufImage image = builder.build();
  const std::vector<std::byte> header = gguf::encode_header(w.metadata, w.tensors);
  ASSERT_EQ(header.size(), image.at("data"));
  EXPECT_EQ(std::memcmp(header.data(), image.bytes.data(), header.size()), 0);
}

// The digest is of the header that the official library (gguf_get_meta_data of its ggml-base,
// release v0.5.0) makes of the same fields. Its tensors lose their outermost dimensions of 1, and
// its strings cannot hold a NUL.
TEST(GgufWriter, TheHeaderEqualsTheOfficialLibrarys) {
  Written w = every_kind();
  w.metadata.set("x.text", std::string("ab\xC3\xA9"));
  w.metadata.erase("x.none");
  w.tensors.clear();
  w.data_bytes = 0;
  const auto add = [&w](std::string name, DType type, const Shape& shape) {
    w.add(std::move(name), type, gguf::drop_unit_dimensions(shape));
  };
  add("a.weight", DType::q4_k, Shape{3, 256});
  add("b.weight", DType::f16, Shape{2, 3, 5});
  add(std::string(63, 'n'), DType::f32, Shape{1, 1, 7});
  add("d", DType::bf16, Shape{1});
  add("e", DType::q8_0, Shape{1, 2, 64});
  const std::vector<std::byte> header = gguf::encode_header(w.metadata, w.tensors);
  std::string bytes(header.size(), '\0');
  std::memcpy(bytes.data(), header.data(), header.size());
  EXPECT_EQ(bytes.size(), 736u);
  EXPECT_EQ(sha256_hex(bytes), "81a3ac3a5e835cd78b4b43b7ed0f02ddd176429388326c1a2bb2cc45982c0b59");
}

TEST(GgufWriter, UnitDimensionsAreDroppedFromTheOutside) {
  EXPECT_EQ(gguf::drop_unit_dimensions(Shape{1, 768}), (Shape{768}));
  EXPECT_EQ(gguf::drop_unit_dimensions(Shape{1, 1, 3, 1}), (Shape{3, 1}));
  EXPECT_EQ(gguf::drop_unit_dimensions(Shape{1, 1}), (Shape{1}));
  EXPECT_EQ(gguf::drop_unit_dimensions(Shape{}), (Shape{1}));
}

}  // namespace
}  // namespace quantize
