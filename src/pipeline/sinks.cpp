// Sinks: atomic files written at planned places by all workers, and streams written front to back.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quantize/sink.hpp"

#include "core/atomic_directory.hpp"
#include "core/atomic_file.hpp"
#include "core/input_file.hpp"
#include "core/sha256.hpp"
#include "pipeline/gguf_header.hpp"

namespace quantize {
namespace {

namespace fs = std::filesystem;

// A digest of one written run of bytes, for --verify.
struct WrittenRun {
  std::uint64_t offset;
  std::uint64_t size;
  std::string digest;
};

std::string digest(std::span<const std::byte> bytes) {
  return sha256_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

class FileSink final : public Sink {
 public:
  FileSink(std::string path, const SinkOptions& options, Warnings& warnings)
      : path_(std::move(path)), options_(options), warnings_(warnings) {}

  void begin(const Plan& plan) override {
    plan_ = &plan;
    for (const PlannedFile& file : plan.files) {
      const std::string path = piece_path(path_, file);
      const TargetStatus target = target_status(path);
      for (const SourceFile& input : options_.inputs) {
        if (target.kind != TargetKind::absent && target.inode == input.inode &&
            target.device == input.device && target.inode != 0) {
          fail(ErrorCode::OUT03, path, {}, "the output is one of the inputs");
        }
      }
      files_.push_back(std::make_unique<File>(path, options_.if_exists == IfExists::replace,
                                              file.bytes(), warnings_));
      const std::vector<std::byte> header = planned_header(file);
      if (header.size() != file.header_bytes) {
        fail(ErrorCode::BUG01, path, {}, "the header differs from the plan",
             std::to_string(header.size()), std::to_string(file.header_bytes));
      }
      files_.back()->output.write_at(0, header);
      // Padding between tensors is what the reserved file holds anyway: zeros.
    }
  }

  void write(std::size_t file, std::size_t tensor, std::uint64_t offset,
             std::span<const std::byte> bytes) override {
    const PlannedFile& planned = plan_->files[file];
    File& out = *files_[file];
    const std::uint64_t at = planned.header_bytes + planned.tensors[tensor].offset + offset;
    out.output.write_at(at, bytes);
    out.written.fetch_add(bytes.size(), std::memory_order_relaxed);
    if (options_.verify) {
      WrittenRun run{at, bytes.size(), digest(bytes)};
      const std::lock_guard<std::mutex> lock(out.mutex);
      out.runs.push_back(std::move(run));
    }
  }

  void start_write_back() noexcept override {
    for (const auto& file : files_) file->output.start_write_back();
  }

  bool sequential() const noexcept override { return false; }

  void finish() override {
    for (std::size_t i = 0; i < files_.size(); ++i) {
      File& out = *files_[i];
      check_written(plan_->files[i], out);
      out.output.finish();
    }
  }

  // The first piece last: loaders start there, so a set is never seen incomplete.
  void publish() override {
    std::size_t published = 0;
    try {
      for (std::size_t i = files_.size(); i-- > 0; ++published) files_[i]->output.publish();
    } catch (...) {
      for (std::size_t i = files_.size(); i-- > files_.size() - published;)
        files_[i]->output.withdraw();
      throw;
    }
  }

  void withdraw() noexcept override {
    for (const auto& file : files_) file->output.withdraw();
  }

  std::vector<std::string> paths() const override {
    std::vector<std::string> paths;
    for (const auto& file : files_) paths.push_back(file->output.path());
    return paths;
  }

 private:
  struct File {
    File(const std::string& path, bool replace, std::uint64_t bytes, Warnings& warnings)
        : output(path, replace, bytes, warnings) {}
    AtomicFile output;
    std::atomic<std::uint64_t> written{0};
    std::mutex mutex;
    std::vector<WrittenRun> runs;
  };

  // Every planned byte was written, the header on disk is the planned one, and with --verify every
  // run of the data reads back as it was written.
  void check_written(const PlannedFile& planned, File& out) const {
    std::uint64_t expected = 0;
    for (const PlannedTensor& tensor : planned.tensors) expected += tensor.bytes;
    if (out.written != expected) {
      fail(ErrorCode::OUT12, out.output.path(), {}, "not every byte was written",
           std::to_string(out.written), std::to_string(expected));
    }
    const std::vector<std::byte> header = planned_header(planned);
    std::vector<std::byte> read(header.size());
    out.output.read_at(0, read);
    if (read != header)
      fail(ErrorCode::OUT12, out.output.path(), 0, "the header reads back differently");
    for (const WrittenRun& run : out.runs) {
      read.resize(run.size);
      out.output.read_at(run.offset, read);
      if (digest(read) != run.digest) {
        fail(ErrorCode::OUT12, out.output.path(), run.offset, "the data reads back differently");
      }
    }
  }

  std::string path_;
  SinkOptions options_;
  Warnings& warnings_;
  const Plan* plan_ = nullptr;
  std::vector<std::unique_ptr<File>> files_;
};

// A pipe, a device or standard output: header, then tensors in order, with zeros between them.
class StreamSink final : public Sink {
 public:
  StreamSink(int descriptor, bool owned, std::string path, ErrorCode code,
             const std::atomic<bool>* stop)
      : descriptor_(descriptor), owned_(owned), path_(std::move(path)), code_(code) {
    struct stat status = {};
    const bool can_stall =
        fstat(descriptor, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode));
    if (can_stall) stop_ = stop;
  }
  ~StreamSink() override {
    if (owned_) close(descriptor_);
  }
  StreamSink(const StreamSink&) = delete;
  StreamSink& operator=(const StreamSink&) = delete;

  void begin(const Plan& plan) override {
    if (plan.files.size() != 1)
      fail(ErrorCode::USE05, path_, {}, "a split output cannot be written to a stream");
    plan_ = &plan;
    put(planned_header(plan.files[0]));
  }
  void write(std::size_t, std::size_t tensor, std::uint64_t offset,
             std::span<const std::byte> bytes) override {
    const PlannedFile& file = plan_->files[0];
    pad_to(file.header_bytes + file.tensors[tensor].offset + offset);
    put(bytes);
  }
  bool sequential() const noexcept override { return true; }
  void finish() override {
    pad_to(plan_->files[0].bytes());
    if (position_ != plan_->files[0].bytes()) {
      fail(ErrorCode::OUT12, path_, {}, "the stream has the wrong size", std::to_string(position_),
           std::to_string(plan_->files[0].bytes()));
    }
  }
  void publish() override {}
  std::vector<std::string> paths() const override { return {path_}; }

 private:
  void put(std::span<const std::byte> bytes) {
    if (!write_all(descriptor_, bytes, path_, code_, stop_)) throw Stopped{};
    position_ += bytes.size();
  }
  void pad_to(std::uint64_t end) {
    while (position_ < end) {
      const std::vector<std::byte> zeros(std::min<std::uint64_t>(end - position_, 4096));
      put(zeros);
    }
  }

  int descriptor_;
  bool owned_;
  std::string path_;
  ErrorCode code_;
  const std::atomic<bool>* stop_ = nullptr;  // for descriptors that can stall
  const Plan* plan_ = nullptr;
  std::uint64_t position_ = 0;
};

// A directory: made under another name beside its own, which it gets when it is complete.
class DirectorySink final : public Sink {
 public:
  DirectorySink(std::string path, const SinkOptions& options, Warnings& warnings)
      : path_(std::move(path)), options_(options), warnings_(warnings) {
    while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
  }

