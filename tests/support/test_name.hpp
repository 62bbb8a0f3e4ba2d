// Names of parameterised tests from names of cases: GoogleTest allows letters, digits and "_".
#pragma once

#include <algorithm>
#include <cctype>
#include <string>

namespace quantize::test {

inline std::string test_name(std::string name) {
  std::replace_if(
      name.begin(), name.end(),
      [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
}

}  // namespace quantize::test
