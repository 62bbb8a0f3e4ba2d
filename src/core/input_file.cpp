#include "core/input_file.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace quantize {
namespace {

constexpr std::size_t kMaxReadBytes = std::size_t{1} << 30;  // what one pread surely takes

std::string reason(int error_number) { return std::generic_category().message(error_number); }

void fail_changed(const std::string& path, std::uint64_t offset, std::uint64_t size_now,
                  std::uint64_t size_before) {
  fail(ErrorCode::IO05, path, offset, "the file changed while being read",
       std::to_string(size_now) + " bytes", std::to_string(size_before) + " bytes");
}

}  // namespace

void fail_to_open(const std::string& path, int error_number) {
  ErrorCode code = ErrorCode::IO01;
  if (error_number == EACCES || error_number == EPERM) code = ErrorCode::IO07;
  if (error_number == EMFILE || error_number == ENFILE) code = ErrorCode::IO06;
  fail(code, path, {}, "cannot open: " + reason(error_number));
}

InputFile::InputFile(const std::string& path, bool follow_symlinks) {
  about_.path = path;
  // A NUL would open the file that the bytes before it name.
  if (path.find('\0') != std::string::npos) fail_to_open(path, ENOENT);
  open_at(AT_FDCWD, path.c_str(), follow_symlinks);
}

InputFile::InputFile(const Directory& directory, std::string_view name) {
  about_.path = directory.path_of(name);
  if (name.find('\0') != std::string_view::npos) fail_to_open(about_.path, ENOENT);
  open_at(directory.descriptor(), std::string(name).c_str(), directory.follow_symlinks());
}

void InputFile::open_at(int directory, const char* name, bool follow_symlinks) {
  const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  do {
    descriptor_ = ::openat(directory, name, flags | (follow_symlinks ? 0 : O_NOFOLLOW));
  } while (descriptor_ < 0 && errno == EINTR);
  if (descriptor_ < 0) {
    const int error_number = errno;
    // Sockets and devices without a driver cannot be opened at all.
    if (error_number == ENXIO || error_number == ENODEV) {
      fail(ErrorCode::IO04, path(), {}, "not a regular file");
    }
    if (error_number == ELOOP && !follow_symlinks) {
      fail(ErrorCode::IO04, path(), {}, "a symbolic link, which --no-follow refuses");
    }
    fail_to_open(path(), error_number);
  }
  try {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) {
      fail(ErrorCode::IO02, path(), {}, "fstat failed: " + reason(errno));
    }
    if (S_ISDIR(status.st_mode)) fail(ErrorCode::IO03, path(), {}, "is a directory");
    if (!S_ISREG(status.st_mode)) fail(ErrorCode::IO04, path(), {}, "not a regular file");
    about_.bytes = static_cast<std::uint64_t>(status.st_size);
    about_.device = static_cast<std::uint64_t>(status.st_dev);
    about_.inode = static_cast<std::uint64_t>(status.st_ino);
    modified_seconds_ = status.st_mtim.tv_sec;
    modified_nanoseconds_ = status.st_mtim.tv_nsec;
  } catch (...) {  // the destructor of a half-made object does not run
    ::close(descriptor_);
    throw;
  }
}

InputFile::~InputFile() { ::close(descriptor_); }

void InputFile::read(std::uint64_t offset, std::span<std::byte> into) const {
  if (offset > size() || into.size() > size() - offset) {
    fail(ErrorCode::BUG01, path(), offset, "a read beyond the end of the file");
  }
  while (!into.empty()) {
    const ssize_t got = ::pread(descriptor_, into.data(), std::min(into.size(), kMaxReadBytes),
                                static_cast<off_t>(offset));
    if (got < 0) {
      if (errno == EINTR) continue;
      fail(ErrorCode::IO02, path(), offset, "pread failed: " + reason(errno));
    }
    if (got == 0) {
      check_unchanged();
      fail_changed(path(), offset, offset, size());
    }
    offset += static_cast<std::uint64_t>(got);
    into = into.subspan(static_cast<std::size_t>(got));
  }
}

std::string InputFile::read_text(std::uint64_t offset, std::uint64_t bytes) const {
  std::string text(bytes, '\0');
  read(offset, std::as_writable_bytes(std::span(text)));
  return text;
}

void InputFile::prefetch(std::uint64_t offset, std::uint64_t bytes) const noexcept {
#ifdef POSIX_FADV_WILLNEED
  static_cast<void>(::posix_fadvise(descriptor_, static_cast<off_t>(offset),
                                    static_cast<off_t>(bytes), POSIX_FADV_WILLNEED));
#endif
}

void InputFile::check_unchanged() const {
  struct stat now {};
  if (::fstat(descriptor_, &now) != 0) {
    fail(ErrorCode::IO02, path(), {}, "fstat failed: " + reason(errno));
  }
  const auto size_now = static_cast<std::uint64_t>(now.st_size);
  if (size_now != size()) fail_changed(path(), std::min(size_now, size()), size_now, size());
  if (now.st_mtim.tv_sec != modified_seconds_ || now.st_mtim.tv_nsec != modified_nanoseconds_) {
    fail(ErrorCode::IO05, path(), {}, "the file was written to while being read");
  }
}

}  // namespace quantize