  void begin(const Plan& plan) override {
    plan_ = &plan;
    check_target();
    directory_.emplace(path_, options_.if_exists == IfExists::replace, warnings_);
    SinkOptions inside = options_;
    inside.if_exists = IfExists::fail;
    inside.inputs.clear();
    files_ = std::make_unique<FileSink>(directory_->temporary_path(), inside, warnings_);
    files_->begin(plan);
  }
  void write(std::size_t file, std::size_t tensor, std::uint64_t offset,
             std::span<const std::byte> bytes) override {
    files_->write(file, tensor, offset, bytes);
  }
  void start_write_back() noexcept override {
    if (files_) files_->start_write_back();
  }
  bool sequential() const noexcept override { return false; }

  void finish() override {
    files_->finish();
    files_->publish();
    for (const SideFile& side : plan_->side_files) write_side_file(side);
  }
  void publish() override {
    check_target();
    directory_->publish();
  }
  void withdraw() noexcept override {
    if (directory_) directory_->withdraw();
  }
  std::vector<std::string> paths() const override {
    std::vector<std::string> paths;
    for (const PlannedFile& file : plan_->files) paths.push_back(piece_path(path_, file));
    return paths;
  }

 private:
  // Only a checkpoint is replaced, and never one that is read.
  void check_target() const {
    const TargetKind kind = target_status(path_).kind;
    if (kind == TargetKind::absent) return;
    if (kind != TargetKind::directory)
      fail(ErrorCode::OUT04, path_, {}, "the output exists and is not a directory");
    if (options_.if_exists != IfExists::replace)
      fail(ErrorCode::OUT02, path_, {}, "the output exists; --force replaces it");
    std::error_code ignored;
    for (const SourceFile& input : options_.inputs) {
      const fs::path parent = fs::path(input.path).parent_path();
      if (fs::equivalent(parent.empty() ? fs::path(".") : parent, path_, ignored))
        fail(ErrorCode::OUT03, path_, {}, "the output is the directory of an input");
    }
    if (!fs::exists(path_ + "/config.json", ignored))
      fail(ErrorCode::OUT04, path_, {}, "the output exists and is not a model directory");
  }

