#include "formats/safetensors/header.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "quantize/escape.hpp"

#include "core/checked.hpp"
#include "core/json.hpp"
#include "formats/familiar.hpp"

namespace quantize::safetensors {
namespace {

constexpr std::string_view kMetadata = "__metadata__";
constexpr std::string_view kDtype = "dtype";
constexpr std::string_view kShape = "shape";
constexpr std::string_view kOffsets = "data_offsets";
constexpr std::uint64_t kMaxInteger = (std::uint64_t{1} << 63) - 1;

// The reader of JSON sees a duplicate key or a number written wrongly before anyone can ask which
// field it is; this says what such a field's own code is.
ErrorCode code_by_place(ErrorCode code, unsigned depth, std::string_view object_key,
                        std::string_view key) {
  if (code == ErrorCode::ST04) {
    return key == kShape ? ErrorCode::ST25 : key == kOffsets ? ErrorCode::ST27 : code;
  }
  if (depth == 1) return key == kMetadata ? ErrorCode::ST20 : ErrorCode::ST21;
  return object_key == kMetadata ? ErrorCode::ST20 : ErrorCode::ST23;
}

JsonRules header_rules() {
  JsonRules rules;
  rules.syntax = rules.depth = rules.number = rules.surrogate = ErrorCode::ST04;
  rules.encoding = ErrorCode::ST03;
  rules.duplicate = ErrorCode::ST21;
  rules.trailing = ErrorCode::ST06;
  rules.duplicates_are_errors = true;
  rules.allow_python_constants = false;
  rules.nul_is_encoding = false;
  rules.max_depth = 4;
  rules.base_offset = kLengthBytes;
  rules.refine = code_by_place;
  return rules;
}

std::uint64_t little_endian(std::span<const std::byte, kLengthBytes> bytes) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = kLengthBytes; i-- > 0;) {
    value = (value << 8) | std::to_integer<std::uint64_t>(bytes[i]);
  }
  return value;
}

// Digits only, below 2^63.
std::optional<std::uint64_t> whole_number(Json value) noexcept {
  if (!value.is_integer() || value.number_text().front() == '-') return std::nullopt;
  const auto number = value.as_u64();
  return number && *number <= kMaxInteger ? number : std::nullopt;
}

class HeaderReader {
 public:
  HeaderReader(const std::string& file, std::uint64_t data_start, std::uint64_t data_bytes,
               Warnings& warnings)
      : file_(file), data_start_(data_start), data_bytes_(data_bytes), warnings_(warnings) {}

  Header read(Json root) {
    if (!root.is_object()) refuse(ErrorCode::ST05, root.offset(), "the header is not an object");
    for (const Json entry : root.children()) {
      if (entry.key() == kMetadata) {
        read_metadata(entry);
      } else {
        read_tensor(entry);
      }
    }
    check_cover();
    return std::move(header_);
  }

 private:
  [[noreturn]] void refuse(ErrorCode code, std::uint64_t offset, std::string text,
                           std::string found = {}, std::string allowed = {}) const {
    fail(code, file_, offset, std::move(text), std::move(found), std::move(allowed));
  }

  void read_metadata(Json metadata) {
    if (metadata.is_null()) {
      warnings_.add(ErrorCode::ST20, file_, metadata.offset(), "__metadata__ is null");
      return;
    }
    if (!metadata.is_object()) {
      refuse(ErrorCode::ST20, metadata.offset(), "__metadata__ is not an object");
    }
    for (const Json value : metadata.children()) {
      if (!value.is_string()) {
        refuse(ErrorCode::ST20, value.offset(),
               "the value of " + quoted(value.key()) + " in __metadata__ is not a string");
      }
      header_.metadata.append(std::string(value.key()), std::string(value.string()));
    }
  }

  Json field(Json entry, std::string_view name) const {
    const auto value = entry.find(name);
    if (!value) {
      refuse(ErrorCode::ST23, entry.key_offset(),
             "tensor " + quoted(entry.key()) + " has no " + std::string(name));
    }
    return *value;
  }

