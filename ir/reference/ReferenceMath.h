/// The reference's matrix product, shared by contractions and composites.
#pragma once
#include <algorithm>
#include <cstdint>

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

} // namespace ingot::graph
