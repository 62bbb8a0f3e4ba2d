// The closed set over SSE2: 4 lanes. What each operation means is said once, in kernels/simd.hpp.
#pragma once

#include <cstdint>
#include <cstring>

#include <emmintrin.h>

namespace quantize::kernels {
namespace {

constexpr int kNativeLanes = 4;
constexpr bool kLookup32 = false;

struct M {
  __m128 v;
};
struct I {
  __m128i v;
  static I set(std::int32_t x) { return {_mm_set1_epi32(x)}; }
  static I load(const std::int32_t* p) {
    return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))};
  }
  static I load(const std::uint8_t* p) { return {_mm_setr_epi32(p[0], p[1], p[2], p[3])}; }
  static I load(const std::int8_t* p) { return {_mm_setr_epi32(p[0], p[1], p[2], p[3])}; }
  static I load(const std::uint16_t* p) {
    const __m128i four = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return {_mm_unpacklo_epi16(four, _mm_setzero_si128())};
  }
};
struct F {
  using Int = I;
  using Mask = M;
  static constexpr int kLanes = kNativeLanes;
  __m128 v;
  static F set(float x) { return {_mm_set1_ps(x)}; }
  static F load(const float* p) { return {_mm_loadu_ps(p)}; }
};

inline F operator+(F a, F b) { return {_mm_add_ps(a.v, b.v)}; }
inline F operator-(F a, F b) { return {_mm_sub_ps(a.v, b.v)}; }
inline F operator*(F a, F b) { return {_mm_mul_ps(a.v, b.v)}; }
inline F operator/(F a, F b) { return {_mm_div_ps(a.v, b.v)}; }
inline F sqrt(F a) { return {_mm_sqrt_ps(a.v)}; }
// No instruction for it: adding 1.5 * 2^23 leaves no bits for a fraction. A zero keeps its sign.
inline F round_even(F a) {
  const __m128 shift = _mm_set1_ps(12582912.0F);
  const __m128 sign = _mm_and_ps(a.v, _mm_set1_ps(-0.0F));
  return {_mm_or_ps(_mm_sub_ps(_mm_add_ps(a.v, shift), shift), sign)};
}
inline F min(F a, F b) { return {_mm_min_ps(a.v, b.v)}; }
inline F max(F a, F b) { return {_mm_max_ps(a.v, b.v)}; }
inline F at_most(F a, F bound) { return min(a, bound); }
inline F at_least(F a, F bound) { return max(a, bound); }
inline M operator==(F a, F b) { return {_mm_cmpeq_ps(a.v, b.v)}; }
inline M operator<(F a, F b) { return {_mm_cmplt_ps(a.v, b.v)}; }
inline M operator<=(F a, F b) { return {_mm_cmple_ps(a.v, b.v)}; }

inline M operator&(M a, M b) { return {_mm_and_ps(a.v, b.v)}; }
inline M operator|(M a, M b) { return {_mm_or_ps(a.v, b.v)}; }
inline M operator~(M a) { return {_mm_xor_ps(a.v, _mm_castsi128_ps(_mm_set1_epi32(-1)))}; }
inline unsigned bits(M m) { return static_cast<unsigned>(_mm_movemask_ps(m.v)); }
inline F select(M m, F yes, F no) {
  return {_mm_or_ps(_mm_and_ps(m.v, yes.v), _mm_andnot_ps(m.v, no.v))};
}
inline I select(M m, I yes, I no) {
  const __m128i mask = _mm_castps_si128(m.v);
  return {_mm_or_si128(_mm_and_si128(mask, yes.v), _mm_andnot_si128(mask, no.v))};
}

