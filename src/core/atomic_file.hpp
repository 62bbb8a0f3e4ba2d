// A file that appears under its name complete or not at all. Everything that is specific to the
// operating system about writing files is here.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "quantize/error.hpp"
#include "quantize/source.hpp"

#include "core/temporary.hpp"

namespace quantize {

class AtomicFile {
 public:
  // Creates the temporary beside `path` and reserves `bytes`. Without `replace`, an existing target
  // is OUT02. OUT01, OUT02, OUT04 to OUT08, OUT14.
  AtomicFile(const std::string& path, bool replace, std::uint64_t bytes, Warnings& warnings);
  ~AtomicFile();  // removes the temporary unless published
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  const std::string& path() const noexcept { return path_; }
  // Thread-safe for disjoint ranges. OUT07, OUT08, OUT13.
  void write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  // Reads back what was written. OUT12 if it comes up short.
  void read_at(std::uint64_t offset, std::span<std::byte> into) const;
  // Starts writing dirty pages out, so that the final sync is short.
  void start_write_back() noexcept;
  // For files whose size is not known beforehand; what was written beyond it is gone.
  void set_size(std::uint64_t bytes);
  // Size check, permission bits, sync. OUT12, OUT09.
  void finish();
  // Gives the file its name and syncs the directory. OUT02, OUT10, OUT09.
  void publish();
  // Removes the published name again (a later file of the same set failed).
  void withdraw() noexcept;

 private:
  void create_unnamed_or_named(Warnings& warnings);

  std::string path_;
  OutputPlace place_;
  bool replace_ = false;
  std::uint64_t bytes_ = 0;
  int descriptor_ = -1;
  std::string temporary_;                 // name in the directory; empty: unnamed
  NamedTemporary* registered_ = nullptr;  // the same for remove_temporaries()
  unsigned mode_ = 0666;
  bool published_ = false;
};

// What stands at `path`, for the rules about overwriting.
enum class TargetKind : std::uint8_t { absent, regular, symlink, directory, stream, other };
struct TargetStatus {
  TargetKind kind = TargetKind::absent;
  std::uint64_t device = 0, inode = 0;  // of what a symlink leads to, if anything
};
TargetStatus target_status(const std::string& path);

// Writes all bytes, in order, to a descriptor that cannot seek. `code` for failures other than a
// full disk or a size limit. With `stop` the descriptor must be a pipe or the like, and its reader
// is waited for only until the flag is set: then the result is false.
bool write_all(int descriptor, std::span<const std::byte> bytes, const std::string& path,
               ErrorCode code, const std::atomic<bool>* stop = nullptr);

// Fails with the output code that an errno stands for.
[[noreturn]] void fail_output(int error, const std::string& path, const std::string& operation,
                              ErrorCode otherwise = ErrorCode::OUT07);

}  // namespace quantize
