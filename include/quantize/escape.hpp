// The one escaper for every string that came from a file, an argument or a file name.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace quantize {

// Printable ASCII stays, backslash and double quote are escaped, the rest becomes \n \r \t \0,
// \u{HEX} (code points) or \xHH (bytes that are not UTF-8). Longer than `max_bytes` of input: cut
// (never inside a code point), with the number of bytes left out appended as "...(+N bytes)".
std::string escape(std::string_view text, std::size_t max_bytes = 200);

// escape() between double quotes.
std::string quoted(std::string_view text, std::size_t max_bytes = 120);

}  // namespace quantize
