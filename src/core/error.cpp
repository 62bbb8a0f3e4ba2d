#include "quantize/error.hpp"

#include <algorithm>
#include <utility>

#include "quantize/escape.hpp"

namespace quantize {
namespace {

struct CodeInfo {
  std::string_view name;
  int exit_status;
  std::string_view about;
};

// Indexed by ErrorCode: the enumerators are the same rows.
constexpr CodeInfo kCodes[] = {
#define QUANTIZE_ERROR(code, exit_status, about) {#code, exit_status, about},
#include "quantize/errors.def"
#undef QUANTIZE_ERROR
};

const CodeInfo& code_info(ErrorCode code) noexcept {
  return kCodes[static_cast<std::size_t>(code)];
}

constexpr std::size_t kMaxLine = 1000;
constexpr std::size_t kMaxQuoted = 120;
constexpr std::size_t kMaxText = 600;

}  // namespace

std::string_view code_name(ErrorCode code) noexcept { return code_info(code).name; }
int exit_status(ErrorCode code) noexcept { return code_info(code).exit_status; }
std::string_view code_about(ErrorCode code) noexcept { return code_info(code).about; }

std::string format_problem(std::string_view severity, const Problem& problem) {
  std::string line(severity);
  line += '[';
  line += code_name(problem.code);
  line += "]: ";
  if (!problem.file.empty()) {
    line += escape(problem.file, 400);
    if (problem.offset) line += '@' + std::to_string(*problem.offset);
    line += ": ";
  }
  // The text is ours, but may quote a name with quoted(): what that made is printable already.
  for (const char c : std::string_view(problem.text).substr(0, kMaxText)) {
    line += (c >= 0x20 && c < 0x7F) ? std::string(1, c) : escape(std::string_view(&c, 1));
  }
  if (!problem.found.empty() || !problem.allowed.empty()) {
    line += " (";
    if (!problem.found.empty()) line += "found " + escape(problem.found, kMaxQuoted);
    if (!problem.found.empty() && !problem.allowed.empty()) line += ", ";
    if (!problem.allowed.empty()) line += "allowed " + escape(problem.allowed, kMaxQuoted);
    line += ')';
  }
  if (line.size() > kMaxLine) line.resize(kMaxLine);
  return line;
}

Error::Error(Problem problem)
    : problem_(std::move(problem)), line_(format_problem("error", problem_)) {}

void fail(ErrorCode code, std::string file, std::optional<std::uint64_t> offset, std::string text,
          std::string found, std::string allowed) {
  throw Error(Problem{code, std::move(file), offset, std::move(text), std::move(found),
                      std::move(allowed)});
}

void Warnings::add(Problem problem) {
  if (all_fatal_ || std::find(fatal_.begin(), fatal_.end(), problem.code) != fatal_.end()) {
    throw Error(std::move(problem));
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  for (Entry& entry : entries_) {
    if (entry.first.code == problem.code && entry.first.file == problem.file) {
      ++entry.count;
      return;
    }
  }
  entries_.push_back({std::move(problem), 1});
}

void Warnings::add(ErrorCode code, std::string file, std::optional<std::uint64_t> offset,
                   std::string text, std::string found, std::string allowed) {
  add(Problem{code, std::move(file), offset, std::move(text), std::move(found),
              std::move(allowed)});
}

std::vector<Warnings::Entry> Warnings::entries() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return entries_;
}

}  // namespace quantize
