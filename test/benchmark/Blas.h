/// The libraries that f32 matrix multiplication is measured against, opened at run time: what is
/// not installed is not measured.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ingot {

/// c = a · b, row-major: a is [m, k] or, transposed, [k, m]; b is [k, n] or [n, k]; c is [m, n].
struct Multiplication {
  int64_t m, n, k;
  bool transposeLhs = false, transposeRhs = false;
};
using Multiply =
    std::function<void(const Multiplication &, const float *a, const float *b, float *c)>;

struct Blas {
  std::string name;
  Multiply multiply; ///< on one thread
};

/// oneDNN and OpenBLAS where they are installed, and MKL where INGOT_MKL_LIBRARY names a library
/// that has it. Of a library that cannot reach half of `peakFlops` on 1024³, which is then no peer,
/// `remarks` says so.
std::vector<Blas> openBlasLibraries(double peakFlops, std::vector<std::string> &remarks);

} // namespace ingot
