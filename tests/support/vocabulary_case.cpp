#include "support/vocabulary_case.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

#include "convert/vocabulary.hpp"
#include "support/temporary_directory.hpp"

namespace quantize::test {
namespace {

namespace fs = std::filesystem;

const fs::path kCases = fs::path(QUANTIZE_TEST_DATA) / "golden/tokenizers";

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

VocabularyCase::VocabularyCase(std::string case_name)
    : name(std::move(case_name)), described(nlohmann::json::parse(read(path_of("case.json")))) {}

std::string VocabularyCase::path_of(const std::string& file) const {
  return (kCases / name / file).string();
}

std::vector<std::string> VocabularyCase::oracles() const {
  std::vector<std::string> out;
  if (described.contains("from"))
    for (const auto& origin : described["from"]) out.push_back(origin.get<std::string>());
  return out;
}

Metadata VocabularyCase::convert(Warnings& warnings) const {
  const testing::TemporaryDirectory directory;
  fs::copy(kCases / name, directory.path(), fs::copy_options::recursive);
  if (described.contains("from"))
    for (const auto& [file, origin] : described["from"].items())
      fs::copy_file(fs::path(QUANTIZE_ORACLES) / origin.get<std::string>(),
                    directory.path_of(file));
  std::vector<VocabularyRoute> routes;
  for (const std::string route : described["routes"])
    routes.push_back(vocabulary_route(route).value());
  const auto config =
      JsonDocument::parse(read(kCases / name / "config.json"), "config.json", JsonRules{}, nullptr);
  std::optional<std::string> pre;
  if (described.contains("pre")) pre = described["pre"].get<std::string>();
  const Directory opened(directory.path(), true);
  Metadata metadata;
  append_vocabulary({opened, config->root(), routes, 0, pre}, metadata, warnings);
  return metadata;
}

std::vector<std::string> vocabulary_case_names() {
  std::vector<std::string> out;
  for (const fs::directory_entry& entry : fs::directory_iterator(kCases))
    if (fs::exists(entry.path() / "case.json")) out.push_back(entry.path().filename().string());
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace quantize::test
