#include "test/benchmark/Blas.h"
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <optional>
#include <sys/wait.h>
#include <unistd.h>

/// MKL has its fast kernels for Intel's processors alone, though others run them; asked here, where
/// its own function of this name would be, it takes every processor for one of those.
extern "C" __attribute__((visibility("default"))) int mkl_serv_intel_cpu_true() { return 1; }

namespace ingot {

namespace {

/// As oneDNN's C header declares it; row-major.
using DnnlSgemm = int (*)(char transposeA, char transposeB, int64_t m, int64_t n, int64_t k,
                          float alpha, const float *a, int64_t strideA, const float *b,
                          int64_t strideB, float beta, float *c, int64_t strideC);
/// As CBLAS declares it; enumerations are integers.
using CblasSgemm = void (*)(int order, int transposeA, int transposeB, int m, int n, int k,
                            float alpha, const float *a, int strideA, const float *b, int strideB,
                            float beta, float *c, int strideC);

/// As Fortran calls it, column-major: what MKL inside PyTorch exports.
using FortranSgemm = void (*)(const char *transposeA, const char *transposeB, const int *m,
                              const int *n, const int *k, const float *alpha, const float *a,
                              const int *strideA, const float *b, const int *strideB,
                              const float *beta, float *c, const int *strideC);

void *find(std::initializer_list<const char *> libraries, const char *function) {
  for (const char *library : libraries)
    if (void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL))
      return dlsym(handle, function);
  return nullptr;
}

Multiply openDnnl() {
  auto sgemm = reinterpret_cast<DnnlSgemm>(find({"libdnnl.so.3", "libdnnl.so.2"}, "dnnl_sgemm"));
  if (!sgemm)
    return {};
  return [sgemm](const Multiplication &c, const float *lhs, const float *rhs, float *result) {
    sgemm(c.transposeLhs ? 'T' : 'N', c.transposeRhs ? 'T' : 'N', c.m, c.n, c.k, 1, lhs,
          c.transposeLhs ? c.m : c.k, rhs, c.transposeRhs ? c.k : c.n, 0, result, c.n);
  };
}

Multiply openOpenBlas() {
  auto sgemm = reinterpret_cast<CblasSgemm>(find({"libopenblas.so.0"}, "cblas_sgemm"));
  if (!sgemm)
    return {};
  return [sgemm](const Multiplication &c, const float *lhs, const float *rhs, float *result) {
    constexpr int rowMajor = 101, plain = 111, transposed = 112;
    sgemm(rowMajor, c.transposeLhs ? transposed : plain, c.transposeRhs ? transposed : plain,
          int(c.m), int(c.n), int(c.k), 1, lhs, int(c.transposeLhs ? c.m : c.k), rhs,
          int(c.transposeRhs ? c.k : c.n), 0, result, int(c.n));
  };
}

Multiply openMkl(const char *library) {
  auto sgemm = reinterpret_cast<FortranSgemm>(find({library}, "sgemm_"));
  if (!sgemm)
    return {};
  return [sgemm](const Multiplication &c, const float *lhs, const float *rhs, float *result) {
    // Row-major c = a·b is column-major cᵀ = bᵀ·aᵀ.
    const int m = int(c.m), n = int(c.n), k = int(c.k);
    const int lhsStride = c.transposeLhs ? m : k, rhsStride = c.transposeRhs ? k : n;
    const float one = 1, zero = 0;
    sgemm(c.transposeRhs ? "T" : "N", c.transposeLhs ? "T" : "N", &n, &m, &k, &one, rhs, &rhsStride,
          lhs, &lhsStride, &zero, result, &n);
  };
}

/// Best of many 1024³, in operations a second: another process may take the core meanwhile.
double speed(const Multiply &multiply) {
  constexpr int64_t size = 1024;
  std::vector<float> a(size * size, 1), b(size * size, 1), c(size * size);
  double best = 0;
  for (int attempt = 0; attempt < 30; ++attempt) {
    auto start = std::chrono::steady_clock::now();
    multiply({size, size, size}, a.data(), b.data(), c.data());
    std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2.0 * size * size * size / took.count());
  }
  return best;
}

/// OpenBLAS chooses its kernels when it is loaded, so each choice is tried in a process of its own;
/// none where it is not installed.
std::optional<double> speedOfOpenBlas(const char *coreType) {
  int ends[2];
  if (pipe(ends))
    return std::nullopt;
  pid_t child = fork();
  if (child == 0) {
    if (coreType)
      setenv("OPENBLAS_CORETYPE", coreType, 1);
    Multiply multiply = openOpenBlas();
    double found = multiply ? speed(multiply) : 0;
    _exit(write(ends[1], &found, sizeof(found)) == sizeof(found) ? 0 : 1);
  }
  double found = 0;
  close(ends[1]);
  bool whole = child > 0 && read(ends[0], &found, sizeof(found)) == sizeof(found);
  close(ends[0]);
  if (child > 0)
    waitpid(child, nullptr, 0);
  return whole && found > 0 ? std::optional(found) : std::nullopt;
}

/// Debian's OpenBLAS knows no processor newer than itself and may fall back to an old kernel.
std::optional<Blas> healthyOpenBlas(double peakFlops, std::vector<std::string> &remarks) {
  const double enough = peakFlops / 2;
  std::optional<double> found = speedOfOpenBlas(nullptr);
  if (!found) {
    remarks.push_back("OpenBLAS is not installed (Debian: libopenblas0-pthread)");
    return std::nullopt;
  }
  if (*found >= enough)
    return Blas{"OpenBLAS", openOpenBlas()};
  char text[160];
  std::snprintf(text, sizeof(text), "OpenBLAS chose a kernel of %.0f GFLOP/s", *found / 1e9);
  const char *coreType = "SKYLAKEX";
  if (__builtin_cpu_supports("avx512f") && speedOfOpenBlas(coreType).value_or(0) >= enough) {
    remarks.push_back(std::string(text) + "; it runs with OPENBLAS_CORETYPE=SKYLAKEX");
    setenv("OPENBLAS_CORETYPE", coreType, 1);
    return Blas{"OpenBLAS", openOpenBlas()};
  }
  remarks.push_back(std::string(text) + ", below half of the peak: not a healthy peer here");
  return std::nullopt;
}

} // namespace

std::vector<Blas> openBlasLibraries(double peakFlops, std::vector<std::string> &remarks) {
  setenv("OMP_NUM_THREADS", "1", 1);
  setenv("OPENBLAS_NUM_THREADS", "1", 1);
  std::vector<Blas> libraries;
  // First, while this process has no threads that fork would lose.
  std::optional<Blas> openBlas = healthyOpenBlas(peakFlops, remarks);
  if (Multiply multiply = openDnnl())
    libraries.push_back({"oneDNN", multiply});
  else
    remarks.push_back("oneDNN is not installed (Debian: libdnnl2)");
  if (openBlas)
    libraries.push_back(*openBlas);
  const char *mkl = getenv("INGOT_MKL_LIBRARY");
  if (Multiply multiply = mkl ? openMkl(mkl) : Multiply())
    libraries.push_back({"MKL", multiply});
  else
    remarks.push_back("MKL is not here (it comes with PyTorch, which the suite kernels installs)");
  return libraries;
}

} // namespace ingot
