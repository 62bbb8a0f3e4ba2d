#include "core/atomic_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string_view>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "quantize/escape.hpp"
#include "quantize/sink.hpp"

namespace quantize {
namespace {

constexpr std::string_view kSuffix = ".quantize-tmp";
constexpr std::size_t kMaxName = 255;
constexpr std::size_t kRandomDigits = 16;
constexpr std::uint64_t kMaxCall = std::uint64_t{1} << 30;
constexpr std::time_t kStaleSeconds = 600;

std::string errno_text(int error) {
  return std::string(strerrorname_np(error)) + ", " + strerrordesc_np(error);
}

// The process's umask, read once: reading it means setting it.
mode_t process_umask() {
  static const mode_t mask = [] {
    const mode_t old = umask(077);
    umask(old);
    return old;
  }();
  return mask;
}

std::string random_digits() {
  unsigned char bytes[kRandomDigits / 2] = {};
  if (getrandom(bytes, sizeof bytes, 0) != static_cast<ssize_t>(sizeof bytes)) {
    fail(ErrorCode::OUT07, {}, {}, "cannot get random bytes for a temporary name");
  }
  std::string digits;
  for (const unsigned char b : bytes) {
    digits += "0123456789abcdef"[b >> 4];
    digits += "0123456789abcdef"[b & 15];
  }
  return digits;
}

// ".NAME." of the temporaries of NAME, shortened so that the whole fits a file name.
std::string temporary_prefix(const std::string& name) {
  const std::size_t room = kMaxName - 2 - kRandomDigits - kSuffix.size();
  return "." + name.substr(0, room) + ".";
}

}  // namespace

// Named temporaries that exist. Entries are reused and never freed, so that a signal handler can
// walk the list at any moment.
struct NamedTemporary {
  std::atomic<bool> used{true};
  std::atomic<int> directory{-1};  // negative: there is nothing to remove
  std::array<char, kMaxName + 1> name{};
  NamedTemporary* next = nullptr;
};

namespace {

std::atomic<NamedTemporary*> temporaries{nullptr};

NamedTemporary* remember(int directory, const std::string& name) {
  NamedTemporary* entry = temporaries.load();
  while (entry != nullptr && entry->used.exchange(true)) entry = entry->next;
  if (entry == nullptr) {
    entry = new NamedTemporary;
    entry->next = temporaries.load();
    while (!temporaries.compare_exchange_weak(entry->next, entry)) {
    }
  }
  name.copy(entry->name.data(), kMaxName);
  entry->name[name.size()] = '\0';
  entry->directory.store(directory);
  return entry;
}

void forget(NamedTemporary* entry) noexcept {
  if (entry == nullptr) return;
  entry->directory.store(-1);
  entry->used.store(false);
}

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

}  // namespace

void fail_output(int error, const std::string& path, const std::string& operation,
                 ErrorCode otherwise) {
  ErrorCode code = otherwise;
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      code = ErrorCode::OUT08;
      break;
    case EFBIG:
      code = ErrorCode::OUT13;
      break;
    case EROFS:
      code = ErrorCode::OUT06;
      break;
    case EACCES:
    case EPERM:
      code = ErrorCode::OUT05;
      break;
    case ENOENT:
    case ENOTDIR:
      code = ErrorCode::OUT01;
      break;
    case ENAMETOOLONG:
      code = ErrorCode::OUT14;
      break;
    case EMFILE:
    case ENFILE:
      code = ErrorCode::IO06;
      break;
    case EEXIST:
      code = ErrorCode::OUT02;
      break;
    default:
      break;
  }
  fail(code, path, {}, operation + " failed: " + errno_text(error));
}

TargetStatus target_status(const std::string& path) {
  struct stat link = {};
  if (lstat(path.c_str(), &link) != 0) return {};
  TargetStatus status;
  struct stat target = link;
  if (S_ISLNK(link.st_mode) && stat(path.c_str(), &target) != 0) return {TargetKind::symlink, 0, 0};
  status.device = target.st_dev;
  status.inode = target.st_ino;
  if (S_ISCHR(target.st_mode) || S_ISFIFO(target.st_mode)) {
    status.kind = TargetKind::stream;
  } else if (S_ISLNK(link.st_mode)) {
    status.kind = TargetKind::symlink;
  } else if (S_ISREG(link.st_mode)) {
    status.kind = TargetKind::regular;
  } else if (S_ISDIR(link.st_mode)) {
    status.kind = TargetKind::directory;
  } else {
    status.kind = TargetKind::other;
  }
  return status;
}

