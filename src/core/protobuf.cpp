#include "core/protobuf.hpp"

namespace quantize {

void WireReader::cut_short() const {
  fail(encoding_, file_, base_ + message_.size(), "the message ends inside a field");
}

std::uint64_t WireReader::varint() {
  const std::size_t start = at_;
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    if (at_ == message_.size()) cut_short();
    const auto byte = static_cast<std::uint8_t>(message_[at_++]);
    // The tenth byte holds one bit of the 64.
    if (shift == 63 && (byte & 0xFE) != 0) break;
    value |= static_cast<std::uint64_t>(byte & 0x7Fu) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  fail(encoding_, file_, base_ + start, "a variable-length number does not fit 64 bits", {},
       "at most 10 bytes");
}

std::uint64_t WireReader::fixed(std::size_t bytes) {
  if (message_.size() - at_ < bytes) cut_short();
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i)
    value |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(message_[at_++])) << (8 * i);
  return value;
}

std::optional<WireField> WireReader::next() {
  if (at_ == message_.size()) return std::nullopt;
  WireField field;
  field.tag_offset = base_ + at_;
  const std::uint64_t tag = varint();
  const std::uint64_t number = tag >> 3;
  if (number == 0 || number >= (std::uint64_t{1} << 29)) {
    fail(encoding_, file_, field.tag_offset, "field number out of range", std::to_string(number),
         "1 to 536870911");
  }
  field.number = static_cast<std::uint32_t>(number);
  field.type = static_cast<WireType>(tag & 7);
  field.value_offset = base_ + at_;
  switch (field.type) {
    case WireType::varint:
      field.number_value = varint();
      return field;
    case WireType::fixed64:
      field.number_value = fixed(8);
      return field;
    case WireType::fixed32:
      field.number_value = fixed(4);
      return field;
    case WireType::bytes: {
      const std::uint64_t length_offset = base_ + at_;
      const std::uint64_t length = varint();
      const std::size_t left = message_.size() - at_;
      if (length > left) {
        fail(length_, file_, length_offset, "a field is longer than the message around it",
             std::to_string(length), "at most " + std::to_string(left) + " bytes");
      }
      field.value_offset = base_ + at_;
      field.content = message_.substr(at_, static_cast<std::size_t>(length));
      at_ += static_cast<std::size_t>(length);
      return field;
    }
  }
  fail(encoding_, file_, field.tag_offset, "unknown wire type", std::to_string(tag & 7),
       "0, 1, 2 or 5");
}

}  // namespace quantize
