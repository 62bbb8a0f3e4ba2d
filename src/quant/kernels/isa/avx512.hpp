// The closed set over AVX-512 (F, BW, DQ, VL): 16 lanes. What each operation means is said once, in
// kernels/simd.hpp.
#pragma once

#include <cstdint>

#include <immintrin.h>

namespace quantize::kernels {
namespace {

constexpr int kNativeLanes = 16;
constexpr bool kLookup32 = true;

struct M {
  __mmask16 v;
};
struct I {
  __m512i v;
  static I set(std::int32_t x) { return {_mm512_set1_epi32(x)}; }
  static I load(const std::int32_t* p) { return {_mm512_loadu_si512(p)}; }
  static I load(const std::uint8_t* p) {
    return {_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  }
  static I load(const std::int8_t* p) {
    return {_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  }
  static I load(const std::uint16_t* p) {
    return {_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
  }
};
struct F {
  using Int = I;
  using Mask = M;
  static constexpr int kLanes = kNativeLanes;
  __m512 v;
  static F set(float x) { return {_mm512_set1_ps(x)}; }
  static F load(const float* p) { return {_mm512_loadu_ps(p)}; }
};

inline F operator+(F a, F b) { return {_mm512_add_ps(a.v, b.v)}; }
inline F operator-(F a, F b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline F operator*(F a, F b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline F operator/(F a, F b) { return {_mm512_div_ps(a.v, b.v)}; }
inline F sqrt(F a) { return {_mm512_sqrt_ps(a.v)}; }
inline F round_even(F a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline F min(F a, F b) { return {_mm512_min_ps(a.v, b.v)}; }
inline F max(F a, F b) { return {_mm512_max_ps(a.v, b.v)}; }
// As integers, which all ports can do: positive floats are ordered as signed ones, and negative
// floats, from -0 on, as unsigned ones in reverse.
inline F at_most(F a, F bound) {
  return {_mm512_castsi512_ps(
      _mm512_min_epi32(_mm512_castps_si512(a.v), _mm512_castps_si512(bound.v)))};
}
inline F at_least(F a, F bound) {
  return {_mm512_castsi512_ps(
      _mm512_min_epu32(_mm512_castps_si512(a.v), _mm512_castps_si512(bound.v)))};
}
inline M operator==(F a, F b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
inline M operator<(F a, F b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
inline M operator<=(F a, F b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }

inline I operator+(I a, I b) { return {_mm512_add_epi32(a.v, b.v)}; }
inline I operator-(I a, I b) { return {_mm512_sub_epi32(a.v, b.v)}; }
inline I operator*(I a, I b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
inline I operator&(I a, I b) { return {_mm512_and_si512(a.v, b.v)}; }
inline I operator|(I a, I b) { return {_mm512_or_si512(a.v, b.v)}; }
inline I operator^(I a, I b) { return {_mm512_xor_si512(a.v, b.v)}; }
inline M operator==(I a, I b) { return {_mm512_cmpeq_epi32_mask(a.v, b.v)}; }
inline M operator<(I a, I b) { return {_mm512_cmplt_epi32_mask(a.v, b.v)}; }
inline I min(I a, I b) { return {_mm512_min_epi32(a.v, b.v)}; }
inline I max(I a, I b) { return {_mm512_max_epi32(a.v, b.v)}; }
template <int kBits>
inline I shift_left(I a) {
  return {_mm512_slli_epi32(a.v, kBits)};
}
template <int kBits>
inline I shift_right(I a) {
  return {_mm512_srli_epi32(a.v, kBits)};
}

inline M operator&(M a, M b) { return {static_cast<__mmask16>(a.v & b.v)}; }
inline M operator|(M a, M b) { return {static_cast<__mmask16>(a.v | b.v)}; }
inline M operator~(M a) { return {static_cast<__mmask16>(~a.v)}; }
inline unsigned bits(M m) { return m.v; }
inline F select(M m, F yes, F no) { return {_mm512_mask_blend_ps(m.v, no.v, yes.v)}; }
inline I select(M m, I yes, I no) { return {_mm512_mask_blend_epi32(m.v, no.v, yes.v)}; }
inline I increment(M m, I a) {
  return {_mm512_mask_add_epi32(a.v, m.v, a.v, _mm512_set1_epi32(1))};
}

inline F as_float(I a) { return {_mm512_castsi512_ps(a.v)}; }
inline I as_int(F a) { return {_mm512_castps_si512(a.v)}; }
inline F to_float(I a) { return {_mm512_cvtepi32_ps(a.v)}; }
inline I truncate(F a) { return {_mm512_cvttps_epi32(a.v)}; }

inline void store(float* p, F a) { _mm512_storeu_ps(p, a.v); }
inline void store(std::int32_t* p, I a) { _mm512_storeu_si512(p, a.v); }
inline void store(std::uint8_t* p, I a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a.v));
}
inline void store(std::uint16_t* p, I a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(a.v));
}

inline F lookup4(const float* table, I index) {
  return {_mm512_permutevar_ps(_mm512_broadcast_f32x4(_mm_loadu_ps(table)), index.v)};
}
inline F lookup8(const float* table, I index) {
  return {_mm512_permutexvar_ps(index.v, _mm512_broadcast_f32x8(_mm256_loadu_ps(table)))};
}
inline F lookup16(const float* table, I index) {
  return {_mm512_permutexvar_ps(index.v, _mm512_loadu_ps(table))};
}

inline F lookup32(const float* table, I index) {
  return {_mm512_permutex2var_ps(_mm512_loadu_ps(table), index.v, _mm512_loadu_ps(table + 16))};
}

inline float reduce_max(F a) { return _mm512_reduce_max_ps(a.v); }
inline float reduce_min(F a) { return _mm512_reduce_min_ps(a.v); }
inline std::int32_t reduce_min(I a) { return _mm512_reduce_min_epi32(a.v); }
inline std::int32_t reduce_add(I a) { return _mm512_reduce_add_epi32(a.v); }

inline void transpose(const float* const* rows, int column, float* out, int stride) {
  __m512 r[16];
  __m512 t[16];
  for (int i = 0; i < 16; ++i) r[i] = _mm512_loadu_ps(rows[i] + column);
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
    r[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xEE);
    r[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    r[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xEE);
  }
  // r[4 * g + c]: column c, c + 4, c + 8, c + 12 of rows 4 * g .. 4 * g + 3.
  for (int c = 0; c < 4; ++c) {
    t[c] = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x88);
    t[4 + c] = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x88);
    t[8 + c] = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xDD);
    t[12 + c] = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xDD);
  }
  for (int c = 0; c < 4; ++c) {
    _mm512_storeu_ps(out + c * stride, _mm512_shuffle_f32x4(t[c], t[4 + c], 0x88));
    _mm512_storeu_ps(out + (c + 8) * stride, _mm512_shuffle_f32x4(t[c], t[4 + c], 0xDD));
    _mm512_storeu_ps(out + (c + 4) * stride, _mm512_shuffle_f32x4(t[8 + c], t[12 + c], 0x88));
    _mm512_storeu_ps(out + (c + 12) * stride, _mm512_shuffle_f32x4(t[8 + c], t[12 + c], 0xDD));
  }
}

}  // namespace
}  // namespace quantize::kernels
