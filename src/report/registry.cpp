// The table of report formats: a new one is a row here and a file beside this one.
#include <algorithm>
#include <array>
#include <ostream>

#include "quantize/escape.hpp"

#include "report/writers.hpp"

namespace quantize {
namespace {

struct Format {
  std::string_view name;  // also the suffix
  void (*write)(std::span<const InputReport>, std::ostream&);
};

constexpr std::array<Format, 4> kFormats = {{
    {"txt", report::write_text},
    {"json", report::write_json},
    {"csv", report::write_csv},
    {"md", report::write_markdown},
}};

constexpr auto kNames = [] {
  std::array<std::string_view, kFormats.size()> names{};
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = kFormats[i].name;
  return names;
}();

const Format& find_format(std::string_view name, const std::string& file) {
  for (const Format& format : kFormats) {
    if (format.name == name) return format;
  }
  std::string allowed;
  for (const Format& format : kFormats) {
    allowed += (allowed.empty() ? "" : " ") + std::string(format.name);
  }
  fail(ErrorCode::USE04, file, {}, "no such report format", std::string(name), allowed);
}

}  // namespace

std::span<const std::string_view> report_formats() noexcept { return kNames; }

std::string_view report_format_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string_view name =
      std::string_view(path).substr(slash == std::string::npos ? 0 : slash + 1);
  const std::size_t dot = name.rfind('.');
  return find_format(dot == std::string_view::npos ? "" : name.substr(dot + 1), path).name;
}

void write_reports(std::span<const InputReport> inputs, std::string_view format,
                   std::ostream& out) {
  find_format(format, "").write(inputs, out);
}

}  // namespace quantize
