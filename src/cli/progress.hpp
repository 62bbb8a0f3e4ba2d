// What stderr shows: the log, and one line of progress on a terminal.
#pragma once

#include <chrono>
#include <string>

#include "options.hpp"

namespace quantize::cli {

// Sets the log's level and form: "quantize: TEXT" on standard error, coloured on a terminal.
void start_log(const std::string& level);
// "quantize: error[...]: ...", whatever the level.
void log_error(const std::string& line);
void log_warnings(const Warnings& warnings);

// Bar, rate, time left and the current tensor, redrawn at most ten times a second.
class ProgressLine {
 public:
  explicit ProgressLine(When when);
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  bool shown() const noexcept { return shown_; }
  void update(const Progress& progress);
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  bool shown_;
  bool drawn_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_ = start_;
};

}  // namespace quantize::cli
