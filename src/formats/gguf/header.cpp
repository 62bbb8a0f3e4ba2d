#include "formats/gguf/header.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

#include "quantize/escape.hpp"

#include "core/checked.hpp"
#include "core/utf8.hpp"
#include "formats/familiar.hpp"
#include "formats/gguf/layout.hpp"

namespace quantize::gguf {
namespace {

constexpr std::uint64_t kFixedBytes = 24;     // magic, version and the two counts
constexpr std::uint64_t kSmallestKey = 13;    // an 8-byte length, a 4-byte type, one byte
constexpr std::uint64_t kSmallestInfo = 24;   // the same of a tensor
constexpr std::uint64_t kMaxItems = 1000000;  // keys; tensors
constexpr std::uint64_t kMaxKeyBytes = 65535;
constexpr std::uint64_t kMaxStringBytes = std::uint64_t{64} << 20;
constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 26;
constexpr std::uint64_t kMaxNameBytes = 512;
constexpr std::uint32_t kMaxRank = 4;
constexpr std::size_t kShown = 200;  // bytes of a value that a message needs at most
constexpr std::uint64_t kMaxSize = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t kMinAlignment = 8, kMaxAlignment = std::uint64_t{1} << 20;
// Padding that is looked at in one file: an alignment of 1 MiB must not make a sparse file costly.
constexpr std::uint64_t kMaxPaddingRead = std::uint64_t{16} << 20;

// Bytes that one value of each metadata type takes at least, by type id.
constexpr std::array<std::uint64_t, 13> kElementBytes = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};
constexpr auto kArrayType = static_cast<std::uint32_t>(MetaType::array);

// The first item, in order, whose name an earlier one has too.
template <class NameOf>
std::optional<std::size_t> first_repetition(std::size_t count, const NameOf& name_of) {
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    const int by_name = name_of(a).compare(name_of(b));
    return by_name != 0 ? by_name < 0 : a < b;
  });
  std::optional<std::size_t> first;
  for (std::size_t i = 1; i < count; ++i) {
    if (name_of(order[i - 1]) == name_of(order[i]) && (!first || order[i] < *first)) {
      first = order[i];
    }
  }
  return first;
}

class HeaderReader {
 public:
  HeaderReader(const std::string& file, std::uint64_t file_bytes, FetchBytes fetch,
               std::uint64_t max_metadata_bytes, Warnings& warnings)
      : fetch_(fetch),
        in_(file, file_bytes, std::move(fetch), ErrorCode::GG02),
        max_metadata_bytes_(max_metadata_bytes),
        warnings_(warnings) {}

