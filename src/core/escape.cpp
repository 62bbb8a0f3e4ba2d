#include "quantize/escape.hpp"

#include <cstdint>

#include "core/utf8.hpp"

namespace quantize {
namespace {

void append_hex(std::string& out, std::uint32_t value, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
    out += "0123456789ABCDEF"[(value >> shift) & 15u];
}

void append_escaped(std::string& out, const utf8::Decoded& d) {
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
    const utf8::Decoded d = utf8::decode(text, at);
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
