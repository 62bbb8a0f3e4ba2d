// IQ4_NL and IQ4_XS over the closed set; the definition is iq4_nl_iq4_xs.cpp.
#include "quant/schemes/iq4_nl_iq4_xs.hpp"

#include "quant/kernels/decode.hpp"
#include "quant/kernels/kernel.hpp"
#include "quant/kernels/super_blocks.hpp"

namespace quantize::kernels::QUANTIZE_ISA {
namespace {

using schemes::BlockIQ4_NL;
using schemes::BlockIQ4_XS;
using schemes::kSubBlock;
using schemes::kSubBlocks;
using search::kTiny;

// The nearest level by four steps of binary search. A step adds the next higher bit of the place,
// so that the steps before it index the next step's thresholds with no shift: the places are the
// codes with their bits in reverse.
struct Search {
  alignas(64) float thresholds[4][8];  // of step s, at the place reached before it
  alignas(64) float levels[16];        // of a place
  alignas(64) float codes[16];

  constexpr Search() : thresholds{}, levels{}, codes{} {
    for (int place = 0; place < 16; ++place) {
      const int code = (place & 1) << 3 | (place & 2) << 1 | (place & 4) >> 1 | (place & 8) >> 3;
      levels[place] = schemes::kLevels[code];
      codes[place] = static_cast<float>(code);
      for (int step = 0; step < 4; ++step) {
        // Steps find the code's bits from the top; the later ones are not known yet.
        const int middle = (code & (16 >> step) * 15) | 8 >> step;
        thresholds[step][place % (1 << step)] =
            (schemes::kLevels[middle - 1] + schemes::kLevels[middle]) / 2;
      }
    }
  }
};
constexpr Search kSearch;

inline I nearest_place(F x) {
  const I zero = I::set(0);
  I place = select(x < F::set(kSearch.thresholds[0][0]), zero, I::set(1));
  place = place | select(x < lookup4(kSearch.thresholds[1], place), zero, I::set(2));
  place = place | select(x < lookup4(kSearch.thresholds[2], place), zero, I::set(4));
  return place | select(x < lookup8(kSearch.thresholds[3], place), zero, I::set(8));
}

// The same for |x| < 140 where 32 entries can be looked up: in a bucket of 8 lies one threshold at
// most. Numbers 256 apart share a bucket; where both occur, beyond the outer thresholds, their sign
// tells them apart.
struct Buckets {
  alignas(64) float thresholds[32];
  alignas(64) float below[32];  // the level of what is less than the threshold
  alignas(64) float above[32];

