// Numbers as text, by to_chars: the same in every locale.
#pragma once

#include <cstdint>
#include <string>

namespace quantize::report {

std::string fixed(double value, int digits);                   // "12.30"; "inf", "-" for NaN
std::string general(double value, int digits);                 // significant digits: "0.000123"
std::string grouped(std::uint64_t value);                      // "1,234,567"
std::string megabytes(std::uint64_t bytes);                    // "1.23 GB": powers of 1000
std::string percent(std::uint64_t part, std::uint64_t whole);  // "12.3 %"

}  // namespace quantize::report
