#include "formats/gguf/layout.hpp"

#include <bit>
#include <cstring>

#include "quantize/error.hpp"

#include "core/checked.hpp"

namespace quantize::gguf {
namespace {

static_assert(std::endian::native == std::endian::little);

// Writes a header, or only counts its bytes: one walk for both, so that they cannot disagree.
class Output {
 public:
  explicit Output(std::vector<std::byte>* bytes) : bytes_(bytes) {}

  template <class T>
  void number(T value) {
    raw(&value, sizeof value);
  }
  void string(std::string_view text) {
    number(static_cast<std::uint64_t>(text.size()));
    raw(text.data(), text.size());
  }
  void pad(std::uint64_t alignment) {
    const std::uint64_t end = (count_ + alignment - 1) / alignment * alignment;
    if (bytes_) bytes_->resize(end);
    count_ = end;
  }
  std::uint64_t count() const noexcept { return count_; }

 private:
  void raw(const void* data, std::size_t size) {
    if (bytes_ && size != 0) {
      const auto* first = static_cast<const std::byte*>(data);
      bytes_->insert(bytes_->end(), first, first + size);
    }
    count_ += size;
  }
  std::vector<std::byte>* bytes_;
  std::uint64_t count_ = 0;
};

void put_scalar(Output& out, const std::string& value) { out.string(value); }
void put_scalar(Output& out, bool value) { out.number(static_cast<std::uint8_t>(value)); }
template <class T>
void put_scalar(Output& out, T value) {
  out.number(value);
}

void put_array(Output& out, const MetaArray& array) {
  out.number(static_cast<std::uint32_t>(element_type(array)));
  out.number(element_count(array));
  std::visit(
      [&](const auto& elements) {
        if constexpr (requires { elements.begin(); }) {
          using Element = typename std::decay_t<decltype(elements)>::value_type;
          for (const Element& element : elements) put_scalar(out, element);
        }
      },
      array);
}

void put_header(Output& out, const Metadata& metadata, std::span<const TensorEntry> tensors) {
  out.number(kMagic);
  out.number(kVersion);
  out.number(static_cast<std::uint64_t>(tensors.size()));
  out.number(static_cast<std::uint64_t>(metadata.entries().size()));
  for (const auto& [key, value] : metadata.entries()) {
    out.string(key);
    out.number(static_cast<std::uint32_t>(meta_type(value)));
    std::visit(
        [&](const auto& v) {
          if constexpr (std::is_same_v<std::decay_t<decltype(v)>, MetaArray>) {
            put_array(out, v);
          } else {
            put_scalar(out, v);
          }
        },
        value);
  }
  for (const TensorEntry& tensor : tensors) {
    out.string(tensor.name);
    const auto dims = tensor.shape.dims();
    out.number(static_cast<std::uint32_t>(dims.size()));
    for (std::size_t i = dims.size(); i-- > 0;) out.number(dims[i]);
    out.number(static_cast<std::uint32_t>(info(tensor.type).gguf_id));
    out.number(tensor.offset);
  }
  out.pad(kAlignment);
}

}  // namespace

std::uint64_t header_bytes(const Metadata& metadata, std::span<const TensorEntry> tensors) {
  Output counter(nullptr);
  put_header(counter, metadata, tensors);
  return counter.count();
}

std::vector<std::byte> encode_header(const Metadata& metadata,
                                     std::span<const TensorEntry> tensors) {
  std::vector<std::byte> bytes;
  bytes.reserve(header_bytes(metadata, tensors));
  Output out(&bytes);
  put_header(out, metadata, tensors);
  return bytes;
}

Shape drop_unit_dimensions(const Shape& shape) {
  auto dims = shape.dims();
  while (dims.size() > 1 && dims.front() == 1) dims = dims.subspan(1);
  return dims.empty() ? Shape{1} : Shape(dims);
}

}  // namespace quantize::gguf
