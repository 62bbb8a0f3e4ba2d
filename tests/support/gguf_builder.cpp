#include "support/gguf_builder.hpp"

#include <bit>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "core/float16.hpp"

namespace quantize::testing {
namespace {

template <class T>
std::string scalar(T value) {
  if constexpr (std::is_same_v<T, bool>) {
    return little_endian(value ? 1 : 0, 1);
  } else if constexpr (std::is_same_v<T, float>) {
    return little_endian(std::bit_cast<std::uint32_t>(value), 4);
  } else if constexpr (std::is_same_v<T, double>) {
    return little_endian(std::bit_cast<std::uint64_t>(value), 8);
  } else {
    return little_endian(static_cast<std::uint64_t>(value), sizeof(T));
  }
}

std::string encode(const MetaValue& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string>) {
          return gguf_string(v);
        } else if constexpr (std::is_same_v<T, MetaArray>) {
          std::string out =
              little_endian(v.index(), 4);  // the alternatives stand in the order of the ids
          std::visit(
              [&out](const auto& items) {
                using V = std::decay_t<decltype(items)>;
                if constexpr (!std::is_same_v<V, std::monostate>) {
                  out += little_endian(items.size(), 8);
                  for (const auto& item : items) {
                    if constexpr (std::is_same_v<typename V::value_type, std::string>) {
                      out += gguf_string(item);
                    } else {
                      out += scalar(item);
                    }
                  }
                }
              },
              v);
          return out;
        } else {
          return scalar(v);
        }
      },
      value);
}

std::uint64_t round_up(std::uint64_t value, std::uint64_t step) {
  return (value + step - 1) / step * step;
}

}  // namespace

std::string little_endian(std::uint64_t value, std::size_t bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes; ++i) {
    out.push_back(static_cast<char>(static_cast<unsigned char>(value & 0xFFu)));
    value >>= 8;
  }
  return out;
}

std::string gguf_string(std::string_view text) {
  return little_endian(text.size(), 8).append(text);
}

std::string pattern_data(DType type, std::uint64_t values, std::uint32_t seed) {
  std::uint32_t state = seed * 2654435761u + 12345u;
  const auto next = [&state] {
    state = state * 1664525u + 1013904223u;
    return state >> 8;
  };
  const auto number = [&next] {
    return (static_cast<float>(next() & 0xFFFFu) - 32768.0f) * (1.0f / 32768.0f);
  };
  std::string out;
  switch (type) {
    case DType::f32:
      for (std::uint64_t i = 0; i < values; ++i) out += scalar(number());
      return out;
    case DType::f64:
      for (std::uint64_t i = 0; i < values; ++i) out += scalar(static_cast<double>(number()));
      return out;
    case DType::f16:
      for (std::uint64_t i = 0; i < values; ++i) out += scalar(float_to_half(number()));
      return out;
    case DType::bf16:
      for (std::uint64_t i = 0; i < values; ++i) out += scalar(float_to_bfloat16(number()));
      return out;
    default:
      for (std::uint64_t i = 0, n = stored_bytes(type, values); i < n; ++i) {
        out += little_endian(next(), 1);
      }
      return out;
  }
}

std::uint64_t GgufImage::at(std::string_view field) const {
  const auto it = places.find(field);
  if (it == places.end()) throw std::out_of_range("no field " + std::string(field));
  return it->second;
}

void GgufImage::put_u8(std::uint64_t offset, std::uint8_t value) {
  bytes.replace(offset, 1, little_endian(value, 1));
}
void GgufImage::put_u32(std::uint64_t offset, std::uint32_t value) {
  bytes.replace(offset, 4, little_endian(value, 4));
}
void GgufImage::put_u64(std::uint64_t offset, std::uint64_t value) {
  bytes.replace(offset, 8, little_endian(value, 8));
}
void GgufImage::insert(std::uint64_t offset, std::string_view more) { bytes.insert(offset, more); }

GgufBuilder& GgufBuilder::version(std::uint32_t version) {
  version_ = version;
  return *this;
}

GgufBuilder& GgufBuilder::alignment(std::uint64_t bytes) {
  alignment_ = bytes;
  return *this;
}

GgufBuilder& GgufBuilder::final_padding(bool present) {
  final_padding_ = present;
  return *this;
}

GgufBuilder& GgufBuilder::key(std::string name, MetaValue value) {
  return raw_key(std::move(name), static_cast<std::uint32_t>(value.index()), encode(value));
}

GgufBuilder& GgufBuilder::raw_key(std::string name, std::uint32_t type, std::string value) {
  keys_.push_back({std::move(name), type, std::move(value)});
  return *this;
}

GgufBuilder& GgufBuilder::tensor(std::string name, DType type, const Shape& shape,
                                 std::string data) {
  if (data.empty()) {
    data = pattern_data(type, shape.values(), static_cast<std::uint32_t>(tensors_.size()) + 1);
  }
  return raw_tensor(std::move(name), {shape.dims().rbegin(), shape.dims().rend()},
                    static_cast<std::uint32_t>(info(type).gguf_id), std::move(data));
}

GgufBuilder& GgufBuilder::raw_tensor(std::string name, std::vector<std::uint64_t> dims,
                                     std::uint32_t type, std::string data,
                                     std::optional<std::uint64_t> offset) {
  tensors_.push_back({std::move(name), std::move(dims), type, std::move(data), offset});
  return *this;
}

GgufImage GgufBuilder::build() const {
  GgufImage image;
  std::string& out = image.bytes;
  const auto mark = [&](const std::string& field) { image.places[field] = out.size(); };
  const auto u32 = [&](std::uint32_t v) { out += little_endian(v, 4); };
  const auto u64 = [&](std::uint64_t v) { out += little_endian(v, 8); };

  out = "GGUF";
  mark("version");
  u32(version_);
  mark("tensors");
  u64(tensors_.size());
  mark("keys");
  u64(keys_.size());
  for (const Key& key : keys_) {
    mark("key " + key.name);
    out += gguf_string(key.name);
    mark("type " + key.name);
    u32(key.type);
    mark("value " + key.name);
    if (key.type == 9) {
      mark("elements " + key.name);
      image.places["count " + key.name] = out.size() + 4;
    }
    out += key.value;
  }
  std::uint64_t running = 0;
  for (const Tensor& tensor : tensors_) {
    mark("tensor " + tensor.name);
    out += gguf_string(tensor.name);
    mark("rank " + tensor.name);
    u32(static_cast<std::uint32_t>(tensor.dims.size()));
    for (std::size_t i = 0; i < tensor.dims.size(); ++i) {
      mark("dim " + tensor.name + " " + std::to_string(i));
      u64(tensor.dims[i]);
    }
    mark("dtype " + tensor.name);
    u32(tensor.type);
    mark("offset " + tensor.name);
    u64(tensor.offset.value_or(running));
    running = round_up(running + tensor.data.size(), alignment_);
  }
  mark("header end");
  if (!tensors_.empty()) out.resize(round_up(out.size(), alignment_), '\0');
  mark("data");
  const std::uint64_t data = out.size();
  std::uint64_t place = 0;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    image.places["data " + tensors_[i].name] = data + place;
    out += tensors_[i].data;
    place = round_up(place + tensors_[i].data.size(), alignment_);
    if (i + 1 < tensors_.size() || final_padding_) out.resize(data + place, '\0');
  }
  return image;
}

}  // namespace quantize::testing