  constexpr Buckets() : thresholds{}, below{}, above{} {
    for (int bucket = -16; bucket < 16; ++bucket) {
      const float middle = static_cast<float>(8 * bucket);
      const int at = bucket & 31;
      int under = 0;  // thresholds
      while (under < 15 && threshold(under) < middle - 4) ++under;
      const bool inside = under < 15 && threshold(under) < middle + 4;
      const bool outer = bucket < -14 || bucket > 14;
      thresholds[at] = inside ? threshold(under) : 0;
      below[at] = schemes::kLevels[outer ? 0 : under];
      above[at] = schemes::kLevels[outer ? 15 : under + (inside ? 1 : 0)];
    }
  }
  static constexpr float threshold(int i) {
    return (schemes::kLevels[i] + schemes::kLevels[i + 1]) / 2;
  }
};
constexpr Buckets kBuckets;

// A template only so that the branch not taken need not compile.
template <class Fv>
inline Fv level_near(Fv x) {
  if constexpr (kLookup32) {
    const auto bucket = as_int(x + Fv::set(100663296.0F));  // 1.5 * 2^26 keeps multiples of 8
    return select(x < lookup32(kBuckets.thresholds, bucket), lookup32(kBuckets.below, bucket),
                  lookup32(kBuckets.above, bucket));
  } else {
    return lookup16(kSearch.levels, nearest_place(x));
  }
}
inline FF nearest_level(FF x) { return {{level_near(x.a), level_near(x.b)}}; }

// One sub-block per lane. Null weights: x * x.
inline FF search_scale(const float* x, const float* weights) {
  constexpr int kLanes = FF::kLanes;
  const FF zero = FF::set(0);
  FF magnitude = zero;
  FF peak = zero;
  alignas(64) float squares[kSubBlock * kLanes];
  for (int i = 0; i < kSubBlock; ++i) {
    const FF v = FF::load(x + i * kLanes);
    const MM larger = magnitude < abs(v);
    magnitude = select(larger, abs(v), magnitude);
    peak = select(larger, v, peak);
    if (!weights) store(squares + i * kLanes, v * v);
  }
  const MM alive = ~(magnitude < FF::set(kTiny));
  if (!any(alive)) return zero;
  const float* w_tile = weights ? weights : squares;
  FF sum_lx;
  FF sum_l2;
  const auto fit = [&](FF inverse) {
    sum_lx = sum_l2 = zero;
    for (int i = 0; i < kSubBlock; ++i) {
      const FF v = FF::load(x + i * kLanes);
      const FF level = nearest_level(inverse * v);
      const FF wl = FF::load(w_tile + i * kLanes) * level;
      sum_lx = sum_lx + wl * v;
      sum_l2 = sum_l2 + wl * level;
    }
  };
  fit(select(alive, FF::set(1) / (peak / FF::set(127)), zero));
  FF scale = select(zero < sum_l2, sum_lx / sum_l2, zero);
  FF best = scale * sum_lx;
  for (int t = -7; t <= 7; ++t) {
    fit(select(alive, FF::set(static_cast<float>(t - 127)) / peak, zero));
    const MM better = (zero < sum_l2) & (best * sum_l2 < sum_lx * sum_lx);
    scale = select(better, sum_lx / sum_l2, scale);
    best = select(better, scale * sum_lx, best);
  }
  return select(alive, scale, zero);
}

// 0 where the scale is.
template <class Fv>
inline Fv inverse_of(Fv scale) {
  return select(scale == Fv::set(0), Fv::set(0), Fv::set(1) / scale);
}

inline I codes_of(F x) { return truncate(lookup16(kSearch.codes, nearest_place(x))); }
inline void set_nibbles(const float* x, float inverse, std::uint8_t* nibbles) {
  for (int i = 0; i < kSubBlock / 2; i += kNativeLanes) {
    const I low = codes_of(F::set(inverse) * F::load(x + i));
    const I high = codes_of(F::set(inverse) * F::load(x + i + kSubBlock / 2));
    store(nibbles + i, low | shift_left<4>(high));
  }
}

constexpr int kSmallBlocks = FF::kLanes;

void encode_iq4_nl(const EncodeInput& in, std::byte* out) noexcept {
  const auto encode_batch = [&in](const Batch<kSmallBlocks>& batch,
                                  BlockIQ4_NL(&blocks)[kSmallBlocks]) {
    constexpr int kLanes = FF::kLanes;
    alignas(64) float x[kSubBlock * kLanes];
    alignas(64) float weights[kSubBlock * kLanes];
    transpose_rows<FF, kSubBlock>(batch.values, x);
    if (in.importance) {
      transpose_rows<FF, kSubBlock>(batch.importance, weights);
      FF sum = FF::set(0);
      for (int i = 0; i < kSubBlock * kLanes; i += kLanes) {
        sum = sum + FF::load(x + i) * FF::load(x + i);
      }
      const FF mean = sum * FF::set(2.0F / 32.0F);
      for (int i = 0; i < kSubBlock * kLanes; i += kLanes) {
        const FF v = FF::load(x + i);
        store(weights + i, FF::load(weights + i) * sqrt(mean + v * v));
      }
    }
    const FF scale = search_scale(x, in.importance ? weights : nullptr);
    alignas(64) float inverses[kLanes];
    alignas(64) std::uint16_t halves[kLanes];
    store(inverses, inverse_of(scale));
    store(halves, float_to_half(scale.a));
    store(halves + kNativeLanes, float_to_half(scale.b));
    for (int b = 0; b < kSmallBlocks; ++b) {
      blocks[b].scale = halves[b];
      set_nibbles(batch.values[b], inverses[b], blocks[b].nibbles);
    }
  };
  for_each_batch<BlockIQ4_NL, kSubBlock, kSmallBlocks>(in, out, encode_batch);
}

void encode_iq4_xs(const EncodeInput& in, std::byte* out) noexcept {
  const auto encode_batch = [&in](const SuperBlocks& batch, BlockIQ4_XS(&blocks)[kBlocks]) {
    using Tile = Tiles<kSubBlock>;
    Tile x;
    Tile weights;
    x.load(batch.values);
    if (in.importance) {
      weights.load(batch.importance);
      PerBlock mean_square;
      for (int b = 0; b < kBlocks; b += kNativeLanes) {
        mean_square.set(b, sum_of_squares(x, b) * F::set(2.0F / 256.0F));
      }
      combine_weights(x, mean_square, weights);
    }
    // [sub-block][super-block]
    alignas(64) float scales[kSubBlocks * kBlocks];
    for (int group = 0; group < Tile::kGroups; ++group) {
      store(scales + group * FF::kLanes,
            search_scale(x.at[group], in.importance ? weights.at[group] : nullptr));
    }
    alignas(64) float inverses[kSubBlocks * kBlocks];
    alignas(64) std::int32_t codes[kSubBlocks * kBlocks];
    alignas(64) std::uint16_t halves[kBlocks];
    for (int b = 0; b < kBlocks; b += kNativeLanes) {
      F magnitude = F::set(0);
      F peak = F::set(0);
      for (int j = 0; j < kSubBlocks; ++j) {
        const F v = F::load(scales + kBlocks * j + b);
        const M larger = magnitude < abs(v);
        magnitude = select(larger, abs(v), magnitude);
        peak = select(larger, v, peak);
      }
      // What follows uses the scale as it was before it became a half.
      const F scale = -peak / F::set(32);
      const F inverse = inverse_of(scale);
      store(halves + b, float_to_half(scale));
      for (int j = 0; j < kSubBlocks; ++j) {
        const int at = kBlocks * j + b;
        const I nearest = nearest_int(inverse * F::load(scales + at));
        const I code = min(max(nearest, I::set(-32)), I::set(31));
        store(codes + at, code + I::set(32));
        store(inverses + at, inverse_of(scale * to_float(code)));
      }
    }
    for (int b = 0; b < kBlocks; ++b) {
      BlockIQ4_XS& block = blocks[b];
      block = {};
      block.scale = halves[b];
      for (int j = 0; j < kSubBlocks; ++j) {
        const int at = kBlocks * j + b;
        block.set_scale_code(j, codes[at]);
        set_nibbles(batch.values[b] + kSubBlock * j, inverses[at], block.nibbles + 16 * j);
      }
    }
  };
  for_each_batch<BlockIQ4_XS, kSuperBlock, kBlocks>(in, out, encode_batch);
}

void decode_iq4_nl(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each<BlockIQ4_NL, kSubBlock>(in, values, out, [](const BlockIQ4_NL& block, float* x) {
    decode_32_levels(block.nibbles, schemes::kLevels, half_in_every_lane(block.scale), x);
  });
}

void decode_iq4_xs(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each<BlockIQ4_XS, kSuperBlock>(in, values, out, [](const BlockIQ4_XS& block, float* x) {
    const F scale = half_in_every_lane(block.scale);
    for (int j = 0; j < kSubBlocks; ++j) {
      const F sub_scale = scale * F::set(static_cast<float>(block.scale_code(j) - 32));
      decode_32_levels(block.nibbles + 16 * j, schemes::kLevels, sub_scale, x + kSubBlock * j);
    }
  });
}

}  // namespace

extern const Kernel iq4_nl;
extern const Kernel iq4_xs;
const Kernel iq4_nl{DType::iq4_nl, encode_iq4_nl, decode_iq4_nl};
const Kernel iq4_xs{DType::iq4_xs, encode_iq4_xs, decode_iq4_xs};

}  // namespace quantize::kernels::QUANTIZE_ISA
