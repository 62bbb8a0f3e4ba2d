// A Source that exists only in memory: any names, metadata and data, also such as no file can
// carry.
#pragma once

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "quantize/source.hpp"

namespace quantize::testing {

class MemorySource : public Source {
 public:
  explicit MemorySource(std::string path = "memory", std::string format = "gguf")
      : path_(std::move(path)), format_(std::move(format)), files_{{path_, 0, 0, 0}} {}

  Metadata meta;
  void add(std::string name, DType type, const Shape& shape, std::string data) {
    SourceTensor tensor;
    tensor.name = std::move(name);
    tensor.type = type;
    tensor.shape = shape;
    tensor.bytes = data.size();
    tensor.data_offset = files_[0].bytes;
    files_[0].bytes += data.size();
    tensors_.push_back(std::move(tensor));
    data_.push_back(std::move(data));
  }

  std::string_view format() const noexcept override { return format_; }
  std::string_view path() const noexcept override { return path_; }
  std::span<const SourceFile> files() const noexcept override { return files_; }
  std::span<const SourceTensor> tensors() const noexcept override { return tensors_; }
  const Metadata& metadata() const noexcept override { return meta; }
  void read(std::size_t tensor, std::uint64_t offset, std::span<std::byte> into) const override {
    if (into.empty()) return;
    std::memcpy(into.data(), data_.at(tensor).data() + offset, into.size());
  }
  void check_unchanged() const override {}

 private:
  std::string path_, format_;
  std::vector<SourceFile> files_;
  std::vector<SourceTensor> tensors_;
  std::vector<std::string> data_;
};

}  // namespace quantize::testing