  Header read() {
    read_fixed();
    for (std::uint64_t i = 0; i < key_count_; ++i) read_key();
    if (const auto twice = first_repetition(key_count_, [this](std::size_t i) {
          return std::string_view(out_.metadata.entries()[i].first);
        })) {
      refuse(ErrorCode::GG11, key_offsets_[*twice],
             "key " + quoted(out_.metadata.entries()[*twice].first) + " appears twice");
    }
    read_alignment();
    out_.tensors.reserve(tensor_count_);
    for (std::uint64_t i = 0; i < tensor_count_; ++i) read_info();
    if (const auto twice = first_repetition(tensor_count_, [this](std::size_t i) {
          return std::string_view(out_.tensors[i].name);
        })) {
      refuse(ErrorCode::GG14, out_.tensors[*twice].name_offset,
             "tensor " + quoted(out_.tensors[*twice].name) + " is listed twice");
    }
    place_data();
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(ErrorCode code, std::uint64_t offset, std::string text,
                           std::string found = {}, std::string allowed = {}) const {
    fail(code, in_.file(), offset, std::move(text), std::move(found), std::move(allowed));
  }
  [[noreturn]] void refuse(ErrorCode code, std::uint64_t offset, std::string text,
                           std::uint64_t found, std::string allowed) const {
    refuse(code, offset, std::move(text), std::to_string(found), std::move(allowed));
  }
  void warn(ErrorCode code, std::uint64_t offset, std::string text, std::string found = {}) const {
    warnings_.add(code, in_.file(), offset, std::move(text), std::move(found));
  }

  void read_fixed() {
    std::array<std::byte, kFamiliarBytes> start{};
    const std::span head(
        start.data(), static_cast<std::size_t>(std::min<std::uint64_t>(start.size(), in_.size())));
    fetch_(0, head);
    constexpr std::string_view kMagicText = "GGUF";
    for (std::size_t i = 0; i < std::min(kMagicText.size(), head.size()); ++i) {
      if (head[i] == static_cast<std::byte>(kMagicText[i])) continue;
      const std::string_view kind = familiar_kind(head);
      refuse(ErrorCode::GG01, 0,
             kind.empty() ? "this is not a GGUF file" : "this is " + std::string(kind),
             in_.text(std::min<std::uint64_t>(4, in_.size())), "GGUF");
    }
    if (in_.size() < kFixedBytes) {
      refuse(ErrorCode::GG02, in_.size(),
             in_.size() == 0 ? "the file is empty" : "the file ends inside the GGUF header",
             std::to_string(in_.size()) + " bytes", "at least 24");
    }
    in_.skip(4);
    out_.version = in_.number<std::uint32_t>();
    if (out_.version != 2 && out_.version != 3) {
      const std::uint32_t reversed = out_.version >> 24;
      if ((out_.version & 0xFFFFFFu) == 0 && reversed >= 1 && reversed <= 3) {
        refuse(ErrorCode::GG04, 4, "this is a big-endian GGUF file", reversed,
               "a little-endian one");
      }
      refuse(ErrorCode::GG03, 4, "GGUF version not supported", out_.version, "2 or 3");
    }
    const auto count = [this](std::string_view of, std::uint64_t smallest) {
      const std::uint64_t place = in_.position(), value = in_.number<std::uint64_t>();
      const std::uint64_t limit = std::min(kMaxItems, (in_.size() - kFixedBytes) / smallest);
      if (value > limit) {
        refuse(ErrorCode::GG05, place, "too many " + std::string(of), value,
               "at most " + std::to_string(limit) + " here");
      }
      return value;
    };
    tensor_count_ = count("tensors", kSmallestInfo);
    key_count_ = count("keys", kSmallestKey);
  }

  // ---- metadata

  // A length or a count of bytes to come: compared with what is left, with its own cap and with
  // what all metadata may take, before anything is allocated.
  void admit(ErrorCode code, std::uint64_t place, std::string_view what, std::uint64_t count,
             std::uint64_t element_bytes, std::uint64_t cap) const {
    if (count > in_.left() / element_bytes) {
      refuse(code, place, std::string(what) + " is longer than the rest of the file", count,
             "at most " + std::to_string(in_.left() / element_bytes));
    }
    if (count > cap) {
      refuse(code, place, std::string(what) + " is too long", count,
             "at most " + std::to_string(cap));
    }
    const std::uint64_t used = in_.position() - kFixedBytes;
    if (used > max_metadata_bytes_ || count * element_bytes > max_metadata_bytes_ - used) {
      refuse(ErrorCode::GG23, place, "the metadata is too large",
             "more than " + std::to_string(max_metadata_bytes_) + " bytes",
             std::to_string(max_metadata_bytes_) + " bytes, by --max-metadata");
    }
  }

  std::string read_string(ErrorCode code, std::string_view what, std::uint64_t cap) {
    const std::uint64_t place = in_.position(), length = in_.number<std::uint64_t>();
    admit(code, place, what, length, 1, cap);
    return in_.text(length);
  }

  template <class T>
  T element() {
    if constexpr (std::is_same_v<T, bool>) {
      const std::uint64_t place = in_.position();
      const auto value = in_.number<std::uint8_t>();
      if (value > 1) refuse(ErrorCode::GG09, place, "a boolean is not 0 or 1", value, "0 or 1");
      return value == 1;
    } else if constexpr (std::is_same_v<T, std::string>) {
      const std::uint64_t place = in_.position() + 8;
      std::string text = read_string(ErrorCode::GG06, "a string", kMaxStringBytes);
      if (!utf8::is_valid(text)) {
        warn(ErrorCode::GG06, place, "a string is not UTF-8; its bytes are kept",
             text.substr(0, kShown));
      }
      return text;
    } else if constexpr (std::is_same_v<T, MetaArray>) {
      return array();
    } else {
      return in_.number<T>();
    }
  }

  MetaArray array() {
    const std::uint64_t type_place = in_.position();
    const auto type = in_.number<std::uint32_t>();
    if (type >= kElementBytes.size() || type == kArrayType) {
      refuse(ErrorCode::GG10, type_place,
             type == kArrayType ? "an array of arrays" : "unknown type of array elements", type,
             "0 to 12, but not 9");
    }
    const std::uint64_t count_place = in_.position(), count = in_.number<std::uint64_t>();
    admit(ErrorCode::GG10, count_place, "an array", count, kElementBytes[type], kMaxElements);
    MetaArray out;
    array_of(out, type, count, std::make_index_sequence<std::variant_size_v<MetaArray>>());
    return out;
  }

  // The alternatives of MetaValue and MetaArray stand in the order of the type ids: the one that
  // the id names is read.
  template <std::size_t... Id>
  void array_of(MetaArray& out, std::size_t type, std::uint64_t count, std::index_sequence<Id...>) {
    ((Id == type ? elements(out.emplace<Id>(), count) : void()), ...);
  }
  template <class T>
  void elements(std::vector<T>& out, std::uint64_t count) {
    out.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) out.push_back(element<T>());
  }
  void elements(std::monostate, std::uint64_t) {}
  template <std::size_t... Id>
  void value_of(MetaValue& out, std::size_t type, std::index_sequence<Id...>) {
    ((Id == type ? void(out.emplace<Id>(element<std::variant_alternative_t<Id, MetaValue>>()))
                 : void()),
     ...);
  }

