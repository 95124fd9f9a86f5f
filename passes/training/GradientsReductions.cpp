/// Gradients of reductions: the words of the last column of Reductions.def.
#include "ir/formulas/Formulas.h"
#include "passes/training/Gradients.h"

using namespace mlir;
using namespace ingot::graph;

namespace ingot {
namespace {

using G = GradientBuilder;

//===--------------------------------------------------------------------------------------------===//
// Of one value
//===--------------------------------------------------------------------------------------------===//

Value equals(G &g, Value lhs, Value rhs) { return g.compare(Comparison::Eq, lhs, rhs); }

/// What the operand gets.
struct ReduceGradient {
  G &g;
  ReduceOp op;
  Value x = op.getOperand();

  Value spread(Value reduced) { return g.broadcastReducedLike(reduced, x, op.getDimensions()); }
  Value total(Value elements) { return g.reduceSum(elements, op.getDimensions()); }

  /// Equal extrema share the cotangent evenly, as PyTorch's amax.
  Value ofExtremum(Value given) {
    Value chosen =
        g.select(equals(g, x, spread(op.getResult())), g.splatLike(x, 1), g.zerosLike(x));
    return g.mul(chosen, spread(g.div(given, total(chosen))));
  }

  /// The product of all other elements, right also where some are 0.
  Value ofProduct(Value given) {
    Value zeros = g.zerosLike(x), ones = g.splatLike(x, 1), isZero = equals(g, x, zeros);
    Value factors = g.select(isZero, ones, x), zero = g.select(isZero, ones, zeros);
    Value otherZeros = g.sub(spread(total(zero)), zero);
    Value product = g.reduce(ReduceKind::Product, factors, op.getDimensions());
    Value others = g.select(equals(g, otherZeros, zeros), g.div(spread(product), factors), zeros);
    return g.mul(spread(given), others);
  }
};

void reduceGradient(G &g, ReduceOp op, Value given) {
  ReduceGradient r{g, op};
  switch (op.getKind()) {
#define INGOT_REDUCTION(METHOD, KIND, NEUTRAL, REFERENCE, LOWERING, GRADIENT)                      \
  case ReduceKind::KIND:                                                                           \
    return g.give(r.x, GRADIENT);
#include "ir/formulas/Reductions.def"
  }
}

//===--------------------------------------------------------------------------------------------===//
// Of tuples
//===--------------------------------------------------------------------------------------------===//

/// Gives the operands what they get.
struct TupleGradient {
  G &g;
  ReduceTuplesOp op;

  Value x(unsigned part) { return op.getOperand(part); }
  Value given(unsigned part) { return g.cotangentOrZeros(op.getResult(part)); }
  Value spread(Value reduced) { return g.broadcastReducedLike(reduced, x(0), op.getDimensions()); }
  Value result(unsigned part) { return spread(op.getResult(part)); }
  void give(unsigned part, llvm::function_ref<Value()> cotangent) {
    if (g.isActive(x(part)))
      g.give(x(part), cotangent());
  }

  /// All to the one that was chosen.
  void ofChoice() {
    give(0,
         [&] { return g.select(equals(g, x(1), result(1)), spread(given(0)), g.zerosLike(x(0))); });
  }

  /// Of mean m, squares q and count n of all of them: m = Σ nᵢ·mᵢ / n, q = Σ qᵢ + nᵢ·(mᵢ - m)².
  void ofMoments() {
    Value distance = g.sub(x(0), result(0));
    auto byMean = [&] { return spread(g.div(given(0), op.getResult(2))); };
    auto squares = [&] { return spread(given(1)); };
    give(0, [&] { return g.mul(x(2), g.add(byMean(), g.mul(g.mul(squares(), distance), 2))); });
    give(1, squares);
    give(2, [&] {
      Value byDistance = g.add(byMean(), g.mul(squares(), distance));
      return g.add(g.mul(byDistance, distance), spread(given(2)));
    });
  }

