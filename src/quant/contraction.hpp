// Was this layer compiled with separate multiplications and additions? A build that fuses them runs
// and agrees with itself, and writes other bytes than everyone else.
#pragma once

namespace quantize {

// a * b + c in two roundings. The arguments come from outside this object, or the compiler would
// fold the expression correctly and prove nothing.
float multiply_then_add(float a, float b, float c) noexcept;

// (1 + 2^-12)^2 rounds to 1 + 2^-11: less 1 + 2^-11 gives 0 in two roundings, 2^-24 in one.
inline bool is_contracted(float (*multiply_and_add)(float, float, float) noexcept) noexcept {
  return multiply_and_add(1 + 0x1p-12F, 1 + 0x1p-12F, -(1 + 0x1p-11F)) != 0;
}

}  // namespace quantize
