#include "quantize/escape.hpp"

#include <cstdint>

namespace quantize {
namespace {

// One code point, or one byte that is not UTF-8 (length 0 in `valid` form).
struct Decoded {
  std::uint32_t code_point;
  std::size_t length;
  bool valid;
};

// Strict UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
Decoded decode(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(at);
  const auto invalid = Decoded{first, 1, false};
  if (first < 0x80) return {first, 1, true};
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || length > text.size() - at) return invalid;
  std::uint32_t code_point = first & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return invalid;
    code_point = (code_point << 6) | (byte(at + i) & 0x3Fu);
  }
  constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code_point < kSmallest[length] || code_point > 0x10FFFF ||
      (code_point >= 0xD800 && code_point <= 0xDFFF)) {
    return invalid;
  }
  return {code_point, length, true};
}

void append_hex(std::string& out, std::uint32_t value, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
    out += "0123456789ABCDEF"[(value >> shift) & 15u];
}

void append_escaped(std::string& out, const Decoded& d) {
  if (!d.valid) {
    out += "\\x";
    append_hex(out, d.code_point, 2);
    return;
  }
  switch (d.code_point) {
    case '\\':
      out += "\\\\";
      return;
    case '"':
      out += "\\\"";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    case 0:
      out += "\\0";
      return;
    default:
      break;
  }
  if (d.code_point >= 0x20 && d.code_point < 0x7F) {
    out += static_cast<char>(d.code_point);
    return;
  }
  int digits = 1;
  while (digits < 6 && (d.code_point >> (4 * digits)) != 0) ++digits;
  out += "\\u{";
  append_hex(out, d.code_point, digits);
  out += '}';
}

}  // namespace

std::string escape(std::string_view text, std::size_t max_bytes) {
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    const Decoded d = decode(text, at);
    if (at + d.length > max_bytes) {
      out += "...(+" + std::to_string(text.size() - at) + " bytes)";
      break;
    }
    append_escaped(out, d);
    at += d.length;
  }
  return out;
}

std::string quoted(std::string_view text, std::size_t max_bytes) {
  return '"' + escape(text, max_bytes) + '"';
}

}  // namespace quantize
