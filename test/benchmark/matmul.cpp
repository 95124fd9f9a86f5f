/// One-thread f32 contraction beside BLAS libraries: they take turns on the same operands, their
/// results are compared, and medians stand beside the core's peak, measured in the same turns.
///
///     benchmark-matmul [WORD…]     rows whose text has one of the words, such as NT or 1024
#include "frontend/api/LoadedModel.h"
#include "runtime/cpu/MachineLimits.h"
#include "test/benchmark/Blas.h"
#include "test/benchmark/Measure.h"
#include <cmath>
#include <cstdio>
#include <random>

using namespace ingot;

namespace {

struct Case : Multiplication {
  int64_t batch = 1;

  double flops() const { return 2.0 * batch * m * n * k; }
  Shape lhs() const { return withBatch(transposeLhs ? k : m, transposeLhs ? m : k); }
  Shape rhs() const { return withBatch(transposeRhs ? n : k, transposeRhs ? k : n); }
  Shape result() const { return withBatch(m, n); }
  std::string text() const {
    std::string times = batch > 1 ? fmt::format("{} x ", batch) : "";
    return fmt::format("{}{} x {} x {} {}{}", times, m, n, k, transposeLhs ? 'T' : 'N',
                       transposeRhs ? 'T' : 'N');
  }

private:
  Shape withBatch(int64_t rows, int64_t columns) const {
    return batch > 1 ? Shape{batch, rows, columns} : Shape{rows, columns};
  }
};

constexpr bool N = false, T = true;
const Case cases[] = {
    {{1024, 1024, 1024, N, N}},
    {{2048, 2048, 2048, N, N}},
    // A GPT-2 block's products, forward (NN, NT), gradients of inputs (NN) and of weights (TN).
    {{256, 3072, 768, N, N}},
    {{256, 3072, 768, N, T}},
    {{256, 768, 3072, N, N}},
    {{256, 768, 3072, N, T}},
    {{768, 3072, 256, T, N}},
    {{3072, 768, 256, T, N}},
    // Its last layer, unpadded and padded.
    {{256, 50304, 768, N, T}},
    {{256, 768, 50304, N, N}},
    {{50304, 768, 256, T, N}},
    {{250, 50257, 768, N, N}},
    // Generation: one token, and a few.
    {{1, 3072, 768, N, N}},
    {{1, 768, 3072, N, N}},
    {{1, 3072, 768, N, T}},
    {{8, 3072, 768, N, N}},
    {{8, 3072, 768, N, T}},
    // Small ones.
    {{64, 64, 64, N, N}},
    {{64, 64, 64, N, T}},
    {{64, 64, 64, T, N}},
    {{64, 64, 64, N, N}, 12},
    {{64, 64, 64, N, T}, 12},
};

/// Of results of order 1, sums of up to 50304 terms.
constexpr float tolerance = 1e-3f;

std::string modelText(const Case &c) {
  auto type = [](const Shape &shape) {
    return fmt::format("tensor<{}xf32>", fmt::join(shape, "x"));
  };
  std::string a = type(c.lhs()), b = type(c.rhs()), result = type(c.result());
  int first = c.batch > 1;
  std::string batch = first ? "0" : "";
  return fmt::format(R"(
func.func @forward(%a: {0} {{graph.name = "a", graph.role = "input"}},
                   %b: {1} {{graph.name = "b", graph.role = "input"}}) -> ({2} {{graph.name = "c"}}) {{
  %c = graph.contract %a, %b batch [{3}] x [{3}] over [{4}] x [{5}] : {0}, {1} -> {2}
  return %c : {2}
}})",
                     a, b, result, batch, first + !c.transposeLhs, first + c.transposeRhs);
}

Tensor randomTensor(const Shape &shape, float scale, std::mt19937 &random) {
  std::uniform_real_distribution<float> uniform(-scale, scale);
  Tensor tensor(ElementType::F32, shape);
  for (float &value : std::span(tensor.as<float>(), size_t(tensor.size())))
    value = uniform(random);
  return tensor;
}

