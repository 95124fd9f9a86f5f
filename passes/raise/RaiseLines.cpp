/// Rows of raise-composites for functions of lines: softmax, its logarithm, layer norm and the
/// cross entropy of class numbers.
#include "mlir/IR/Matchers.h"
#include "passes/raise/Raise.h"
#include <cmath>

using namespace mlir;
using namespace ingot::graph;

namespace ingot {
namespace {

bool isNear(double actual, double expected) {
  return std::abs(actual - expected) <= 1e-6 * std::abs(expected);
}

/// The only dimension of a reduction of that kind.
std::optional<int64_t> reducedDimension(Operation *op, ReduceKind kind) {
  auto reduce = dyn_cast_or_null<ReduceOp>(op);
  if (!reduce || reduce.getKind() != kind || reduce.getDimensions().size() != 1)
    return std::nullopt;
  return reduce.getDimensions().front();
}

/// The x and the dimension of which `line`, an element for each line, is a reduction.
struct Reduced {
  Value operand;
  int64_t dimension;
};
std::optional<Reduced> reducedFrom(Value line, ReduceKind kind) {
  Operation *op = skipReshapes(line).getDefiningOp();
  if (auto dimension = reducedDimension(op, kind))
    return Reduced{op->getOperand(0), *dimension};
  return std::nullopt;
}

/// The maximum of lines may be bounded by a number that bounds nothing.
Value skipLowest(Value line) {
  line = skipReshapes(line);
  if (auto maximum = line.getDefiningOp<MaximumOp>())
    for (auto [bound, other] : {std::pair(maximum.getRhs(), maximum.getLhs()),
                                std::pair(maximum.getLhs(), maximum.getRhs())})
      if (auto number = splatOf(bound); number && *number == -INFINITY)
        return skipReshapes(other);
  return line;
}

//===--------------------------------------------------------------------------------------------===//
// Softmax
//===--------------------------------------------------------------------------------------------===//

/// x - max(x) along a dimension: x.
Value shiftedByMaximum(Value value, int64_t dimension) {
  auto sub = value.getDefiningOp<SubOp>();
  if (!sub)
    return {};
  Value line = repeatedAlong(sub.getRhs(), dimension);
  auto max = line ? reducedFrom(skipLowest(line), ReduceKind::Max) : std::nullopt;
  return max && max->operand == sub.getLhs() && max->dimension == dimension ? sub.getLhs()
                                                                            : Value();
}

/// exp(x - max) / Σ exp(x - max), or times a reciprocal.
Value raiseSoftmax(Operation *op, OpBuilder &builder, KnownValues &) {
  if (!isa<DivOp, MulOp>(op) || !isWide(op->getResult(0)))
    return {};
  auto exponential = op->getOperand(0).getDefiningOp<ExpOp>();
  Value divisor = op->getOperand(1);
  if (isa<MulOp>(op) && !exponential) {
    exponential = op->getOperand(1).getDefiningOp<ExpOp>();
    divisor = op->getOperand(0);
  }
  auto broadcast = divisor.getDefiningOp<BroadcastOp>();
  if (!exponential || !broadcast)
    return {};
  Value line = skipReshapes(broadcast.getOperand());
  if (isa<MulOp>(op)) {
    auto reciprocal = line.getDefiningOp<ReciprocalOp>();
    if (!reciprocal)
      return {};
    line = reciprocal.getOperand();
  }
  auto sum = reducedFrom(line, ReduceKind::Sum);
  if (!sum || sum->operand != exponential.getResult() || !repeatedAlong(divisor, sum->dimension))
    return {};
  Value x = shiftedByMaximum(exponential.getOperand(), sum->dimension);
  if (!x)
    return {};
  return SoftmaxOp::create(builder, op->getLoc(), x.getType(), x, sum->dimension);
}

/// (x - max) - log Σ exp(x - max).
Value raiseLogSoftmax(Operation *op, OpBuilder &builder, KnownValues &) {
  auto sub = dyn_cast<SubOp>(op);
  auto broadcast = sub ? sub.getRhs().getDefiningOp<BroadcastOp>() : BroadcastOp();
  if (!broadcast || !isWide(sub.getResult()))
    return {};
  auto log = skipReshapes(broadcast.getOperand()).getDefiningOp<LogOp>();
  auto sum = log ? reducedFrom(log.getOperand(), ReduceKind::Sum) : std::nullopt;
  auto exponential = sum ? sum->operand.getDefiningOp<ExpOp>() : ExpOp();
  if (!exponential || exponential.getOperand() != sub.getLhs() ||
      !repeatedAlong(sub.getRhs(), sum->dimension))
    return {};
  Value x = shiftedByMaximum(sub.getLhs(), sum->dimension);
  if (!x)
    return {};
  return LogSoftmaxOp::create(builder, op->getLoc(), x.getType(), x, sum->dimension);
}

//===--------------------------------------------------------------------------------------------===//
// Layer norm
//===--------------------------------------------------------------------------------------------===//

/// The x of which `line` is the mean over the last dimension.
Value meanOverLast(Value line) {
  auto part = scaled(skipReshapes(line));
  auto sum = part ? reducedFrom(part->value, ReduceKind::Sum) : std::nullopt;
  if (!sum || sum->dimension != tensorType(sum->operand).getRank() - 1 ||
      !isNear(part->factor, 1 / double(shapeOf(sum->operand).back())))
    return {};
  return sum->operand;
}

/// The x of which `value` is the square.
Value squared(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto formula = dyn_cast_or_null<FormulaOp>(op); formula && formula.getName() == "square")
    return formula.getOperands().front();
  if (auto mul = dyn_cast_or_null<MulOp>(op); mul && mul.getLhs() == mul.getRhs())
    return mul.getLhs();
  if (auto pow = dyn_cast_or_null<PowOp>(op); pow && splatOf(pow.getRhs()) == 2.0)
    return pow.getLhs();
  return {};
}

/// x - mean(x) over the last dimension: x.
Value centeredOverLast(Value value) {
  auto sub = value.getDefiningOp<SubOp>();
  Value line = sub ? repeatedAlong(sub.getRhs(), tensorType(value).getRank() - 1) : Value();
  return line && meanOverLast(line) == sub.getLhs() ? sub.getLhs() : Value();
}

/// A root or its reciprocal, of what.
struct Root {
  Value operand;
  bool isReciprocal;
};
std::optional<Root> rootOf(Value line) {
  Operation *op = skipReshapes(line).getDefiningOp();
  if (auto sqrt = dyn_cast_or_null<SqrtOp>(op))
    return Root{sqrt.getOperand(), false};
  if (auto rsqrt = dyn_cast_or_null<RsqrtOp>(op))
    return Root{rsqrt.getOperand(), true};
  if (auto pow = dyn_cast_or_null<PowOp>(op))
    if (auto exponent = splatOf(pow.getRhs()); exponent && std::abs(*exponent) == 0.5)
      return Root{pow.getLhs(), *exponent < 0};
  Value inner;
  if (auto reciprocal = dyn_cast_or_null<ReciprocalOp>(op))
    inner = reciprocal.getOperand();
  if (auto div = dyn_cast_or_null<DivOp>(op); div && splatOf(div.getLhs()) == 1.0)
    inner = div.getRhs();
  if (inner)
    if (auto root = rootOf(inner))
      return Root{root->operand, !root->isReciprocal};
  return std::nullopt;
}

/// ε, where `line` is the root of variance + ε of the lines of `centered`.
std::optional<double> epsilonOf(Value line, Value centered, bool isReciprocal) {
  auto root = rootOf(line);
  auto add = root && root->isReciprocal == isReciprocal
                 ? skipReshapes(root->operand).getDefiningOp<AddOp>()
                 : AddOp();
  if (!add)
    return std::nullopt;
  for (auto [variance, number] :
       {std::pair(add.getLhs(), add.getRhs()), std::pair(add.getRhs(), add.getLhs())})
    if (auto epsilon = splatOf(number)) {
      Value square = meanOverLast(variance);
      if (square && squared(square) == centered && *epsilon >= 0 && std::isfinite(*epsilon))
        return epsilon;
    }
  return std::nullopt;
}

Value layerNorm(OpBuilder &builder, Location location, Value x, Value scale, Value bias,
                double epsilon) {
  return LayerNormOp::create(builder, location, x, scale, bias, builder.getF64FloatAttr(epsilon))
      .getResult();
}

/// (x - mean) / √(variance + ε), with scale 1 and bias 0.
Value raiseNorm(Operation *op, OpBuilder &builder, KnownValues &) {
  if (!isa<DivOp, MulOp>(op) || !isWide(op->getResult(0)))
    return {};
  const int64_t last = tensorType(op->getResult(0)).getRank() - 1;
  for (unsigned at = 0; at < (isa<MulOp>(op) ? 2u : 1u); ++at) {
    Value centered = op->getOperand(at), x = last < 0 ? Value() : centeredOverLast(centered);
    Value line = x ? repeatedAlong(op->getOperand(1 - at), last) : Value();
    auto epsilon = line ? epsilonOf(line, centered, isa<MulOp>(op)) : std::nullopt;
    if (!epsilon)
      continue;
    GraphBuilder build(builder, op->getLoc());
    auto type = RankedTensorType::get({shapeOf(x).back()}, tensorType(x).getElementType());
    return layerNorm(builder, op->getLoc(), x, build.splat(type, 1), build.splat(type, 0),
                     *epsilon);
  }
  return {};
}

/// What is multiplied with a raised norm, or added to it, becomes its scale or bias.
Value raiseScaleOrBias(Operation *op, OpBuilder &builder, KnownValues &) {
  if (!isa<AddOp, MulOp>(op))
    return {};
  for (unsigned at : {0, 1}) {
    auto norm = op->getOperand(at).getDefiningOp<LayerNormOp>();
    Value vector = norm ? repeatedForLines(op->getOperand(1 - at)) : Value();
    if (!vector || !norm->hasOneUse() || norm.getResult().use_empty() ||
        splatOf(norm.getBias()) != 0.0 || (isa<MulOp>(op) && splatOf(norm.getScale()) != 1.0))
      continue;
    GraphBuilder build(builder, op->getLoc());
    vector = build.reshape(vector, shapeOf(norm.getScale()));
    const double epsilon = norm.getEpsilon().convertToDouble();
    return isa<MulOp>(op) ? layerNorm(builder, op->getLoc(), norm.getOperand(), vector,
                                      norm.getBias(), epsilon)
                          : layerNorm(builder, op->getLoc(), norm.getOperand(), norm.getScale(),
                                      vector, epsilon);
  }
  return {};
}

//===--------------------------------------------------------------------------------------------===//
// Cross entropy
//===--------------------------------------------------------------------------------------------===//

/// log_softmax of `logits` over the last dimension, picked by `targets`.
struct Picked {
  Value logits, targets;
};

Value logitsOf(Value value) {
  auto logs = value.getDefiningOp<LogSoftmaxOp>();
  return logs && logs.getDimension() == uint64_t(tensorType(value).getRank() - 1)
             ? logs.getOperand()
             : Value();
}

/// (A one-hot form is none: where a target is out of range its sum is 0, and picking is an error.)
std::optional<Picked> pickedFrom(Value value) {
  auto pick = skipReshapes(value).getDefiningOp<PickOp>();
  Value logits = pick ? logitsOf(pick.getOperand()) : Value();
  if (!logits || pick.getDimension() != uint64_t(tensorType(logits).getRank() - 1))
    return std::nullopt;
  return Picked{logits, pick.getIndices()};
}

/// The mean of -log_softmax(logits)[target] over all positions.
Value raiseCrossEntropy(Operation *op, OpBuilder &builder, KnownValues &) {
  Value value = op->getResult(0);
  if (!isa<NegOp, MulOp, DivOp, ReduceOp>(op) || !isWide(value) || tensorType(value).getRank() != 0)
    return {};
  double factor = 1;
  bool isSummed = false;
  while (true) {
    value = skipReshapes(value);
    if (auto part = scaled(value)) {
      factor *= part->factor;
      value = part->value;
    } else if (auto sum = value.getDefiningOp<ReduceOp>();
               sum && sum.getKind() == ReduceKind::Sum && !isSummed &&
               int64_t(sum.getDimensions().size()) == tensorType(sum.getOperand()).getRank()) {
      isSummed = true;
      value = sum.getOperand();
    } else {
      break;
    }
  }
  auto picked = pickedFrom(value);
  if (!picked)
    return {};
  auto type = tensorType(picked->logits);
  if (type.getRank() < 1 || (!isSummed && type.getRank() != 1) ||
      !isNear(factor, -double(type.getShape().back()) / double(type.getNumElements())))
    return {};
  GraphBuilder build(builder, op->getLoc());
  Value targets = build.reshape(picked->targets, type.getShape().drop_back());
  return CrossEntropyOp::create(builder, op->getLoc(), picked->logits, targets)->getResult(0);
}

constexpr RaiseRow rows[] = {
    {"softmax", raiseSoftmax},
    {"log_softmax", raiseLogSoftmax},
    {"layer_norm", raiseNorm},
    {"scale or bias of layer_norm", raiseScaleOrBias},
    {"cross_entropy", raiseCrossEntropy},
};

} // namespace

ArrayRef<RaiseRow> lineRows() { return rows; }

} // namespace ingot
