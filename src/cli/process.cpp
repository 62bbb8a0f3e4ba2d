#include "process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <random>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quantize/error.hpp"

namespace quantize::cli {
namespace {

std::atomic<bool> stop{false};
std::atomic<int> stop_signal{0};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

void raise_default(int signal) noexcept {
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

extern "C" void on_stop_signal(int signal) {
  if (stop.exchange(true)) {
    raise_default(signal);  // blocked until the handler returns, then deadly
    return;
  }
  stop_signal.store(signal);
}

std::string errno_text(std::string_view operation, int error) {
  const char* name = strerrorname_np(error);
  return std::string(operation) + " failed: " + (name != nullptr ? name : "unknown error");
}

// Writes everything; the errno of the first failure, or 0.
int write_all(int descriptor, std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t count = ::write(descriptor, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return 0;
}

ErrorCode create_code(int error) noexcept {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return ErrorCode::OUT01;
    case EACCES:
    case EPERM:
      return ErrorCode::OUT05;
    case EROFS:
      return ErrorCode::OUT06;
    case ENAMETOOLONG:
      return ErrorCode::OUT14;
    case ENOSPC:
    case EDQUOT:
      return ErrorCode::OUT08;
    default:
      return ErrorCode::OUT07;
  }
}

ErrorCode write_code(int error) noexcept {
  if (error == ENOSPC || error == EDQUOT) return ErrorCode::OUT08;
  return error == EFBIG ? ErrorCode::OUT13 : ErrorCode::OUT07;
}

std::string sibling_name(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  std::random_device random;
  return (slash == std::string::npos ? std::string() : path.substr(0, slash + 1)) + '.' +
         std::to_string(random()) + ".quantize-tmp";
}

}  // namespace

void prepare_process() {
  // A closed descriptor gets the null device, opened the wrong way round: using it still fails.
  for (const auto& [descriptor, mode] : {std::pair{0, O_WRONLY}, {1, O_RDONLY}, {2, O_WRONLY}}) {
    if (::fcntl(descriptor, F_GETFD) == -1 && errno == EBADF) ::open("/dev/null", mode);
  }
  struct sigaction action = {};
  for (const int signal : {SIGPIPE, SIGXFSZ}) {
    action.sa_handler = SIG_IGN;
    ::sigaction(signal, &action, nullptr);
  }
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGXCPU}) {
    struct sigaction before = {};
    ::sigaction(signal, nullptr, &before);
    if (before.sa_handler == SIG_IGN) continue;
    action.sa_handler = on_stop_signal;
    ::sigaction(signal, &action, nullptr);
  }
}

const std::atomic<bool>& stop_flag() noexcept { return stop; }

void end_by_signal() {
  raise_default(stop_signal.load());
  ::_exit(128 + stop_signal.load());
}

void print(std::string_view text) {
  const int error = write_all(STDOUT_FILENO, text);
  if (error == 0) return;
  fail(ErrorCode::OUT11, "", {}, "writing to standard output: " + errno_text("write", error));
}

bool stdout_abandoned() noexcept {
  struct pollfd output = {STDOUT_FILENO, POLLOUT, 0};
  return ::poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0;
}

void end_by_sigpipe() noexcept { raise_default(SIGPIPE); }

bool stdout_is_terminal() noexcept { return ::isatty(STDOUT_FILENO) == 1; }
bool stderr_is_terminal() noexcept { return ::isatty(STDERR_FILENO) == 1; }

unsigned terminal_width() noexcept {
  struct winsize size = {};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0;
  return known ? size.ws_col : 80;
}

TextFile::TextFile(std::string path, bool replace) : path_(std::move(path)), replace_(replace) {
  struct stat status = {};
  if (::lstat(path_.c_str(), &status) == 0) {
    if (S_ISCHR(status.st_mode) || S_ISFIFO(status.st_mode)) {
      descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
      if (descriptor_ < 0) fail(create_code(errno), path_, {}, errno_text("open", errno));
      return;
    }
    if (!S_ISREG(status.st_mode) && !(replace_ && S_ISLNK(status.st_mode))) {
      fail(ErrorCode::OUT04, path_, {}, "exists and is not a regular file");
    }
    if (!replace_) fail(ErrorCode::OUT02, path_, {}, "exists already (--force replaces it)");
  }
  temporary_ = sibling_name(path_);
  descriptor_ =
      ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (descriptor_ < 0) {
    const int error = errno;
    temporary_.clear();
    fail(create_code(error), path_, {}, errno_text("creating the file", error));
  }
}

TextFile::TextFile(TextFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      descriptor_(std::exchange(other.descriptor_, -1)),
      replace_(other.replace_) {}

TextFile::~TextFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void TextFile::write(std::string_view text) {
  if (!temporary_.empty() &&
      (::ftruncate(descriptor_, 0) != 0 || ::lseek(descriptor_, 0, SEEK_SET) != 0)) {
    fail(ErrorCode::OUT07, path_, {}, errno_text("truncate", errno));
  }
  if (const int error = write_all(descriptor_, text); error != 0) {
    fail(write_code(error), path_, {}, errno_text("write", error));
  }
  if (!temporary_.empty() && ::fsync(descriptor_) != 0) {
    fail(ErrorCode::OUT09, path_, {}, errno_text("fsync", errno));
  }
}

void TextFile::publish() {
  if (temporary_.empty()) return;
  if (replace_) {
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
      fail(ErrorCode::OUT10, path_, {}, errno_text("rename", errno));
    }
    temporary_.clear();
  } else {
    if (::link(temporary_.c_str(), path_.c_str()) != 0) {  // never over a file that came meanwhile
      fail(errno == EEXIST ? ErrorCode::OUT02 : ErrorCode::OUT10, path_, {},
           errno_text("link", errno));
    }
    ::unlink(std::exchange(temporary_, {}).c_str());
  }
}

}  // namespace quantize::cli
