// A bounded reader of protobuf's wire format: one message as a flat run of fields. Fields that a
// caller does not know cost nothing and are not descended into.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "quantize/error.hpp"

namespace quantize {

enum class WireType : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

struct WireField {
  std::uint32_t number = 0;
  WireType type{};
  std::uint64_t tag_offset = 0;    // in the file
  std::uint64_t value_offset = 0;  // of the varint, the fixed number or the first content byte
  std::uint64_t number_value = 0;  // varint, fixed32, fixed64
  std::string_view content;        // bytes
};

class WireReader {
 public:
  // `message` starts at `offset` of the file that messages call `file`; faults of encoding and of
  // lengths get these codes. `file` must outlive the reader.
  WireReader(std::string_view message, std::uint64_t offset, const std::string& file,
             ErrorCode encoding, ErrorCode length)
      : message_(message), base_(offset), file_(file), encoding_(encoding), length_(length) {}

  std::optional<WireField> next();  // empty at the end of the message
  WireReader inside(const WireField& field) const {
    return {field.content, field.value_offset, file_, encoding_, length_};
  }

 private:
  std::uint64_t varint();
  std::uint64_t fixed(std::size_t bytes);
  [[noreturn]] void cut_short() const;

  std::string_view message_;
  std::size_t at_ = 0;
  std::uint64_t base_;
  const std::string& file_;
  ErrorCode encoding_, length_;
};

}  // namespace quantize
