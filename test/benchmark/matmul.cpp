/// One-thread f32 contraction beside oneDNN's sgemm: the two take turns on the same operands, their
/// results are compared, and medians stand beside the core's measured FMA peak.
#include "frontend/LoadedModel.h"
#include "frontend/ModelModule.h"
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <oneapi/dnnl/dnnl.h>
#include <random>

using namespace ingot;

namespace {

struct Case {
  int64_t m, n, k;
  bool transposeLhs, transposeRhs; ///< TN: lhs is stored [k, m]; NT: rhs is stored [n, k]
};

constexpr Case cases[] = {
    {1024, 1024, 1024, false, false}, {2048, 2048, 2048, false, false},
    {256, 3072, 768, false, false},   {256, 768, 3072, false, true},
    {768, 3072, 256, true, false},    {256, 50304, 768, false, true},
    {256, 768, 50304, false, false},  {250, 50257, 768, false, false},
    {1, 3072, 768, false, false},     {8, 3072, 768, false, false},
    {64, 64, 64, false, false},
};

constexpr double tolerance = 1e-3; // of results of order 1, sums of up to 50304 terms

double secondsOf(const std::function<void()> &work) {
  auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

constexpr int chains = 12; ///< independent sums: they hide the latency and fit 16 registers
constexpr int64_t fmaRounds = 2'000'000;

/// Runs fmaRounds · chains fused multiply-adds on vectors of 64 bytes; returns something of them.
__attribute__((target("avx512f"), noinline)) float fma64() {
  typedef float Vector __attribute__((vector_size(64)));
  Vector sums[chains] = {}, factor = Vector{} + 0.999f, term = Vector{} + 0.001f;
  for (int64_t round = 0; round < fmaRounds; ++round) {
#pragma clang loop unroll(full)
    for (int chain = 0; chain < chains; ++chain)
      sums[chain] = __builtin_elementwise_fma(sums[chain], factor, term);
  }
  Vector total = {};
  for (Vector &sum : sums)
    total += sum;
  return total[0];
}

/// The same on vectors of 32 bytes, for cores without AVX-512.
__attribute__((target("avx2,fma"), noinline)) float fma32() {
  typedef float Vector __attribute__((vector_size(32)));
  Vector sums[chains] = {}, factor = Vector{} + 0.999f, term = Vector{} + 0.001f;
  for (int64_t round = 0; round < fmaRounds; ++round) {
#pragma clang loop unroll(full)
    for (int chain = 0; chain < chains; ++chain)
      sums[chain] = __builtin_elementwise_fma(sums[chain], factor, term);
  }
  Vector total = {};
  for (Vector &sum : sums)
    total += sum;
  return total[0];
}

/// GFLOP/s of independent fused multiply-adds on the widest vectors: what one core can do at most.
double fmaPeak() {
  bool wide = __builtin_cpu_supports("avx512f");
  double flops = 2.0 * fmaRounds * (wide ? 16 : 8) * chains, best = 0;
  volatile float keep = 0;
  for (int attempt = 0; attempt < 7; ++attempt) {
    double seconds = secondsOf([&] { keep = wide ? fma64() : fma32(); });
    best = std::max(best, flops / seconds / 1e9);
  }
  return best;
}

std::string modelText(const Case &c) {
  return fmt::format(R"(
func.func @forward(%a: tensor<{}x{}xf32> {{graph.name = "a", graph.role = "input"}},
                   %b: tensor<{}x{}xf32> {{graph.name = "b", graph.role = "input"}})
    -> (tensor<{}x{}xf32> {{graph.name = "c"}}) {{
  %c = graph.contract %a, %b batch [] x [] over [{}] x [{}]
      : tensor<{}x{}xf32>, tensor<{}x{}xf32> -> tensor<{}x{}xf32>
  return %c : tensor<{}x{}xf32>
}})",
                     c.transposeLhs ? c.k : c.m, c.transposeLhs ? c.m : c.k,
                     c.transposeRhs ? c.n : c.k, c.transposeRhs ? c.k : c.n, c.m, c.n,
                     c.transposeLhs ? 0 : 1, c.transposeRhs ? 1 : 0, c.transposeLhs ? c.k : c.m,
                     c.transposeLhs ? c.m : c.k, c.transposeRhs ? c.n : c.k,
                     c.transposeRhs ? c.k : c.n, c.m, c.n, c.m, c.n);
}

/// Prints one row; the ratio of our speed to the peer's.
Result<double> measure(const Case &c, double peak) {
  INGOT_ASSIGN(Model model, Model::parse(modelText(c)));
  INGOT_ASSIGN(LoadedModel loaded, loadModel(model, {}, "cpu", 1));
  Session &session = *loaded.session;
  std::mt19937 random(7);
  std::uniform_real_distribution<float> uniform(-1, 1);
  auto fill = [&](const char *port, int64_t rows, int64_t columns) {
    Tensor tensor(ElementType::F32, {rows, columns});
    for (int64_t i = 0; i < tensor.size(); ++i)
      tensor.as<float>()[i] = uniform(random) / std::sqrt(float(c.k));
    (void)session.write("forward", port, tensor);
    return tensor;
  };
  Tensor a = c.transposeLhs ? fill("a", c.k, c.m) : fill("a", c.m, c.k);
  Tensor b = c.transposeRhs ? fill("b", c.n, c.k) : fill("b", c.k, c.n);
  Tensor expected(ElementType::F32, {c.m, c.n});
  auto peer = [&] {
    dnnl_sgemm(c.transposeLhs ? 'T' : 'N', c.transposeRhs ? 'T' : 'N', c.m, c.n, c.k, 1,
               a.as<float>(), a.shape()[1], b.as<float>(), b.shape()[1], 0, expected.as<float>(),
               c.n);
  };
  auto ours = [&] { (void)session.run("forward"); };

  double flops = 2.0 * c.m * c.n * c.k;
  int inner = std::max(1, int(2e8 / flops)); // small shapes are timed in batches
  std::vector<double> oursTimes, peerTimes;
  for (int round = 0; round < 15; ++round) {
    peerTimes.push_back(secondsOf([&] {
                          for (int i = 0; i < inner; ++i)
                            peer();
                        }) /
                        inner);
    oursTimes.push_back(secondsOf([&] {
                          for (int i = 0; i < inner; ++i)
                            ours();
                        }) /
                        inner);
  }
  INGOT_ASSIGN(Tensor found, session.read("forward", "c"));
  for (int64_t i = 0; i < found.size(); ++i)
    if (!(std::abs(found.as<float>()[i] - expected.as<float>()[i]) <= tolerance))
      return failure(Error::Code::Mismatch, "matmul", "element {} is {}, oneDNN has {}", i,
                     found.as<float>()[i], expected.as<float>()[i]);
  double mine = flops / median(oursTimes) / 1e9, theirs = flops / median(peerTimes) / 1e9;
  fmt::print("{:>5} x {:>5} x {:>5} {}{}  {:8.1f} {:8.1f} {:6.2f}x {:5.0f} % of peak\n", c.m, c.n,
             c.k, c.transposeLhs ? 'T' : 'N', c.transposeRhs ? 'T' : 'N', mine, theirs,
             mine / theirs, 100 * mine / peak);
  std::fflush(stdout);
  return mine / theirs;
}

} // namespace

int main() {
  setenv("OMP_NUM_THREADS", "1", 1);
  double peak = fmaPeak(), logSum = 0;
  fmt::print("measured FMA peak of one core: {:.0f} GFLOP/s\n    M x     N x     K       ingot   "
             "oneDNN  ratio"
             "  (GFLOP/s, medians of 15)\n",
             peak);
  for (const Case &c : cases) {
    Result<double> ratio = measure(c, peak);
    if (!ratio) {
      fmt::print(stderr, "{}\n", ratio.error().text());
      return 1;
    }
    logSum += std::log(*ratio);
  }
  fmt::print("geometric mean of the ratios: {:.2f}x\n", std::exp(logSum / std::size(cases)));
  return 0;
}