  /// Of m = max mᵢ and s = Σ sᵢ·exp(mᵢ - m). Equal maxima share what m gets.
  void ofExponentials() {
    Value zeros = g.zerosLike(x(0)), isMost = equals(g, x(0), result(0));
    Value share = g.exp(g.select(isMost, zeros, g.sub(x(0), result(0))));
    Value byFactor = g.mul(spread(given(1)), share);
    give(0, [&] {
      Value chosen = g.select(isMost, g.splatLike(x(0), 1), zeros);
      Value ofMost = g.sub(given(0), g.mul(given(1), op.getResult(1)));
      Value count = g.reduceSum(chosen, op.getDimensions());
      return g.add(g.mul(byFactor, x(1)), g.mul(chosen, spread(g.div(ofMost, count))));
    });
    give(1, [&] { return byFactor; });
  }
};

void tupleGradient(G &g, ReduceTuplesOp op) {
  TupleGradient r{g, op};
#define INGOT_TUPLE_REDUCTION(METHOD, LIFT, NEUTRAL, COMBINE, GRADIENT)                            \
  if (op.getKind() == formulaName(#METHOD))                                                        \
    return GRADIENT;
#include "ir/formulas/Reductions.def"
}

//===--------------------------------------------------------------------------------------------===//
// Of whole lines
//===--------------------------------------------------------------------------------------------===//

/// What x gets of a scan's cotangent: the scan of its cotangents from the other end.
struct ScanGradient {
  G &g;
  ScanOp op;
  Value x = op.getOperand();

  Value scan(ReduceKind kind, Value value, bool exclusive, bool reverse) {
    return g.make<ScanOp>(kind, value, op.getDimension(), exclusive, reverse);
  }
  Value ofSum(Value given) {
    return scan(ReduceKind::Sum, given, op.getExclusive(), !op.getReverse());
  }

  /// Σⱼ given[j] · product of all factors of j but x[i]. Before the first 0 that is the product
  /// over x[i]; at it, the product that 1 in its place gives; after it nothing.
  Value ofProduct(Value given) {
    Value zeros = g.zerosLike(x), ones = g.splatLike(x, 1), isZero = equals(g, x, zeros);
    Value zerosSoFar =
        scan(ReduceKind::Sum, g.select(isZero, ones, zeros), /*exclusive=*/false, op.getReverse());
    Value isBefore = equals(g, zerosSoFar, zeros);
    Value isFirst = g.make<AndOp>(isZero, equals(g, zerosSoFar, ones));
    Value byProduct = ofSum(g.mul(given, op.getResult()));
    Value without =
        scan(ReduceKind::Product, g.select(isFirst, ones, x), op.getExclusive(), op.getReverse());
    Value atFirst = ofSum(g.mul(given, without));
    Value safe = g.select(isZero, ones, x);
    return g.select(isBefore, g.div(byProduct, safe), g.select(isFirst, atFirst, zeros));
  }
};

/// Each element was moved from its place.
void sortGradient(G &g, SortOp op, Value dy) {
  ArrayRef<int64_t> shape = shapeOf(op.getOperand());
  Type i64 = g.builder.getI64Type();
  const int64_t count = tensorType(op.getOperand()).getNumElements();
  int64_t distance = 1;
  Value from; // places in row-major order
  for (int64_t dim = int64_t(shape.size()) - 1; dim >= 0; distance *= shape[dim--]) {
    Value index = dim == int64_t(op.getDimension()) ? op.getPlaces() : g.iota(shape, i64, dim);
    Value share = distance == 1 ? index : g.mul(index, double(distance));
    from = from ? g.add(from, share) : share;
  }
  Value zeros = g.splat(RankedTensorType::get({count}, tensorType(dy).getElementType()), 0);
  Value moved = g.scatterAdd(zeros, g.reshape(from, {count}), g.reshape(dy, {count}), 0);
  g.give(op.getOperand(), g.reshape(moved, shape));
}

} // namespace

ArrayRef<GradientRow> reductionGradients() {
  static const GradientRow rows[] = {
      gradientRow<ReduceOp>([](G &g, ReduceOp op, Value dy) { reduceGradient(g, op, dy); }),
      gradientRow<ReduceTuplesOp>([](G &g, ReduceTuplesOp op) { tupleGradient(g, op); }),
      gradientRow<ScanOp>([](G &g, ScanOp op, Value dy) {
        ScanGradient s{g, op};
        g.give(s.x, op.getKind() == ReduceKind::Sum ? s.ofSum(dy) : s.ofProduct(dy));
      }),
      gradientRow<SortOp>([](G &g, SortOp op) {
        if (Value dy = g.cotangent(op.getResult()))
          sortGradient(g, op, dy);
      }),
  };
  return rows;
}

} // namespace ingot
