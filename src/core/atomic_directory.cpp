#include "core/atomic_directory.hpp"

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/atomic_file.hpp"

namespace quantize {
namespace {

void remove_tree(const std::string& path) noexcept {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

}  // namespace

AtomicDirectory::AtomicDirectory(const std::string& path, bool replace, Warnings& warnings)
    : path_(path), place_(path), replace_(replace) {
  remove_stale_temporaries(place_, path_, warnings);
  temporary_ = temporary_name(place_.name());
  registered_ = remember_temporary(place_.directory(), temporary_, true);
  if (mkdirat(place_.directory(), temporary_.c_str(), 0700) != 0) {
    forget_temporary(registered_);
    fail_output(errno, path_, "creating the output", ErrorCode::OUT05);
  }
  descriptor_ = openat(place_.directory(), temporary_.c_str(),
                       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (descriptor_ >= 0 && flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    // File systems without locks do without.
  }
}

AtomicDirectory::~AtomicDirectory() {
  if (!published_ || replaced_) remove_tree(temporary_path());
  forget_temporary(registered_);
  if (descriptor_ >= 0) close(descriptor_);
}

int AtomicDirectory::rename(const std::string& from, const std::string& to,
                            unsigned how) const noexcept {
  return renameat2(place_.directory(), from.c_str(), place_.directory(), to.c_str(), how);
}

// The new directory and the old one change names. Where the file system cannot do that at once, the
// old one has a name of its own in between, which no later run takes for a leftover.
void AtomicDirectory::exchange() {
  const std::string& name = place_.name();
  if (rename(temporary_, name, RENAME_EXCHANGE) == 0) return;
  if (errno == EINVAL || errno == ENOSYS) {
    const std::string aside = temporary_ + "-replaced";
    if (rename(name, aside, 0) == 0) {
      if (rename(temporary_, name, 0) == 0 && rename(aside, temporary_, 0) == 0) return;
      const int error = errno;
      rename(aside, name, RENAME_NOREPLACE);
      errno = error;
    }
  }
  fail_output(errno, path_, "giving the output its name", ErrorCode::OUT10);
}

void AtomicDirectory::publish() {
  struct stat old = {};
  const bool there =
      fstatat(place_.directory(), place_.name().c_str(), &old, AT_SYMLINK_NOFOLLOW) == 0;
  const unsigned mode = there && replace_ ? old.st_mode & 0777U : 0777U & ~process_umask();
  if (fchmodat(place_.directory(), temporary_.c_str(), mode, 0) != 0 && errno != EPERM &&
      errno != ENOTSUP) {
    fail_output(errno, path_, "setting the permissions");
  }
  if (there && replace_) {
    exchange();
    replaced_ = true;
  } else {
    int result = rename(temporary_, place_.name(), RENAME_NOREPLACE);
    if (result != 0 && (errno == EINVAL || errno == ENOSYS))
      result = rename(temporary_, place_.name(), 0);
    if (result != 0) {
      if (errno == EEXIST || errno == ENOTEMPTY)
        fail(ErrorCode::OUT02, path_, {}, "the output appeared while it was being written");
      fail_output(errno, path_, "giving the output its name", ErrorCode::OUT10);
    }
    forget_temporary(registered_);
    registered_ = nullptr;
  }
  published_ = true;
  if (fsync(place_.directory()) != 0 && errno != EINVAL && errno != ENOTSUP) {
    fail_output(errno, path_, "the output is in place, but syncing its directory",
                ErrorCode::OUT09);
  }
}

void AtomicDirectory::withdraw() noexcept {
  if (!published_) return;
  if (!replaced_) return remove_tree(path_);
  try {
    exchange();
  } catch (...) {  // then the new one stays
  }
}

}  // namespace quantize