  void read_tensor(Json entry) {
    const std::string_view name = entry.key();
    if (header_.tensors.size() == kMaxTensors) {
      refuse(ErrorCode::ST31, entry.key_offset(), "too many tensors", {},
             "at most " + std::to_string(kMaxTensors));
    }
    if (name.empty()) refuse(ErrorCode::ST22, entry.key_offset(), "a tensor without a name");
    if (name.size() > kMaxNameBytes) {
      refuse(ErrorCode::ST22, entry.key_offset(),
             "the tensor name " + quoted(name) + " is too long",
             std::to_string(name.size()) + " bytes",
             "at most " + std::to_string(kMaxNameBytes) + " bytes");
    }
    if (name.find('\0') != std::string_view::npos) {
      refuse(ErrorCode::ST22, entry.key_offset(),
             "the tensor name " + quoted(name) + " holds a NUL");
    }
    if (!entry.is_object()) {
      refuse(ErrorCode::ST23, entry.offset(), "the entry of " + quoted(name) + " is not an object");
    }
    for (const Json value : entry.children()) {
      if (value.key() != kDtype && value.key() != kShape && value.key() != kOffsets) {
        warnings_.add(ErrorCode::ST23, file_, value.offset(),
                      "tensor " + quoted(name) + " has an unknown field " + quoted(value.key()));
      }
    }
    const Json dtype = field(entry, kDtype);
    const Json shape = field(entry, kShape);
    const Json range = field(entry, kOffsets);

    SourceTensor tensor;
    tensor.name = name;
    tensor.name_offset = entry.key_offset();
    tensor.type_offset = dtype.offset();
    tensor.shape_offset = shape.offset();
    tensor.type = type_of(dtype, name);
    tensor.shape = shape_of(shape, name);
    tensor.bytes = bytes_of(tensor);
    place(tensor, range);
    header_.tensors.push_back(std::move(tensor));
    range_offsets_.push_back(range.offset());
  }

  DType type_of(Json dtype, std::string_view name) const {
    const auto type = dtype.is_string() ? type_from_safetensors(dtype.string()) : std::nullopt;
    if (!type) {
      refuse(ErrorCode::ST24, dtype.offset(),
             "the dtype of tensor " + quoted(name) + " is not one of safetensors",
             std::string(dtype.is_string() ? dtype.string() : "no string"));
    }
    return *type;
  }

  Shape shape_of(Json shape, std::string_view name) const {
    if (!shape.is_array()) {
      refuse(ErrorCode::ST25, shape.offset(),
             "the shape of tensor " + quoted(name) + " is not an array");
    }
    std::array<std::uint64_t, Shape::kMaxRank> dims{};
    std::size_t rank = 0;
    // Over the dimensions that are not zero, so that the verdict does not depend on where a zero
    // is.
    std::uint64_t product = 1;
    for (const Json dim : shape.children()) {
      if (rank == dims.size()) {
        refuse(ErrorCode::ST25, shape.offset(),
               "tensor " + quoted(name) + " has too many dimensions", std::to_string(shape.size()),
               "at most " + std::to_string(dims.size()));
      }
      const auto value = whole_number(dim);
      if (!value) {
        refuse(ErrorCode::ST25, dim.offset(),
               "a dimension of tensor " + quoted(name) + " is not a whole number below 2^63",
               dim.is_number() ? std::string(dim.number_text()) : std::string());
      }
      dims[rank++] = *value;
      if (*value == 0) continue;
      const auto next = checked_multiply(product, *value);
      if (!next || *next > kMaxInteger) {
        refuse(ErrorCode::ST26, shape.offset(),
               "the dimensions of tensor " + quoted(name) + " multiply to 2^63 or more");
      }
      product = *next;
    }
    return Shape(std::span<const std::uint64_t>(dims.data(), rank));
  }

  std::uint64_t bytes_of(const SourceTensor& tensor) const {
    const TypeInfo& type = info(tensor.type);
    const std::uint64_t values = tensor.shape.values();
    if (values % type.block_values != 0) {
      refuse(ErrorCode::ST26, tensor.shape_offset,
             "tensor " + quoted(tensor.name) + " is not a whole number of bytes",
             std::to_string(values) + " values of " + std::string(type.safetensors_name));
    }
    const auto bytes = checked_multiply(values / type.block_values, type.block_bytes);
    if (!bytes || *bytes > kMaxInteger) {
      refuse(ErrorCode::ST26, tensor.shape_offset,
             "tensor " + quoted(tensor.name) + " has 2^63 bytes or more");
    }
    return *bytes;
  }

  void place(SourceTensor& tensor, Json range) const {
    const auto malformed = [&](const std::string& what) {
      refuse(ErrorCode::ST27, range.offset(),
             "the data_offsets of tensor " + quoted(tensor.name) + ' ' + what);
    };
    if (!range.is_array() || range.size() != 2) malformed("are not two numbers");
    const Json first = range.first_child();
    const auto begin = whole_number(first);
    const auto end = whole_number(first.next_sibling());
    if (!begin || !end) malformed("are not whole numbers below 2^63");
    if (*begin > *end) malformed("end before they begin");
    if (*end > data_bytes_) {
      refuse(ErrorCode::ST30, data_start_ + data_bytes_,
             "the data of tensor " + quoted(tensor.name) + " ends beyond the file",
             std::to_string(*end), "at most " + std::to_string(data_bytes_));
    }
    if (*end - *begin != tensor.bytes) {
      refuse(ErrorCode::ST28, range.offset(),
             "the data_offsets of tensor " + quoted(tensor.name) + " do not match its shape",
             std::to_string(*end - *begin) + " bytes",
             "exactly " + std::to_string(tensor.bytes) + " bytes");
    }
    tensor.data_offset = data_start_ + *begin;
  }

