// Executes plans: reads every weight once, encodes it for each output, measures what was lost.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "quantize/report.hpp"
#include "quantize/sink.hpp"

namespace quantize {

struct Progress {
  std::uint64_t source_bytes_done = 0, source_bytes_total = 0;
  std::uint64_t written_bytes = 0;
  std::string_view tensor;  // the one being worked on
};

struct RunOptions {
  unsigned threads = 0;          // 0: one per core this process may use. Never changes a byte.
  std::uint64_t max_memory = 0;  // 0: 160 MiB plus 48 MiB per output after the first
  const std::atomic<bool>* stop = nullptr;  // set by a signal handler: run() throws Stopped
  std::function<void(const Progress&)> on_progress;  // called from the calling thread
  // Called when all outputs are complete and none is published; if it throws, none will be.
  std::function<void(std::span<const Report>)> before_publish;
};

struct Output {
  const Plan* plan = nullptr;
  Sink* sink = nullptr;
};

// Runs all outputs from one read of the model and publishes them. On any throw nothing is
// published. Returns one report per output.
std::vector<Report> run(const Model& model, std::span<const Output> outputs,
                        const RunOptions& options, Warnings& warnings);

// The smallest max_memory with which run() starts `threads` threads (0: one) for these plans. With
// less it starts as many as fit; less than that of one thread is USE03, which names it.
std::uint64_t minimum_memory(const Model& model, std::span<const Output> outputs, unsigned threads);

}  // namespace quantize