  void read_key() {
    const std::uint64_t place = in_.position();
    std::string key = read_string(ErrorCode::GG06, "a key", kMaxKeyBytes);
    if (key.empty()) refuse(ErrorCode::GG07, place, "a key is empty");
    const auto usual = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '.' || c == '_' || c == '-';
    };
    if (!std::all_of(key.begin(), key.end(), usual)) {
      if (!std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < '\x7F'; })) {
        refuse(ErrorCode::GG07, place, "a key has characters that keys cannot have",
               key.substr(0, kShown), "printable ASCII without spaces");
      }
      warn(ErrorCode::GG07, place, "unusual characters in a key", key);
    }
    const std::uint64_t type_place = in_.position();
    const auto type = in_.number<std::uint32_t>();
    if (type >= kElementBytes.size()) {
      refuse(ErrorCode::GG08, type_place, "unknown type of the value of " + quoted(key), type,
             "0 to 12");
    }
    key_offsets_.push_back(place);
    out_.value_offsets.push_back(in_.position());
    MetaValue value;
    value_of(value, type, std::make_index_sequence<std::variant_size_v<MetaValue>>());
    out_.metadata.append(std::move(key), std::move(value));
  }

  void read_alignment() {
    constexpr std::string_view kKey = "general.alignment";
    out_.alignment = kAlignment;
    const MetaValue* value = out_.metadata.find(kKey);
    if (!value) return;
    const auto* bytes = std::get_if<std::uint32_t>(value);
    if (!bytes) {
      refuse(ErrorCode::GG12, out_.value_offset(kKey), "general.alignment is of the wrong type",
             std::string(meta_type_name(meta_type(*value))), "u32");
    }
    if (*bytes < kMinAlignment || *bytes > kMaxAlignment || !std::has_single_bit(*bytes)) {
      refuse(ErrorCode::GG12, out_.value_offset(kKey), "general.alignment", *bytes,
             "a power of two from 8 to 1048576");
    }
    out_.alignment = *bytes;
  }

  // ---- tensors

  void read_info() {
    SourceTensor tensor;
    tensor.name_offset = in_.position();
    const auto length = in_.number<std::uint64_t>();
    if (length > in_.left()) {
      refuse(ErrorCode::GG06, tensor.name_offset,
             "a tensor's name is longer than the rest of the file", length,
             "at most " + std::to_string(in_.left()));
    }
    if (length == 0 || length > kMaxNameBytes) {
      refuse(ErrorCode::GG13, tensor.name_offset, "length of a tensor's name", length, "1 to 512");
    }
    tensor.name = in_.text(length);
    check_name(tensor);

    const std::uint64_t rank_place = in_.position();
    const auto rank = in_.number<std::uint32_t>();
    if (rank > kMaxRank) {
      refuse(ErrorCode::GG15, rank_place, "rank of tensor " + quoted(tensor.name), rank,
             "at most 4");
    }
    tensor.shape_offset = in_.position();
    tensor.shape = read_shape(rank, tensor.name);

    tensor.type_offset = in_.position();
    const auto type_id = in_.number<std::uint32_t>();
    const auto type = type_from_gguf_id(type_id);
    if (!type) {
      refuse(ErrorCode::GG18, tensor.type_offset,
             "unknown or withdrawn type of tensor " + quoted(tensor.name), std::to_string(type_id));
    }
    tensor.type = *type;
    const TypeInfo& about = info(*type);
    if (tensor.shape.row_values() % about.block_values != 0) {
      refuse(ErrorCode::GG19, rank == 0 ? tensor.type_offset : tensor.shape_offset,
             "rows of tensor " + quoted(tensor.name) + " are not whole blocks of " +
                 std::string(about.name),
             tensor.shape.row_values(), "a multiple of " + std::to_string(about.block_values));
    }
    const auto bytes =
        checked_multiply(tensor.shape.values() / about.block_values, about.block_bytes);
    const auto end = bytes ? checked_add(end_, *bytes) : std::nullopt;
    const auto padded_end = end ? checked_round_up(*end, out_.alignment) : std::nullopt;
    if (!padded_end || *bytes > kMaxSize) {
      refuse(ErrorCode::GG17, tensor.shape_offset,
             "size of tensor " + quoted(tensor.name) + " overflows", tensor.shape.text());
    }
    tensor.bytes = *bytes;

    const std::uint64_t place = in_.position();
    tensor.data_offset = in_.number<std::uint64_t>();  // from data_start, until that is known
    if (tensor.data_offset != end_) {
      refuse(ErrorCode::GG20, place, "data offset of tensor " + quoted(tensor.name),
             tensor.data_offset, std::to_string(end_) + ", where the previous tensor ends");
    }
    end_ = *padded_end;
    out_.tensors.push_back(std::move(tensor));
  }

  void check_name(const SourceTensor& tensor) const {
    const std::string& name = tensor.name;
    for (std::size_t at = 0; at < name.size();) {
      const utf8::Decoded c = utf8::decode(name, at);
      if (!c.valid || c.code_point < 0x20 || (c.code_point >= 0x7F && c.code_point < 0xA0)) {
        refuse(ErrorCode::GG13, tensor.name_offset,
               c.valid ? "a control character in a tensor's name" : "a tensor's name is not UTF-8",
               name);
      }
      at += c.length;
    }
  }

  // The product of the dimensions that are not zero must fit too, so that the verdict does not
  // depend on where a zero stands.
  Shape read_shape(std::uint32_t rank, const std::string& name) {
    std::array<std::uint64_t, kMaxRank> dims{};
    std::uint64_t product = 1;
    for (std::uint32_t i = 0; i < rank; ++i) {
      const std::uint64_t place = in_.position();
      const auto dim = in_.number<std::uint64_t>();
      if (dim > kMaxSize) {
        refuse(ErrorCode::GG16, place, "dimension of tensor " + quoted(name), dim,
               "at most 2^63 - 1");
      }
      const auto next = checked_multiply(product, std::max<std::uint64_t>(dim, 1));
      if (!next || *next > kMaxSize) {
        refuse(ErrorCode::GG17, place, "number of values of tensor " + quoted(name) + " overflows",
               dim, "at most 2^63 - 1 values");
      }
      product = *next;
      dims[rank - 1 - i] = dim;  // fastest first in the file
    }
    return Shape(std::span<const std::uint64_t>(dims.data(), rank));
  }

  // ---- data

  void place_data() {
    const std::uint64_t head_end = in_.position(), size = in_.size();
    const auto start = checked_round_up(head_end, out_.alignment);
    if (!start || (*start > size && tensor_count_ != 0)) {
      refuse(ErrorCode::GG21, size, "the file ends before the tensors' data",
             std::to_string(size) + " bytes", "more");
    }
    out_.data_start = *start;
    check_padding(head_end, std::min(*start, size));
    const std::uint64_t data_bytes = size - std::min(*start, size);
    for (std::size_t i = 0; i < out_.tensors.size(); ++i) {
      SourceTensor& tensor = out_.tensors[i];
      if (tensor.data_offset > data_bytes || tensor.bytes > data_bytes - tensor.data_offset) {
        // A tensor larger than all the data there is: its shape is to blame. Else the file ends
        // too early.
        refuse(
            ErrorCode::GG21, tensor.bytes > data_bytes ? tensor.shape_offset : size,
            "data of tensor " + quoted(tensor.name) + " lies outside the file",
            std::to_string(tensor.bytes) + " bytes at offset " + std::to_string(tensor.data_offset),
            std::to_string(data_bytes) + " bytes of data");
      }
      const std::uint64_t end = tensor.data_offset + tensor.bytes;
      const std::uint64_t next =
          i + 1 < out_.tensors.size() ? out_.tensors[i + 1].data_offset : end_;
      check_padding(*start + end, std::min(*start + next, size));
      tensor.data_offset += *start;
    }
    if (tensor_count_ != 0 && data_bytes < end_) {
      warn(ErrorCode::GG26, size, "the padding after the last tensor is missing",
           std::to_string(end_ - data_bytes) + " bytes");
    }
    if (data_bytes > end_) {
      warn(ErrorCode::GG22, *start + end_, "bytes after the last tensor are ignored",
           std::to_string(data_bytes - end_) + " bytes");
    }
  }

  void check_padding(std::uint64_t begin, std::uint64_t end) {
    std::array<std::byte, 4096> some{};
    while (begin < end && padding_read_ < kMaxPaddingRead) {
      const std::span part(
          some.data(), static_cast<std::size_t>(std::min<std::uint64_t>(some.size(), end - begin)));
      fetch_(begin, part);
      const auto odd =
          std::find_if(part.begin(), part.end(), [](std::byte b) { return b != std::byte{}; });
      if (odd != part.end()) {
        warn(ErrorCode::GG26, begin + static_cast<std::uint64_t>(odd - part.begin()),
             "padding is not zero");
        return;
      }
      begin += part.size();
      padding_read_ += part.size();
    }
  }

  FetchBytes fetch_;
  ByteReader in_;
  std::uint64_t max_metadata_bytes_;
  Warnings& warnings_;
  Header out_;
  std::uint64_t tensor_count_ = 0, key_count_ = 0;
  std::vector<std::uint64_t> key_offsets_;
  std::uint64_t end_ = 0;  // of the padded data of the tensors so far
  std::uint64_t padding_read_ = 0;
};

}  // namespace

std::uint64_t Header::value_offset(std::string_view key) const noexcept {
  const auto& entries = metadata.entries();
  const auto at = std::find_if(entries.begin(), entries.end(),
                               [&](const Metadata::Entry& e) { return e.first == key; });
  return value_offsets[static_cast<std::size_t>(at - entries.begin())];
}

Header read_header(const std::string& file, std::uint64_t file_bytes, FetchBytes fetch,
                   std::uint64_t max_metadata_bytes, Warnings& warnings) {
  return HeaderReader(file, file_bytes, std::move(fetch), max_metadata_bytes, warnings).read();
}

}  // namespace quantize::gguf
