// E4M3 over the closed set, as core/small_floats.hpp defines it.
#pragma once

#include "quant/kernels/simd.hpp"

namespace quantize::kernels {
namespace {

inline I e4m3_code(F value) {
  const I all_bits = as_int(value);
  const I sign = shift_right<24>(all_bits) & I::set(0x80);
  const I magnitude = all_bits & I::set(INT32_MAX);
  // Below 2^-6 in steps of 2^-9, brought into place by a sum.
  const I small = as_int(as_float(magnitude) + F::set(0x1p14F)) - as_int(F::set(0x1p14F));
  const I odd = shift_right<20>(magnitude) & I::set(1);
  const I normal = shift_right<20>(magnitude + odd + I::set(0x7FFFF)) - I::set(120 << 3);
  I code = select(magnitude < I::set(0x3C800000), small, normal);
  code = select(magnitude < I::set(0x43E00000), code, I::set(0x7E));
  code = select(I::set(0x7F800000) < magnitude, I::set(0x7F), code);
  return code | sign;
}

inline F e4m3_value(I code) {
  const I sign = shift_left<24>(code & I::set(0x80));
  const I magnitude = code & I::set(0x7F);
  const I normal = shift_left<20>(magnitude) + I::set(120 << 23);
  const I small = as_int(to_float(magnitude) * F::set(0x1p-9F));
  I value = select(magnitude < I::set(8), small, normal);
  value = select(magnitude == I::set(0x7F), I::set(0x7FC00000), value);
  return as_float(value | sign);
}

}  // namespace
}  // namespace quantize::kernels
