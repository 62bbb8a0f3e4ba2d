// F2: any bytes as a GGUF file. The reader accepts or refuses; what it accepts lies inside the
// file.
#include <cstdlib>

#include "quantize/error.hpp"

#include "formats/gguf/header.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace quantize;
  Warnings warnings;
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    const gguf::Header header =
        gguf::read_header("fuzz", size, fetch_from(bytes), 1u << 20, warnings);
    std::uint64_t end = header.data_start;
    for (const SourceTensor& tensor : header.tensors) {
      if (tensor.data_offset < end || tensor.data_offset % header.alignment != 0 ||
          tensor.data_offset > size || tensor.bytes > size - tensor.data_offset ||
          tensor.bytes != stored_bytes(tensor.type, tensor.shape.values())) {
        std::abort();
      }
      end = tensor.data_offset + tensor.bytes;
    }
    if (header.value_offsets.size() != header.metadata.entries().size()) std::abort();
  } catch (const Error& e) {
    if (e.code() == ErrorCode::BUG01 || (e.problem().offset && *e.problem().offset > size)) {
      std::abort();
    }
  }
  return 0;
}