bool write_all(int descriptor, std::span<const std::byte> bytes, const std::string& path,
               ErrorCode code, const std::atomic<bool>* stop) {
  constexpr int kLookMilliseconds = 100;
  // What a pipe that is ready takes without making the writer wait.
  const std::uint64_t at_once = stop != nullptr ? PIPE_BUF : kMaxCall;
  while (!bytes.empty()) {
    if (stop != nullptr) {
      if (stop->load()) return false;
      struct pollfd ready = {descriptor, POLLOUT, 0};
      if (poll(&ready, 1, kLookMilliseconds) <= 0) continue;
    }
    const ssize_t n =
        write(descriptor, bytes.data(), std::min<std::uint64_t>(bytes.size(), at_once));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail_output(n < 0 ? errno : EIO, path, "write", code);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

void remove_temporaries() noexcept {
  for (NamedTemporary* entry = temporaries.load(); entry != nullptr; entry = entry->next) {
    const int directory = entry->directory.load();
    if (directory >= 0) unlinkat(directory, entry->name.data(), 0);
  }
}

AtomicFile::AtomicFile(const std::string& path, bool replace, std::uint64_t bytes,
                       Warnings& warnings)
    : path_(path), replace_(replace), bytes_(bytes) {
  if (path.empty()) fail(ErrorCode::USE06, {}, {}, "the output path is empty");
  const std::size_t slash = path.rfind('/');
  name_ = slash == std::string::npos ? path : path.substr(slash + 1);
  const std::string parent = slash == std::string::npos ? "."
                             : slash == 0               ? "/"
                                                        : path.substr(0, slash);
  if (name_.empty()) fail(ErrorCode::OUT04, path, {}, "the output path names a directory");
  if (name_.size() > kMaxName) {
    fail(ErrorCode::OUT14, path, {}, "the output's file name is too long",
         std::to_string(name_.size()) + " bytes", "255 bytes");
  }
  directory_ = open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory_ < 0) fail_output(errno, path, "opening the output's directory", ErrorCode::OUT01);
  try {
    const TargetStatus target = target_status(path);
    if (target.kind == TargetKind::directory || target.kind == TargetKind::other) {
      fail(ErrorCode::OUT04, path, {}, "the output exists and is not a regular file");
    }
    if (target.kind == TargetKind::symlink && !replace) {
      fail(ErrorCode::OUT04, path, {},
           "the output exists and is a symbolic link; --force replaces the link itself");
    }
    if (target.kind == TargetKind::regular && !replace) {
      fail(ErrorCode::OUT02, path, {}, "the output exists already; --force replaces it");
    }
    mode_ = 0666U & ~process_umask();
    struct stat old = {};
    if (target.kind == TargetKind::regular && stat(path.c_str(), &old) == 0)
      mode_ = old.st_mode & 0777U;
    create_unnamed_or_named(warnings);
    if (flock(descriptor_, LOCK_EX | LOCK_NB) != 0) { /* file systems without locks do without */
    }
    if (bytes_ != 0 && fallocate(descriptor_, 0, 0, static_cast<off_t>(bytes_)) != 0) {
      if (errno == ENOSPC || errno == EDQUOT) {
        struct statvfs space = {};
        const std::uint64_t available =
            fstatvfs(directory_, &space) == 0
                ? static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize
                : 0;
        fail(ErrorCode::OUT08, path, {}, "no space for the output",
             std::to_string(available) + " bytes free", std::to_string(bytes_) + " bytes needed");
      }
      if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL && errno != EINTR) {
        fail_output(errno, path, "reserving space");
      }
      set_size(bytes_);
    }
  } catch (...) {
    if (descriptor_ >= 0) close(descriptor_);
    if (!temporary_.empty()) unlinkat(directory_, temporary_.c_str(), 0);
    forget(registered_);
    close(directory_);
    throw;
  }
}