Status compare(const Case &c, const std::string &peer, const Tensor &found,
               const Tensor &expected) {
  for (int64_t i = 0; i < found.size(); ++i)
    if (!(std::abs(found.as<float>()[i] - expected.as<float>()[i]) <= tolerance))
      return failure(Error::Code::Mismatch, c.text(), "element {} is {}, {} has {}", i,
                     found.as<float>()[i], peer, expected.as<float>()[i]);
  return {};
}

/// Prints one row; the ratio of our speed to that of the fastest peer.
Result<double> measure(const Case &c, const std::vector<Blas> &peers) {
  INGOT_ASSIGN(Model model, Model::parse(modelText(c)));
  INGOT_ASSIGN(LoadedModel loaded, loadModel(model, {}, "cpu", 1));
  Session &session = *loaded.session;
  std::mt19937 random(7);
  float scale = 1 / std::sqrt(float(c.k));
  Tensor a = randomTensor(c.lhs(), scale, random), b = randomTensor(c.rhs(), scale, random);
  INGOT_TRY(session.write("forward", "a", a));
  INGOT_TRY(session.write("forward", "b", b));

  std::vector<Tensor> expected(peers.size(), Tensor(ElementType::F32, c.result()));
  std::vector<Side> sides = {{"ingot", [&] { (void)session.run("forward"); }}};
  for (size_t peer = 0; peer < peers.size(); ++peer)
    sides.push_back({peers[peer].name, [&, peer] {
                       for (int64_t i = 0; i < c.batch; ++i)
                         peers[peer].multiply(c, a.as<float>() + i * c.m * c.k,
                                              b.as<float>() + i * c.k * c.n,
                                              expected[peer].as<float>() + i * c.m * c.n);
                     }});
  double peakFlops = 0;
  sides.push_back({"peak", [&] { peakFlops = runMultiplyAdds(); }});
  std::vector<double> seconds = takeTurns(sides);
  const double peak = peakFlops / seconds.back();
  seconds.pop_back();
  INGOT_ASSIGN(Tensor found, session.read("forward", "c"));
  for (size_t peer = 0; peer < peers.size(); ++peer)
    INGOT_TRY(compare(c, peers[peer].name, found, expected[peer]));

  fmt::print("{:<26}", c.text());
  for (double each : seconds)
    fmt::print(" {:9.1f}", c.flops() / each / 1e9);
  double fastest =
      seconds.size() > 1 ? *std::min_element(seconds.begin() + 1, seconds.end()) : seconds[0];
  fmt::print("  {:5.2f}x {:5.0f} % of {:.0f}\n", fastest / seconds[0],
             100 * c.flops() / seconds[0] / peak, peak / 1e9);
  std::fflush(stdout);
  return fastest / seconds[0];
}

Status run(std::span<char *> words) {
  MachineLimits limits = measureMachine(1);
  std::vector<std::string> remarks;
  std::vector<Blas> peers = openBlasLibraries(limits.flops, remarks);
  fmt::print("one core's measured peak: {:.0f} GFLOP/s f32\n", limits.flops / 1e9);
  for (const std::string &remark : remarks)
    fmt::print("{}\n", remark);
  fmt::print("{:<26} {:>9}", "M x N x K (GFLOP/s)", "ingot");
  for (const Blas &peer : peers)
    fmt::print(" {:>9}", peer.name);
  fmt::print("  to the fastest peer, to the peak of a core in the same turns\n");

  double logarithms = 0;
  int rows = 0;
  for (const Case &c : cases) {
    auto asks = [&](const char *word) { return c.text().find(word) != std::string::npos; };
    if (!words.empty() && std::ranges::none_of(words, asks))
      continue;
    INGOT_ASSIGN(double ratio, measure(c, peers));
    logarithms += std::log(ratio);
    ++rows;
  }
  if (rows && !peers.empty())
    fmt::print("geometric mean of the ratios: {:.2f}x\n", std::exp(logarithms / rows));
  return {};
}

} // namespace

int main(int count, char **arguments) {
  if (Status done = run(std::span(arguments, size_t(count)).subspan(1)); !done) {
    fmt::print(stderr, "{}\n", done.error().text());
    return 1;
  }
  return 0;
}
