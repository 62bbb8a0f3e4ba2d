#include "quant/searches.hpp"

#include <cmath>
#include <cstddef>

namespace quantize::search {
namespace {

constexpr int kMaxCount = 32;

}  // namespace

float symmetric_scale(int count, int levels, const float* x, const float* weights,
                      std::uint8_t* codes) noexcept {
  const Peak peak = find_peak(count, x);
  if (peak.magnitude < kTiny) {
    for (int i = 0; i < count; ++i) codes[i] = 0;
    return 0;
  }
  float wx[kMaxCount];
  float w[kMaxCount];
  for (int i = 0; i < count; ++i) {
    w[i] = weights ? weights[i] : x[i] * x[i];
    wx[i] = w[i] * x[i];
  }
  float sum_lx = 0;
  float sum_l2 = 0;
  const auto fit = [&](float inverse) {
    sum_lx = 0;
    sum_l2 = 0;
    for (int i = 0; i < count; ++i) {
      const float level =
          static_cast<float>(clamp(nearest_int(inverse * x[i]), -levels, levels - 1));
      sum_lx = sum_lx + wx[i] * level;
      sum_l2 = sum_l2 + w[i] * level * level;
    }
  };
  float inverse = static_cast<float>(-levels) / peak.value;
  fit(inverse);
  float scale = sum_l2 != 0 ? sum_lx / sum_l2 : 0.0F;
  float best = scale * sum_lx;
  for (int k = -9; k <= 9; ++k) {
    if (k == 0) continue;
    const float candidate =
        -(static_cast<float>(levels) + 0.1F * static_cast<float>(k)) / peak.value;
    fit(candidate);
    if (sum_l2 > 0 && sum_lx * sum_lx > best * sum_l2) {
      scale = sum_lx / sum_l2;
      best = scale * sum_lx;
      inverse = candidate;
    }
  }
  for (int i = 0; i < count; ++i) {
    codes[i] =
        static_cast<std::uint8_t>(clamp(nearest_int(inverse * x[i]), -levels, levels - 1) + levels);
  }
  return scale;
}

float refined_scale(const float* x, std::uint8_t* codes) noexcept {
  constexpr int kCount = 16;
  constexpr int kLevels = 4;
  const Peak peak = find_peak(kCount, x);
  if (peak.magnitude < kTiny) {
    for (int i = 0; i < kCount; ++i) codes[i] = 0;
    return 0;
  }
  const float inverse = static_cast<float>(-kLevels) / peak.value;
  int level[kCount];
  float sum_lx = 0;
  float sum_l2 = 0;
  for (int i = 0; i < kCount; ++i) {
    level[i] = clamp(nearest_int(inverse * x[i]), -kLevels, kLevels - 1);
    const float l = static_cast<float>(level[i]);
    const float w = x[i] * x[i];
    sum_lx = sum_lx + w * x[i] * l;
    sum_l2 = sum_l2 + w * l * l;
  }
  for (int round = 0; round < 5; ++round) {
    bool changed = false;
    for (int i = 0; i < kCount; ++i) {
      const float w = x[i] * x[i];
      const float l = static_cast<float>(level[i]);
      float rest_lx = sum_lx - w * x[i] * l;
      if (!(rest_lx > 0)) continue;
      float rest_l2 = sum_l2 - w * l * l;
      const int moved = clamp(nearest_int(x[i] * rest_l2 / rest_lx), -kLevels, kLevels - 1);
      if (moved == level[i]) continue;
      const float m = static_cast<float>(moved);
      rest_lx = rest_lx + w * x[i] * m;
      rest_l2 = rest_l2 + w * m * m;
      if (rest_l2 > 0 && rest_lx * rest_lx * sum_l2 > sum_lx * sum_lx * rest_l2) {
        level[i] = moved;
        sum_lx = rest_lx;
        sum_l2 = rest_l2;
        changed = true;
      }
    }
    if (!changed) break;
  }
  for (int i = 0; i < kCount; ++i) codes[i] = static_cast<std::uint8_t>(level[i] + kLevels);
  return sum_l2 > 0 ? sum_lx / sum_l2 : 0.0F;
}

namespace {

// Counts are compile-time constants and products are formed before the sums, so that everything but
// the sums themselves can run in vectors; the sums keep their order.
template <std::size_t kCount>
ScaleMin affine_search(int levels, const float* x, const float* weights, const GridStep& grid,
                       std::uint8_t* codes) noexcept {
  float min = x[0];
  float max = x[0];
  float sum_w = weights[0];
  float sum_x = sum_w * x[0];
  for (std::size_t i = 1; i < kCount; ++i) {
    if (x[i] < min) min = x[i];
    if (x[i] > max) max = x[i];
    sum_w = sum_w + weights[i];
    sum_x = sum_x + weights[i] * x[i];
  }
  if (min > 0) min = 0;
  if (max <= min) {
    for (std::size_t i = 0; i < kCount; ++i) codes[i] = 0;
    return {0, -min};
  }
  float level[kCount];
  const auto round_levels = [&](float inverse) {
    for (std::size_t i = 0; i < kCount; ++i) {
      level[i] = static_cast<float>(clamp(nearest_int(inverse * (x[i] - min)), 0, levels));
    }
  };
  const auto keep_codes = [&] {
    for (std::size_t i = 0; i < kCount; ++i) codes[i] = static_cast<std::uint8_t>(level[i]);
  };
  const auto error_of = [&](float scale, float offset) {
    float terms[kCount];
    for (std::size_t i = 0; i < kCount; ++i) {
      const float difference = scale * level[i] + offset - x[i];
      terms[i] = weights[i] * (grid.absolute ? std::fabs(difference) : difference * difference);
    }
    float error = 0;
    for (std::size_t i = 0; i < kCount; ++i) error = error + terms[i];
    return error;
  };

  const float top = static_cast<float>(levels);
  const float inverse = top / (max - min);
  float scale = 1 / inverse;
  round_levels(inverse);
  keep_codes();
  float best = error_of(scale, min);
  for (int step = 0; step <= grid.count; ++step) {
    // An accepted step moves `min`, and the next steps start from there: they are a chain.
    round_levels((grid.first + grid.step * static_cast<float>(step) + top) / (max - min));
    float wl[kCount];
    float wl_l[kCount];
    float wl_x[kCount];
    for (std::size_t i = 0; i < kCount; ++i) {
      wl[i] = weights[i] * level[i];
      wl_l[i] = wl[i] * level[i];
      wl_x[i] = wl[i] * x[i];
    }
    float sum_l = 0;
    float sum_l2 = 0;
    float sum_xl = 0;
    for (std::size_t i = 0; i < kCount; ++i) {
      sum_l = sum_l + wl[i];
      sum_l2 = sum_l2 + wl_l[i];
      sum_xl = sum_xl + wl_x[i];
    }
    const float determinant = sum_w * sum_l2 - sum_l * sum_l;
    if (!(determinant > 0)) continue;
    float this_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
    float this_min = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
    if (this_min > 0) {
      this_min = 0;
      this_scale = sum_xl / sum_l2;
    }
    const float error = error_of(this_scale, this_min);
    if (error < best) {
      keep_codes();
      best = error;
      scale = this_scale;
      min = this_min;
    }
  }
  return {scale, -min};
}

}  // namespace

ScaleMin scale_and_min(int count, int levels, const float* x, const float* weights,
                       const GridStep& grid, std::uint8_t* codes) noexcept {
  return count == 16 ? affine_search<16>(levels, x, weights, grid, codes)
                     : affine_search<32>(levels, x, weights, grid, codes);
}

float positive_scale(int count, int levels, const float* x, const float* weights,
                     std::uint8_t* codes) noexcept {
  float max = 0;
  for (int i = 0; i < count; ++i) {
    if (x[i] > max) max = x[i];
  }
  if (max < kTiny) {
    for (int i = 0; i < count; ++i) codes[i] = 0;
    return 0;
  }
  const float top = static_cast<float>(levels);
  float inverse = top / max;
  float best = 0;
  {
    const float scale = 1 / inverse;
    for (int i = 0; i < count; ++i) {
      codes[i] = static_cast<std::uint8_t>(nearest_int(inverse * x[i]));
      const float difference = x[i] - scale * static_cast<float>(codes[i]);
      best = best + weights[i] * difference * difference;
    }
  }
  const auto limited = [levels](float value) {
    const int level = nearest_int(value);
    return level > levels ? levels : level;
  };
  for (int k = -4; k <= 4; ++k) {
    if (k == 0) continue;
    const float candidate = (0.1F * static_cast<float>(k) + top) / max;
    const float scale = 1 / candidate;
    float error = 0;
    for (int i = 0; i < count; ++i) {
      const float difference = x[i] - scale * static_cast<float>(limited(candidate * x[i]));
      error = error + weights[i] * difference * difference;
    }
    if (error < best) {
      best = error;
      inverse = candidate;
    }
  }
  float sum_lx = 0;
  float sum_l2 = 0;
  for (int i = 0; i < count; ++i) {
    const int level = limited(inverse * x[i]);
    codes[i] = static_cast<std::uint8_t>(level);
    const float l = static_cast<float>(level);
    sum_lx = sum_lx + weights[i] * x[i] * l;
    sum_l2 = sum_l2 + weights[i] * l * l;
  }
  for (int round = 0; round < 5; ++round) {
    bool changed = false;
    for (int i = 0; i < count; ++i) {
      const float w = weights[i];
      const float l = static_cast<float>(codes[i]);
      float rest_lx = sum_lx - w * x[i] * l;
      float rest_l2 = sum_l2 - w * l * l;
      if (!(rest_lx > 0 && rest_l2 > 0)) continue;
      const int moved = limited(x[i] * rest_l2 / rest_lx);
      if (moved == static_cast<int>(codes[i])) continue;
      const float m = static_cast<float>(moved);
      rest_lx = rest_lx + w * x[i] * m;
      rest_l2 = rest_l2 + w * m * m;
      if (rest_lx * rest_lx * sum_l2 > sum_lx * sum_lx * rest_l2) {
        codes[i] = static_cast<std::uint8_t>(moved);
        sum_lx = rest_lx;
        sum_l2 = rest_l2;
        changed = true;
      }
    }
    if (!changed) break;
  }
  return sum_l2 > 0 ? sum_lx / sum_l2 : 0.0F;
}

float scale_of_largest(int count, int levels, const float* x, std::uint8_t* codes) noexcept {
  float max = 0;
  for (int i = 0; i < count; ++i) max = x[i] > max ? x[i] : max;
  const float top = static_cast<float>(levels);
  const float inverse = max > 0 ? top / max : 0.0F;
  for (int i = 0; i < count; ++i) {
    const auto code = static_cast<std::uint8_t>(nearest_int(inverse * x[i]));
    codes[i] = static_cast<std::uint8_t>(code < levels ? code : levels);
  }
  return max / top;
}

}  // namespace quantize::search
