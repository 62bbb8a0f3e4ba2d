// The process around the command: descriptors, signals, standard output, the terminal. The only
// file of the command that knows the operating system.
#pragma once

#include <atomic>
#include <string>
#include <string_view>

namespace quantize::cli {

// Opens closed standard descriptors so that no file of ours can get their numbers, ignores SIGPIPE
// and SIGXFSZ, and lets SIGINT, SIGTERM, SIGHUP and SIGXCPU set the stop flag. A second signal
// removes what is unfinished and ends the process. Signals that were ignored at start stay ignored.
void prepare_process();

const std::atomic<bool>& stop_flag() noexcept;
// Ends the process by the signal that set the stop flag.
[[noreturn]] void end_by_signal();

// Writes all of `text` to standard output. OUT11 if that fails.
void print(std::string_view text);
// Whether standard output is a pipe that nobody reads any more.
bool stdout_abandoned() noexcept;
// Ends the process as a pipe without a reader ends those that do not ignore SIGPIPE.
void end_by_sigpipe() noexcept;

bool stdout_is_terminal() noexcept;
bool stderr_is_terminal() noexcept;
unsigned terminal_width() noexcept;  // of standard error; 80 if it has none

}  // namespace quantize::cli
