// Errors and warnings: one value that says what is wrong where, one exception that carries it, and
// one collector of warnings. The library never prints; whoever calls it decides what to show.
#pragma once

#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quantize {

enum class ErrorCode : std::uint8_t {
#define QUANTIZE_ERROR(code, exit_status, about) code,
#include "quantize/errors.def"
#undef QUANTIZE_ERROR
};

std::string_view code_name(ErrorCode code) noexcept;   // "ST21"
int exit_status(ErrorCode code) noexcept;              // 64 to 74, by errors.def
std::string_view code_about(ErrorCode code) noexcept;  // "duplicate tensor"

// What is wrong, where. `file` is the path as the user gave it (or derived from it), unescaped;
// `offset` the first byte that is to blame; `text` plain words; `found` and `allowed` may be empty.
// Strings may hold anything that came from a file: format_problem() escapes them.
struct Problem {
  ErrorCode code{};
  std::string file;
  std::optional<std::uint64_t> offset;
  std::string text;
  std::string found;
  std::string allowed;
};

// "error[ST21]: a.safetensors@17: tensor "x" is listed twice (found ..., allowed ...)": one line
// of printable ASCII, at most 1000 bytes, quoted input cut at 120. `severity`: "error", "warning".
std::string format_problem(std::string_view severity, const Problem& problem);

class Error : public std::exception {
 public:
  explicit Error(Problem problem);
  const Problem& problem() const noexcept { return problem_; }
  ErrorCode code() const noexcept { return problem_.code; }
  const char* what() const noexcept override { return line_.c_str(); }  // format_problem("error")

 private:
  Problem problem_;
  std::string line_;
};

[[noreturn]] void fail(ErrorCode code, std::string file, std::optional<std::uint64_t> offset,
                       std::string text, std::string found = {}, std::string allowed = {});

// Collects warnings: one per (code, file), with a count and the first place. Thread-safe. Codes
// that the user made fatal (--strict) are thrown as errors instead.
class Warnings {
 public:
  struct Entry {
    Problem first;
    std::uint64_t count = 1;
  };
  Warnings() = default;
  Warnings(const Warnings&) = delete;
  Warnings& operator=(const Warnings&) = delete;

  void make_all_fatal() { all_fatal_ = true; }
  void make_fatal(ErrorCode code) { fatal_.push_back(code); }
  void add(Problem problem);
  void add(ErrorCode code, std::string file, std::optional<std::uint64_t> offset, std::string text,
           std::string found = {}, std::string allowed = {});
  std::vector<Entry> entries() const;  // in order of first occurrence

 private:
  mutable std::mutex mutex_;
  std::vector<Entry> entries_;
  std::vector<ErrorCode> fatal_;
  bool all_fatal_ = false;
};

}  // namespace quantize
