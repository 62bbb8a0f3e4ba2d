// A folder of its own for a test, removed at the end, and small files in it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace quantize::testing {

class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }
  std::string file(std::string_view name) const { return path_ / name; }
  std::string write(std::string_view name, std::string_view bytes) const;  // returns its path

 private:
  std::filesystem::path path_;
};

}  // namespace quantize::testing
