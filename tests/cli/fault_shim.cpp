// Preloaded into the command by cases that need a system which fails: the N-th of some calls fails
// with an errno or sends a signal (FAULT=CALL:WHAT:N, several with commas), every call moves one
// byte and every other one is interrupted (SHORT=1), the clock says something else (CLOCK=SECONDS).
// FAULT=any:count:0 prints the number of calls at the end.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iterator>
#include <string_view>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

struct Fault {
  std::string_view call, what;
  long number = 0;
  std::atomic<long> calls{0};
};
struct Faults {
  Fault rules[4];
  std::size_t count = 0;
  Faults() {
    const char* text = std::getenv("FAULT");
    std::string_view rest = text == nullptr ? "" : text;
    while (!rest.empty() && count < std::size(rules)) {
      const std::string_view rule = rest.substr(0, rest.find(','));
      const std::size_t first = rule.find(':'), second = rule.find(':', first + 1);
      Fault& fault = rules[count++];
      fault.call = rule.substr(0, first);
      fault.what = rule.substr(first + 1, second - first - 1);
      fault.number = std::atol(rule.data() + second + 1);
      rest.remove_prefix(std::min(rest.size(), rule.size() + 1));
    }
  }
};
Faults& faults() {
  static Faults only;
  return only;
}
std::atomic<long> transfers{0};

constexpr struct {
  std::string_view name;
  int error, signal;
} kWhat[] = {{"EIO", EIO, 0},       {"EDQUOT", EDQUOT, 0}, {"EXDEV", EXDEV, 0},
             {"EACCES", EACCES, 0}, {"ENOSYS", ENOSYS, 0}, {"EOPNOTSUPP", EOPNOTSUPP, 0},
             {"EISDIR", EISDIR, 0}, {"KILL", 0, SIGKILL},  {"TERM", 0, SIGTERM},
             {"INT", 0, SIGINT},    {"HUP", 0, SIGHUP},    {"STOP", 0, SIGSTOP}};

// True if this call is to fail; errno says how.
bool fails(std::string_view call) {
  for (Fault& fault : faults().rules) {
    if (fault.call != call && fault.call != "any") continue;
    if (++fault.calls != fault.number) continue;
    for (const auto& what : kWhat) {
      if (what.name != fault.what) continue;
      if (what.signal != 0) raise(what.signal);
      errno = what.error;
      return what.error != 0;
    }
  }
  return false;
}

bool is_kind(int descriptor, mode_t kind) {
  struct stat status = {};
  return fstat(descriptor, &status) == 0 && (status.st_mode & S_IFMT) == kind;
}

// How many of `size` bytes this call may move; 0: it is interrupted.
std::size_t allowed(std::size_t size) {
  static const bool is_short = std::getenv("SHORT") != nullptr;
  if (!is_short) return size;
  errno = EINTR;
  return transfers++ % 2 == 0 ? 0 : 1;
}

struct PrintCount {
  ~PrintCount() {
    const Fault& fault = faults().rules[0];
    if (fault.what == "count") std::fprintf(stderr, "%ld\n", fault.calls.load());
  }
} print_count;

}  // namespace

extern "C" {

#define TRANSFER(name, call, type)                                                             \
  ssize_t name(int descriptor, type* bytes, std::size_t size, off_t at) {                      \
    if (fails(call)) return -1;                                                                \
    const std::size_t count = allowed(size);                                                   \
    if (count == 0 && size != 0) return -1;                                                    \
    return real<ssize_t(int, type*, std::size_t, off_t)>(#name)(descriptor, bytes, count, at); \
  }
TRANSFER(pwrite, "pwrite", const void)
TRANSFER(pwrite64, "pwrite", const void)
TRANSFER(pread, "pread", void)
TRANSFER(pread64, "pread", void)

ssize_t write(int descriptor, const void* bytes, std::size_t size) {
  if (fails("write")) return -1;
  const std::size_t count = allowed(size);
  if (count == 0 && size != 0) return -1;
  return real<ssize_t(int, const void*, std::size_t)>("write")(descriptor, bytes, count);
}

int fsync(int descriptor) {
  if (fails(is_kind(descriptor, S_IFDIR) ? "dirsync" : "fsync")) return -1;
  return real<int(int)>("fsync")(descriptor);
}

int close(int descriptor) {
  const bool written = (fcntl(descriptor, F_GETFL) & O_ACCMODE) == O_RDWR;
  if (written && is_kind(descriptor, S_IFREG) && fails("close")) {
    const int error = errno;
    real<int(int)>("close")(descriptor);
    errno = error;
    return -1;
  }
  return real<int(int)>("close")(descriptor);
}

int fallocate(int descriptor, int mode, off_t offset, off_t size) {
  if (fails("fallocate")) return -1;
  return real<int(int, int, off_t, off_t)>("fallocate")(descriptor, mode, offset, size);
}

int openat(int directory, const char* path, int flags, ...) {
  std::va_list list;
  va_start(list, flags);
  const mode_t mode = va_arg(list, mode_t);
  va_end(list);
  if ((flags & O_TMPFILE) == O_TMPFILE ? fails("tmpfile")
                                       : (flags & O_CREAT) != 0 && fails("create"))
    return -1;
  return real<int(int, const char*, int, ...)>("openat")(directory, path, flags, mode);
}

int linkat(int from, const char* old_name, int to, const char* new_name, int flags) noexcept {
  if (fails("name")) return -1;
  return real<int(int, const char*, int, const char*, int)>("linkat")(from, old_name, to, new_name,
                                                                      flags);
}
int renameat(int from, const char* old_name, int to, const char* new_name) noexcept {
  if (fails("name")) return -1;
  return real<int(int, const char*, int, const char*)>("renameat")(from, old_name, to, new_name);
}
int renameat2(int from, const char* old_name, int to, const char* new_name,
              unsigned flags) noexcept {
  if (fails("renameat2") || fails("name")) return -1;
  return real<int(int, const char*, int, const char*, unsigned)>("renameat2")(from, old_name, to,
                                                                              new_name, flags);
}

std::time_t time(std::time_t* out) noexcept {
  struct timespec now = {};
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}
int clock_gettime(clockid_t clock, struct timespec* out) noexcept {
  const char* seconds = std::getenv("CLOCK");
  if (seconds == nullptr || clock != CLOCK_REALTIME)
    return real<int(clockid_t, struct timespec*)>("clock_gettime")(clock, out);
  *out = {std::atol(seconds) + (transfers++ % 2) * 100000, 0};
  return 0;
}

}  // extern "C"
