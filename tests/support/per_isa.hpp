// Tests with one case for each compiled instruction set. What this CPU cannot run is skipped aloud.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "quantize/isa.hpp"

namespace quantize::test {

class PerIsa : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    for (const Isa& isa : isas()) {
      if (isa.name == GetParam() && !isa.usable) GTEST_SKIP() << "this CPU lacks " << isa.name;
    }
  }
};

inline std::vector<std::string> isa_names() {
  std::vector<std::string> all;
  for (const Isa& isa : isas()) all.emplace_back(isa.name);
  return all;
}

}  // namespace quantize::test
