// The lists of near grid points against hashes of the reference's, and their layout.
#include "quant/neighbours.hpp"

#include <algorithm>
#include <cstdint>

#include <gtest/gtest.h>

#include "quant/grids.hpp"

namespace quantize::test {
namespace {

struct Case {
  const char* name;
  const Neighbours& (*get)() noexcept;
  std::span<const std::uint16_t> points;
  int digits;
  std::size_t entries;
  std::size_t longest;
  std::uint64_t hash;
};
const Case kCases[] = {
    {"iq2_xxs", neighbours_iq2_xxs, grids::kIq2Xxs, 8, 113157, 150, 0x50E935D4DE7472BEU},
    {"iq2_xs", neighbours_iq2_xs, grids::kIq2Xs, 8, 181721, 292, 0xC86FF414A40D8513U},
    {"iq2_s", neighbours_iq2_s, grids::kIq2S, 8, 44716, 70, 0xEABD8A9D60C5FF67U},
    {"iq1", neighbours_iq1, grids::kIq1, 8, 327721, 205, 0x624B06CD07DE5C72U},
    {"iq3_xxs", neighbours_iq3_xxs, grids::kIq3Xxs, 4, 18985, 36, 0xB98AC1937E771393U},
    {"iq3_s", neighbours_iq3_s, grids::kIq3S, 4, 24733, 38, 0xE4A9EE99B2E703C1U},
};

unsigned pack(std::size_t number, int digits) {
  const std::size_t base = digits == 8 ? 3 : 8;
  unsigned packed = 0;
  for (int i = 0; i < digits; ++i, number /= base) {
    packed |= static_cast<unsigned>(number % base) << (i * (digits == 8 ? 2 : 3));
  }
  return packed;
}

struct Hash {
  std::uint64_t value = 0xCBF29CE484222325U;
  void add(unsigned word) {
    for (const unsigned byte : {word & 255U, word >> 8}) {
      value = (value ^ byte) * 0x100000001B3U;
    }
  }
};

// Every list by packed code: code, length, then the indices of its points.
TEST(Neighbours, AreTheReferencesLists) {
  for (const Case& c : kCases) {
    const Neighbours& neighbours = c.get();
    Hash hash;
    std::size_t entries = 0;
    std::size_t longest = 0;
    for (std::size_t n = 0; n < neighbours.codes().size(); ++n) {
      const Neighbours::Code& code = neighbours.at(n);
      if (code.index >= 0) continue;
      entries += code.count;
      longest = code.count > longest ? code.count : longest;
      hash.add(pack(n, c.digits));
      hash.add(code.count);
      const std::uint16_t* list = neighbours.candidates(code)->points;
      for (std::size_t k = 0; k < code.count; ++k) {
        hash.add(static_cast<unsigned>(neighbours.at(neighbours.number(list[k])).index));
      }
    }
    EXPECT_EQ(entries, c.entries) << c.name;
    EXPECT_EQ(longest, c.longest) << c.name;
    EXPECT_EQ(hash.value, c.hash) << c.name;
  }
}

TEST(Neighbours, KnowEveryCodeByItsPackedDigits) {
  for (const Case& c : kCases) {
    const Neighbours& neighbours = c.get();
    for (std::size_t n = 0; n < neighbours.codes().size(); ++n) {
      const unsigned packed = pack(n, c.digits);
      ASSERT_EQ(neighbours.number(static_cast<std::uint16_t>(packed)), n) << c.name;
      ASSERT_EQ(neighbours.at(n).packed, packed) << c.name;
      const int index = neighbours.at(n).index;
      if (index >= 0) {
        ASSERT_EQ(c.points[static_cast<std::size_t>(index)], packed) << c.name;
      }
    }
    for (std::size_t i = 0; i < c.points.size(); ++i) {
      ASSERT_EQ(neighbours.at(neighbours.number(c.points[i])).index, static_cast<int>(i)) << c.name;
    }
  }
}

// Whether `a` lies between `b` and `c` in every digit.
bool between(unsigned a, unsigned b, unsigned c, int digits) {
  const unsigned bits = digits == 8 ? 2 : 3;
  const unsigned mask = (1U << bits) - 1;
  for (int i = 0; i < digits; ++i, a >>= bits, b >>= bits, c >>= bits) {
    const unsigned low = std::min(b & mask, c & mask);
    const unsigned high = std::max(b & mask, c & mask);
    if ((a & mask) < low || (a & mask) > high) return false;
  }
  return true;
}

// A candidate is a contender exactly if no contender before it is as near in every digit.
TEST(Neighbours, HaveAllButTheDominatedAsContenders) {
  for (const Case& c : kCases) {
    const Neighbours& neighbours = c.get();
    for (std::size_t n = 0; n < neighbours.codes().size(); ++n) {
      const Neighbours::Code& code = neighbours.at(n);
      const std::uint16_t* list = neighbours.candidates(code)->points;
      const std::uint16_t* contenders = neighbours.contenders(code)->points;
      if (code.index >= 0) continue;
      int found = 0;
      for (int k = 0; k < code.count; ++k) {
        bool dominated = false;
        for (int i = 0; i < found && !dominated; ++i) {
          dominated = between(contenders[i], code.packed, list[k], c.digits);
        }
        if (dominated) continue;
        ASSERT_LT(found, code.contenders) << c.name << ' ' << n;
        ASSERT_EQ(contenders[found], list[k]) << c.name << ' ' << n;
        ++found;
      }
      ASSERT_EQ(found, code.contenders) << c.name << ' ' << n;
    }
  }
}

// Kernels read whole chunks.
TEST(Neighbours, FillTheirChunksWithTheLastPoint) {
  for (const Case& c : kCases) {
    const Neighbours& neighbours = c.get();
    for (const Neighbours::Code& code : neighbours.codes()) {
      if (code.index >= 0) {
        ASSERT_EQ(code.count, 0) << c.name;
        ASSERT_EQ(code.contenders, 0) << c.name;
        continue;
      }
      ASSERT_GT(code.count, 0) << c.name;
      const Neighbours::Chunk* chunks = neighbours.candidates(code);
      for (std::size_t k = code.count; k % Neighbours::kLanes != 0; ++k) {
        const std::size_t last = code.count - std::size_t{1};
        ASSERT_EQ(chunks[k / Neighbours::kLanes].points[k % Neighbours::kLanes],
                  chunks[last / Neighbours::kLanes].points[last % Neighbours::kLanes])
            << c.name;
      }
    }
  }
}

}  // namespace
}  // namespace quantize::test
