// Table 9.2 of the hardening rules, row by row: malformed (and odd but legal) GGUF files, each with
// the code and the offset that reading it must give. tests/hardening/gguf.md lists what is covered
// elsewhere and where we differ from the table.
#include <algorithm>
#include <ctime>
#include <functional>
#include <limits>
#include <optional>
#include <ostream>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "quantize/error.hpp"

#include "formats/gguf/header.hpp"
#include "support/gguf_builder.hpp"

namespace quantize {
namespace {

using testing::gguf_string;
using testing::GgufBuilder;
using testing::GgufImage;
using testing::little_endian;
using Strings = std::vector<std::string>;

// ---- bases

GgufBuilder g0_builder() {
  GgufBuilder builder;
  builder.key("general.architecture", std::string("llama"))
      .key("general.alignment", std::uint32_t{32})
      .key("x.flag", true)
      .key("x.ids", MetaArray(std::vector<std::int32_t>{1, 2, 3}))
      .key("x.words", MetaArray(Strings{"a", "bc"}))
      .tensor("t0", DType::f32, Shape{32})
      .tensor("t1", DType::q8_0, Shape{2, 64});
  return builder;
}
GgufImage g0() { return g0_builder().build(); }
// g0 happens to need no padding before its data; this one has some.
GgufImage padded() { return g0_builder().key("x.pad", std::string("123456789012")).build(); }

// One tensor after the usual keys, given as it stands in the file.
GgufImage with_tensor(std::vector<std::uint64_t> dims, std::uint32_t type, std::string data,
                      const std::string& name = "t") {
  return GgufBuilder()
      .key("general.architecture", std::string("llama"))
      .raw_tensor(name, std::move(dims), type, std::move(data))
      .build();
}
GgufImage with_key(const std::string& name, std::uint32_t type, std::string value) {
  return g0_builder().raw_key(name, type, std::move(value)).build();
}
std::string zeros(std::size_t bytes) { return std::string(bytes, '\0'); }

constexpr std::uint32_t kF32 = 0, kI8 = 24, kF64 = 28, kQ8 = 8;
constexpr std::uint64_t kBig = std::uint64_t{1} << 63;

// ---- what reading a file gave

struct Outcome {
  int exit = 0;
  std::string code;  // of the error, or of the only warning
  std::optional<std::uint64_t> offset;
  bool warned = false;
  std::string line;
};

Outcome examine(const std::string& bytes) {
  Warnings warnings;
  try {
    gguf::read_header("model.gguf", bytes.size(), fetch_from(std::as_bytes(std::span(bytes))),
                      std::uint64_t{512} << 20, warnings);
  } catch (const Error& e) {
    return {exit_status(e.code()), std::string(code_name(e.code())), e.problem().offset, false,
            e.what()};
  }
  const auto entries = warnings.entries();
  if (entries.empty()) return {};
  const Problem& first = entries.front().first;
  return {0, std::string(code_name(first.code)), first.offset, true,
          format_problem("warning", first)};
}

// ---- the table

struct Made {
  std::string bytes;
  std::optional<std::uint64_t> offset;  // where the complaint must point
};
struct Case {
  const char* id;
  const char* about;
  std::string code;  // empty: accepted without a warning; "w GG26": accepted with that warning
  std::function<Made()> make;
};
void PrintTo(const Case& row, std::ostream* out) { *out << row.id << " (" << row.about << ")"; }

Made at_end(std::string bytes) {
  const std::uint64_t size = bytes.size();
  return {std::move(bytes), size};
}
Made at(GgufImage image, std::string_view field) {
  const std::uint64_t place = image.at(field);
  return {std::move(image.bytes), place};
}
std::function<Made()> start_with(std::string start) {
  return [start] { return Made{start + zeros(100), 0}; };
}
std::function<Made()> put32(std::string field, std::uint32_t value) {
  return [=] {
    GgufImage image = g0();
    image.put_u32(image.at(field), value);
    return at(std::move(image), field);
  };
}
std::function<Made()> put64(std::string field, std::uint64_t value) {
  return [=] {
    GgufImage image = g0();
    image.put_u64(image.at(field), value);
    return at(std::move(image), field);
  };
}
std::function<Made()> alignment_of(std::uint32_t value) {
  return put32("value general.alignment", value);
}
std::function<Made()> key_named(std::string name) {
  return [=] { return at(with_key(name, 4, little_endian(1, 4)), "key " + name); };
}
std::function<Made()> dims_of(std::uint32_t type, std::vector<std::uint64_t> dims,
                              std::string field) {
  return [=] { return at(with_tensor(dims, type, zeros(64)), field); };
}
std::function<Made()> type_of(std::uint32_t id) { return put32("dtype t1", id); }
std::function<Made()> tensor_named(std::string name) {
  return [=] { return at(with_tensor({1}, kF32, zeros(4), name), "tensor " + name); };
}
GgufBuilder plain_tensors(std::vector<std::uint64_t> offsets) {
  GgufBuilder builder;
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    builder.raw_tensor(std::string("t").append(std::to_string(i)), {32}, kF32, zeros(128),
                       offsets[i]);
  }
  return builder;
}

std::vector<Case> make_cases() {
  std::vector<Case> t;
  const auto row = [&t](const char* id, const char* about, std::string code,
                        std::function<Made()> make) {
    t.push_back({id, about, std::move(code), std::move(make)});
  };
  // Too short, and other kinds of files
  row("case-gg-001", "empty file", "GG02", [] { return at_end(""); });
  row("case-gg-002", "the magic alone", "GG02", [] { return at_end("GGUF"); });
  row("case-gg-003", "8 bytes", "GG02", [] { return at_end(g0().bytes.substr(0, 8)); });
  row("case-gg-004", "23 bytes", "GG02", [] { return at_end(g0().bytes.substr(0, 23)); });
  row("case-gg-006", "HTML page", "GG01", start_with("<!DOCTYPE html><html>"));
  row("case-gg-007", "Git LFS pointer", "GG01",
      start_with("version https://git-lfs.github.com/spec/v1\noid sha256:"));
  row("case-gg-008", "header zeroed", "GG01", [] {
    GgufImage image = g0();
    const std::uint64_t data = image.at("data");
    image.bytes.replace(0, data, zeros(data));
    return Made{image.bytes, 0};
  });
  row("case-gg-009", "magic FUGG", "GG01", start_with("FUGG"));
  row("case-gg-010", "version 1", "GG03", put32("version", 1));
  row("case-gg-011", "version 0", "GG03", put32("version", 0));
  row("case-gg-012", "empty key", "GG07", key_named(""));
  row("case-gg-013", "version 4", "GG03", put32("version", 4));
  row("case-gg-014", "big-endian", "GG04", [] {
    GgufImage image = g0();
    for (const auto& [offset, length] : {std::pair{4, 4}, {8, 8}, {16, 8}}) {
      std::reverse(image.bytes.begin() + offset, image.bytes.begin() + offset + length);
    }
    return at(std::move(image), "version");
  });
  row("case-gg-015", "version 2", "", put32("version", 2));
  row("case-gg-016a", "ggml", "GG01", start_with("lmgg"));
  row("case-gg-016b", "ggmf", "GG01", start_with("fmgg"));
  row("case-gg-016c", "ggjt", "GG01", start_with("tjgg"));
  row("case-gg-017a", "safetensors", "GG01", start_with(little_endian(64, 8) + "{\"a\":"));
  row("case-gg-017b", "zip", "GG01", start_with("PK\x03\x04"));
  row("case-gg-017c", "pickle", "GG01", start_with("\x80\x02}q"));

  // Counts and lengths
  row("case-gg-020a", "key count 2^64 - 1", "GG05", put64("keys", ~std::uint64_t{0}));
  row("case-gg-020b", "key count 2^63", "GG05", put64("keys", kBig));
  row("case-gg-020c", "key count 2^40", "GG05", put64("keys", std::uint64_t{1} << 40));
  row("case-gg-021a", "tensor count 2^64 - 1", "GG05", put64("tensors", ~std::uint64_t{0}));
  row("case-gg-021b", "tensor count 2^63", "GG05", put64("tensors", kBig));
  row("case-gg-021c", "tensor count 2^40", "GG05", put64("tensors", std::uint64_t{1} << 40));
  row("case-gg-022", "key length 2^64 - 1", "GG06", put64("key x.flag", ~std::uint64_t{0}));
  row("case-gg-023", "key count one more than present", "GG13", [] {
    // The first tensor's info reads as a key of type i8; the rest of its dimension and its type as
    // the empty name of a tensor.
    GgufImage image = g0();
    image.put_u64(image.at("keys"), 6);
    return Made{image.bytes, image.at("dim t0 0") + 1};
  });
  row("case-gg-024", "tensor count one more than present", "GG13", [] {
    GgufImage image = padded();
    image.put_u64(image.at("tensors"), 3);
    EXPECT_GE(image.at("data") - image.at("header end"), 8u);
    return at(std::move(image), "header end");  // the padding reads as an empty name
  });
  row("case-gg-025", "string length = bytes left + 1", "GG06", [] {
    GgufImage image = g0();
    const std::uint64_t place = image.at("value general.architecture");
    image.put_u64(place, image.bytes.size() - place - 8 + 1);
    return Made{image.bytes, place};
  });
  row("case-gg-026", "string array count 2^60", "GG10",
      put64("count x.words", std::uint64_t{1} << 60));
  row("case-gg-027a", "i32 array count 2^63", "GG10", put64("count x.ids", kBig));
  row("case-gg-027b", "i32 array count 2^62 (x4 wraps)", "GG10",
      put64("count x.ids", std::uint64_t{1} << 62));
  row("case-gg-028a", "array of arrays", "GG10", put32("elements x.ids", 9));
  row("case-gg-028b", "arrays nested 10,000 deep", "GG10", [] {
    std::string nested;
    for (int i = 0; i < 10000; ++i) nested += little_endian(9, 4) + little_endian(1, 8);
    return at(with_key("x.deep", 9, nested), "elements x.deep");
  });
  row("case-gg-029", "string length 2^30 in a 45-byte file", "GG06", [] {
    GgufImage image = GgufBuilder().raw_key("k", 8, little_endian(1u << 30, 8)).build();
    return at(std::move(image), "value k");
  });
  row("case-gg-072a", "token length 2^31", "GG06", [] {
    GgufImage image = g0();
    const std::uint64_t place = image.at("value x.words") + 12;
    image.put_u64(place, std::uint64_t{1} << 31);
    return Made{image.bytes, place};
  });
  row("case-gg-072b", "token length 2^32 + 5", "GG06", [] {
    GgufImage image = g0();
    const std::uint64_t place = image.at("value x.words") + 12;
    image.put_u64(place, (std::uint64_t{1} << 32) + 5);
    return Made{image.bytes, place};
  });
  row("case-gg-073", "key of 65,536 bytes", "GG06", key_named(std::string(65536, 'k')));
  row("case-gg-086", "string of 65 MiB really present", "GG06", [] {
    return at(with_key("x.long", 8, gguf_string(std::string(65u << 20, 'a'))), "value x.long");
  });

  // Metadata
  row("case-gg-031", "alignment as i32", "GG12", [] {
    GgufImage image = g0();
    image.put_u32(image.at("type general.alignment"), 5);
    return at(std::move(image), "value general.alignment");
  });
  row("case-gg-032", "alignment 0", "GG12", alignment_of(0));
  row("case-gg-033", "alignment 13", "GG12", alignment_of(13));
  row("case-gg-034a", "alignment 1", "GG12", alignment_of(1));
  row("case-gg-034b", "alignment 4", "GG12", alignment_of(4));
  row("case-gg-035", "alignment 2^31", "GG12", alignment_of(std::uint32_t{1} << 31));
  row("case-gg-036", "alignment 2^21", "GG12", alignment_of(std::uint32_t{1} << 21));
  row("case-gg-037", "one key twice", "GG11", key_named("x.flag"));
  row("case-gg-038a", "value type 13", "GG08", put32("type x.flag", 13));
  row("case-gg-038b", "value type 2^32 - 1", "GG08", put32("type x.flag", 0xFFFFFFFFu));
  row("case-gg-039", "boolean 2", "GG09", [] {
    GgufImage image = g0();
    image.put_u8(image.at("value x.flag"), 2);
    return at(std::move(image), "value x.flag");
  });
  row("case-gg-040", "array element type 13", "GG10", put32("elements x.ids", 13));
  row("case-gg-075a", "key with byte E9", "GG07", key_named("x.\xE9"));
  row("case-gg-075b", "key with a UTF-8 letter", "GG07", key_named("x.\xC3\xA9"));
  row("case-gg-076a", "key with NUL", "GG07", key_named(std::string("x\0y", 3)));
  row("case-gg-076b", "key with space", "GG07", key_named("x y"));
  row("case-gg-076c", "key with ESC", "GG07", key_named("x\x1B[2J"));
  row("case-gg-077a", "key with capitals", "", key_named("X.Flag"));
  row("case-gg-077b", "key with hyphen", "", key_named("x-y.z"));
  row("case-gg-077c", "key with other printable characters", "w GG07", key_named("x/y"));
  row("case-gg-078", "string that is not UTF-8", "w GG06", [] {
    GgufImage image = with_key("x.text", 8, gguf_string("a\xFF"));
    return Made{image.bytes, image.at("value x.text") + 8};
  });
  row("case-gg-079", "boolean array holding 3", "GG09", [] {
    GgufImage image =
        with_key("x.flags", 9, little_endian(7, 4) + little_endian(2, 8) + "\x01\x03");
    return Made{image.bytes, image.at("value x.flags") + 13};
  });
  row("case-gg-081", "24 bytes, nothing in it", "", [] {
    return Made{GgufBuilder().build().bytes, {}};
  });
  row("case-gg-085", "f32 NaN and f64 infinity", "", [] {
    return Made{g0_builder()
                    .key("x.nan", std::numeric_limits<float>::quiet_NaN())
                    .key("x.inf", std::numeric_limits<double>::infinity())
                    .build()
                    .bytes,
                {}};
  });

  // Tensor infos
  row("case-gg-041", "rank 5", "GG15", put32("rank t1", 5));
  row("case-gg-042", "rank 2^32 - 1", "GG15", put32("rank t1", 0xFFFFFFFFu));
  row("case-gg-043a", "dimension 2^63", "GG16", put64("dim t1 1", kBig));
  row("case-gg-043b", "dimension 2^64 - 1", "GG16", put64("dim t1 1", ~std::uint64_t{0}));
  row("case-gg-044", "dimensions [32, 0], no data", "", [] {
    return Made{with_tensor({32, 0}, kF32, "").bytes, {}};
  });
  row("case-gg-045", "I8 [2^32, 2^32]", "GG17",
      dims_of(kI8, {std::uint64_t{1} << 32, std::uint64_t{1} << 32}, "dim t 1"));
  row("case-gg-046", "I8 [2^63 - 1, 2]", "GG17", dims_of(kI8, {kBig - 1, 2}, "dim t 1"));
  row("case-gg-047", "[0, 2^63 - 1, 2^63 - 1]", "GG17",
      dims_of(kI8, {0, kBig - 1, kBig - 1}, "dim t 2"));
  row("case-gg-048", "F64 [2^61]", "GG17", dims_of(kF64, {std::uint64_t{1} << 61}, "dim t 0"));
  row("case-gg-049", "F32 [65536, 65537], data for 65536", "GG21", [] {
    return at(with_tensor({65536, 65537}, kF32, zeros(262144)), "dim t 0");
  });
  row("case-gg-050", "empty tensor name", "GG13", tensor_named(""));
  row("case-gg-051", "one tensor name twice", "GG14", [] {
    GgufImage image = g0();
    image.bytes[image.at("tensor t1") + 9] = '0';
    return at(std::move(image), "tensor t1");
  });
  row("case-gg-052", "names that differ after a NUL", "GG13", [] {
    GgufImage image = GgufBuilder()
                          .tensor(std::string("a\0b", 3), DType::f32, Shape{1})
                          .tensor(std::string("a\0c", 3), DType::f32, Shape{1})
                          .build();
    return at(std::move(image), std::string("tensor a\0b", 10));
  });
  row("case-gg-053a", "name of 64 bytes", "", tensor_named(std::string(64, 'n')));
  row("case-gg-053b", "name of 513 bytes", "GG13", tensor_named(std::string(513, 'n')));
  row("case-gg-054", "name of 63 bytes", "", tensor_named(std::string(63, 'n')));
  row("case-gg-055", "offset 8", "GG20", put64("offset t1", 8));
  row("case-gg-056", "offset 2^40", "GG20", put64("offset t1", std::uint64_t{1} << 40));
  row("case-gg-057", "offset 2^64 - 32", "GG20", put64("offset t1", ~std::uint64_t{31}));
  row("case-gg-058", "two I8 tensors of 2^63 - 64 bytes", "GG21", [] {
    GgufImage image = GgufBuilder()
                          .raw_tensor("a", {kBig - 64}, kI8, zeros(64))
                          .raw_tensor("b", {kBig - 64}, kI8, zeros(64), kBig - 64)
                          .build();
    return at(std::move(image), "dim a 0");
  });
  row("case-gg-059", "F32 [4, 1073741823, 1073741825] after a valid one", "GG17", [] {
    GgufImage image = GgufBuilder()
                          .raw_tensor("a", {32}, kF32, zeros(128))
                          .raw_tensor("b", {4, 1073741823, 1073741825}, kF32, zeros(64))
                          .build();
    return at(std::move(image), "dim b 0");
  });
  row("case-gg-062", "the third of five tensors has a bad type", "GG18", [] {
    GgufImage image = plain_tensors({0, 128, 256, 384, 512}).build();
    image.put_u32(image.at("dtype t2"), 99);
    return at(std::move(image), "dtype t2");
  });
  row("case-gg-063", "32 unclaimed bytes between tensors", "GG20", [] {
    return at(plain_tensors({0, 160}).build(), "offset t1");
  });
  row("case-gg-064", "second tensor on the first one's offset", "GG20", [] {
    return at(plain_tensors({0, 0}).build(), "offset t1");
  });
  row("case-gg-065", "tensors in reverse data order", "GG20", [] {
    return at(plain_tensors({128, 0}).build(), "offset t0");
  });
  row("case-gg-069a", "withdrawn type 4", "GG18", type_of(4));
  row("case-gg-069b", "withdrawn type 5", "GG18", type_of(5));
  row("case-gg-069c", "withdrawn type 31", "GG18", type_of(31));
  row("case-gg-069d", "withdrawn type 36", "GG18", type_of(36));
  row("case-gg-070a", "type 2^31", "GG18", type_of(std::uint32_t{1} << 31));
  row("case-gg-070b", "type 2^32 - 1", "GG18", type_of(0xFFFFFFFFu));
  row("case-gg-070c", "first unassigned type", "GG18", type_of(43));
  row("case-gg-071", "Q8_0 rows of 33", "GG19", dims_of(kQ8, {33}, "dim t 0"));
  row("case-gg-071b", "rank 0 of a block type", "GG19", dims_of(kQ8, {}, "dtype t"));
  row("case-gg-088", "rank 0 F32", "", [] {
    return Made{with_tensor({}, kF32, zeros(4)).bytes, {}};
  });
  row("case-gg-089", "tensor name with ESC", "GG13", tensor_named("t\x1B[2J"));
  row("case-gg-089b", "tensor name with C1 control", "GG13", tensor_named("t\xC2\x9B"));
  row("case-gg-089c", "tensor name that is not UTF-8", "GG13", tensor_named("t\xFF"));

  // Data
  row("case-gg-060", "last tensor one byte short", "GG21", [] {
    GgufImage image = g0_builder().final_padding(false).build();
    image.bytes.pop_back();
    return at_end(image.bytes);
  });
  row("case-gg-061", "file ends before the data's start", "GG21", [] {
    GgufImage image = padded();
    EXPECT_LT(image.at("header end") + 1, image.at("data"));
    return at_end(image.bytes.substr(0, image.at("header end") + 1));
  });
  row("case-gg-066a", "one byte after the data", "w GG22", [] {
    GgufImage image = g0();
    return Made{image.bytes + "x", image.bytes.size()};
  });
  row("case-gg-066b", "zip archive after the data", "w GG22", [] {
    GgufImage image = g0();
    return Made{image.bytes + "PK\x03\x04" + zeros(100), image.bytes.size()};
  });
  row("case-gg-067", "final padding missing", "w GG26",
      [] { return at_end(g0_builder().final_padding(false).build().bytes); });
  row("case-gg-068a", "header padding not zero", "w GG26", [] {
    GgufImage image = padded();
    image.put_u8(image.at("header end"), 0xFF);
    return at(std::move(image), "header end");
  });
  row("case-gg-068b", "padding between tensors not zero", "w GG26", [] {
    GgufImage image =
        GgufBuilder().tensor("a", DType::f32, Shape{1}).tensor("b", DType::f32, Shape{1}).build();
    const std::uint64_t place = image.at("data a") + 4;
    image.put_u8(place, 0xFF);
    return Made{image.bytes, place};
  });
  row("case-gg-068c", "final padding not zero", "w GG26", [] {
    GgufImage image = g0();
    image.put_u8(image.bytes.size() - 1, 0xFF);
    return Made{image.bytes, image.bytes.size() - 1};
  });
  return t;
}

class GgufCase : public ::testing::TestWithParam<Case> {};

TEST_P(GgufCase, IsJudgedAsTheTableSays) {
  const Case& row = GetParam();
  const Made made = row.make();
  const Outcome got = examine(made.bytes);
  SCOPED_TRACE(got.line);
  const bool warning = row.code.rfind("w ", 0) == 0;
  EXPECT_EQ(got.exit, row.code.empty() || warning ? 0 : 65);
  EXPECT_EQ(got.code, warning ? row.code.substr(2) : row.code);
  EXPECT_EQ(got.warned, warning);
  if (!row.code.empty()) {
    EXPECT_EQ(got.offset, made.offset);
  }
  EXPECT_LE(got.line.size(), 1000u);
  for (const char c : got.line) ASSERT_TRUE(c >= 0x20 && c < 0x7F);
}

INSTANTIATE_TEST_SUITE_P(Table, GgufCase, ::testing::ValuesIn(make_cases()), [](const auto& one) {
  std::string name = one.param.id;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(GgufCases, G0IsSound) {
  const Outcome got = examine(g0().bytes);
  EXPECT_EQ(got.exit, 0) << got.line;
  EXPECT_FALSE(got.warned) << got.line;
}

// case-gg-005: no prefix of a sound file is taken for a file, and the complaint points inside it.
TEST(GgufCases, EveryPrefixIsRefused) {
  const GgufImage image = g0();  // it needs no padding after its header
  const std::uint64_t data_end = g0_builder().final_padding(false).build().bytes.size();
  const std::set<std::string> codes = {"GG02", "GG05", "GG06", "GG10", "GG21"};
  std::set<std::string> met;
  for (std::size_t length = 0; length < image.bytes.size(); ++length) {
    const Outcome got = examine(image.bytes.substr(0, length));
    SCOPED_TRACE(std::to_string(length) + ": " + got.line);
    if (length >= data_end) {
      EXPECT_EQ(got.exit, 0);
      EXPECT_EQ(got.code, "GG26");
    } else {
      EXPECT_EQ(got.exit, 65);
      EXPECT_EQ(codes.count(got.code), 1u);
      ASSERT_TRUE(got.offset.has_value());
      EXPECT_LE(*got.offset, length);
      met.insert(got.code);
    }
  }
  EXPECT_EQ(met, codes);
}

// Processor time, so that a busy machine does not decide. Sanitizers, unoptimized builds and
// emulated processors are ten times slower; what they must still catch is a loop over all pairs.
#if defined(NDEBUG) && defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
constexpr double kSecondsForAMillionKeys = 3;
#else
constexpr double kSecondsForAMillionKeys = 60;
#endif

// case-gg-080
TEST(GgufCases, AMillionKeysAreReadWithinThreeSeconds) {
  GgufBuilder builder;
  for (int i = 0; i < 1000000; ++i) builder.raw_key(std::to_string(i), 0, "x");
  const std::string bytes = builder.build().bytes;
  const std::clock_t start = std::clock();
  const Outcome got = examine(bytes);
  const double took = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  EXPECT_EQ(got.exit, 0) << got.line;
  EXPECT_LT(took, kSecondsForAMillionKeys);
}

TEST(GgufCases, MetadataBeyondTheCapIsRefused) {
  const GgufImage image = with_key("x.text", 8, gguf_string(std::string(2000, 'a')));
  Warnings warnings;
  try {
    gguf::read_header("a", image.bytes.size(), fetch_from(std::as_bytes(std::span(image.bytes))),
                      1024, warnings);
    FAIL() << "accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::GG23);
    EXPECT_EQ(e.problem().offset, image.at("value x.text"));
  }
}

TEST(GgufCases, FamiliarFilesAreNamed) {
  const auto line = [](std::string start) { return examine(start + zeros(100)).line; };
  EXPECT_NE(line("version https://git-lfs.github.com/spec").find("Git LFS"), std::string::npos);
  EXPECT_NE(line("<html>").find("HTML"), std::string::npos);
  EXPECT_NE(line("PK\x03\x04").find("zip"), std::string::npos);
  EXPECT_NE(line("\x80\x04").find("pickle"), std::string::npos);
  EXPECT_NE(line(little_endian(99, 8) + "{").find("safetensors"), std::string::npos);
  EXPECT_NE(line("tjgg").find("older ggml"), std::string::npos);
  EXPECT_NE(line("").find("zeros"), std::string::npos);
  EXPECT_NE(examine("").line.find("empty"), std::string::npos);
}

}  // namespace
}  // namespace quantize
