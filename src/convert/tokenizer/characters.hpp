// Unicode for one text. The check string has 86 code points, and what normalizers and the byte
// alphabet make of it adds few, so general categories fit into one function and no table of all of
// Unicode is needed.
#pragma once

#include <string>
#include <string_view>

namespace quantize {

// The general category ("Lu", "Nd" ...) of a code point that can stand in the check string. "Cn"
// for all others.
std::string_view category(char32_t c);

inline bool is_letter(char32_t c) { return category(c)[0] == 'L'; }
inline bool is_number(char32_t c) { return category(c)[0] == 'N'; }
inline bool is_nonspacing(char32_t c) { return category(c) == "Mn"; }
inline bool is_han(char32_t c) { return c >= 0x4E00 && c <= 0x9FFF; }
inline bool is_space(char32_t c) { return c == U' ' || (c >= U'\t' && c <= U'\r'); }
inline bool is_ascii_punctuation(char32_t c) {
  return c > U' ' && c < 0x7F && !is_letter(c) && !is_number(c);
}
// As tokenizers see it: all of ASCII's, and every P category.
inline bool is_punctuation(char32_t c) { return is_ascii_punctuation(c) || category(c)[0] == 'P'; }
inline char32_t lower(char32_t c) { return category(c) == "Lu" ? c + 32 : c; }

std::string to_utf8(std::u32string_view text);
// A byte that is not UTF-8 becomes U+FFFD.
std::u32string to_code_points(std::string_view text);

// The printable stand-in of a byte: itself where printable, else the next from U+0100.
char32_t byte_letter(unsigned char byte);

}  // namespace quantize
