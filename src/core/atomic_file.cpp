#include "core/atomic_file.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace quantize {
namespace {

constexpr std::uint64_t kMaxCall = std::uint64_t{1} << 30;

std::string errno_text(int error) {
  return std::string(strerrorname_np(error)) + ", " + strerrordesc_np(error);
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

AtomicFile::AtomicFile(const std::string& path, bool replace, std::uint64_t bytes,
                       Warnings& warnings)
    : path_(path), place_(path), replace_(replace), bytes_(bytes) {
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
            fstatvfs(place_.directory(), &space) == 0
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
    if (!temporary_.empty()) unlinkat(place_.directory(), temporary_.c_str(), 0);
    forget_temporary(registered_);
    throw;
  }
}

void AtomicFile::create_unnamed_or_named(Warnings& warnings) {
  remove_stale_temporaries(place_, path_, warnings);
  // An unnamed file can be linked to a free name, but cannot replace one.
  if (!replace_) {
    descriptor_ = openat(place_.directory(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (descriptor_ >= 0) return;
  }
  temporary_ = temporary_name(place_.name());
  registered_ = remember_temporary(place_.directory(), temporary_, false);
  descriptor_ = openat(place_.directory(), temporary_.c_str(),
                       O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (descriptor_ < 0) {
    const int error = errno;
    temporary_.clear();
    fail_output(error, path_, "creating the output", ErrorCode::OUT05);
  }
}

AtomicFile::~AtomicFile() {
  if (!published_ && !temporary_.empty()) unlinkat(place_.directory(), temporary_.c_str(), 0);
  forget_temporary(registered_);
  if (descriptor_ >= 0) close(descriptor_);
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
    result = linkat(AT_FDCWD, self.c_str(), place_.directory(), place_.name().c_str(),
                    AT_SYMLINK_FOLLOW);
  } else if (replace_) {
    result =
        renameat(place_.directory(), temporary_.c_str(), place_.directory(), place_.name().c_str());
  } else {
    result = renameat2(place_.directory(), temporary_.c_str(), place_.directory(),
                       place_.name().c_str(), RENAME_NOREPLACE);
    if (result != 0 && (errno == EINVAL || errno == ENOSYS)) {
      result = linkat(place_.directory(), temporary_.c_str(), place_.directory(),
                      place_.name().c_str(), 0);
      if (result == 0) unlinkat(place_.directory(), temporary_.c_str(), 0);
    }
  }
  if (result != 0) {
    if (errno == EEXIST)
      fail(ErrorCode::OUT02, path_, {}, "the output appeared while it was being written");
    fail(ErrorCode::OUT10, path_, {}, "giving the output its name failed: " + errno_text(errno));
  }
  published_ = true;
  if (fsync(place_.directory()) != 0 && errno != EINVAL && errno != ENOTSUP) {
    fail(ErrorCode::OUT09, path_, {},
         "the file is in place, but syncing its directory failed: " + errno_text(errno));
  }
}

void AtomicFile::withdraw() noexcept {
  if (published_ && !replace_) unlinkat(place_.directory(), place_.name().c_str(), 0);
}

}  // namespace quantize
