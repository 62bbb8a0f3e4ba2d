#include "formats/safetensors/source.hpp"

#include <utility>

#include "formats/readers.hpp"

namespace quantize {
namespace safetensors {
namespace {

class SafetensorsSource : public Source {
 public:
  SafetensorsSource(std::string_view format, std::string path, std::vector<Member> members)
      : format_(format), path_(std::move(path)) {
    for (Member& member : members) {
      const auto index = static_cast<std::uint32_t>(files_.size());
      about_.push_back(member.file->about());
      files_.push_back(std::move(member.file));
      for (SourceTensor& tensor : member.header.tensors) {
        tensor.file = index;
        tensors_.push_back(std::move(tensor));
      }
      for (const auto& [key, value] : member.header.metadata.entries()) metadata_.set(key, value);
    }
  }

  std::string_view format() const noexcept override { return format_; }
  std::string_view path() const noexcept override { return path_; }
  std::span<const SourceFile> files() const noexcept override { return about_; }
  std::span<const SourceTensor> tensors() const noexcept override { return tensors_; }
  const Metadata& metadata() const noexcept override { return metadata_; }

  void read(std::size_t tensor, std::uint64_t offset, std::span<std::byte> into) const override {
    const SourceTensor& t = tensors_[tensor];
    files_[t.file]->read(t.data_offset + offset, into);
  }
  void prefetch(std::size_t tensor, std::uint64_t offset, std::uint64_t bytes) const override {
    const SourceTensor& t = tensors_[tensor];
    files_[t.file]->prefetch(t.data_offset + offset, bytes);
  }
  void check_unchanged() const override {
    for (const auto& file : files_) file->check_unchanged();
  }

 private:
  std::string_view format_;
  std::string path_;
  std::vector<std::unique_ptr<InputFile>> files_;
  std::vector<SourceFile> about_;
  std::vector<SourceTensor> tensors_;
  Metadata metadata_;
};

}  // namespace

Member read_member(std::unique_ptr<InputFile> file, Warnings& warnings, ErrorCode other_kind) {
  const InputFile& input = *file;
  Header header = read_header(
      input.path(), input.size(),
      [&input](std::uint64_t offset, std::span<std::byte> into) { input.read(offset, into); },
      warnings, other_kind);
  return {std::move(file), std::move(header)};
}

std::shared_ptr<const Source> make_source(std::string_view format, std::string path,
                                          std::vector<Member> members) {
  return std::make_shared<SafetensorsSource>(format, std::move(path), std::move(members));
}

}  // namespace safetensors

std::shared_ptr<const Source> open_safetensors(const std::string& path, Warnings& warnings) {
  std::vector<safetensors::Member> members;
  members.push_back(safetensors::read_member(std::make_unique<InputFile>(path), warnings));
  return safetensors::make_source("safetensors", path, std::move(members));
}

}  // namespace quantize
