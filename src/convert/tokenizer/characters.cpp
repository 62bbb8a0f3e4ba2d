#include "convert/tokenizer/characters.hpp"

#include <algorithm>
#include <iterator>

#include "core/utf8.hpp"

namespace quantize {
namespace {

struct Range {
  char32_t first, last;
  const char* category;
};

// In order. Beyond the check string: the byte alphabet (U+00A1 to U+0143, of which U+0100 and above
// alternate in case, which no pattern asks for there) and U+2581.
constexpr Range kRanges[] = {
    {0x09, 0x0D, "Cc"},       {0x20, 0x20, "Zs"},       {0x21, 0x23, "Po"},
    {0x24, 0x24, "Sc"},       {0x25, 0x27, "Po"},       {0x28, 0x28, "Ps"},
    {0x29, 0x29, "Pe"},       {0x2A, 0x2A, "Po"},       {0x2B, 0x2B, "Sm"},
    {0x2C, 0x2C, "Po"},       {0x2D, 0x2D, "Pd"},       {0x2E, 0x2F, "Po"},
    {0x30, 0x39, "Nd"},       {0x3A, 0x3B, "Po"},       {0x3C, 0x3E, "Sm"},
    {0x3F, 0x40, "Po"},       {0x41, 0x5A, "Lu"},       {0x5B, 0x5B, "Ps"},
    {0x5C, 0x5C, "Po"},       {0x5D, 0x5D, "Pe"},       {0x5E, 0x5E, "Sk"},
    {0x5F, 0x5F, "Pc"},       {0x60, 0x60, "Sk"},       {0x61, 0x7A, "Ll"},
    {0x7B, 0x7B, "Ps"},       {0x7C, 0x7C, "Sm"},       {0x7D, 0x7D, "Pe"},
    {0x7E, 0x7E, "Sm"},       {0xA1, 0xA1, "Po"},       {0xA2, 0xA5, "Sc"},
    {0xA6, 0xA6, "So"},       {0xA7, 0xA7, "Po"},       {0xA8, 0xA8, "Sk"},
    {0xA9, 0xA9, "So"},       {0xAA, 0xAA, "Lo"},       {0xAB, 0xAB, "Pi"},
    {0xAC, 0xAC, "Sm"},       {0xAE, 0xAE, "So"},       {0xAF, 0xAF, "Sk"},
    {0xB0, 0xB0, "So"},       {0xB1, 0xB1, "Sm"},       {0xB2, 0xB3, "No"},
    {0xB4, 0xB4, "Sk"},       {0xB5, 0xB5, "Ll"},       {0xB6, 0xB7, "Po"},
    {0xB8, 0xB8, "Sk"},       {0xB9, 0xB9, "No"},       {0xBA, 0xBA, "Lo"},
    {0xBB, 0xBB, "Pf"},       {0xBC, 0xBE, "No"},       {0xBF, 0xBF, "Po"},
    {0xC0, 0xD6, "Lu"},       {0xD7, 0xD7, "Sm"},       {0xD8, 0xDE, "Lu"},
    {0xDF, 0xF6, "Ll"},       {0xF7, 0xF7, "Sm"},       {0xF8, 0x143, "Ll"},
    {0x411, 0x411, "Lu"},     {0x430, 0x44F, "Ll"},     {0x1780, 0x17B3, "Lo"},
    {0x17B6, 0x17B6, "Mc"},   {0x17B7, 0x17B7, "Mn"},   {0x17C1, 0x17C2, "Mc"},
    {0x17CB, 0x17CB, "Mn"},   {0x200D, 0x200D, "Cf"},   {0x2581, 0x2581, "So"},
    {0x2705, 0x2705, "So"},   {0x4E00, 0x9FFF, "Lo"},   {0xFE0F, 0xFE0F, "Mn"},
    {0xFF5E, 0xFF5E, "Sm"},   {0x1F32B, 0x1F32B, "So"}, {0x1F601, 0x1F636, "So"},
    {0x1F680, 0x1F680, "So"}, {0x1F999, 0x1F999, "So"},
};

}  // namespace

std::string_view category(char32_t c) {
  const auto range = std::lower_bound(std::begin(kRanges), std::end(kRanges), c,
                                      [](const Range& r, char32_t at) { return r.last < at; });
  return range != std::end(kRanges) && range->first <= c ? range->category : "Cn";
}

std::string to_utf8(std::u32string_view text) {
  std::string out;
  for (const char32_t c : text) {
    const auto put = [&](char32_t value) {
      out += static_cast<char>(static_cast<unsigned char>(value));
    };
    if (c < 0x80) {
      put(c);
    } else if (c < 0x800) {
      put(0xC0 | (c >> 6)), put(0x80 | (c & 63));
    } else if (c < 0x10000) {
      put(0xE0 | (c >> 12)), put(0x80 | ((c >> 6) & 63)), put(0x80 | (c & 63));
    } else {
      put(0xF0 | (c >> 18)), put(0x80 | ((c >> 12) & 63)), put(0x80 | ((c >> 6) & 63));
      put(0x80 | (c & 63));
    }
  }
  return out;
}

std::u32string to_code_points(std::string_view text) {
  std::u32string out;
  for (std::size_t at = 0; at < text.size();) {
    const utf8::Decoded d = utf8::decode(text, at);
    out += d.valid ? static_cast<char32_t>(d.code_point) : char32_t{0xFFFD};
    at += d.length;
  }
  return out;
}

char32_t byte_letter(unsigned char byte) {
  const auto printable = [](unsigned b) {
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  };
  if (printable(byte)) return byte;
  char32_t next = 0x100;
  for (unsigned b = 0; b < byte; ++b)
    if (!printable(b)) ++next;
  return next;
}

}  // namespace quantize
