// The closed set over NEON (AArch64): 4 lanes. What each operation means is said once, in
// kernels/simd.hpp.
#pragma once

#include <cstdint>
#include <cstring>

#include <arm_neon.h>

namespace quantize::kernels {
namespace {

constexpr int kNativeLanes = 4;
constexpr bool kLookup32 = false;

struct M {
  uint32x4_t v;
};
struct I {
  int32x4_t v;
  static I set(std::int32_t x) { return {vdupq_n_s32(x)}; }
  static I load(const std::int32_t* p) { return {vld1q_s32(p)}; }
  static I load(const std::uint8_t* p) {
    std::uint32_t four = 0;
    std::memcpy(&four, p, sizeof four);
    const uint8x8_t bytes = vcreate_u8(four);
    return {vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(bytes))))};
  }
  static I load(const std::int8_t* p) {
    std::uint32_t four = 0;
    std::memcpy(&four, p, sizeof four);
    const int8x8_t bytes = vcreate_s8(four);
    return {vmovl_s16(vget_low_s16(vmovl_s8(bytes)))};
  }
  static I load(const std::uint16_t* p) { return {vreinterpretq_s32_u32(vmovl_u16(vld1_u16(p)))}; }
};
struct F {
  using Int = I;
  using Mask = M;
  static constexpr int kLanes = kNativeLanes;
  float32x4_t v;
  static F set(float x) { return {vdupq_n_f32(x)}; }
  static F load(const float* p) { return {vld1q_f32(p)}; }
};

inline F operator+(F a, F b) { return {vaddq_f32(a.v, b.v)}; }
inline F operator-(F a, F b) { return {vsubq_f32(a.v, b.v)}; }
inline F operator*(F a, F b) { return {vmulq_f32(a.v, b.v)}; }
inline F operator/(F a, F b) { return {vdivq_f32(a.v, b.v)}; }
inline F sqrt(F a) { return {vsqrtq_f32(a.v)}; }
inline F round_even(F a) { return {vrndnq_f32(a.v)}; }
inline M operator==(F a, F b) { return {vceqq_f32(a.v, b.v)}; }
inline M operator<(F a, F b) { return {vcltq_f32(a.v, b.v)}; }
inline M operator<=(F a, F b) { return {vcleq_f32(a.v, b.v)}; }
// NEON's own minimum and maximum differ for NaN and for zeros of unlike sign: spelled out.
inline F min(F a, F b) { return {vbslq_f32(vcltq_f32(a.v, b.v), a.v, b.v)}; }
inline F max(F a, F b) { return {vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v)}; }
inline F at_most(F a, F bound) { return min(a, bound); }
inline F at_least(F a, F bound) { return max(a, bound); }

inline I operator+(I a, I b) { return {vaddq_s32(a.v, b.v)}; }
inline I operator-(I a, I b) { return {vsubq_s32(a.v, b.v)}; }
inline I operator*(I a, I b) { return {vmulq_s32(a.v, b.v)}; }
inline I operator&(I a, I b) { return {vandq_s32(a.v, b.v)}; }
inline I operator|(I a, I b) { return {vorrq_s32(a.v, b.v)}; }
inline I operator^(I a, I b) { return {veorq_s32(a.v, b.v)}; }
inline M operator==(I a, I b) { return {vceqq_s32(a.v, b.v)}; }
inline M operator<(I a, I b) { return {vcltq_s32(a.v, b.v)}; }
inline I min(I a, I b) { return {vminq_s32(a.v, b.v)}; }
inline I max(I a, I b) { return {vmaxq_s32(a.v, b.v)}; }
template <int kBits>
inline I shift_left(I a) {
  return {vshlq_n_s32(a.v, kBits)};
}
template <int kBits>
inline I shift_right(I a) {
  return {vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(a.v), kBits))};
}