  void write_side_file(const SideFile& side) {
    constexpr std::uint64_t kPiece = std::uint64_t{1} << 20;
    const std::string path = directory_->temporary_path() + '/' + side.name;
    if (side.text) {
      AtomicFile out(path, false, side.text->size(), warnings_);
      out.write_at(0, {reinterpret_cast<const std::byte*>(side.text->data()), side.text->size()});
      out.finish();
      out.publish();
      return;
    }
    const InputFile in(*plan_->side_directory, side.name);
    AtomicFile out(path, false, in.size(), warnings_);
    std::vector<std::byte> piece;
    for (std::uint64_t at = 0; at < in.size(); at += kPiece) {
      piece.resize(std::min(kPiece, in.size() - at));
      in.read(at, piece);
      out.write_at(at, piece);
    }
    out.finish();
    out.publish();
  }

  std::string path_;
  SinkOptions options_;
  Warnings& warnings_;
  const Plan* plan_ = nullptr;
  std::optional<AtomicDirectory> directory_;
  std::unique_ptr<FileSink> files_;  // goes before the directory
};

}  // namespace

std::unique_ptr<Sink> make_directory_sink(const std::string& path, const SinkOptions& options,
                                          Warnings& warnings) {
  return std::make_unique<DirectorySink>(path, options, warnings);
}

std::unique_ptr<Sink> make_file_sink(const std::string& path, const SinkOptions& options,
                                     Warnings& warnings) {
  if (target_status(path).kind == TargetKind::stream) {
    int descriptor = -1;
    do {  // a FIFO is waited for until somebody reads it, or a signal comes
      if (options.stop != nullptr && options.stop->load()) throw Stopped{};
      descriptor = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    } while (descriptor < 0 && errno == EINTR);
    if (descriptor < 0) fail_output(errno, path, "opening the output", ErrorCode::OUT05);
    return std::make_unique<StreamSink>(descriptor, true, path, ErrorCode::OUT07, options.stop);
  }
  return std::make_unique<FileSink>(path, options, warnings);
}

std::unique_ptr<Sink> make_stdout_sink(const SinkOptions& options) {
  return std::make_unique<StreamSink>(STDOUT_FILENO, false, "-", ErrorCode::OUT11, options.stop);
}

bool output_matches(const std::string& path, const Plan& plan) {
  for (const PlannedFile& file : plan.files) {
    const std::string name = piece_path(path, file);
    const int descriptor = open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return false;
    const off_t size = lseek(descriptor, 0, SEEK_END);
    const std::vector<std::byte> header = planned_header(file);
    std::vector<std::byte> read(header.size());
    std::uint64_t done = 0;
    while (size >= 0 && static_cast<std::uint64_t>(size) == file.bytes() && done < read.size()) {
      const ssize_t n =
          pread(descriptor, read.data() + done, read.size() - done, static_cast<off_t>(done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      done += static_cast<std::uint64_t>(n);
    }
    close(descriptor);
    if (done != read.size() || read != header) return false;
  }
  return true;
}

}  // namespace quantize
