// A directory held open by descriptor, and the small text files in it (config.json, tokenizer.json
// ...). Only fixed names and names that an index rule has checked are opened, relative to the
// descriptor, non-blocking, never by a joined path.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quantize/error.hpp"

namespace quantize {

class Directory {
 public:
  // IO01, IO07 if it cannot be opened. `path` as the user gave it.
  Directory(const std::string& path, bool follow_symlinks);
  ~Directory();
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  const std::string& path() const noexcept { return path_; }
  std::string path_of(std::string_view name) const;  // for messages
  int descriptor() const noexcept { return descriptor_; }
  bool follow_symlinks() const noexcept { return follow_symlinks_; }
  bool contains(std::string_view name) const noexcept;
  // The whole file; empty optional if there is none. `too_large` if it has more than `max_bytes`;
  // IO03, IO04, IO07, IO02 as usual.
  std::optional<std::string> read(std::string_view name, std::uint64_t max_bytes,
                                  ErrorCode too_large = ErrorCode::JS06) const;
  std::vector<std::string> names() const;  // sorted by bytes

 private:
  std::string path_;
  int descriptor_ = -1;
  bool follow_symlinks_ = true;
};

}  // namespace quantize
