#include "progress.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "process.hpp"

namespace quantize::cli {
namespace {

constexpr std::size_t kBarWidth = 24;

void show(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace

void start_log(const std::string& level) {
  auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_st>();
  const char* no_color = std::getenv("NO_COLOR");
  if (!stderr_is_terminal() || (no_color != nullptr && *no_color != 0)) {
    sink->set_color_mode(spdlog::color_mode::never);
  }
  auto logger = std::make_shared<spdlog::logger>("quantize", std::move(sink));
  logger->set_pattern("quantize: %^%v%$");
  logger->set_level(spdlog::level::from_str(level));
  logger->set_error_handler([](const std::string&) {});  // standard error may be closed
  spdlog::set_default_logger(std::move(logger));
}

void log_error(const std::string& line) { spdlog::error("{}", line); }

void log_warnings(const Warnings& warnings) {
  for (const Warnings::Entry& entry : warnings.entries()) {
    const std::string times =
        entry.count > 1 ? " (" + std::to_string(entry.count) + " times, the first shown)" : "";
    spdlog::warn("{}{}", format_problem("warning", entry.first), times);
  }
}

ProgressLine::ProgressLine(When when)
    : shown_(when == When::always || (when == When::automatic && stderr_is_terminal())) {}

void ProgressLine::update(const Progress& progress) {
  using Seconds = std::chrono::duration<double>;
  const auto now = Clock::now();
  if (!shown_ || (drawn_ && now - last_ < std::chrono::milliseconds(100))) return;
  last_ = now;
  const double total = static_cast<double>(std::max<std::uint64_t>(progress.source_bytes_total, 1));
  const double share = std::min(1.0, static_cast<double>(progress.source_bytes_done) / total);
  const double seconds = std::max(Seconds(now - start_).count(), 1e-6);
  const double rate = static_cast<double>(progress.source_bytes_done) / seconds;
  const double left = share > 0 ? seconds * (1 - share) / share : 0;
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(kBarWidth));
  std::string line =
      fmt::format("[{:#<{}}{:.<{}}] {:3.0f} %  {:.2f} GB/s  {}:{:02} left  {}", "", filled, "",
                  kBarWidth - filled, 100 * share, rate / 1e9, static_cast<long>(left) / 60,
                  static_cast<long>(left) % 60, escape(progress.tensor));
  line.resize(std::max(1u, terminal_width()) - 1, ' ');
  show('\r' + line);
  drawn_ = true;
}

void ProgressLine::clear() {
  if (!drawn_) return;
  show('\r' + std::string(std::max(1u, terminal_width()) - 1, ' ') + '\r');
  drawn_ = false;
}

}  // namespace quantize::cli
