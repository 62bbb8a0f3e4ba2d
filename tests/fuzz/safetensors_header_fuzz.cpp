// F1: any bytes as a safetensors file. What is accepted covers the file exactly, without overlap;
// what is refused names a place within it.
#include <cstdlib>
#include <cstring>

#include "formats/safetensors/header.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace quantize;
  Warnings warnings;
  const auto read = [&](std::uint64_t offset, std::span<std::byte> into) {
    if (offset > size || into.size() > size - offset) std::abort();
    if (!into.empty()) std::memcpy(into.data(), data + offset, into.size());
  };
  try {
    const safetensors::Header header = safetensors::read_header("fuzz", size, read, warnings);
    std::uint64_t end = 0;
    for (const SourceTensor& tensor : header.tensors) {
      if ((end != 0 && tensor.data_offset != end) || tensor.data_offset > size ||
          tensor.bytes > size - tensor.data_offset || tensor.name.empty() ||
          tensor.bytes != stored_bytes(tensor.type, tensor.shape.values())) {
        std::abort();
      }
      end = tensor.data_offset + tensor.bytes;
    }
    if (!header.tensors.empty() && end != size) std::abort();
  } catch (const Error& e) {
    if (e.code() == ErrorCode::BUG01 || !e.problem().offset || *e.problem().offset > size) {
      std::abort();
    }
  }
  return 0;
}
