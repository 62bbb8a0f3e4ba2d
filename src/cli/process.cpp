#include "process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "quantize/error.hpp"
#include "quantize/sink.hpp"

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
    remove_temporaries();
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

}  // namespace quantize::cli