  // Sorts by place: each tensor begins where the one before ended, and the last ends with the file.
  void check_cover() {
    std::vector<std::uint32_t> order(header_.tensors.size());
    for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [this](std::uint32_t a, std::uint32_t b) {
      const SourceTensor& x = header_.tensors[a];
      const SourceTensor& y = header_.tensors[b];
      if (x.data_offset != y.data_offset) return x.data_offset < y.data_offset;
      if (x.bytes != y.bytes) return x.bytes < y.bytes;
      return x.name < y.name;
    });
    std::uint64_t covered = data_start_;
    std::vector<SourceTensor> sorted;
    sorted.reserve(order.size());
    for (const std::uint32_t i : order) {
      SourceTensor& tensor = header_.tensors[i];
      if (tensor.data_offset != covered) {
        refuse(ErrorCode::ST29, range_offsets_[i],
               "the data of tensor " + quoted(tensor.name) +
                   (tensor.data_offset < covered ? " overlaps another's" : " leaves a hole"),
               "begin " + std::to_string(tensor.data_offset - data_start_),
               "begin " + std::to_string(covered - data_start_));
      }
      covered += tensor.bytes;
      sorted.push_back(std::move(tensor));
    }
    const std::uint64_t end = data_start_ + data_bytes_;
    if (covered != end) {
      refuse(ErrorCode::ST30, covered, "bytes that no tensor claims follow the data",
             std::to_string(end - covered) + " bytes", "none");
    }
    header_.tensors = std::move(sorted);
  }

  const std::string& file_;
  std::uint64_t data_start_;
  std::uint64_t data_bytes_;
  Warnings& warnings_;
  Header header_;
  std::vector<std::uint64_t> range_offsets_;  // where each tensor's data_offsets stand
};

// What begins a header: its object, or white space that some writers put before it.
bool begins_header(std::byte b) noexcept {
  return b == std::byte{'{'} || b == std::byte{' '} || b == std::byte{'\t'} ||
         b == std::byte{'\n'} || b == std::byte{'\r'};
}

}  // namespace

Header read_header(const std::string& file, std::uint64_t file_bytes, const ReadAt& read,
                   Warnings& warnings, ErrorCode other_kind) {
  if (file_bytes < kMinFileBytes) {
    fail(ErrorCode::ST01, file, file_bytes, "too short for a safetensors file",
         std::to_string(file_bytes) + " bytes",
         "at least " + std::to_string(kMinFileBytes) + " bytes");
  }
  std::array<std::byte, kFamiliarBytes> head_buffer{};
  const std::span head =
      std::span(head_buffer)
          .first(static_cast<std::size_t>(std::min<std::uint64_t>(file_bytes, head_buffer.size())));
  read(0, head);
  const std::uint64_t header_bytes = little_endian(head.first<kLengthBytes>());
  const bool plausible = header_bytes >= 2 && header_bytes <= kMaxHeaderBytes &&
                         header_bytes <= file_bytes - kLengthBytes;
  // A length may look like the start of another format, so the name of another kind is sought only
  // where this cannot be a header.
  if (!plausible || !begins_header(head[kLengthBytes])) {
    const std::string_view kind = familiar_kind(head);
    if (!kind.empty() && kind != "a safetensors file") {
      fail(other_kind, file, 0, "not safetensors: this is " + std::string(kind));
    }
  }
  if (!plausible) {
    fail(ErrorCode::ST02, file, 0, "the header length cannot be right",
         std::to_string(header_bytes) + " bytes",
         "2 to " + std::to_string(std::min(kMaxHeaderBytes, file_bytes - kLengthBytes)));
  }
  std::string text(static_cast<std::size_t>(header_bytes), '\0');
  read(kLengthBytes, std::as_writable_bytes(std::span(text)));
  if (text.find_first_not_of(" \t\r\n") != 0) {
    warnings.add(ErrorCode::ST04, file, kLengthBytes, "white space before the header's object");
  }
  const auto document = JsonDocument::parse(std::move(text), file, header_rules(), &warnings);
  const std::uint64_t data_start = kLengthBytes + header_bytes;
  return HeaderReader(file, data_start, file_bytes - data_start, warnings).read(document->root());
}

}  // namespace quantize::safetensors
