// A regular file open for positioned reads. Its size is fixed when it is opened: a read that meets
// an earlier end is "changed while being read", never a short result and never a signal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "quantize/source.hpp"

#include "core/directory.hpp"

namespace quantize {

class InputFile {
 public:
  // IO01 missing, IO03 a directory, IO04 no regular file (or a symlink that must not be followed),
  // IO06, IO07. Never waits: a FIFO is refused, not opened for its writer.
  explicit InputFile(const std::string& path, bool follow_symlinks = true);
  InputFile(const Directory& directory, std::string_view name);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const SourceFile& about() const noexcept { return about_; }
  const std::string& path() const noexcept { return about_.path; }
  std::uint64_t size() const noexcept { return about_.bytes; }

  // Exactly into.size() bytes at `offset`, which must lie within size(). Thread-safe. IO02, IO05.
  void read(std::uint64_t offset, std::span<std::byte> into) const;
  std::string read_text(std::uint64_t offset, std::uint64_t bytes) const;
  // Asks the system to fetch these bytes ahead of their use.
  void prefetch(std::uint64_t offset, std::uint64_t bytes) const noexcept;
  // IO05 if size or modification time differ from when the file was opened.
  void check_unchanged() const;

 private:
  void open_at(int directory, const char* name, bool follow_symlinks);

  SourceFile about_;
  int descriptor_ = -1;
  std::int64_t modified_seconds_ = 0;
  std::int64_t modified_nanoseconds_ = 0;
};

// Fails with IO01, IO06 or IO07, whichever `error_number` of a failed open means.
[[noreturn]] void fail_to_open(const std::string& path, int error_number);

}  // namespace quantize
