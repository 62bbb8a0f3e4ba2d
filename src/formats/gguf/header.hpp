// Reads the head of one GGUF file: version, metadata and tensor infos, and proves that the tensors'
// data lies inside the file, in order, without hole or overlap. Works on any bytes that can be
// fetched by offset, so tests and fuzzers need no file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quantize/error.hpp"
#include "quantize/metadata.hpp"
#include "quantize/source.hpp"

#include "core/byte_reader.hpp"

namespace quantize::gguf {

struct Header {
  std::uint32_t version = 0;
  std::uint64_t alignment = 0;
  Metadata metadata;
  std::vector<std::uint64_t> value_offsets;  // of metadata.entries(), for messages
  std::vector<SourceTensor> tensors;         // file = 0; data_offset from the start of the file
  std::uint64_t data_start = 0;

  // Where the value of a key lies in the file; precondition: the key is present.
  std::uint64_t value_offset(std::string_view key) const noexcept;
};

// GG01 to GG23 and GG26. `file` names the bytes in messages.
Header read_header(const std::string& file, std::uint64_t file_bytes, FetchBytes fetch,
                   std::uint64_t max_metadata_bytes, Warnings& warnings);

}  // namespace quantize::gguf
