#include "quant/selftest/rows.hpp"

#include <cmath>

#include "core/float16.hpp"

namespace quantize::selftest {

void fill_row(RowKind kind, Random& random, std::vector<float>& row) {
  const std::size_t n = row.size();
  const float base = random.normal();
  for (std::size_t i = 0; i < n; ++i) {
    const float x = random.normal() * 0.02F;
    float& out = row[i];
    switch (kind) {
      case RowKind::normal:
        out = x;
        break;
      case RowKind::from_bf16:
        out = bfloat16_to_float(float_to_bfloat16(x));
        break;
      case RowKind::from_f16:
        out = half_to_float(float_to_half(x));
        break;
      case RowKind::coarse_grid:
        out = static_cast<float>(static_cast<int>(random.below(9)) - 4) * 0.125F;
        break;
      case RowKind::zeros:
        out = 0;
        break;
      case RowKind::signed_zeros:
        out = random.below(2) ? 0.0F : -0.0F;
        break;
      case RowKind::constant:
        out = base;
        break;
      case RowKind::negative:
        out = -std::fabs(x) - 0.001F;
        break;
      case RowKind::positive:
        out = std::fabs(x) + 0.001F;
        break;
      case RowKind::spike:
        out = i == n / 3 ? 8.0F : i % 64 == 5 ? -0.5F : 0.0F;
        break;
      case RowKind::zero_groups:
        out = (i / 16) % 3 == 1 || (i / 32) % 4 == 2 ? 0.0F : x;
        break;
      case RowKind::denormal:
        out = x * 0x1p-127F;
        break;
      case RowKind::tiny_scale:
        out = x * (random.below(2) ? 1e-14F : 1e-30F);
        break;
      case RowKind::large_offset:
        out = std::bit_cast<float>(0x42C80000U + static_cast<std::uint32_t>(random.below(3)));
        break;
      case RowKind::alternating_peak:
        out = i % 16 == 3 ? (random.below(2) ? 1.0F : -1.0F) : x;
        break;
      case RowKind::mixed_magnitude:
        out = x * ((i / 32) % 2 ? 1e4F : 1e-4F);
        break;
      case RowKind::below_power:
        out = std::bit_cast<float>(0x3F800000U - static_cast<std::uint32_t>(random.below(12))) *
              (random.below(2) ? 1.0F : -0.5F);
        break;
      case RowKind::outliers:
        out = random.below(64) ? x : x * 1000.0F;
        break;
      case RowKind::overflowing_half:
        out = x * 3e7F;
        break;
      case RowKind::count:
        break;
    }
  }
}

std::vector<float> importance_row(Random& random, std::size_t columns) {
  std::vector<float> weights(columns);
  for (std::size_t i = 0; i < columns; ++i) {
    const float x = random.normal();
    weights[i] = x * x + 0.001F;
    if (random.below(17) == 0) weights[i] = 0;
    if (random.below(97) == 0) weights[i] = 1e6F;
    if ((i / 16) % 13 == 7) weights[i] = 0;
  }
  return weights;
}

}  // namespace quantize::selftest
