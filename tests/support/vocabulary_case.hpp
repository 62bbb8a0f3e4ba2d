// The folders of golden/tokenizers: what a case needs, and the keys that this program makes of it.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "quantize/error.hpp"
#include "quantize/metadata.hpp"

namespace quantize::test {

struct VocabularyCase {
  std::string name;
  nlohmann::json described;  // its case.json

  explicit VocabularyCase(std::string name);
  std::string path_of(const std::string& file) const;
  std::vector<std::string> oracles() const;  // files that packages carry
  Metadata convert(Warnings& warnings) const;
};

std::vector<std::string> vocabulary_case_names();

}  // namespace quantize::test
