// The grids of the 1-, 2- and 3-bit types: the points that a group of values may take. A point is
// one number of packed digits, lowest first: eight of two bits, or four of three bits (Iq3*).
// Chosen by the makers of the format; there is no formula.
#pragma once

#include <cstdint>

namespace quantize::grids {

extern const std::uint16_t kIq2Xxs[256];
extern const std::uint16_t kIq2Xs[512];
extern const std::uint16_t kIq2S[1024];
extern const std::uint16_t kIq1[2048];
extern const std::uint16_t kIq3Xxs[256];
extern const std::uint16_t kIq3S[512];

}  // namespace quantize::grids
