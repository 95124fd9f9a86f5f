#include "ir/formulas/TupleReductions.h"
#include "ir/formulas/Formulas.h"
#include "ir/formulas/Number.h"
#include "llvm/ADT/STLExtras.h"

namespace ingot::graph {
namespace formulas {
namespace {

//===--------------------------------------------------------------------------------------------===//
// What rows of the table need
//===--------------------------------------------------------------------------------------------===//

template <typename N> using Tuple = std::vector<N>;
template <typename N> using Parts = llvm::ArrayRef<N>;

/// x where it is `ahead` of y, or NaN, or as good as y and of a smaller number; else y.
template <typename N, typename C> Tuple<N> firstOf(Parts<N> x, Parts<N> y, C ahead) {
  C isX = equal(x[0], x[0]), isY = equal(y[0], y[0]); // numbers, not NaN
  C asGood = equal(x[0], y[0]) || (!isX && !isY);
  C first = ahead || (!isX && isY) || (asGood && x[1] < y[1]);
  return {choose(first, x[0], y[0]), choose(first, x[1], y[1])};
}

/// Mean, sum of squared distances from it and count of two groups (Chan et al. 1979).
template <typename N> Tuple<N> joinedMoments(Parts<N> x, Parts<N> y) {
  N count = x[2] + y[2], distance = y[0] - x[0];
  N share = y[2] / choose(count > 0.0, count, 1.0);
  N mean = x[0] + distance * share; // infinite or NaN: then the other factor is NaN, as in PyTorch
  return {mean, x[1] + y[1] + distance * y[2] * (y[0] - mean), count};
}

/// s·exp(m) of both, with the larger of the two exponents.
template <typename N> Tuple<N> joinedExponentials(Parts<N> x, Parts<N> y) {
  N distance = choose(equal(x[0], y[0]), 0.0, x[0] - y[0]); // no ∞ - ∞
  N smaller = exp(-abs(distance));
  return {maximum(x[0], y[0]), choose(x[0] >= y[0], x[1] + y[1] * smaller, x[1] * smaller + y[1])};
}

//===--------------------------------------------------------------------------------------------===//
// Rows
//===--------------------------------------------------------------------------------------------===//

#define INGOT_TUPLE_REDUCTION(NAME, LIFT, NEUTRAL, COMBINE, ...)                                   \
  template <typename N> Tuple<N> NAME(Parts<N> x, Parts<N> y) { return COMBINE; }
#include "ir/formulas/Reductions.def"

using Real = Number<long double>;

std::vector<Real> realsOf(llvm::ArrayRef<long double> values) {
  std::vector<Real> reals;
  for (long double value : values)
    reals.push_back({value});
  return reals;
}

std::vector<long double> valuesOf(llvm::ArrayRef<Real> reals) {
  std::vector<long double> values;
  for (Real real : reals)
    values.push_back(real.value);
  return values;
}

std::vector<TupleReduction> makeTable() {
  using enum TupleReduction::Part;
  std::vector<TupleReduction> table;
#define INGOT_PARTS(...) __VA_ARGS__
#define INGOT_TUPLE_REDUCTION(NAME, LIFT, NEUTRAL, ...)                                            \
  table.push_back(                                                                                 \
      {formulaName(#NAME),                                                                         \
       {INGOT_PARTS LIFT},                                                                         \
       [] {                                                                                        \
         using enum TupleReduction::Start;                                                         \
         return std::vector<TupleReduction::Start>{INGOT_PARTS NEUTRAL};                           \
       }(),                                                                                        \
       [](llvm::ArrayRef<long double> x, llvm::ArrayRef<long double> y) {                          \
         return valuesOf(NAME<Real>(realsOf(x), realsOf(y)));                                      \
       },                                                                                          \
       [](llvm::ArrayRef<Term> x, llvm::ArrayRef<Term> y) { return NAME<Term>(x, y); }});
#include "ir/formulas/Reductions.def"
#undef INGOT_PARTS
  return table;
}

} // namespace
} // namespace formulas

llvm::ArrayRef<TupleReduction> allTupleReductions() {
  static const std::vector<TupleReduction> table = formulas::makeTable();
  return table;
}

const TupleReduction *findTupleReduction(llvm::StringRef name) {
  llvm::ArrayRef<TupleReduction> all = allTupleReductions();
  const auto *row = llvm::find_if(all, [&](const TupleReduction &row) { return row.name == name; });
  return row == all.end() ? nullptr : row;
}

} // namespace ingot::graph
