#include "outputs.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

namespace quantize::cli {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

std::string expand(const std::string& pattern,
                   const std::vector<std::pair<std::string_view, std::string>>& fields) {
  std::string result;
  for (std::size_t at = 0; at < pattern.size();) {
    const auto field = std::find_if(fields.begin(), fields.end(), [&](const auto& f) {
      return pattern.compare(at, f.first.size(), f.first) == 0;
    });
    result += field == fields.end() ? std::string(1, pattern[at]) : field->second;
    at += field == fields.end() ? 1 : field->first.size();
  }
  return result;
}

// One text for all ways to name a file: links resolved as far as it exists.
std::string identity(const std::string& path) {
  std::error_code error;
  const auto canonical = std::filesystem::weakly_canonical(path, error);
  return error ? path : canonical.string();
}

bool same_file(const std::string& a, const std::string& b) {
  std::error_code error;
  return identity(a) == identity(b) || (std::filesystem::equivalent(a, b, error) && !error);
}

}  // namespace

std::string output_path(const Request& request, const Model& model, const Target& target) {
  if (request.output) return *request.output;
  const std::string pattern = !request.name_template.empty() ? request.name_template
                              : target.checkpoint            ? "{name}-{TYPE}"
                              : request.open.projector       ? "mmproj-{name}-{TYPE}.gguf"
                                                             : "{name}-{TYPE}.gguf";
  std::string name = expand(
      pattern, {{"{name}", model.name}, {"{type}", lower(target.label)}, {"{TYPE}", target.label}});
  if (request.out_dir.empty()) return name;
  return request.out_dir.back() == '/' ? request.out_dir + name : request.out_dir + '/' + name;
}

void check_distinct(const NamedPaths& paths) {
  std::map<std::string, std::string> outputs;
  for (const std::string& path : paths.outputs) {
    if (path == "-" || path == "/dev/null") continue;
    if (!outputs.emplace(identity(path), path).second) {
      fail(ErrorCode::OUT03, path, {}, "two outputs have this name (--name can tell them apart)");
    }
  }
  std::map<std::string, std::string> reports;
  for (const std::string& path : paths.reports) {
    if (outputs.contains(identity(path)) || !reports.emplace(identity(path), path).second) {
      fail(ErrorCode::USE05, path, {}, "the report has the name of another output");
    }
    for (const std::string& input : paths.inputs) {
      if (same_file(path, input)) fail(ErrorCode::OUT03, path, {}, "the report is an input");
    }
  }
}

}  // namespace quantize::cli
