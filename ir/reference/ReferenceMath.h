/// The reference's matrix product and exponentials, shared by several of its files.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace ingot::graph {

/// c[m, n] += a[m, k]·b[k, n], row-major. Each element adds its products in order of k; blocks only
/// keep b's rows in cache.
inline void multiplyAdd(int64_t m, int64_t n, int64_t k, const double *a, const double *b,
                        double *c) {
  constexpr int64_t depth = 64, width = 512;
  for (int64_t k0 = 0; k0 < k; k0 += depth)
    for (int64_t n0 = 0; n0 < n; n0 += width)
      for (int64_t i = 0; i < m; ++i)
        for (int64_t p = k0; p < std::min(k, k0 + depth); ++p) {
          double factor = a[i * k + p];
          for (int64_t j = n0; j < std::min(n, n0 + width); ++j)
            c[i * n + j] += factor * b[p * n + j];
        }
}

/// Maximum of `count` elements `stride` apart and Σ exp(x - max).
struct Exponentials {
  double max = -std::numeric_limits<double>::infinity(), sum = 0;

  Exponentials(const double *x, int64_t count, int64_t stride = 1) {
    for (int64_t i = 0; i < count; ++i)
      max = x[i * stride] > max || std::isnan(x[i * stride]) ? x[i * stride] : max;
    for (int64_t i = 0; i < count; ++i)
      sum += std::exp(x[i * stride] - max);
  }
  double logarithm() const { return max + std::log(sum); }
  double share(double x) const { return std::exp(x - max) / sum; }
};

} // namespace ingot::graph
