// The command line in two levels: RawOptions is what was typed, Request is what it means, complete
// and checked, so that nothing after it looks at text again.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quantize/quantize.hpp"

namespace quantize::cli {

enum class Command : std::uint8_t { convert, plan, inspect, types, selftest };

class RawOptions {
 public:
  Command command = Command::convert;
  std::vector<std::string> inputs;
  std::map<std::string, std::vector<std::string>, std::less<>> values;  // by long name
  std::map<std::string, std::int64_t, std::less<>> flags;               // times given
  std::vector<std::string> gguf_only;  // options given that mean nothing to checkpoints
  std::optional<std::string> answer;   // --help, --version: print this and leave

  bool flag(std::string_view name) const;
  std::int64_t count(std::string_view name) const;
  const std::vector<std::string>& all(std::string_view name) const;
  // The value of an option that has one; given twice with two values: USE05.
  std::optional<std::string> one(std::string_view name) const;
};

// USE01, USE02.
RawOptions parse_arguments(int argc, const char* const* argv);
std::string usage(Command command);  // one line
std::string command_words();         // "plan, inspect ..."

enum class When : std::uint8_t { automatic, always, never };

struct Request {
  Command command = Command::convert;
  std::vector<std::string> inputs;
  OpenOptions open;
  std::vector<Target> targets;
  Recipe recipe;  // its target is filled in per output

  std::optional<std::string> importance_path;
  std::vector<std::string> include_weights, exclude_weights;
  std::optional<std::string> explain;  // a tensor's name: say which rule decided, write nothing
  bool all_warnings_fatal = false;
  std::vector<ErrorCode> fatal_warnings;

  std::optional<std::string> output;  // -o
  std::string out_dir;
  std::string name_template;  // empty: the default for the kind of output
  IfExists if_exists = IfExists::fail;
  bool verify = false;
  bool fail_fast = false;
  bool dry_run = false;
  std::vector<std::string> reports;

  bool json = false;
  bool quiet = false;
  bool tensors = false;
  bool full = false;
  std::uint64_t ram = 0, context = 0;  // plan: 0 if not given
  std::string log_level;
  std::string isa;  // empty: the best
  When progress = When::automatic;
  RunOptions run;
};

// USE02 to USE07.
Request make_request(const RawOptions& raw);

}  // namespace quantize::cli