inline M operator&(M a, M b) { return {vandq_u32(a.v, b.v)}; }
inline M operator|(M a, M b) { return {vorrq_u32(a.v, b.v)}; }
inline M operator~(M a) { return {vmvnq_u32(a.v)}; }
inline unsigned bits(M m) {
  const uint32x4_t weights = {1, 2, 4, 8};
  return vaddvq_u32(vandq_u32(m.v, weights));
}
inline F select(M m, F yes, F no) { return {vbslq_f32(m.v, yes.v, no.v)}; }
inline I select(M m, I yes, I no) { return {vbslq_s32(m.v, yes.v, no.v)}; }
inline I increment(M m, I a) { return {vsubq_s32(a.v, vreinterpretq_s32_u32(m.v))}; }

inline F as_float(I a) { return {vreinterpretq_f32_s32(a.v)}; }
inline I as_int(F a) { return {vreinterpretq_s32_f32(a.v)}; }
inline F to_float(I a) { return {vcvtq_f32_s32(a.v)}; }
// NEON saturates where x86 gives the smallest integer.
inline I truncate(F a) {
  const uint32x4_t fits = vandq_u32(vcgtq_f32(a.v, vdupq_n_f32(-2147483904.0F)),
                                    vcltq_f32(a.v, vdupq_n_f32(2147483648.0F)));
  return {vbslq_s32(fits, vcvtq_s32_f32(a.v), vdupq_n_s32(INT32_MIN))};
}

inline void store(float* p, F a) { vst1q_f32(p, a.v); }
inline void store(std::int32_t* p, I a) { vst1q_s32(p, a.v); }
inline void store(std::uint8_t* p, I a) {
  const uint16x4_t words = vmovn_u32(vreinterpretq_u32_s32(a.v));
  const uint8x8_t bytes = vmovn_u16(vcombine_u16(words, words));
  const std::uint32_t four = vget_lane_u32(vreinterpret_u32_u8(bytes), 0);
  std::memcpy(p, &four, sizeof four);
}
inline void store(std::uint16_t* p, I a) { vst1_u16(p, vmovn_u32(vreinterpretq_u32_s32(a.v))); }

inline F lookup(const float* table, I index) {
  std::int32_t i[4];
  vst1q_s32(i, index.v);
  const float found[4] = {table[i[0]], table[i[1]], table[i[2]], table[i[3]]};
  return F::load(found);
}
inline F lookup4(const float* table, I index) { return lookup(table, index & I::set(3)); }
inline F lookup8(const float* table, I index) { return lookup(table, index & I::set(7)); }
inline F lookup16(const float* table, I index) { return lookup(table, index & I::set(15)); }

inline float reduce_max(F a) { return vmaxvq_f32(a.v); }
inline float reduce_min(F a) { return vminvq_f32(a.v); }
inline std::int32_t reduce_min(I a) { return vminvq_s32(a.v); }
inline std::int32_t reduce_add(I a) { return vaddvq_s32(a.v); }

inline void transpose(const float* const* rows, int column, float* out, int stride) {
  float32x4_t r[4];
  for (int i = 0; i < 4; ++i) r[i] = vld1q_f32(rows[i] + column);
  const float32x4_t even01 = vtrn1q_f32(r[0], r[1]);
  const float32x4_t odd01 = vtrn2q_f32(r[0], r[1]);
  const float32x4_t even23 = vtrn1q_f32(r[2], r[3]);
  const float32x4_t odd23 = vtrn2q_f32(r[2], r[3]);
  vst1q_f32(out, vcombine_f32(vget_low_f32(even01), vget_low_f32(even23)));
  vst1q_f32(out + stride, vcombine_f32(vget_low_f32(odd01), vget_low_f32(odd23)));
  vst1q_f32(out + 2 * stride, vcombine_f32(vget_high_f32(even01), vget_high_f32(even23)));
  vst1q_f32(out + 3 * stride, vcombine_f32(vget_high_f32(odd01), vget_high_f32(odd23)));
}

}  // namespace
}  // namespace quantize::kernels
