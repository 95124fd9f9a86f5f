#include "ir/formulas/Formulas.h"
#include "ir/formulas/Number.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include <numbers>

namespace ingot::graph {
namespace formulas {
namespace {

using Real = Number<double>;

//===--------------------------------------------------------------------------------------------===//
// What rows of the table need
//===--------------------------------------------------------------------------------------------===//

/// x·Φ(x) with 2·Φ(x) - 1 as GELU takes it.
template <typename N> N geluOf(N x, N phi) { return x * 0.5 * (phi + 1.0); }

/// Φ(x) + x·φ(x).
template <typename N> N geluSlope(N x, N phi) {
  N distribution = (phi + 1.0) * 0.5;
  N density = exp(x * x * -0.5) * (std::numbers::inv_sqrtpi / std::numbers::sqrt2);
  return distribution + x * density;
}

/// GPT-2's approximation of erf(x/√2) (Hendrycks and Gimpel 2016).
template <typename N> N geluTangent(N x) {
  N cubic = x * x * x * 0.044715;
  return tanh((x + cubic) * std::sqrt(2 / std::numbers::pi));
}

/// (1 + t)/2 + x/2·(1 - t²)·u' with t = tanh(u). The tangent is the forward's own, so that a kernel
/// that computes both has it once.
template <typename N> N geluTanhSlope(N x, N t) {
  constexpr double c = std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
  N inner = (x * x * (3 * 0.044715) + 1.0) * c;
  N rise = x * (1.0 - t * t) * inner;
  return (t + 1.0 + rise) * 0.5;
}

/// x, or the nearer end; no NaN.
template <typename N> N within(N x, double low, double high) {
  return choose(x < high, choose(x > low, x, low), high);
}

/// e^(|x|/2), whose square overflows where e^|x|/2 does: not before the hyperbolic functions.
template <typename N> N rootOfGrowth(N x) { return exp(abs(x) * 0.5); }

/// Near 0 by e^|x| - 1, accurate there.
template <typename N> N sinhOf(N x) {
  N near = expm1(choose(abs(x) < 1.0, abs(x), 0.0)), far = rootOfGrowth(x);
  N small = (near + near / (near + 1.0)) * 0.5;
  return sign(x) * choose(abs(x) < 1.0, small, far * 0.5 * far - 0.5 / far / far);
}
template <typename N> N coshOf(N x) {
  N root = rootOfGrowth(x);
  return root * 0.5 * root + 0.5 / root / root;
}

/// Beyond this x² + 1 and x² - 1 round to x² in every type.
constexpr double hugeArgument = 0x1p30;

/// log(x + √(x² + 1)) of x ≥ 0, accurate near 0.
template <typename N> N asinhOf(N x) {
  N inside = choose(x < hugeArgument, x, 0.0), square = inside * inside;
  N small = log1p(inside + square / (sqrt(square + 1.0) + 1.0));
  return choose(x < hugeArgument, small, log(x) + std::numbers::ln2);
}
/// log(x + √(x² - 1)) of x ≥ 1, accurate near 1.
template <typename N> N acoshOf(N x) {
  N above = choose(x < hugeArgument, x, 1.0) - 1.0;
  N small = log1p(above + sqrt(above * (above + 2.0)));
  return choose(x < hugeArgument, small, log(x) + std::numbers::ln2);
}

/// x, or 1 where it is 0.
template <typename N> N awayFromZero(N x) { return choose(equal(x, 0.0), 1.0, x); }

//===--------------------------------------------------------------------------------------------===//
// Rows
//===--------------------------------------------------------------------------------------------===//

#define INGOT_FORMULA(NAME, ...)                                                                   \
  template <typename N> N NAME(N x) { return __VA_ARGS__; }
#define INGOT_FORMULA_1(NAME, P, DEFAULT, ...)                                                     \
  template <typename N> N NAME(N x, double P) { return __VA_ARGS__; }
#define INGOT_FORMULA_2(NAME, P, DEFAULT, Q, DEFAULT2, ...)                                        \
  template <typename N> N NAME(N x, double P, double Q) { return __VA_ARGS__; }
#define INGOT_FORMULA_XY(NAME, ...)                                                                \
  template <typename N> N NAME(N x, N y) { return __VA_ARGS__; }
#define INGOT_FORMULA_XY_1(NAME, P, DEFAULT, ...)                                                  \
  template <typename N> N NAME(N x, N y, double P) { return __VA_ARGS__; }
#define INGOT_DERIVATIVE(NAME, ...)                                                                \
  inline Term NAME##Derivative(Term x) { return __VA_ARGS__; }
#define INGOT_DERIVATIVE_XY(NAME, BY_X, BY_Y)                                                      \
  inline Term NAME##ByX([[maybe_unused]] Term x, [[maybe_unused]] Term y) { return BY_X; }         \
  inline Term NAME##ByY([[maybe_unused]] Term x, [[maybe_unused]] Term y) { return BY_Y; }
#include "ir/formulas/Formulas.def"

using Reals = llvm::ArrayRef<double>;
using Terms = llvm::ArrayRef<Term>;

std::vector<Formula> makeTable() {
  std::vector<Formula> table;
#define INGOT_ROW(NAME, OPERANDS, DEFAULTS, TEXT, CALL)                                            \
  table.push_back({formulaName(#NAME), OPERANDS, std::vector<double> DEFAULTS, TEXT,               \
                   [](Reals xs, Reals p) {                                                         \
                     auto at = [&](int i) { return Real{xs[i]}; };                                 \
                     return NAME CALL.value;                                                       \
                   },                                                                              \
                   [](Terms xs, Reals p) {                                                         \
                     auto at = [&](int i) { return xs[i]; };                                       \
                     return NAME CALL;                                                             \
                   }});
#define INGOT_FORMULA(NAME, ...) INGOT_ROW(NAME, 1, (), #__VA_ARGS__, (at(0)))
#define INGOT_FORMULA_1(NAME, P, DEFAULT, ...)                                                     \
  INGOT_ROW(NAME, 1, ({DEFAULT}), #__VA_ARGS__, (at(0), p[0]))
#define INGOT_FORMULA_2(NAME, P, DEFAULT, Q, DEFAULT2, ...)                                        \
  INGOT_ROW(NAME, 1, ({DEFAULT, DEFAULT2}), #__VA_ARGS__, (at(0), p[0], p[1]))
#define INGOT_FORMULA_XY(NAME, ...) INGOT_ROW(NAME, 2, (), #__VA_ARGS__, (at(0), at(1)))
#define INGOT_FORMULA_XY_1(NAME, P, DEFAULT, ...)                                                  \
  INGOT_ROW(NAME, 2, ({DEFAULT}), #__VA_ARGS__, (at(0), at(1), p[0]))
#define INGOT_DERIVATIVE(NAME, ...)                                                                \
  table.back().derivatives = {[](Terms xs) { return NAME##Derivative(xs[0]); }};
#define INGOT_DERIVATIVE_XY(NAME, ...)                                                             \
  table.back().derivatives = {[](Terms xs) { return NAME##ByX(xs[0], xs[1]); },                    \
                              [](Terms xs) { return NAME##ByY(xs[0], xs[1]); }};
#include "ir/formulas/Formulas.def"
#undef INGOT_ROW
  return table;
}

} // namespace
} // namespace formulas

std::string formulaName(llvm::StringRef method) {
  std::string name;
  for (char letter : method) {
    if (llvm::isUpper(letter))
      name += '_';
    name += llvm::toLower(letter);
  }
  return name;
}

llvm::ArrayRef<Formula> allFormulas() {
  static const std::vector<Formula> table = formulas::makeTable();
  return table;
}

const Formula *findFormula(llvm::StringRef name) {
  static const llvm::StringMap<const Formula *> byName = [] {
    llvm::StringMap<const Formula *> map;
    for (const Formula &formula : allFormulas())
      map[formula.name] = &formula;
    return map;
  }();
  return byName.lookup(name);
}

} // namespace ingot::graph
