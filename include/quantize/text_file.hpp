// A report on its way to its file: complete under its name or not there at all.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "quantize/error.hpp"

namespace quantize {

class TextFile {
 public:
  // Creates a temporary beside `path`; `replace` allows an existing file. Devices and FIFOs are
  // written in place. OUT01 to OUT06, OUT14.
  TextFile(const std::string& path, bool replace, Warnings& warnings);
  ~TextFile();
  TextFile(TextFile&&) noexcept;
  TextFile& operator=(TextFile&&) = delete;

  const std::string& path() const noexcept { return path_; }
  // Replaces the content and syncs it.
  void write(std::string_view text);
  // Gives the file its name and syncs the directory.
  void publish();

 private:
  std::string path_;
  std::unique_ptr<class AtomicFile> file_;  // null: a device or FIFO
  int stream_ = -1;
};

}  // namespace quantize
