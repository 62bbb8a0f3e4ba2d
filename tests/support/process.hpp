// Runs a command and collects what it printed; for tests that drive programs.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

namespace quantize::test {

struct ProcessResult {
  int exit_status = -1;  // 128 + signal when a signal ended it
  std::string out;
  std::string err;
};

// argv[0] is looked up in PATH. Standard input is empty.
ProcessResult run_process(const std::vector<std::string>& argv);

// Path of a file or folder under .oracle/. Missing: the test is skipped with a message that says so
// and how to install it, or fails where CI is set. A cross build has no oracles: they are the build
// machine's. Use through QUANTIZE_REQUIRE_ORACLE.
std::string oracle_path(const std::string& name);
bool oracle_missing(const std::string& name);

}  // namespace quantize::test

#define QUANTIZE_REQUIRE_ORACLE(name)                                                          \
  if (*QUANTIZE_ORACLES == '\0') {                                                             \
    GTEST_SKIP() << "NO ORACLE in a cross build: " << (name);                                  \
  } else if (::quantize::test::oracle_missing(name)) {                                         \
    if (std::getenv("CI")) FAIL() << "oracle missing: " << (name) << "; run tools/oracles.sh"; \
    GTEST_SKIP() << "ORACLE MISSING: " << (name) << "; run tools/oracles.sh";                  \
  }
