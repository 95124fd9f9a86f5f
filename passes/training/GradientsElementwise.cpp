/// Gradients of elementwise ops.
#include "passes/training/Gradients.h"
#include <numbers>

using namespace mlir;
using namespace ingot::graph;

namespace ingot {
namespace {

using G = GradientBuilder;

Value isEqual(G &g, Value lhs, Value rhs) { return g.compare(Comparison::Eq, lhs, rhs); }

/// `x` where the condition holds, else 0.
Value keepWhere(G &g, Value condition, Value x) { return g.select(condition, x, g.zerosLike(x)); }

/// The larger (or smaller) operand takes all; equal ones share, as in PyTorch.
template <typename Op> void giveToExtremum(G &g, Op op, Value dy, Comparison wins) {
  Value lhs = op.getLhs(), rhs = op.getRhs();
  Value shared = g.select(isEqual(g, lhs, rhs), g.mul(dy, 0.5), dy);
  Comparison loses = wins == Comparison::Ge ? Comparison::Le : Comparison::Ge;
  g.give(lhs, keepWhere(g, g.compare(wins, lhs, rhs), shared));
  g.give(rhs, keepWhere(g, g.compare(loses, lhs, rhs), shared));
}

/// d(x^y) = y·x^(y-1)·dx + x^y·log(x)·dy, with 0 where a factor is exactly 0 (no 0·inf).
void powGradient(G &g, PowOp op, Value dy) {
  Value x = op.getLhs(), y = op.getRhs(), zeros = g.zerosLike(y);
  Value derivative = g.mul(y, g.make<PowOp>(x, g.sub(y, 1.0)));
  g.give(x, g.mul(dy, g.select(isEqual(g, y, zeros), zeros, derivative)));
  Value growth = g.mul(op.getResult(), g.log(x));
  g.give(y, g.mul(dy, g.select(isEqual(g, x, zeros), zeros, growth)));
}

Value truncate(G &g, Value x) {
  return g.select(g.compare(Comparison::Lt, x, g.zerosLike(x)), g.make<CeilOp>(x),
                  g.make<FloorOp>(x));
}

} // namespace

ArrayRef<GradientRow> elementwiseGradients() {
  static const GradientRow rows[] = {
      // Unary.
      gradientRow<NegOp>([](G &g, NegOp op, Value dy) { g.give(op.getOperand(), g.neg(dy)); }),
      gradientRow<AbsOp>([](G &g, AbsOp op, Value dy) {
        g.give(op.getOperand(), g.mul(dy, g.make<SignOp>(op.getOperand())));
      }),
      gradientRow<SignOp>([](G &, SignOp) { /* constant between jumps */ }),
      gradientRow<FloorOp>([](G &, FloorOp) { /* constant between jumps */ }),
      gradientRow<CeilOp>([](G &, CeilOp) { /* constant between jumps */ }),
      gradientRow<ExpOp>(
          [](G &g, ExpOp op, Value dy) { g.give(op.getOperand(), g.mul(dy, op.getResult())); }),
      gradientRow<LogOp>(
          [](G &g, LogOp op, Value dy) { g.give(op.getOperand(), g.div(dy, op.getOperand())); }),
      gradientRow<SqrtOp>([](G &g, SqrtOp op, Value dy) {
        g.give(op.getOperand(), g.div(g.mul(dy, 0.5), op.getResult()));
      }),
      gradientRow<RsqrtOp>([](G &g, RsqrtOp op, Value dy) {
        Value cube = g.mul(g.square(op.getResult()), op.getResult());
        g.give(op.getOperand(), g.mul(dy, g.mul(cube, -0.5)));
      }),
      gradientRow<ReciprocalOp>([](G &g, ReciprocalOp op, Value dy) {
        g.give(op.getOperand(), g.neg(g.mul(dy, g.square(op.getResult()))));
      }),
      gradientRow<TanhOp>([](G &g, TanhOp op, Value dy) {
        g.give(op.getOperand(), g.mul(dy, g.sub(1.0, g.square(op.getResult()))));
      }),
      gradientRow<ErfOp>([](G &g, ErfOp op, Value dy) {
        Value bell = g.exp(g.neg(g.square(op.getOperand())));
        g.give(op.getOperand(), g.mul(dy, g.mul(bell, 2 * std::numbers::inv_sqrtpi)));
      }),
      gradientRow<SinOp>([](G &g, SinOp op, Value dy) {
        g.give(op.getOperand(), g.mul(dy, g.make<CosOp>(op.getOperand())));
      }),
      gradientRow<CosOp>([](G &g, CosOp op, Value dy) {
        g.give(op.getOperand(), g.neg(g.mul(dy, g.make<SinOp>(op.getOperand()))));
      }),
      gradientRow<Expm1Op>([](G &g, Expm1Op op, Value dy) {
        g.give(op.getOperand(), g.mul(dy, g.add(op.getResult(), 1.0)));
      }),
      gradientRow<Log1pOp>([](G &g, Log1pOp op, Value dy) {
        g.give(op.getOperand(), g.div(dy, g.add(op.getOperand(), 1.0)));
      }),
      gradientRow<SigmoidOp>([](G &g, SigmoidOp op, Value dy) {
        Value y = op.getResult();
        g.give(op.getOperand(), g.mul(dy, g.mul(y, g.sub(1.0, y))));
      }),
      gradientRow<ReluOp>([](G &g, ReluOp op, Value dy) {
        Value x = op.getOperand();
        g.give(x, keepWhere(g, g.compare(Comparison::Gt, x, g.zerosLike(x)), dy));
      }),
      gradientRow<CastOp>([](G &g, CastOp op, Value dy) {
        if (isFloatTensor(op.getOperand()))
          g.give(op.getOperand(), g.cast(dy, tensorType(op.getOperand()).getElementType()));
      }),

      // Binary.
      gradientRow<AddOp>([](G &g, AddOp op, Value dy) {
        g.give(op.getLhs(), dy);
        g.give(op.getRhs(), dy);
      }),
      gradientRow<SubOp>([](G &g, SubOp op, Value dy) {
        g.give(op.getLhs(), dy);
        g.give(op.getRhs(), g.neg(dy));
      }),
      gradientRow<MulOp>([](G &g, MulOp op, Value dy) {
        g.give(op.getLhs(), g.mul(dy, op.getRhs()));
        g.give(op.getRhs(), g.mul(dy, op.getLhs()));
      }),
      gradientRow<DivOp>([](G &g, DivOp op, Value dy) {
        Value quotient = g.div(dy, op.getRhs());
        g.give(op.getLhs(), quotient);
        g.give(op.getRhs(), g.neg(g.mul(quotient, op.getResult())));
      }),
      gradientRow<RemainderOp>([](G &g, RemainderOp op, Value dy) {
        g.give(op.getLhs(), dy);
        g.give(op.getRhs(), g.neg(g.mul(dy, truncate(g, g.div(op.getLhs(), op.getRhs())))));
      }),
      gradientRow<PowOp>([](G &g, PowOp op, Value dy) { powGradient(g, op, dy); }),
      gradientRow<MaximumOp>(
          [](G &g, MaximumOp op, Value dy) { giveToExtremum(g, op, dy, Comparison::Ge); }),
      gradientRow<MinimumOp>(
          [](G &g, MinimumOp op, Value dy) { giveToExtremum(g, op, dy, Comparison::Le); }),
      gradientRow<SelectOp>([](G &g, SelectOp op, Value dy) {
        g.give(op.getOnTrue(), keepWhere(g, op.getCondition(), dy));
        g.give(op.getOnFalse(), g.select(op.getCondition(), g.zerosLike(dy), dy));
      }),
  };
  return rows;
}

} // namespace ingot
