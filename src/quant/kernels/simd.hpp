// The vocabulary of the kernels: a closed set of operations whose bits are defined, on every
// instruction set alike. What cannot be expressed cannot be used: nothing here is fused,
// approximate, or adds floats across lanes.
//
// isa/<name>.hpp gives the native types F (floats), I (32-bit integers) and M (a mask), with
//
//   F::set, F::load, I::set, I::load (from int32, or widened from int8, uint8, uint16)
//   + - * / sqrt       one IEEE 754 rounding each, to nearest even
//   round_even(x)      to the nearest whole number, to even from the middle, for |x| < 2^22
//   min(a, b)          a < b ? a : b           max(a, b)   a > b ? a : b
//   at_most(x, b)      min(x, b) for b > 0     at_least(x, b)  max(x, b) for b < 0 or -0; x is no
//                      NaN, and of zeros of unlike sign either may come out
//   == < <=            ordered; signed on I
//   + - * & | ^        on I, modulo 2^32; shift_left<n>, shift_right<n> (zeros come in)
//   & | ~  bits(m)     on M; bit i of bits(m) is lane i
//   select(m, a, b)    lane by lane m ? a : b      increment(m, i)  m ? i + 1 : i
//   as_int, as_float   the same 32 bits        to_float(i)  the nearest float
//   truncate(f)        toward zero; INT32_MIN for what does not fit, NaN included
//   store              all bits, or the low 8 or 16 of each lane
//   lookupN(table, i)  table[i mod N]; lookup32 only where kLookup32 says so
//   reduce_max, reduce_min, reduce_add (I)   across lanes: exact, so that no order shows
//   transpose(rows, column, out, stride)  out[stride * i + l] = rows[l][column + i], i, l < kLanes
//
// Everything is in unnamed namespaces: a function compiled for one instruction set must never be
// the one that the linker picks for all.
#pragma once

#include QUANTIZE_ISA_HEADER

