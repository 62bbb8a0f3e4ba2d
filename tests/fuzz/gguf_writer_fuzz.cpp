// F8: any metadata and tensors, written and read back: equal, and without a warning.
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "quantize/error.hpp"

#include "formats/gguf/header.hpp"
#include "formats/gguf/layout.hpp"

namespace quantize {
namespace {

// Takes decisions from the fuzzer's bytes; zeros when they are used up.
class Dice {
 public:
  explicit Dice(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  std::uint64_t number(std::size_t count) {
    std::uint64_t out = 0;
    for (std::size_t i = 0; i < count; ++i) out = (out << 8) | next();
    return out;
  }
  std::uint64_t below(std::uint64_t limit) { return number(2) % limit; }
  std::string text() {
    std::string out(below(20), '\0');
    for (char& c : out) c = static_cast<char>(next() & 0x7Fu);
    return out;
  }
  bool empty() const { return bytes_.empty(); }

 private:
  std::uint8_t next() {
    if (bytes_.empty()) return 0;
    const std::uint8_t first = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return first;
  }
  std::span<const std::uint8_t> bytes_;
};

template <class T>
T scalar(Dice& dice) {
  if constexpr (std::is_same_v<T, std::string>) {
    return dice.text();
  } else if constexpr (std::is_same_v<T, bool>) {
    return dice.below(2) == 1;
  } else if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(static_cast<std::int32_t>(dice.number(3))) /
           T{64};  // never a NaN: != itself
  } else {
    return static_cast<T>(dice.number(sizeof(T)));
  }
}

template <std::size_t... Id>
MetaArray array(Dice& dice, std::index_sequence<Id...>) {
  MetaArray out;
  const std::uint64_t kind = dice.below(sizeof...(Id));
  const std::uint64_t count = dice.below(9);
  const auto fill = [&](auto& elements) {
    if constexpr (requires { elements.begin(); }) {
      using Element = typename std::decay_t<decltype(elements)>::value_type;
      for (std::uint64_t i = 0; i < count; ++i) elements.push_back(scalar<Element>(dice));
    }
  };
  ((Id == kind && Id != 9 ? fill(out.template emplace<Id>()) : void()), ...);
  return out;
}

template <std::size_t... Id>
MetaValue value(Dice& dice, std::index_sequence<Id...>) {
  MetaValue out;
  const std::uint64_t kind = dice.below(sizeof...(Id));
  const auto make = [&](auto index) {
    using T = std::variant_alternative_t<index, MetaValue>;
    if constexpr (std::is_same_v<T, MetaArray>) {
      out.emplace<index>(array(dice, std::make_index_sequence<std::variant_size_v<MetaArray>>()));
    } else {
      out.emplace<index>(scalar<T>(dice));
    }
  };
  ((Id == kind ? make(std::integral_constant<std::size_t, Id>()) : void()), ...);
  return out;
}

void write_and_read(Dice dice) {
  Metadata metadata;
  for (std::uint64_t i = 0, n = dice.below(12); i < n; ++i) {
    metadata.append("k." + std::to_string(i),
                    value(dice, std::make_index_sequence<std::variant_size_v<MetaValue>>()));
  }
  std::vector<gguf::TensorEntry> tensors;
  std::uint64_t data = 0;
  while (!dice.empty() && tensors.size() < 8) {
    const TypeInfo& type = all_types()[dice.below(all_types().size())];
    if (type.gguf_id < 0) continue;
    std::vector<std::uint64_t> dims(dice.below(5));
    for (std::uint64_t& dim : dims) dim = dice.below(4);
    if (!dims.empty()) dims.back() *= type.block_values;
    if (dims.empty() && type.block_values != 1) continue;
    gguf::TensorEntry entry{"t" + std::to_string(tensors.size()),
                            Shape(std::span<const std::uint64_t>(dims)), type.type, data};
    const std::uint64_t bytes = stored_bytes(type.type, entry.shape.values());
    data += (bytes + gguf::kAlignment - 1) / gguf::kAlignment * gguf::kAlignment;
    tensors.push_back(std::move(entry));
  }

  std::vector<std::byte> file = gguf::encode_header(metadata, tensors);
  const std::uint64_t header_bytes = file.size();
  if (header_bytes != gguf::header_bytes(metadata, tensors)) std::abort();
  file.resize(header_bytes + data);
  Warnings strict;
  strict.make_all_fatal();
  const gguf::Header read =
      gguf::read_header("fuzz", file.size(), fetch_from(file), 1u << 20, strict);
  if (read.metadata.entries() != metadata.entries()) std::abort();
  if (read.tensors.size() != tensors.size()) std::abort();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const SourceTensor& got = read.tensors[i];
    if (got.name != tensors[i].name || got.type != tensors[i].type ||
        got.shape != tensors[i].shape || got.data_offset != header_bytes + tensors[i].offset) {
      std::abort();
    }
  }
}

}  // namespace
}  // namespace quantize

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  quantize::write_and_read(quantize::Dice({data, size}));
  return 0;
}
