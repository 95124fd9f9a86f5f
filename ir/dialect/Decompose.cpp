/// The definition of each composite in smaller graph ops: the only one. Narrow floats are widened
/// first (accumulationType) and the results rounded once, as a fused kernel does.
#include "ir/dialect/GraphBuilder.h"
#include "ir/formulas/Formulas.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "runtime/program/Bucket.h"
#include <cmath>
#include <numbers>

using namespace mlir;

namespace ingot::graph {
namespace {

/// Rounds `x` to the element type of `like`, which is a result of the composite.
Value roundTo(GraphBuilder &build, Value x, Value like) {
  return build.cast(x, tensorType(like).getElementType());
}

/// exp(x - max) along `dimension` with its sum and log-sum-exp, without overflow.
struct Exponentials {
  Value values, sum, lse;
};

Exponentials shiftedExponentials(GraphBuilder &build, Value x, int64_t dimension) {
  Value max = build.reduceMax(x, dimension);
  Value values = build.exp(build.sub(x, build.broadcastReducedLike(max, x, dimension)));
  Value sum = build.reduceSum(values, dimension);
  return {values, sum, build.add(build.log(sum), max)};
}

} // namespace

SmallVector<Value> FormulaOp::decompose(OpBuilder &builder) {
  GraphBuilder build(builder, getLoc());
  auto terms = llvm::map_to_vector(getOperands(),
                                   [&](Value x) { return formulas::Term{&build, build.widen(x)}; });
  Value result = findFormula(getName())->expand(terms, getParameters()).value;
  return {roundTo(build, result, getResult())};
}

SmallVector<Value> SoftmaxOp::decompose(OpBuilder &builder) {
  GraphBuilder build(builder, getLoc());
  int64_t dimension = getDimension();
  Exponentials e = shiftedExponentials(build, build.widen(getOperand()), dimension);
  Value factor = build.make<ReciprocalOp>(e.sum);
  Value result = build.mul(e.values, build.broadcastReducedLike(factor, e.values, dimension));
  return {roundTo(build, result, getResult())};
}

SmallVector<Value> LogSoftmaxOp::decompose(OpBuilder &builder) {
  GraphBuilder build(builder, getLoc());
  int64_t dimension = getDimension();
  Value x = build.widen(getOperand());
  auto spread = [&](Value line) { return build.broadcastReducedLike(line, x, dimension); };
  Value below = build.sub(x, spread(build.reduceMax(x, dimension)));
  Value logarithm = build.log(build.reduceSum(build.exp(below), dimension));
  return {roundTo(build, build.sub(below, spread(logarithm)), getResult())};
}

SmallVector<Value> PickOp::decompose(OpBuilder &builder) {
  GraphBuilder build(builder, getLoc());
  const int64_t dimension = getDimension();
  Value x = getOperand();
  Value place = build.iota(shapeOf(x), tensorType(getIndices()).getElementType(), dimension);
  Value isPicked =
      build.compare(Comparison::Eq, place, build.broadcastReducedLike(getIndices(), x, dimension));
  return {build.reduceSum(build.select(isPicked, x, build.zerosLike(x)), dimension)};
}

SmallVector<Value> LayerNormOp::decompose(OpBuilder &builder) {
  GraphBuilder build(builder, getLoc());
  Value x = build.widen(getOperand());
  int64_t last = tensorType(x).getRank() - 1;
  Value mean = build.reduceMean(x, last);
  Value centered = build.sub(x, build.broadcastReducedLike(mean, x, last));
  Value variance = build.reduceMean(build.square(centered), last);
  Value square = build.add(variance, getEpsilon().convertToDouble());
  // The difference is 0 and changes no bit, or NaN where the variance overflowed: 1/√∞ would make
  // such a row 0.
  Value rstd = build.add(build.rsqrt(square), build.sub(square, square));
  Value normal = build.mul(centered, build.broadcastReducedLike(rstd, x, last));
  Value scaled = build.mul(normal, build.broadcastLike(build.widen(getScale()), x));
  Value result = build.add(scaled, build.broadcastLike(build.widen(getBias()), x));
  return {roundTo(build, result, getResult()), mean, rstd};
}

MutableOperandRange BatchNormOp::getStateOperands() {
  return MutableOperandRange(*this, getMeanMutable().getOperandNumber(), 2);
}
ValueRange BatchNormOp::getNextState() { return getResults().drop_front(3); }
void BatchNormOp::enterTraining() { setTraining(true); }

SmallVector<Value> BatchNormOp::decompose(OpBuilder &builder) {
  GraphBuilder build(builder, getLoc());
  Value x = build.widen(getOperand());
  auto type = tensorType(x);
  SmallVector<int64_t> reduced = {0};
  llvm::append_range(reduced, llvm::seq<int64_t>(2, type.getRank()));
  auto spread = [&](Value channel) { return build.broadcastReducedLike(channel, x, reduced); };
  Value mean = getMean(), variance = getVariance(), nextMean = mean, nextVariance = variance;
  if (getTraining())
    mean = build.reduceMean(x, reduced);
  Value centered = build.sub(x, spread(mean));
  if (getTraining()) {
    variance = build.reduceMean(build.square(centered), reduced);
    const double count = double(type.getNumElements()) / double(type.getDimSize(1)),
                 momentum = getMomentum().convertToDouble();
    auto moved = [&](Value from, Value to) {
      return build.add(from, build.mul(build.sub(to, from), momentum));
    };
    nextMean = moved(nextMean, mean);
    nextVariance = moved(nextVariance, build.mul(variance, count / (count - 1)));
  }
  Value square = build.add(variance, getEpsilon().convertToDouble());
  Value rstd = build.add(build.rsqrt(square), build.sub(square, square)); // as in layer_norm
  Value normal = build.mul(centered, spread(rstd));
  Value scaled = build.mul(normal, spread(build.widen(getScale())));
  Value result = build.add(scaled, spread(build.widen(getBias())));
  return {roundTo(build, result, getResult()), mean, rstd, nextMean, nextVariance};
}

SmallVector<Value> LinearOp::decompose(OpBuilder &builder) {
  GraphBuilder build(builder, getLoc());
  auto type = tensorType(getOperand());
  int64_t rows = 1;
  for (int64_t size : type.getShape().drop_back())
    rows = ShapedType::isDynamic(size) || ShapedType::isDynamic(rows) ? ShapedType::kDynamic
                                                                      : rows * size;
  Value matrix = build.reshape(getOperand(), {rows, type.getShape().back()});
  Type element = tensorType(getResult()).getElementType();
  Value product = build.contract(matrix, getWeight(), {}, {}, {1}, {1}, element);
  if (getBias())
    product = build.add(product, build.broadcastLike(build.cast(getBias(), element), product));
  return {build.reshape(product, tensorType(getResult()).getShape())};
}

SmallVector<Value> ConvolutionOp::decompose(OpBuilder &builder) {
  GraphBuilder build(builder, getLoc());
  return {build.convolve(build.pad(getOperand(), 2, getLow(), getHigh()), getWeight(), getStrides(),
                         getDilations(), getGroups())};
}

SmallVector<Value> EmbeddingOp::decompose(OpBuilder &builder) {
  return {GraphBuilder(builder, getLoc()).gather(getTable(), getIndices(), 0)};
}

SmallVector<Value> CrossEntropyOp::decompose(OpBuilder &builder) {
  GraphBuilder build(builder, getLoc());
  Value logits = build.widen(getLogits());
  auto type = tensorType(logits);
  int64_t classes = type.getRank() - 1;
  Exponentials e = shiftedExponentials(build, logits, classes);
  Value classIndex =
      build.iota(type.getShape(), tensorType(getTargets()).getElementType(), classes);
  Value isTarget = build.compare(Comparison::Eq, classIndex,
                                 build.broadcastReducedLike(getTargets(), logits, classes));
  Value targetLogit =
      build.reduceSum(build.select(isTarget, logits, build.zerosLike(logits)), classes);
  SmallVector<int64_t> positions = llvm::to_vector(llvm::seq<int64_t>(0, classes));
  return {build.reduceMean(build.sub(e.lse, targetLogit), positions), e.lse};
}

SmallVector<Value> MseOp::decompose(OpBuilder &builder) {
  GraphBuilder build(builder, getLoc());
  Value error = build.sub(build.widen(getPrediction()), build.widen(getTarget()));
  SmallVector<int64_t> all = llvm::to_vector(llvm::seq<int64_t>(0, tensorType(error).getRank()));
  return {build.reduceMean(build.square(error), all)};
}

/// A region of constants and elementwise ops on scalars, computed on tensors: what depends on an
/// element has its tensor's shape, what does not stays a scalar and is repeated where the two meet.
static SmallVector<Value> inlineFormula(GraphBuilder &build, Block &formula,
                                        ArrayRef<Value> arguments) {
  IRMapping mapping;
  mapping.map(formula.getArguments(), arguments);
  auto repeated = [&](Value value, ArrayRef<int64_t> shape) {
    DenseElementsAttr constant;
    if (tensorType(value).getRank() == 0 && matchPattern(value, m_Constant(&constant)))
      return build.make<ConstantOp>(constant.resizeSplat(tensorType(value).clone(shape)));
    return build.broadcastTo(value, shape);
  };
  for (Operation &op : formula.without_terminator()) {
    auto operands = llvm::map_to_vector(op.getOperands(),
                                        [&](Value operand) { return mapping.lookup(operand); });
    ArrayRef<int64_t> shape;
    for (Value operand : operands)
      if (tensorType(operand).getRank() > 0)
        shape = shapeOf(operand);
    for (Value &operand : operands)
      if (shapeOf(operand) != shape)
        operand = repeated(operand, shape);
    OperationState state(build.location, op.getName(), operands,
                         tensorType(op.getResult(0)).clone(shape), op.getAttrs());
    mapping.map(op.getResult(0), build.builder.create(state)->getResult(0));
  }
  return llvm::map_to_vector(formula.getTerminator()->getOperands(),
                             [&](Value value) { return mapping.lookup(value); });
}

/// `beyond` of an update.
static Value firstBeyond(GraphBuilder &build, ValueRange gradients, RankedTensorType type,
                         double limit) {
  SmallVector<Value> flat;
  int64_t elements = 0;
  for (Value gradient : gradients) {
    const int64_t size = tensorType(gradient).getNumElements();
    flat.push_back(build.reshape(gradient, {size}));
    const int64_t bytes = tensorType(gradient).getElementTypeBitWidth() / 8;
    elements += elementsInBucket(size, bytes);
    if (const int64_t padding = elementsInBucket(size, bytes) - size)
      flat.push_back(
          build.splat(RankedTensorType::get({padding}, tensorType(gradient).getElementType()), 0));
  }
  const int64_t rows = type.getDimSize(0), length = elements / rows;
  const SmallVector<int64_t> shape = {rows, length};
  Value table = build.reshape(flat.size() == 1 ? flat[0] : build.concat(flat, 0), shape);
  Value size = build.make<AbsOp>(build.widen(table));
  Value isBelow = build.compare(Comparison::Lt, size, build.splatLike(size, limit));
  Value place = build.iota(shape, type.getElementType(), 1);
  return build.reduce(ReduceKind::Min,
                      build.select(isBelow, build.splatLike(place, double(length)), place), {1});
}

SmallVector<Value> UpdateOp::decompose(OpBuilder &builder) {
  GraphBuilder build(builder, getLoc());
  const size_t count = getParameters().size(), groups = getStateCount() + 1;
  SmallVector<Value> results(count * groups);
  for (size_t index = 0; index < count; ++index) {
    SmallVector<Value> arguments;
    for (ValueRange group : getOperandGroups())
      arguments.push_back(build.widen(group[index]));
    for (auto [scalar, argument] :
         llvm::zip_equal(getScalars(), getFormula().getArguments().take_back(getScalars().size())))
      arguments.push_back(build.cast(scalar, tensorType(argument).getElementType()));
    for (auto [group, value] :
         llvm::enumerate(inlineFormula(build, getFormula().front(), arguments))) {
      Value result = getResult(group * count + index);
      results[group * count + index] = roundTo(build, build.broadcastLike(value, result), result);
    }
  }
  for (auto [index, rounded] : llvm::enumerate(getRounded()))
    results.push_back(build.cast(results[index], tensorType(rounded).getElementType()));
  if (Value beyond = getBeyond())
    results.push_back(firstBeyond(build, getGradients().take_front(count), tensorType(beyond),
                                  getLimit()->convertToDouble()));
  return results;
}

} // namespace ingot::graph
