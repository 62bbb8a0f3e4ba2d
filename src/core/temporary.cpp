#include "core/temporary.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <ctime>
#include <filesystem>
#include <string_view>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quantize/escape.hpp"
#include "quantize/sink.hpp"

#include "core/atomic_file.hpp"

namespace quantize {

// Entries are reused and never freed, so that a signal handler can walk the list at any moment.
struct NamedTemporary {
  static constexpr std::size_t kMaxName = 255;
  std::atomic<bool> used{true};
  std::atomic<int> directory{-1};  // negative: there is nothing to remove
  std::atomic<bool> is_directory{false};
  std::array<char, kMaxName + 1> name{};
  NamedTemporary* next = nullptr;
};

namespace {

constexpr std::string_view kSuffix = ".quantize-tmp";
constexpr std::size_t kRandomDigits = 16;
constexpr std::time_t kStaleSeconds = 600;

std::atomic<NamedTemporary*> temporaries{nullptr};

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
std::string prefix_of(const std::string& name) {
  const std::size_t room = NamedTemporary::kMaxName - 2 - kRandomDigits - kSuffix.size();
  return "." + name.substr(0, room) + ".";
}

bool is_temporary_of(std::string_view entry, const std::string& prefix) {
  return entry.size() == prefix.size() + kRandomDigits + kSuffix.size() &&
         entry.substr(0, prefix.size()) == prefix &&
         entry.substr(entry.size() - kSuffix.size()) == kSuffix;
}

// For signal handlers: system calls only. Files of a directory that others still fill may appear
// while it is emptied, so it is tried several times.
void remove_flat_directory(int parent, const char* name) noexcept {
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    const int directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0) return;
    alignas(dirent64) std::array<char, 4096> entries{};
    ssize_t bytes = 0;
    while ((bytes = getdents64(directory, entries.data(), entries.size())) > 0) {
      for (ssize_t at = 0; at < bytes;) {
        const auto* entry = reinterpret_cast<const dirent64*>(entries.data() + at);
        unlinkat(directory, entry->d_name, 0);
        at += entry->d_reclen;
      }
    }
    close(directory);
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno != ENOTEMPTY) return;
  }
}

}  // namespace

OutputPlace::OutputPlace(const std::string& path) {
  if (path.empty()) fail(ErrorCode::USE06, {}, {}, "the output path is empty");
  const std::size_t slash = path.rfind('/');
  name_ = slash == std::string::npos ? path : path.substr(slash + 1);
  parent_ = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  if (name_.empty())
    fail(ErrorCode::OUT04, path, {}, "the output path names a directory; --out-dir takes one");
  if (name_.size() > NamedTemporary::kMaxName) {
    fail(ErrorCode::OUT14, path, {}, "the output's file name is too long",
         std::to_string(name_.size()) + " bytes", "255 bytes");
  }
  directory_ = open(parent_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory_ >= 0) return;
  if (errno == ENOENT || errno == ENOTDIR) {
    fail(ErrorCode::OUT01, path, {},
         "the output's directory " + quantize::quoted(parent_) +
             (errno == ENOENT ? " does not exist; create it first" : " is not a directory"));
  }
  fail_output(errno, path, "opening the output's directory", ErrorCode::OUT01);
}

OutputPlace::~OutputPlace() { close(directory_); }

std::string temporary_name(const std::string& name) {
  return prefix_of(name) + random_digits() + std::string(kSuffix);
}

unsigned process_umask() {
  static const mode_t mask = [] {
    const mode_t old = umask(077);
    umask(old);
    return old;
  }();
  return mask;
}

NamedTemporary* remember_temporary(int directory, const std::string& name, bool is_directory) {
  NamedTemporary* entry = temporaries.load();
  while (entry != nullptr && entry->used.exchange(true)) entry = entry->next;
  if (entry == nullptr) {
    entry = new NamedTemporary;
    entry->next = temporaries.load();
    while (!temporaries.compare_exchange_weak(entry->next, entry)) {
    }
  }
  name.copy(entry->name.data(), NamedTemporary::kMaxName);
  entry->name[name.size()] = '\0';
  entry->is_directory.store(is_directory);
  entry->directory.store(directory);
  return entry;
}

void forget_temporary(NamedTemporary* entry) noexcept {
  if (entry == nullptr) return;
  entry->directory.store(-1);
  entry->used.store(false);
}

void remove_temporaries() noexcept {
  for (NamedTemporary* entry = temporaries.load(); entry != nullptr; entry = entry->next) {
    const int directory = entry->directory.load();
    if (directory < 0) continue;
    if (entry->is_directory.load()) {
      remove_flat_directory(directory, entry->name.data());
    } else {
      unlinkat(directory, entry->name.data(), 0);
    }
  }
}

void remove_stale_temporaries(const OutputPlace& place, const std::string& path,
                              Warnings& warnings) {
  const int copy = openat(place.directory(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* listing = copy < 0 ? nullptr : fdopendir(copy);
  if (!listing) {
    if (copy >= 0) close(copy);
    return;
  }
  const std::string prefix = prefix_of(place.name());
  while (const dirent* entry = readdir(listing)) {
    const std::string name = entry->d_name;
    if (!is_temporary_of(name, prefix)) continue;
    const int found =
        openat(place.directory(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (found < 0) continue;
    struct stat status = {};
    if (flock(found, LOCK_EX | LOCK_NB) == 0 && fstat(found, &status) == 0 &&
        status.st_mtime + kStaleSeconds < std::time(nullptr)) {
      const bool is_directory = S_ISDIR(status.st_mode);
      std::error_code error;
      std::filesystem::remove_all(place.parent() + '/' + name, error);
      if (!error) {
        warnings.add(ErrorCode::OUT02, path, {},
                     std::string("removed the temporary ") +
                         (is_directory ? "directory " : "file ") + quantize::quoted(name) +
                         " of an earlier run that was ended");
      }
    }
    close(found);
  }
  closedir(listing);
}

}  // namespace quantize