namespace quantize::kernels {
namespace {

inline bool any(M m) { return bits(m) != 0; }
inline bool all(M m) { return bits(m) == (1U << kNativeLanes) - 1U; }
inline F operator-(F a) { return as_float(as_int(a) ^ I::set(INT32_MIN)); }
inline F abs(F a) { return as_float(as_int(a) & I::set(INT32_MAX)); }

// Two vectors side by side: twice the lanes, and two independent chains for the hardware to
// overlap.
template <class T>
struct Pair {
  T a, b;
};
struct MM : Pair<M> {};
struct II : Pair<I> {
  static II set(std::int32_t x) { return {{I::set(x), I::set(x)}}; }
  template <class T>
  static II load(const T* p) {
    return {{I::load(p), I::load(p + kNativeLanes)}};
  }
};
struct FF : Pair<F> {
  using Int = II;
  using Mask = MM;
  static constexpr int kLanes = 2 * kNativeLanes;
  static FF set(float x) { return {{F::set(x), F::set(x)}}; }
  static FF load(const float* p) { return {{F::load(p), F::load(p + kNativeLanes)}}; }
};

inline FF operator+(FF x, FF y) { return {{x.a + y.a, x.b + y.b}}; }
inline FF operator-(FF x, FF y) { return {{x.a - y.a, x.b - y.b}}; }
inline FF operator*(FF x, FF y) { return {{x.a * y.a, x.b * y.b}}; }
inline FF operator/(FF x, FF y) { return {{x.a / y.a, x.b / y.b}}; }
inline FF operator-(FF x) { return {{-x.a, -x.b}}; }
inline FF abs(FF x) { return {{abs(x.a), abs(x.b)}}; }
inline FF sqrt(FF x) { return {{sqrt(x.a), sqrt(x.b)}}; }
inline FF round_even(FF x) { return {{round_even(x.a), round_even(x.b)}}; }
inline FF at_most(FF x, FF y) { return {{at_most(x.a, y.a), at_most(x.b, y.b)}}; }
inline FF at_least(FF x, FF y) { return {{at_least(x.a, y.a), at_least(x.b, y.b)}}; }
inline FF min(FF x, FF y) { return {{min(x.a, y.a), min(x.b, y.b)}}; }
inline FF max(FF x, FF y) { return {{max(x.a, y.a), max(x.b, y.b)}}; }
inline MM operator==(FF x, FF y) { return {{x.a == y.a, x.b == y.b}}; }
inline MM operator<(FF x, FF y) { return {{x.a < y.a, x.b < y.b}}; }
inline MM operator<=(FF x, FF y) { return {{x.a <= y.a, x.b <= y.b}}; }
inline II operator+(II x, II y) { return {{x.a + y.a, x.b + y.b}}; }
inline II operator-(II x, II y) { return {{x.a - y.a, x.b - y.b}}; }
inline II operator*(II x, II y) { return {{x.a * y.a, x.b * y.b}}; }
inline II operator&(II x, II y) { return {{x.a & y.a, x.b & y.b}}; }
inline II operator|(II x, II y) { return {{x.a | y.a, x.b | y.b}}; }
inline II operator^(II x, II y) { return {{x.a ^ y.a, x.b ^ y.b}}; }
inline MM operator==(II x, II y) { return {{x.a == y.a, x.b == y.b}}; }
inline MM operator<(II x, II y) { return {{x.a < y.a, x.b < y.b}}; }
inline II min(II x, II y) { return {{min(x.a, y.a), min(x.b, y.b)}}; }
inline II max(II x, II y) { return {{max(x.a, y.a), max(x.b, y.b)}}; }
inline MM operator&(MM x, MM y) { return {{x.a & y.a, x.b & y.b}}; }
inline MM operator|(MM x, MM y) { return {{x.a | y.a, x.b | y.b}}; }
inline MM operator~(MM x) { return {{~x.a, ~x.b}}; }
inline bool any(MM m) { return any(m.a | m.b); }
inline bool all(MM m) { return all(m.a & m.b); }
inline std::uint64_t bits(MM m) {
  return bits(m.a) | static_cast<std::uint64_t>(bits(m.b)) << kNativeLanes;
}
inline FF select(MM m, FF x, FF y) { return {{select(m.a, x.a, y.a), select(m.b, x.b, y.b)}}; }
inline II select(MM m, II x, II y) { return {{select(m.a, x.a, y.a), select(m.b, x.b, y.b)}}; }
inline FF as_float(II x) { return {{as_float(x.a), as_float(x.b)}}; }
inline II as_int(FF x) { return {{as_int(x.a), as_int(x.b)}}; }
inline FF to_float(II x) { return {{to_float(x.a), to_float(x.b)}}; }
inline II truncate(FF x) { return {{truncate(x.a), truncate(x.b)}}; }
inline void store(float* p, FF x) {
  store(p, x.a);
  store(p + kNativeLanes, x.b);
}
template <class T>
inline void store(T* p, II x) {
  store(p, x.a);
  store(p + kNativeLanes, x.b);
}

// As search::nearest_int: these bits and no other rounding.
constexpr float kRoundingShift = 12582912.0F;  // 1.5 * 2^23
template <class Fv>
inline auto nearest_int(Fv x) {
  using Iv = typename Fv::Int;
  return (as_int(x + Fv::set(kRoundingShift)) & Iv::set(0x007FFFFF)) - Iv::set(0x00400000);
}
// The same as a float (a zero may be negative), clamped to low .. high, for |x| < 4194303. Where a
// bound cannot be exceeded, its clamp may be left out.
template <bool kLow = true, bool kHigh = true, class Fv>
inline Fv nearest_level(Fv x, float low, float high) {
  Fv level = round_even(x);
  if constexpr (kLow) level = at_least(level, Fv::set(low == 0 ? -0.0F : low));
  if constexpr (kHigh) level = at_most(level, Fv::set(high));
  return level;
}
// And for any x.
template <class Fv>
inline Fv nearest_level_of_any(Fv x, int low, int high) {
  using Iv = typename Fv::Int;
  return to_float(min(max(nearest_int(x), Iv::set(low)), Iv::set(high)));
}

// As schemes::round_half_away.
inline I round_half_away(F x) {
  const I sign = as_int(x) & I::set(INT32_MIN);
  return truncate(x + as_float(sign | as_int(F::set(0.49999997F))));
}

// out[kLanes * i + l] = rows[l][i] for kCount values; rows has Fv::kLanes pointers.
template <class Fv, int kCount>
inline void transpose_rows(const float* const* rows, float* out) {
  static_assert(kCount % kNativeLanes == 0);
  for (int lane = 0; lane < Fv::kLanes; lane += kNativeLanes) {
    for (int i = 0; i < kCount; i += kNativeLanes) {
      transpose(rows + lane, i, out + i * Fv::kLanes + lane, Fv::kLanes);
    }
  }
}

// Halves and bfloat16 as core/float16.hpp defines them.
inline F half_to_float(I half) {
  const I sign = shift_left<16>(half & I::set(0x8000));
  const I shifted = shift_left<13>(half & I::set(0x7FFF));
  const I exponent = shifted & I::set(0x0F800000);
  const I normal = shifted + I::set(112 << 23);
  const F subnormal = as_float(shifted + I::set(113 << 23)) - as_float(I::set(113 << 23));
  I result = select(exponent == I::set(0), as_int(subnormal), normal);
  result = select(exponent == I::set(0x0F800000), normal + I::set(112 << 23), result);
  return as_float(result | sign);
}
inline I float_to_half(F value) {
  const I all_bits = as_int(value);
  const I sign = shift_right<16>(all_bits) & I::set(0x8000);
  const I magnitude = all_bits & I::set(INT32_MAX);
  // Adding 0.5 leaves, in the low bits, the value in steps of 2^-24, rounded to even.
  const I subnormal = as_int(as_float(magnitude) + F::set(0.5F)) - I::set(0x3F000000);
  const I odd = shift_right<13>(magnitude) & I::set(1);
  const I normal = shift_right<13>(magnitude + odd + I::set(0xFFF - 0x38000000));
  I result = select(magnitude < I::set(0x38800000), subnormal, normal);
  result = select(magnitude < I::set(0x477FF000), result, I::set(0x7C00));
  result = select(I::set(0x7F800000) < magnitude, I::set(0x7E00), result);
  return result | sign;
}
inline F bfloat16_to_float(I bits) { return as_float(shift_left<16>(bits)); }
inline I float_to_bfloat16(F value) {
  const I all_bits = as_int(value);
  const I odd = shift_right<16>(all_bits) & I::set(1);
  const I rounded = shift_right<16>(all_bits + I::set(0x7FFF) + odd);
  const I quiet = shift_right<16>(all_bits) | I::set(64);
  return select(I::set(0x7F800000) < (all_bits & I::set(INT32_MAX)), quiet, rounded);
}

}  // namespace
}  // namespace quantize::kernels
