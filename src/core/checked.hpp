// Arithmetic on sizes, counts and offsets that came from a file: fails instead of wrapping.
#pragma once

#include <cstdint>
#include <optional>

namespace quantize {

inline std::optional<std::uint64_t> checked_add(std::uint64_t a, std::uint64_t b) noexcept {
  std::uint64_t r = 0;
  if (__builtin_add_overflow(a, b, &r)) return std::nullopt;
  return r;
}
inline std::optional<std::uint64_t> checked_multiply(std::uint64_t a, std::uint64_t b) noexcept {
  std::uint64_t r = 0;
  if (__builtin_mul_overflow(a, b, &r)) return std::nullopt;
  return r;
}
// The next multiple of `step` (a power of two or any positive number).
inline std::optional<std::uint64_t> checked_round_up(std::uint64_t a, std::uint64_t step) noexcept {
  const std::uint64_t over = a % step;
  return over == 0 ? std::optional<std::uint64_t>(a) : checked_add(a, step - over);
}

}  // namespace quantize
