// The table of malformed safetensors files: every row with its code, exit status and offset.
#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "formats/readers.hpp"
#include "support/safetensors_builder.hpp"
#include "support/temporary_directory.hpp"

namespace quantize {
namespace {

using testing::json_string;
using testing::safetensors_file;
using testing::SafetensorsBuilder;
using testing::TemporaryDirectory;

// The sound file of the table: metadata, a F32 [2,3], b F16 [4], 32 bytes of data.
constexpr std::string_view kMeta = R"("__metadata__":{"format":"pt"})";
constexpr std::string_view kA = R"("a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]})";
constexpr std::string_view kB = R"("b":{"dtype":"F16","shape":[4],"data_offsets":[24,32]})";

std::string data32() {
  std::string data;
  for (char c = 1; c <= 32; ++c) data += c;
  return data;
}
std::string object(std::initializer_list<std::string_view> members) {
  std::string text = "{";
  for (const std::string_view member : members)
    text.append(text.size() > 1 ? "," : "").append(member);
  return text + '}';
}
std::string s0_header() {
  std::string text = object({kMeta, kA, kB});
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}
std::string s0() { return safetensors_file(s0_header(), data32()); }

// The header with `from` replaced by `to`, unpadded, and the given data.
std::string changed(std::string_view from, std::string_view to, std::string data = data32()) {
  std::string text = object({kMeta, kA, kB});
  const std::size_t at = text.find(from);
  if (at == std::string::npos) throw std::logic_error("nothing to change");
  text.replace(at, from.size(), to);
  return safetensors_file(text, data);
}
std::string one_tensor(std::string_view dtype, std::string_view shape, std::string_view range,
                       std::string_view data = {}) {
  return safetensors_file(R"({"a":{"dtype":)" + std::string(dtype) + R"(,"shape":)" +
                              std::string(shape) + R"(,"data_offsets":)" + std::string(range) +
                              "}}",
                          data);
}
std::string repeated(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

// Where the blame must lie.
struct Place {
  enum Kind { none, at, end, text, last_text } kind = none;
  std::uint64_t offset = 0;
  std::string needle;
};
Place at(std::uint64_t offset) { return {Place::at, offset, {}}; }
const Place kEof{Place::end, 0, {}};
// The first (or last) place of these bytes, plus `more`.
Place in(std::string needle, std::uint64_t more = 0) {
  return {Place::text, more, std::move(needle)};
}
Place last(std::string needle, std::uint64_t more = 0) {
  return {Place::last_text, more, std::move(needle)};
}

struct Case {
  std::string id;
  std::function<std::string()> bytes;
  std::optional<ErrorCode> code;  // empty: accepted
  Place place;
  std::optional<ErrorCode> warning = {};
  std::uint64_t sparse_size = 0;
};

std::optional<std::uint64_t> expected_offset(const Place& place, const std::string& bytes,
                                             std::uint64_t size) {
  switch (place.kind) {
    case Place::at:
      return place.offset;
    case Place::end:
      return size;
    case Place::text:
      return bytes.find(place.needle) + place.offset;
    case Place::last_text:
      return bytes.rfind(place.needle) + place.offset;
    default:
      return std::nullopt;
  }
}

void PrintTo(const Case& c, std::ostream* out) { *out << c.id; }

class SafetensorsCases : public ::testing::TestWithParam<Case> {};

TEST_P(SafetensorsCases, EndAsTheTableSays) {
  const Case& row = GetParam();
  const TemporaryDirectory folder;
  const std::string bytes = row.bytes();
  const std::string path = folder.write("x.safetensors", bytes, row.sparse_size);
  const std::uint64_t size = std::max<std::uint64_t>(bytes.size(), row.sparse_size);
  Warnings warnings;
  const auto start = std::chrono::steady_clock::now();
  try {
    const auto source = open_safetensors(path, warnings);
    EXPECT_FALSE(row.code) << "was accepted";
  } catch (const Error& error) {
    ASSERT_TRUE(row.code) << error.what();
    EXPECT_EQ(code_name(error.code()), code_name(*row.code)) << error.what();
    EXPECT_EQ(exit_status(error.code()), 65);
    EXPECT_EQ(error.problem().offset, expected_offset(row.place, bytes, size)) << error.what();
    EXPECT_EQ(error.problem().file, path);
    EXPECT_LE(std::string_view(error.what()).size(), 1000u);
  }
  const auto entries = warnings.entries();
  ASSERT_EQ(entries.size(), row.warning ? 1u : 0u);
  if (row.warning) {
    EXPECT_EQ(code_name(entries[0].first.code), code_name(*row.warning));
    EXPECT_EQ(entries[0].first.offset, expected_offset(row.place, bytes, size));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

template <class Make>
std::vector<Case> variants(const std::string& id, const std::vector<std::string>& values,
                           Make make) {
  std::vector<Case> cases;
  for (std::size_t i = 0; i < values.size(); ++i) {
    Case c = make(values[i]);
    c.id = id + static_cast<char>('a' + i);
    cases.push_back(std::move(c));
  }
  return cases;
}

std::function<std::string()> fixed(std::string bytes) {
  return [bytes = std::move(bytes)] { return bytes; };
}

std::vector<Case> all_cases() {
  using enum ErrorCode;
  std::vector<Case> cases;
  const auto add = [&](std::string id, std::string bytes, std::optional<ErrorCode> code,
                       Place place, std::optional<ErrorCode> warning = {},
                       std::uint64_t sparse_size = 0) {
    cases.push_back(
        {"case_st_" + id, fixed(std::move(bytes)), code, std::move(place), warning, sparse_size});
  };
  const auto add_each = [&](const std::string& id, const std::vector<std::string>& values,
                            auto make) {
    for (Case& c : variants("case_st_" + id, values, make)) cases.push_back(std::move(c));
  };
  const std::optional<ErrorCode> accepted;
  const Place nowhere;

  // Length and kind of file
  add("001", "", ST01, kEof);
  add("002", s0().substr(0, 7), ST01, kEof);
  add("003", safetensors_file(0, "", data32()), ST02, at(0));
  add("004", safetensors_file(1, "{", data32()), ST02, at(0));
  add("005", safetensors_file(2, "", ""), ST01, kEof);
  add("006", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", ST07, at(0));
  add("007", "<!DOCTYPE html>\n<html><body>Sign in</body></html>\n", ST07, at(0));
  add_each("008",
           {"PK\x03\x04" + repeated("x", 60), "\x80\x02}q" + repeated("x", 60),
            "GGUF" + repeated("\x03", 60), std::string(64, '\0')},
           [](const std::string& bytes) {
             return Case{{}, fixed(bytes), ST07, at(0)};
           });
  std::string padded = object({kMeta, kA, kB});
  padded.resize(640, ' ');
  add("009", safetensors_file(padded, data32()), accepted, nowhere);
  add("010", safetensors_file(s0_header().size() + 33, s0_header(), data32()), ST02, at(0));
  add("011", safetensors_file(100'000'001, "{", ""), ST02, at(0), {}, 100'000'100);
  add("012", safetensors_file(std::uint64_t{1} << 63, s0_header(), data32()), ST02, at(0));
  add("013", safetensors_file(~std::uint64_t{0}, s0_header(), data32()), ST02, at(0));
  add("014", safetensors_file(~std::uint64_t{7}, s0_header(), data32()), ST02, at(0));
  cases.push_back({"case_st_015",
                   [] {
                     std::string text = object({kMeta, kA, kB});
                     text.resize(100'000'000, ' ');
                     return safetensors_file(text, data32());
                   },
                   accepted, nowhere});

  // JSON
  add("016", safetensors_file("\t\n" + s0_header(), data32()), accepted, at(8), ST04);
  add("017", safetensors_file(s0_header() + " \t\n\r", data32()), accepted, nowhere);
  add("018", safetensors_file(object({kA, kB}) + std::string(2, '\0'), data32()), ST06,
      at(8 + object({kA, kB}).size()));
  add("019", safetensors_file(s0_header() + "x", data32()), ST06, at(8 + s0_header().size()));
  add("020", safetensors_file("\xEF\xBB\xBF" + s0_header(), data32()), ST03, at(8));
  add_each("021", {"\xFF", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80"},
           [](const std::string& bad) {
             return Case{{}, fixed(changed("\"a\"", "\"n" + bad + "\"")), ST03, in("\"n" + bad, 2)};
           });
  add("022", changed("\"a\"", "\"a\x1B\""), ST04, in("\x1B"));
  add("023", changed("\"a\"", "\"\\ud800\""), ST04, in("\\ud800"));
  add("024", safetensors_file("[1,2]", ""), ST05, at(8));
  add_each("025", {"12345", "\"text\"", "null"}, [](const std::string& text) {
    return Case{{}, fixed(safetensors_file(text, "")), ST05, at(8)};
  });
  add("026a", changed("{\"__m", "{/* x */\"__m"), ST04, in("/*"));
  add("026b", safetensors_file(object({kA, kB, ""}), data32()), ST04, in(",}", 1));
  add("026c", changed("\"a\"", "'a'"), ST04, in("'a'"));
  add("026d", changed("\"a\"", "a"), ST04, in("a:{"));
  add("027", safetensors_file("{\"a\":" + repeated("[", 100'000), ""), ST04, at(8 + 5 + 3));
  add("028", safetensors_file("{\"a\":" + repeated("{\"x\":", 10'000), ""), ST04,
      at(8 + 5 + 3 * 5));
  const std::size_t cut = s0_header().find("dtype") + 3;
  add("029", safetensors_file(s0_header().substr(0, cut), data32()), ST04, at(8 + cut - 4));

  // Shape
  add("030", changed("[2,3]", "[-2,3]"), ST25, in("-2"));
  add_each("031", {"2.0", "2e0", "02", "+2", "\"2\"", "true"}, [](const std::string& dim) {
    return Case{{}, fixed(changed("[2,3]", '[' + dim + ",3]")), ST25, in(dim + ",3]")};
  });
  add("032", one_tensor("\"F32\"", "[4294967296,4294967296]", "[0,0]"), ST26, in("[4294"));
  add("033", one_tensor("\"I8\"", "[9223372036854775807,2]", "[0,0]"), ST26, in("[9223"));
  add("034", one_tensor("\"I8\"", "[18446744073709551616]", "[0,0]"), ST25, in("18446"));
  add("035", one_tensor("\"F64\"", "[2305843009213693952]", "[0,0]"), ST26, in("[2305"));
  add_each("036",
           {"[0,9223372036854775807,9223372036854775807]",
            "[9223372036854775807,9223372036854775807,0]"},
           [](const std::string& shape) {
             return Case{{}, fixed(one_tensor("\"F32\"", shape, "[0,0]")), ST26, in(shape)};
           });
  add("037", one_tensor("\"F32\"", "[0,5]", "[0,0]"), accepted, nowhere);
  add("038", one_tensor("\"F32\"", "[]", "[0,4]", "1234"), accepted, nowhere);
  add("039", one_tensor("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]", "1234"), ST25, in("[1,1"));

  // Ranges
  constexpr std::string_view kSame = R"("b":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]})";
  add("040", safetensors_file(object({kA, kSame}), data32().substr(0, 24)), ST29, last("[0,24]"));
  add("041",
      safetensors_file(object({R"("a":{"dtype":"F32","shape":[6],"data_offsets":[8,32]})"}),
                       data32()),
      ST29, in("[8,32]"));
  add("042", changed("[24,32]", "[28,36]", data32() + "1234"), ST29, in("[28,36]"));
  add("043", s0() + "PK\x03\x04 an archive", ST30, at(s0().size()));
  add("044", s0().substr(0, s0().size() - 1), ST30, kEof);
  add("045", changed("[0,24]", "[24,0]"), ST27, in("[24,0]"));
  add("046", changed("[0,24]", "[-8,0]"), ST27, in("[-8,0]"));
  add("047", changed("[0,24]", "[0,24,24]"), ST27, in("[0,24,24]"));
  add_each("048", {"[24]", "[]", "\"0,24\""}, [](const std::string& range) {
    return Case{{}, fixed(changed("[0,24]", range)), ST27, in("data_offsets\":" + range, 14)};
  });
  add_each("049", {"[0,18446744073709551616]", "[0,18446744073709551615]"},
           [](const std::string& range) {
             return Case{{}, fixed(changed("[0,24]", range)), ST27, in(range)};
           });
  add("049_zero", changed("[0,24]", "[00,24]"), ST27, in("00,24"));
  add("050", changed("[2,3]", "[2,4]"), ST28, in("[0,24]"));
  add("051", one_tensor("\"F4\"", "[3]", "[0,2]", "12"), ST26, in("[3]"));

  // Entries
  add("052", changed("\"F32\"", "\"F99\""), ST24, in("\"F99\""));
  add("053", changed("\"F32\"", "\"f32\""), ST24, in("\"f32\""));
  add("054", changed("\"F32\"", "7"), ST24, in("7,\"shape"));
  add_each("055", {"\"dtype\":\"F32\",", "\"shape\":[2,3],", ",\"data_offsets\":[0,24]"},
           [](const std::string& field) {
             return Case{{}, fixed(changed(field, "")), ST23, in("\"a\"")};
           });
  add("056", safetensors_file(object({kA, kA, kB}), data32()), ST21, last("\"a\""));
  add("057", changed("\"dtype\":\"F32\",", "\"dtype\":\"F32\",\"dtype\":\"F32\","), ST23,
      in(",\"dtype\"", 1));
  add("058", safetensors_file(object({kMeta, kMeta, kA, kB}), data32()), ST20,
      last("\"__metadata__\""));
  add("059", changed("\"format\":\"pt\"", "\"format\":\"pt\",\"format\":\"pt\""), ST20,
      last("\"format\""));
  add("060", changed("\"pt\"", "1"), ST20, in("1}"));
  add("061", changed("{\"format\":\"pt\"}", "null"), accepted, in("null"), ST20);
  add("062", changed("{\"format\":\"pt\"}", "[]"), ST20, in("[]"));
  add("063", changed("\"dtype\":\"F32\"", "\"extra\":[],\"dtype\":\"F32\""), accepted, in("[]"),
      ST23);
  add("064", changed("\"a\"", "\"\""), ST22, in("\"\":{"));
  add("065", changed("\"a\"", "\"a\\u0000\""), ST22, in("\"a\\u0000\""));
  add("066", changed("\"a\"", json_string(repeated("n", 513))), ST22, in("\"nnn"));
  add("066_limit", changed("\"a\"", json_string(repeated("n", 512))), accepted, nowhere);
  add("067", changed("\"a\"", "\"\\u001b\\r\\u202e\""), accepted, nowhere);
  add("068",
      safetensors_file(object({R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})",
                               R"("b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]})"}),
                       "12345"),
      accepted, nowhere);
  add("069", safetensors_file(object({kB, kA, kMeta}), data32()), accepted, nowhere);
  add("075", changed("{\"format\":\"pt\"}", R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})"),
      ST20, in("[2],"));
  add("076", changed("\"b\"", "\"\\u0061\""), ST21, in("\"\\u0061\""));
  add_each("077", {"[]", "\"x\"", "null"}, [](const std::string& entry) {
    return Case{{}, fixed(changed(kB.substr(4), entry)), ST23, in("\"b\":" + entry, 4)};
  });

  // Many and large
  cases.push_back({"case_st_071",
                   [] {
                     std::string text = "{";
                     for (int i = 0; i <= 1'000'000; ++i) {
                       text += (i > 0 ? ",\"" : "\"") + std::to_string(i) +
                               R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
                     }
                     return safetensors_file(text + '}', "");
                   },
                   ST31, in("\"1000000\"")});
  cases.push_back({"case_st_072",
                   [] {
                     std::string text = "{";
                     for (int i = 0; i < 1'000'000; ++i) {
                       text += (i > 0 ? ",\"" : "\"") + std::to_string(1'000'000 + i) +
                               R"(":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
                     }
                     return safetensors_file(text + '}', "1234");
                   },
                   ST29,
                   in("\"1000001\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]", 52)});
  SafetensorsBuilder large;
  const std::uint64_t values = (std::uint64_t{1} << 31) + 64;
  large.hole("a", "BF16", {values}, 2 * values);
  add("074", large.build(), accepted, nowhere, {}, large.file_bytes());
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Table, SafetensorsCases, ::testing::ValuesIn(all_cases()),
                         [](const auto& row) { return row.param.id; });

TEST(Safetensors, CaseSt078EveryPrefixIsRefused) {
  const TemporaryDirectory folder;
  const std::string whole = s0();
  const std::uint64_t header_end = 8 + s0_header().size();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    Warnings warnings;
    const std::string path = folder.write("x.safetensors", whole.substr(0, length));
    const ErrorCode code = length < 10           ? ErrorCode::ST01
                           : length < header_end ? ErrorCode::ST02
                                                 : ErrorCode::ST30;
    try {
      open_safetensors(path, warnings);
      ADD_FAILURE() << length << " bytes were accepted";
    } catch (const Error& error) {
      EXPECT_EQ(code_name(error.code()), code_name(code)) << error.what();
      EXPECT_EQ(error.problem().offset, code == ErrorCode::ST02 ? 0 : length) << error.what();
    }
  }
}

TEST(Safetensors, GivesTensorsInTheOrderOfTheirDataAndReadsThem) {
  const TemporaryDirectory folder;
  const std::string path =
      folder.write("x.safetensors", safetensors_file(object({kB, kMeta, kA}), data32()));
  Warnings warnings;
  const auto source = open_safetensors(path, warnings);
  EXPECT_EQ(source->format(), "safetensors");
  ASSERT_EQ(source->tensors().size(), 2u);
  const SourceTensor& a = source->tensors()[0];
  const SourceTensor& b = source->tensors()[1];
  EXPECT_EQ(a.name, "a");
  EXPECT_EQ(a.type, DType::f32);
  EXPECT_EQ(a.shape, (Shape{2, 3}));
  EXPECT_EQ(b.type, DType::f16);
  EXPECT_EQ(b.bytes, 8u);
  std::string bytes(4, ' ');
  source->read(1, 2, std::as_writable_bytes(std::span(bytes)));
  EXPECT_EQ(bytes, data32().substr(26, 4));
  ASSERT_NE(source->metadata().get<std::string>("format"), nullptr);
  EXPECT_EQ(*source->metadata().get<std::string>("format"), "pt");
  source->check_unchanged();
}

TEST(Safetensors, AMillionTensorsOpenInSeconds) {
  const TemporaryDirectory folder;
  std::string text = "{";
  for (int i = 0; i < 1'000'000; ++i) {
    text += (i > 0 ? ",\"t" : "\"t") + std::to_string(i) +
            R"(":{"dtype":"U8","shape":[1],"data_offsets":[)" + std::to_string(i) + ',' +
            std::to_string(i + 1) + "]}";
  }
  const std::string path =
      folder.write("x.safetensors", safetensors_file(text + '}', std::string(1'000'000, 'x')));
  Warnings warnings;
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(open_safetensors(path, warnings)->tensors().size(), 1'000'000u);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

}  // namespace
}  // namespace quantize
