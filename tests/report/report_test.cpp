// Reports: figures from sums, every format harmless whatever a file holds, totals that add up.
#include "quantize/report.hpp"

#include <cmath>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace quantize {
namespace {

TensorReport tensor_named(std::string name) {
  TensorReport tensor;
  tensor.name = std::move(name);
  tensor.shape = Shape{2, 32};
  tensor.source_type = DType::f32;
  tensor.type = DType::q8_0;
  tensor.bytes_before = 256;
  tensor.bytes_after = 68;
  tensor.error = {64, 1, 100, 100, 99.5, 0.25, 0, 0};
  tensor.rule = "default of Q8_0";
  return tensor;
}

InputReport input_with(const std::string& text) {
  Report report;
  report.model = report.architecture = text;
  report.source_format = "gguf";
  report.target = "Q8_0";
  report.source_bytes = 400;
  report.header_bytes = 64;
  report.padding_bytes = 28;
  report.tensor_bytes = 68;
  report.output_bytes = 160;
  report.values = 64;
  report.files.push_back({text, 160});
  report.tensors.push_back(tensor_named(text));
  report.notes.push_back(text);
  return {text, {report}, {{{ErrorCode::QZ01, text, 7, text, text, text}, 3}}, std::nullopt};
}

std::string written(const InputReport& input, std::string_view format) {
  std::ostringstream out;
  write_reports({&input, 1}, format, out);
  return out.str();
}

TEST(ErrorStats, FiguresFollowFromTheSums) {
  const ErrorStats error{64, 1, 100, 100, 99.5, 0.25, 0, 0};
  EXPECT_DOUBLE_EQ(error.relative_rmse(), 0.1);
  EXPECT_DOUBLE_EQ(error.snr_db(), 20);
  EXPECT_DOUBLE_EQ(error.cosine(), 0.995);
}

TEST(ErrorStats, NothingLostIsInfiniteSnr) {
  const ErrorStats zero{64, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_EQ(zero.relative_rmse(), 0);
  EXPECT_TRUE(std::isinf(zero.snr_db()));
  EXPECT_EQ(zero.cosine(), 1);
}

TEST(ErrorStats, MergeAddsSumsAndKeepsTheLargestError) {
  ErrorStats sum{1, 2, 3, 4, 5, 0.5, 6, 7};
  sum.merge({10, 20, 30, 40, 50, 0.25, 60, 70});
  EXPECT_EQ(sum.values, 11u);
  EXPECT_EQ(sum.sum_squared_error, 22);
  EXPECT_EQ(sum.sum_product, 55);
  EXPECT_EQ(sum.max_abs_error, 0.5);
  EXPECT_EQ(sum.nonfinite, 66u);
  EXPECT_EQ(sum.saturated, 77u);
}

TEST(Report, FormatsAreFoundBySuffix) {
  EXPECT_EQ(report_format_of("a.b/c.json"), "json");
  EXPECT_THROW(report_format_of("a.json/c"), Error);
  EXPECT_THROW(report_format_of("report.html"), Error);
}

TEST(Report, JsonIsValidAndItsTotalsAddUp) {
  const auto document = nlohmann::json::parse(written(input_with("m"), "json"));
  EXPECT_EQ(document["schema"], "quantize-report-1");
  const auto& output = document["inputs"][0]["outputs"][0];
  EXPECT_EQ(output["header_bytes"].get<int>() + output["padding_bytes"].get<int>() +
                output["tensor_bytes"].get<int>(),
            output["output_bytes"].get<int>());
  EXPECT_DOUBLE_EQ(output["error"]["snr_db"].get<double>(), 20);
  EXPECT_EQ(document["inputs"][0]["warnings"][0]["count"], 3);
}

TEST(Report, InfiniteSnrIsNullInJson) {
  InputReport input = input_with("m");
  input.outputs[0].tensors[0].error = {64, 0, 100, 100, 100, 0, 0, 0};
  const auto document = nlohmann::json::parse(written(input, "json"));
  EXPECT_TRUE(document["inputs"][0]["outputs"][0]["tensors"][0]["error"]["snr_db"].is_null());
}

// Rows ES-01 to ES-11: what a hostile file may hold, in every place a report shows text of a file.
class HostileText : public testing::TestWithParam<std::string> {};

TEST_P(HostileText, IsInertInEveryFormat) {
  for (const std::string_view format : report_formats()) {
    const std::string report = written(input_with(GetParam()), format);
    for (const char c : report) {
      ASSERT_TRUE(c == '\n' || (c >= 0x20 && c < 0x7F)) << format << " byte " << int{c};
    }
    std::istringstream lines(report);
    for (std::string line; std::getline(lines, line);) {
      ASSERT_NE(line.substr(0, 2), "::") << format;
      ASSERT_NE(line.substr(0, 2), "##" + std::string(format == "md" ? "x" : "")) << format;
    }
  }
  const auto document = nlohmann::json::parse(written(input_with(GetParam()), "json"));
  const auto& path = document["inputs"][0]["path"];
  if (path.is_string()) {
    EXPECT_EQ(path, GetParam());
  } else {
    EXPECT_TRUE(path.contains("hex"));
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, HostileText,
                         testing::Values(std::string("\x00\x01\x1f\x7f", 4), "\xc2\x80\xc2\x9b",
                                         "\x1b[2J\x1b]0;t\x07", "a\rb\bc\vd",
                                         "\xe2\x80\xae\xe2\x80\x8b\xe2\x80\xa8",
                                         "\xc3\x28\xff\xe2\x82", "a\n::error::x\n##vso[x]",
                                         "|`<script>[x](y)", "\\u0041\\n", "plain"));

TEST(Report, MarkdownMarkupIsInert) {
  const std::string report = written(input_with("|`<script>[x](y)"), "md");
  EXPECT_EQ(report.find("<script"), std::string::npos);
  EXPECT_EQ(report.find('`'), std::string::npos);
  EXPECT_EQ(report.find("[x]"), std::string::npos);
}

TEST(Report, CsvFieldsAreNoFormulas) {
  for (const std::string start : {"=1+1", "+x", "-x", "@x"}) {
    const std::string report = written(input_with(start), "csv");
    EXPECT_EQ(report.find("\"" + start), std::string::npos) << report;
    EXPECT_NE(report.find("\"'" + start), std::string::npos) << report;
  }
}

TEST(Report, LongTextIsCutInTheTable) {
  const std::string report = written(input_with(std::string(10'000'000, 'x')), "txt");
  EXPECT_LT(report.size(), 10'000u);
  EXPECT_NE(report.find("bytes)"), std::string::npos);
}

}  // namespace
}  // namespace quantize
