// A file (or set of files) of weights that has been opened and fully validated: whatever is wrong
// with its structure was reported when it was opened. Only read() can fail, and only by I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quantize/dtype.hpp"
#include "quantize/metadata.hpp"
#include "quantize/tensor.hpp"

namespace quantize {

struct SourceTensor {
  std::string name;
  DType type{};
  Shape shape;
  std::uint64_t bytes = 0;
  std::uint32_t file = 0;         // index into files()
  std::uint64_t data_offset = 0;  // of the data, from the start of that file
  std::uint64_t name_offset = 0;  // where the header names it, for messages
  std::uint64_t type_offset = 0;  // where the header gives its type, for messages
  std::uint64_t shape_offset = 0;
  // For a tensor that is decoded from a quantized checkpoint's parts: what they are ("GPTQ, 4
  // bits") and how many bytes they have.
  std::string decoded_from;
  std::uint64_t packed_bytes = 0;
  // What adapters did to it: "merged with adapter PATH (rank 8, scale 2)", "replaced by adapter
  // PATH".
  std::string changed_by;
};

// An opened input file: its path as the user gave it (or derived), and what identifies it.
struct SourceFile {
  std::string path;
  std::uint64_t bytes = 0;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
};

class Source {
 public:
  virtual ~Source() = default;
  virtual std::string_view format() const noexcept = 0;  // "gguf", "safetensors", "huggingface"
  virtual std::optional<std::uint32_t> version() const noexcept { return std::nullopt; }  // GGUF
  virtual std::string_view path() const noexcept = 0;  // as the user gave it
  virtual std::span<const SourceFile> files() const noexcept = 0;
  virtual std::span<const SourceTensor> tensors() const noexcept = 0;  // in file order
  // The same before anything is decoded.
  virtual std::span<const SourceTensor> stored_tensors() const noexcept { return tensors(); }
  virtual const Metadata& metadata() const noexcept = 0;  // safetensors: __metadata__ as strings
  // Where the value of a metadata key stands in files()[0], for messages; empty if not known.
  virtual std::optional<std::uint64_t> metadata_offset(std::string_view /*key*/) const noexcept {
    return std::nullopt;
  }
  // Bytes [offset, offset + into.size()) of one tensor's data. Thread-safe. IO02, IO05.
  virtual void read(std::size_t tensor, std::uint64_t offset, std::span<std::byte> into) const = 0;
  // Bytes that read() may allocate for so many bytes.
  virtual std::uint64_t read_scratch_bytes(std::size_t /*tensor*/, std::uint64_t /*bytes*/) const {
    return 0;
  }
  // Hints that these bytes will be read soon (read-ahead); may do nothing.
  virtual void prefetch(std::size_t /*tensor*/, std::uint64_t /*offset*/,
                        std::uint64_t /*bytes*/) const {}
  // IO05 if a file's size or modification time changed since it was opened.
  virtual void check_unchanged() const = 0;
};

}  // namespace quantize