inline I operator+(I a, I b) { return {_mm_add_epi32(a.v, b.v)}; }
inline I operator-(I a, I b) { return {_mm_sub_epi32(a.v, b.v)}; }
// Two 32 x 32 -> 64 products, low halves kept.
inline I operator*(I a, I b) {
  const __m128i even = _mm_mul_epu32(a.v, b.v);
  const __m128i odd = _mm_mul_epu32(_mm_srli_si128(a.v, 4), _mm_srli_si128(b.v, 4));
  return {_mm_unpacklo_epi32(_mm_shuffle_epi32(even, 0x08), _mm_shuffle_epi32(odd, 0x08))};
}
inline I operator&(I a, I b) { return {_mm_and_si128(a.v, b.v)}; }
inline I operator|(I a, I b) { return {_mm_or_si128(a.v, b.v)}; }
inline I operator^(I a, I b) { return {_mm_xor_si128(a.v, b.v)}; }
inline M operator==(I a, I b) { return {_mm_castsi128_ps(_mm_cmpeq_epi32(a.v, b.v))}; }
inline M operator<(I a, I b) { return {_mm_castsi128_ps(_mm_cmplt_epi32(a.v, b.v))}; }
inline I min(I a, I b) { return select(a < b, a, b); }
inline I max(I a, I b) { return select(a < b, b, a); }
template <int kBits>
inline I shift_left(I a) {
  return {_mm_slli_epi32(a.v, kBits)};
}
template <int kBits>
inline I shift_right(I a) {
  return {_mm_srli_epi32(a.v, kBits)};
}
inline I increment(M m, I a) { return {_mm_sub_epi32(a.v, _mm_castps_si128(m.v))}; }

inline F as_float(I a) { return {_mm_castsi128_ps(a.v)}; }
inline I as_int(F a) { return {_mm_castps_si128(a.v)}; }
inline F to_float(I a) { return {_mm_cvtepi32_ps(a.v)}; }
inline I truncate(F a) { return {_mm_cvttps_epi32(a.v)}; }

inline void store(float* p, F a) { _mm_storeu_ps(p, a.v); }
inline void store(std::int32_t* p, I a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), a.v); }
// Masked to the low byte first, so that the saturating packs saturate nothing.
inline void store(std::uint8_t* p, I a) {
  const __m128i low = _mm_and_si128(a.v, _mm_set1_epi32(0xFF));
  const __m128i words = _mm_packs_epi32(low, low);
  const std::int32_t four = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
  std::memcpy(p, &four, sizeof four);
}
// Sign-extended first, for the same reason.
inline void store(std::uint16_t* p, I a) {
  const __m128i low = _mm_srai_epi32(_mm_slli_epi32(a.v, 16), 16);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi32(low, low));
}

// SSE2 cannot permute by a register.
inline F lookup(const float* table, I index) {
  alignas(16) std::int32_t i[4];
  _mm_store_si128(reinterpret_cast<__m128i*>(i), index.v);
  return {_mm_setr_ps(table[i[0]], table[i[1]], table[i[2]], table[i[3]])};
}
inline F lookup4(const float* table, I index) { return lookup(table, index & I::set(3)); }
inline F lookup8(const float* table, I index) { return lookup(table, index & I::set(7)); }
inline F lookup16(const float* table, I index) { return lookup(table, index & I::set(15)); }

inline float reduce_max(F a) {
  const __m128 m = _mm_max_ps(a.v, _mm_movehl_ps(a.v, a.v));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_shuffle_ps(m, m, 1)));
}
inline float reduce_min(F a) {
  const __m128 m = _mm_min_ps(a.v, _mm_movehl_ps(a.v, a.v));
  return _mm_cvtss_f32(_mm_min_ss(m, _mm_shuffle_ps(m, m, 1)));
}
inline std::int32_t reduce_min(I a) {
  const I m = min(a, {_mm_shuffle_epi32(a.v, 0x4E)});
  return _mm_cvtsi128_si32(min(m, {_mm_shuffle_epi32(m.v, 0xB1)}).v);
}
inline std::int32_t reduce_add(I a) {
  const I m = a + I{_mm_shuffle_epi32(a.v, 0x4E)};
  return _mm_cvtsi128_si32((m + I{_mm_shuffle_epi32(m.v, 0xB1)}).v);
}

inline void transpose(const float* const* rows, int column, float* out, int stride) {
  __m128 r[4];
  for (int i = 0; i < 4; ++i) r[i] = _mm_loadu_ps(rows[i] + column);
  const __m128 low01 = _mm_unpacklo_ps(r[0], r[1]);
  const __m128 high01 = _mm_unpackhi_ps(r[0], r[1]);
  const __m128 low23 = _mm_unpacklo_ps(r[2], r[3]);
  const __m128 high23 = _mm_unpackhi_ps(r[2], r[3]);
  _mm_storeu_ps(out, _mm_movelh_ps(low01, low23));
  _mm_storeu_ps(out + stride, _mm_movehl_ps(low23, low01));
  _mm_storeu_ps(out + 2 * stride, _mm_movelh_ps(high01, high23));
  _mm_storeu_ps(out + 3 * stride, _mm_movehl_ps(high23, high01));
}

}  // namespace
}  // namespace quantize::kernels
