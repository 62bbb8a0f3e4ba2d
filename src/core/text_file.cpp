#include "quantize/text_file.hpp"

#include <cerrno>
#include <span>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "core/atomic_file.hpp"

namespace quantize {

TextFile::TextFile(const std::string& path, bool replace, Warnings& warnings) : path_(path) {
  if (target_status(path).kind != TargetKind::stream) {
    file_ = std::make_unique<AtomicFile>(path, replace, 0, warnings);
    return;
  }
  stream_ = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (stream_ < 0) fail_output(errno, path, "opening the output", ErrorCode::OUT05);
}

TextFile::TextFile(TextFile&& other) noexcept
    : path_(std::move(other.path_)),
      file_(std::move(other.file_)),
      stream_(std::exchange(other.stream_, -1)) {}

TextFile::~TextFile() {
  if (stream_ >= 0) close(stream_);
}

void TextFile::write(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  if (!file_) {
    write_all(stream_, bytes, path_, ErrorCode::OUT07);
    return;
  }
  file_->set_size(bytes.size());
  file_->write_at(0, bytes);
  file_->finish();
}

void TextFile::publish() {
  if (file_) file_->publish();
}

}  // namespace quantize
