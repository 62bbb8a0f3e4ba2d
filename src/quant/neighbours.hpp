// How the grid types find the point for a group of values. Rounding gives each value a digit; a
// code is a group's digits as one number. A few codes are points of the grid. For every other code
// there is a list of the points near it, and the search weighs only those.
//
// Most of a list cannot win, whatever the weights: a candidate is dominated by one before it that
// is closer in some digits and differs in no other. For values that round to the code by a clear
// margin no term of its distance is smaller, and rounding keeps that so: the candidates that are
// left, the contenders, suffice. (A value half-way between two digits is as near to either, and one
// unit in the last place can then decide for a dominated candidate.)
//
// The lists are computed when their type is first written: milliseconds, against the megabytes that
// they would add to the program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace quantize {

class Neighbours {
 public:
  static constexpr std::size_t kLanes = 16;

  // Candidates, as packed as in grids.hpp. A list begins with a chunk of its own and its last one
  // is filled up with repetitions of the list's last point, which no search for the first smallest
  // distance can prefer.
  struct alignas(2 * kLanes) Chunk {
    std::uint16_t points[kLanes];
  };
  struct Code {
    std::int16_t index;         // of the point in the grid, or -1
    std::uint16_t count;        // of candidates, without the repetitions; 0 for a point
    std::uint16_t contenders;   // of them
    std::uint16_t first_chunk;  // of the contenders, then the candidates
    std::uint16_t packed;       // the digits, as in grids.hpp
  };

  // `points` has eight digits 0 .. 2 in two bits each, or four digits 0 .. 7 in three. The list of
  // a code are the points at the `levels` smallest distances, by distance, then by index.
  struct Grid {
    std::span<const std::uint16_t> points;
    int digits;
    int levels;
  };
  explicit Neighbours(const Grid& grid);

  // By number: digits as a number of base 3 or 8, lowest first.
  std::span<const Code> codes() const noexcept { return codes_; }
  const Code& at(std::size_t number) const noexcept { return codes_[number]; }
  std::size_t number(std::uint16_t packed) const noexcept {
    return half_number_[packed & half_mask_] +
           half_codes_ * half_number_[packed >> half_bits_ & half_mask_];
  }
  const Chunk* contenders(const Code& code) const noexcept { return &chunks_[code.first_chunk]; }
  const Chunk* candidates(const Code& code) const noexcept {
    return contenders(code) + (code.contenders + kLanes - 1) / kLanes;
  }

 private:
  void add_chunks(std::vector<std::uint16_t>& list);

  std::size_t half_codes_;  // 81 or 64: codes of half a group
  unsigned half_bits_;      // 8 or 6
  unsigned half_mask_;
  std::uint8_t half_number_[256] = {};
  std::vector<Code> codes_;
  std::vector<Chunk> chunks_;
};

// Built on first use, by whichever thread comes first. Without memory for it the process ends: an
// encoder cannot fail.
const Neighbours& neighbours_iq2_xxs() noexcept;
const Neighbours& neighbours_iq2_xs() noexcept;
const Neighbours& neighbours_iq2_s() noexcept;
const Neighbours& neighbours_iq3_xxs() noexcept;
const Neighbours& neighbours_iq3_s() noexcept;
const Neighbours& neighbours_iq1() noexcept;

}  // namespace quantize
