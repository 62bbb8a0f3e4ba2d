#include "quant/neighbours.hpp"

#include <algorithm>
#include <bitset>

#include "quant/grids.hpp"

namespace quantize {
namespace {

constexpr std::size_t kMaxHalfCodes = 81;
constexpr int kMaxDistance = 4 * 7 * 7;  // of four digits 0 .. 7; eight digits 0 .. 2 reach 32

// Squared distances between halves of groups, so that one of whole groups is two look-ups.
struct HalfDistances {
  std::uint8_t of[kMaxHalfCodes][kMaxHalfCodes];

  HalfDistances(int base, std::size_t half_codes) noexcept {
    const auto square_sum = [base](int a, int b) {
      int sum = 0;
      for (; a + b != 0; a /= base, b /= base) sum += (a % base - b % base) * (a % base - b % base);
      return sum;
    };
    for (std::size_t a = 0; a < half_codes; ++a) {
      for (std::size_t b = 0; b < half_codes; ++b) {
        of[a][b] = static_cast<std::uint8_t>(square_sum(static_cast<int>(a), static_cast<int>(b)));
      }
    }
  }
};

}  // namespace

Neighbours::Neighbours(const Grid& grid) {
  const int base = grid.digits == 8 ? 3 : 8;
  half_bits_ = grid.digits == 8 ? 8 : 6;
  half_mask_ = (1U << half_bits_) - 1;
  half_codes_ = grid.digits == 8 ? 81 : 64;
  unsigned half_packed[kMaxHalfCodes] = {};
  for (std::size_t n = 0; n < half_codes_; ++n) {
    std::size_t packed = 0;
    std::size_t rest = n;
    const auto ubase = static_cast<std::size_t>(base);
    for (unsigned shift = 0; rest != 0; rest /= ubase, shift += base == 3 ? 2 : 3) {
      packed |= rest % ubase << shift;
    }
    half_number_[packed] = static_cast<std::uint8_t>(n);
    half_packed[n] = static_cast<unsigned>(packed);
  }

  const std::span<const std::uint16_t> points = grid.points;
  codes_.assign(half_codes_ * half_codes_, Code{-1, 0, 0, 0, 0});
  for (std::size_t n = 0; n < codes_.size(); ++n) {
    codes_[n].packed = static_cast<std::uint16_t>(half_packed[n % half_codes_] |
                                                  half_packed[n / half_codes_] << half_bits_);
  }
  std::vector<std::uint8_t> low(points.size());
  std::vector<std::uint8_t> high(points.size());
  for (std::size_t i = 0; i < points.size(); ++i) {
    const std::size_t n = number(points[i]);
    codes_[n].index = static_cast<std::int16_t>(i);
    low[i] = static_cast<std::uint8_t>(n % half_codes_);
    high[i] = static_cast<std::uint8_t>(n / half_codes_);
  }

  const HalfDistances halves(base, half_codes_);
  std::vector<std::uint8_t> distance(points.size());
  std::vector<std::uint16_t> list;
  std::vector<std::uint16_t> contenders;
  std::vector<std::uint32_t> differences;  // of the contenders' thermometers from the code's
  // Each digit as that many ones: what lies between two digits differs from either in fewer bits.
  const auto thermometer = [&grid](unsigned packed) {
    const int bits = grid.digits == 8 ? 2 : 3;
    std::uint32_t ones = 0;
    for (int i = 0; i < grid.digits; ++i, packed >>= bits) {
      const unsigned digit = packed & ((1U << bits) - 1);
      ones = ones << ((1U << bits) - 1) | ((1U << digit) - 1);
    }
    return ones;
  };
  for (std::size_t n = 0; n < codes_.size(); ++n) {
    if (codes_[n].index >= 0) continue;
    std::bitset<kMaxDistance + 1> present;
    for (std::size_t i = 0; i < points.size(); ++i) {
      distance[i] = static_cast<std::uint8_t>(halves.of[n % half_codes_][low[i]] +
                                              halves.of[n / half_codes_][high[i]]);
      present[distance[i]] = true;
    }
    list.clear();
    for (std::size_t d = 0, level = 0; level < static_cast<std::size_t>(grid.levels); ++d) {
      if (d == present.size()) break;
      if (!present[d]) continue;
      ++level;
      for (std::size_t i = 0; i < points.size(); ++i) {
        if (distance[i] == d) list.push_back(points[i]);
      }
    }
    contenders.clear();
    differences.clear();
    const std::uint32_t here = thermometer(codes_[n].packed);
    for (const std::uint16_t point : list) {
      const std::uint32_t difference = thermometer(point) ^ here;
      const bool dominated = std::any_of(differences.begin(), differences.end(),
                                         [=](std::uint32_t d) { return (d & ~difference) == 0; });
      if (dominated) continue;
      contenders.push_back(point);
      differences.push_back(difference);
    }
    codes_[n].count = static_cast<std::uint16_t>(list.size());
    codes_[n].contenders = static_cast<std::uint16_t>(contenders.size());
    codes_[n].first_chunk = static_cast<std::uint16_t>(chunks_.size());
    add_chunks(contenders);
    add_chunks(list);
  }
}

void Neighbours::add_chunks(std::vector<std::uint16_t>& list) {
  list.resize((list.size() + kLanes - 1) / kLanes * kLanes, list.back());
  for (auto at = list.begin(); at != list.end(); at += kLanes) {
    std::copy_n(at, kLanes, chunks_.emplace_back().points);
  }
}

const Neighbours& neighbours_iq2_xxs() noexcept {
  static const Neighbours neighbours({grids::kIq2Xxs, 8, 2});
  return neighbours;
}
const Neighbours& neighbours_iq2_xs() noexcept {
  static const Neighbours neighbours({grids::kIq2Xs, 8, 2});
  return neighbours;
}
const Neighbours& neighbours_iq2_s() noexcept {
  static const Neighbours neighbours({grids::kIq2S, 8, 1});
  return neighbours;
}
const Neighbours& neighbours_iq3_xxs() noexcept {
  static const Neighbours neighbours({grids::kIq3Xxs, 4, 2});
  return neighbours;
}
const Neighbours& neighbours_iq3_s() noexcept {
  static const Neighbours neighbours({grids::kIq3S, 4, 3});
  return neighbours;
}
const Neighbours& neighbours_iq1() noexcept {
  static const Neighbours neighbours({grids::kIq1, 8, 3});
  return neighbours;
}

}  // namespace quantize
