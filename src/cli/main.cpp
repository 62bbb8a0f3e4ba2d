// The command: prepare the process, read the command line, run, turn what was thrown into one line
// and an exit status.
#include <new>

#include "commands.hpp"
#include "process.hpp"
#include "progress.hpp"

namespace {

using namespace quantize;

int run(int argc, char** argv) {
  const cli::RawOptions raw = cli::parse_arguments(argc, argv);
  if (raw.answer) {
    cli::print(*raw.answer);
    return 0;
  }
  const cli::Request request = cli::make_request(raw);
  cli::start_log(request.log_level);
  if (!request.isa.empty()) force_isa(request.isa);
  return cli::run_command(request);
}

int fail_with(const Problem& problem) noexcept {
  try {
    cli::log_error(format_problem("error", problem));
  } catch (...) {
    // No memory left even for the message: the exit status has to do.
  }
  return exit_status(problem.code);
}

}  // namespace

int main(int argc, char** argv) {
  cli::prepare_process();
  try {
    cli::start_log("warning");
    return run(argc, argv);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::OUT11 && cli::stdout_abandoned()) cli::end_by_sigpipe();
    return fail_with(error.problem());
  } catch (const Stopped&) {
    cli::end_by_signal();
  } catch (const std::bad_alloc&) {
    return fail_with({ErrorCode::MEM01, {}, {}, "out of memory", {}, {}});
  } catch (const std::exception& error) {
    return fail_with({ErrorCode::BUG01,
                      {},
                      {},
                      "internal error of version " QUANTIZE_VERSION ", please report it",
                      error.what(),
                      {}});
  }
}
