// Where an output goes. Nothing is visible under a final name until commit(); destroying an
// uncommitted sink leaves no file behind.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "quantize/plan.hpp"

namespace quantize {

class Sink {
 public:
  virtual ~Sink() = default;
  // Creates the output(s) and writes the complete, final header(s).
  virtual void begin(const Plan& plan) = 0;
  // Bytes [offset, ...) of planned tensor `tensor` of file `file`. Thread-safe; every byte once.
  virtual void write(std::size_t file, std::size_t tensor, std::uint64_t offset,
                     std::span<const std::byte> bytes) = 0;
  // Starts to bring to the disk what was written, so that finish() is short. Called now and then
  // while others write; may wait for the disk.
  virtual void start_write_back() noexcept {}
  // True if write() must be called in file order, front to back (pipes).
  virtual bool sequential() const noexcept = 0;
  // Checks size and header, syncs, publishes. Several sinks: finish() all, then publish() all.
  virtual void finish() = 0;   // W8 to W10: everything but the name
  virtual void publish() = 0;  // W11 to W13
  // Removes the names that publish() created (a later output of the same run failed); files that
  // replaced older ones stay, directories give way to those that they replaced.
  virtual void withdraw() noexcept {}
  virtual std::vector<std::string> paths() const = 0;
};

enum class IfExists : std::uint8_t { fail, skip, replace };

struct SinkOptions {
  IfExists if_exists = IfExists::fail;
  bool verify = false;             // re-read the data against checksums taken while writing
  std::vector<SourceFile> inputs;  // never overwritten: OUT03
  // Looked at while the reader of a pipe is waited for: then Stopped is thrown.
  const std::atomic<bool>* stop = nullptr;
};

// A GGUF file, or the pieces of a split one (names derived from `path`): atomic. "/dev/null" and
// other character devices and FIFOs, when named, are written in order.
std::unique_ptr<Sink> make_file_sink(const std::string& path, const SinkOptions& options,
                                     Warnings& warnings);
// A directory of files (a checkpoint). An existing one is replaced only if it is a model directory.
std::unique_ptr<Sink> make_directory_sink(const std::string& path, const SinkOptions& options,
                                          Warnings& warnings);
// Standard output, one file, in order.
std::unique_ptr<Sink> make_stdout_sink(const SinkOptions& options);

// Thrown when a stop flag was set; not an Error.
struct Stopped {};

// Removes the temporary files and directories of all unfinished outputs and reports of this
// process, for a signal handler that is about to end it.
void remove_temporaries() noexcept;

// --if-exists skip: true if `path` has the planned size and complete header.
bool output_matches(const std::string& path, const Plan& plan);

}  // namespace quantize
