#include "core/directory.hpp"

#include <algorithm>
#include <cerrno>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/input_file.hpp"

namespace quantize {

Directory::Directory(const std::string& path, bool follow_symlinks)
    : path_(path), follow_symlinks_(follow_symlinks) {
  if (path.find('\0') != std::string::npos) fail_to_open(path, ENOENT);
  // The parent of a bare file name is the current directory, which no message needs to spell.
  const char* name = path.empty() ? "." : path.c_str();
  do {
    descriptor_ = ::open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
  } while (descriptor_ < 0 && errno == EINTR);
  if (descriptor_ < 0) fail_to_open(path, errno);
}

Directory::~Directory() { ::close(descriptor_); }

std::string Directory::path_of(std::string_view name) const {
  std::string joined = path_;
  if (!joined.empty() && joined.back() != '/') joined += '/';
  return joined.append(name);
}

bool Directory::contains(std::string_view name) const noexcept {
  if (name.empty() || name.find('\0') != std::string_view::npos) return false;
  struct stat status {};
  return ::fstatat(descriptor_, std::string(name).c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

std::optional<std::string> Directory::read(std::string_view name, std::uint64_t max_bytes,
                                           ErrorCode too_large) const {
  if (!contains(name)) return std::nullopt;
  const InputFile file(*this, name);
  if (file.size() > max_bytes) {
    fail(too_large, file.path(), {}, "the file is too large",
         std::to_string(file.size()) + " bytes", "at most " + std::to_string(max_bytes) + " bytes");
  }
  return file.read_text(0, file.size());
}

std::vector<std::string> Directory::names() const {
  const int listing = ::openat(descriptor_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (listing < 0) fail_to_open(path_, errno);
  DIR* stream = ::fdopendir(listing);
  if (stream == nullptr) {
    const int error_number = errno;
    ::close(listing);
    fail_to_open(path_, error_number);
  }
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(stream);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace quantize