void AtomicFile::create_unnamed_or_named(Warnings& warnings) {
  remove_stale_temporaries(warnings);
  // An unnamed file can be linked to a free name, but cannot replace one.
  if (!replace_) {
    descriptor_ = openat(directory_, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (descriptor_ >= 0) return;
  }
  temporary_ = temporary_prefix(name_) + random_digits() + std::string(kSuffix);
  registered_ = remember(directory_, temporary_);
  descriptor_ = openat(directory_, temporary_.c_str(),
                       O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (descriptor_ < 0) {
    const int error = errno;
    temporary_.clear();
    fail_output(error, path_, "creating the output", ErrorCode::OUT05);
  }
}

// Temporaries of runs that were killed: nobody holds their lock, and they are older than ten
// minutes.
void AtomicFile::remove_stale_temporaries(Warnings& warnings) const {
  const int copy = openat(directory_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* listing = copy < 0 ? nullptr : fdopendir(copy);
  if (!listing) {
    if (copy >= 0) close(copy);
    return;
  }
  const std::string prefix = temporary_prefix(name_);
  while (const dirent* entry = readdir(listing)) {
    const std::string_view name = entry->d_name;
    if (name.size() != prefix.size() + kRandomDigits + kSuffix.size() ||
        !starts_with(name, prefix) || name.substr(name.size() - kSuffix.size()) != kSuffix) {
      continue;
    }
    const int file =
        openat(directory_, entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) continue;
    struct stat status = {};
    if (flock(file, LOCK_EX | LOCK_NB) == 0 && fstat(file, &status) == 0 &&
        status.st_mtime + kStaleSeconds < std::time(nullptr) &&
        unlinkat(directory_, entry->d_name, 0) == 0) {
      warnings.add(
          ErrorCode::OUT02, path_, {},
          "removed the temporary file " + quoted(name) + " of an earlier run that was ended");
    }
    close(file);
  }
  closedir(listing);
}

AtomicFile::~AtomicFile() {
  if (!published_ && !temporary_.empty()) unlinkat(directory_, temporary_.c_str(), 0);
  forget(registered_);
  if (descriptor_ >= 0) close(descriptor_);
  close(directory_);
}

void AtomicFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n =
        pwrite(descriptor_, bytes.data(), std::min<std::uint64_t>(bytes.size(), kMaxCall),
               static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail_output(n < 0 ? errno : EIO, path_, "write");
    offset += static_cast<std::uint64_t>(n);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void AtomicFile::read_at(std::uint64_t offset, std::span<std::byte> into) const {
  while (!into.empty()) {
    const ssize_t n =
        pread(descriptor_, into.data(), std::min<std::uint64_t>(into.size(), kMaxCall),
              static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail(ErrorCode::OUT12, path_, offset, "the output cannot be read back");
    offset += static_cast<std::uint64_t>(n);
    into = into.subspan(static_cast<std::size_t>(n));
  }
}

void AtomicFile::start_write_back() noexcept {
  sync_file_range(descriptor_, 0, 0, SYNC_FILE_RANGE_WRITE);
}

void AtomicFile::set_size(std::uint64_t bytes) {
  if (ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0)
    fail_output(errno, path_, "setting the size");
  bytes_ = bytes;
}

void AtomicFile::finish() {
  struct stat status = {};
  if (fstat(descriptor_, &status) != 0 || static_cast<std::uint64_t>(status.st_size) != bytes_) {
    fail(ErrorCode::OUT12, path_, {}, "the written file has the wrong size",
         std::to_string(status.st_size), std::to_string(bytes_));
  }
  if (fchmod(descriptor_, mode_) != 0 && errno != EPERM && errno != ENOTSUP) {
    fail_output(errno, path_, "setting the permissions");
  }
  if (fsync(descriptor_) != 0)
    fail(ErrorCode::OUT09, path_, {}, "sync failed: " + errno_text(errno));
  // Some network file systems report a failed write only when a descriptor is closed.
  if (const int copy = fcntl(descriptor_, F_DUPFD_CLOEXEC, 0); copy >= 0 && close(copy) != 0)
    fail_output(errno, path_, "closing the output");
}

void AtomicFile::publish() {
  int result = 0;
  if (temporary_.empty()) {
    const std::string self = "/proc/self/fd/" + std::to_string(descriptor_);
    result = linkat(AT_FDCWD, self.c_str(), directory_, name_.c_str(), AT_SYMLINK_FOLLOW);
  } else if (replace_) {
    result = renameat(directory_, temporary_.c_str(), directory_, name_.c_str());
  } else {
    result = renameat2(directory_, temporary_.c_str(), directory_, name_.c_str(), RENAME_NOREPLACE);
    if (result != 0 && (errno == EINVAL || errno == ENOSYS)) {
      result = linkat(directory_, temporary_.c_str(), directory_, name_.c_str(), 0);
      if (result == 0) unlinkat(directory_, temporary_.c_str(), 0);
    }
  }
  if (result != 0) {
    if (errno == EEXIST)
      fail(ErrorCode::OUT02, path_, {}, "the output appeared while it was being written");
    fail(ErrorCode::OUT10, path_, {}, "giving the output its name failed: " + errno_text(errno));
  }
  published_ = true;
  if (fsync(directory_) != 0 && errno != EINVAL && errno != ENOTSUP) {
    fail(ErrorCode::OUT09, path_, {},
         "the file is in place, but syncing its directory failed: " + errno_text(errno));
  }
}

void AtomicFile::withdraw() noexcept {
  if (published_ && !replace_) unlinkat(directory_, name_.c_str(), 0);
}

}  // namespace quantize
