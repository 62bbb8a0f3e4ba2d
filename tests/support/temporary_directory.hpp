// A folder of a test's own, removed with all it holds when the test ends.
#pragma once

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include <stdlib.h>

namespace quantize::testing {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    path_ = (std::filesystem::temp_directory_path() / "quantize-test-XXXXXX").string();
    if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const noexcept { return path_; }
  std::string path_of(std::string_view name) const { return path_ + '/' + std::string(name); }

  // `bytes` as the file's content; beyond them, a hole up to `sparse_size`. Returns its path.
  std::string write(std::string_view name, std::string_view bytes,
                    std::uint64_t sparse_size = 0) const {
    const std::string path = path_of(name);
    std::ofstream file(path, std::ios::binary);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.close();
    if (!file) throw std::runtime_error("cannot write " + path);
    if (sparse_size > bytes.size()) std::filesystem::resize_file(path, sparse_size);
    return path;
  }

 private:
  std::string path_;
};

}  // namespace quantize::testing
