/// Every gradient rule against central differences in f64, with the reference as evaluator.
#include "passes/training/Gradients.h"
#include "ir/formulas/Formulas.h"
#include "test/passes/training/GradientTrial.h"
#include <algorithm>
#include <numeric>

using namespace mlir;
using namespace ingot::graph;

namespace ingot::testing {
namespace {

/// What one op's rule is tried on.
struct Case {
  StringRef op;
  void (*build)(Trial &);
};

template <typename Op, double low = -1.0, double high = 1.0> void unary(Trial &t) {
  t.output(t.g.make<Op>(t.parameter(t.shape(t.between(0, 3)), low, high)));
}

template <typename Op, double low = -1.0, double high = 1.0, double rhsLow = -1.0,
          double rhsHigh = 1.0>
void binary(Trial &t) {
  Shape shape = t.shape(t.between(0, 3));
  Value lhs = t.parameter(shape, low, high);
  t.output(t.g.make<Op>(lhs, t.parameter(shape, rhsLow, rhsHigh)));
}

template <ReduceKind kind> void reduce(Trial &t) {
  Value x = t.parameter(t.shape(3));
  SmallVector<int64_t> dims;
  for (int64_t dim = 0; dim < 3; ++dim)
    if (t.between(0, 1))
      dims.push_back(dim);
  t.output(t.g.make<ReduceOp>(kind, x, dims));
}

/// Tuples over random dimensions; those of a choice are numbered.
template <const char *kind, unsigned parts> void reduceTuples(Trial &t) {
  Shape shape = t.shape(3);
  const bool isNumbered = StringRef(kind).starts_with("arg");
  SmallVector<Value> operands;
  for (unsigned part = 0; part < parts - isNumbered; ++part)
    operands.push_back(t.parameter(shape, part ? 0.2 : -1.0, part ? 1.4 : 1.0));
  if (isNumbered) {
    auto along = [&](int64_t dim, double factor) {
      return t.g.mul(t.g.iota(shape, t.builder.getI32Type(), dim), factor);
    };
    operands.push_back(t.g.add(along(0, 16), t.g.add(along(1, 4), along(2, 1))));
  }
  SmallVector<int64_t> dims;
  for (int64_t dim = 0; dim < 3; ++dim)
    if (t.between(0, 1))
      dims.push_back(dim);
  for (Value result : t.g.reduceTuples(kind, operands, dims))
    if (isa<FloatType>(tensorType(result).getElementType()))
      t.output(result);
}
constexpr char argmax[] = "argmax", argmin[] = "argmin", welford[] = "welford",
               expSum[] = "exp_sum";

/// Products of rows with one zero, with two, with none.
void productWithZeros(Trial &t) {
  Value x = t.parameter({3, 4});
  auto mask = DenseElementsAttr::get(RankedTensorType::get({3, 4}, t.builder.getF64Type()),
                                     ArrayRef<double>{1, 1, 1, 1, 0, 1, 1, 1, 0, 1, 0, 1});
  t.output(t.g.reduce(ReduceKind::Product, t.g.mul(x, t.g.make<ConstantOp>(mask)), {1}));
}

/// Of lines with zeros, too.
template <ReduceKind kind> void scan(Trial &t) {
  Shape shape = t.shape(3);
  Value x = t.parameter(shape), mask = t.condition(shape);
  const int64_t dimension = t.between(0, 2);
  const bool exclusive = t.between(0, 1), reverse = t.between(0, 1);
  if (t.between(0, 1))
    x = t.g.select(mask, x, t.g.zerosLike(x));
  t.output(t.g.make<ScanOp>(kind, x, dimension, exclusive, reverse));
}

void sort(Trial &t) {
  Value x = t.parameter(t.shape(3));
  t.output(t.g.make<SortOp>(x, t.between(0, 2), bool(t.between(0, 1))));
}

void pick(Trial &t) {
  Shape shape = t.shape(3), kept = shape;
  const int64_t dimension = t.between(0, 2);
  kept.erase(kept.begin() + dimension);
  t.output(t.g.make<PickOp>(t.parameter(shape), t.indices(kept, shape[dimension]), dimension));
}

/// Batch, free and contracted dimensions in a random order on both sides.
void contract(Trial &t) {
  enum Kind { Batch, Contract, Free };
  std::vector<Kind> lhsKinds, rhsKinds;
  int64_t counts[3];
  for (int64_t &count : counts)
    count = t.between(0, 2);
  auto arrange = [&](std::vector<Kind> &kinds, int64_t free) {
    kinds.insert(kinds.end(), counts[Batch], Batch);
    kinds.insert(kinds.end(), counts[Contract], Contract);
    kinds.insert(kinds.end(), free, Free);
    for (size_t i = kinds.size(); i > 1; --i)
      std::swap(kinds[i - 1], kinds[t.between(0, i - 1)]);
  };
  arrange(lhsKinds, counts[Free]);
  arrange(rhsKinds, t.between(0, 2));
  auto positions = [](const std::vector<Kind> &kinds, Kind kind) {
    SmallVector<int64_t> found;
    for (size_t i = 0; i < kinds.size(); ++i)
      if (kinds[i] == kind)
        found.push_back(i);
    return found;
  };
  Shape lhs = t.shape(lhsKinds.size()), rhs = t.shape(rhsKinds.size());
  // Small, or the differences take long.
  for (Shape *shape : {&lhs, &rhs})
    for (int64_t &size : *shape)
      size = std::min<int64_t>(size, 3);
  SmallVector<int64_t> pairs[2][2];
  for (Kind kind : {Batch, Contract}) {
    pairs[kind][0] = positions(lhsKinds, kind);
    pairs[kind][1] = positions(rhsKinds, kind);
    if (t.between(0, 1))
      std::reverse(pairs[kind][1].begin(), pairs[kind][1].end());
    for (auto [l, r] : llvm::zip_equal(pairs[kind][0], pairs[kind][1]))
      rhs[r] = lhs[l];
  }
  Value a = t.parameter(lhs), b = t.parameter(rhs);
  t.output(
      t.g.contract(a, b, pairs[Batch][0], pairs[Batch][1], pairs[Contract][0], pairs[Contract][1]));
}

/// All rows of the table, away from their kinks.
void formulas(Trial &t) {
  for (const Formula &formula : allFormulas()) {
    SmallVector<Value> operands;
    const double below = formula.name == "acosh"; // what it is not defined on
    const bool isHinge = formula.name == "hinge_embedding";
    for (unsigned operand = 0; operand < (isHinge ? 1 : formula.operands); ++operand)
      operands.push_back(t.parameter({3}, 0.05 + below, 0.93 + below));
    if (isHinge) { // of 1 or -1, which have no gradient
      Value one = t.g.splatLike(operands[0], 1);
      operands.push_back(t.g.select(t.condition({3}), one, t.g.neg(one)));
    }
    t.output(t.g.make<FormulaOp>(operands.front().getType(), formula.name, operands,
                                 formula.parameters));
  }
}

void broadcast(Trial &t) {
  Shape to = t.shape(4), from = {to[1], to[3]};
  if (t.between(0, 1))
    from[t.between(0, 1)] = 1;
  auto type = RankedTensorType::get(to, t.builder.getF64Type());
  t.output(t.g.make<BroadcastOp>(type, t.parameter(from), ArrayRef<int64_t>{1, 3}));
}

void slice(Trial &t) {
  Shape shape = {t.between(1, 5), t.between(1, 5)};
  SmallVector<int64_t> offsets, limits, strides;
  for (int64_t size : shape) {
    offsets.push_back(t.between(0, size - 1));
    limits.push_back(t.between(offsets.back() + 1, size));
    strides.push_back(t.between(1, 3));
  }
  t.output(t.g.make<SliceOp>(t.parameter(shape), offsets, limits, strides));
}

void pad(Trial &t) {
  Value x = t.parameter(t.shape(2)), value = t.parameter({});
  auto sizes = [&] { return SmallVector<int64_t>{t.between(0, 2), t.between(0, 2)}; };
  SmallVector<int64_t> low = sizes(), high = sizes(), interior = sizes();
  t.output(t.g.make<PadOp>(x, value, low, high, interior));
}

void reverse(Trial &t) { t.output(t.g.reverse(t.parameter(t.shape(3)), {0, 2})); }

/// Sizes, strides, dilations of windows over `count` dimensions, and dimensions they fit.
struct Windows {
  SmallVector<int64_t> sizes, strides, dilations, low, high;
  Shape fitting;

  Windows(Trial &t, int64_t count) {
    for (int64_t dim = 0; dim < count; ++dim) {
      sizes.push_back(t.between(1, 3));
      strides.push_back(t.between(1, 3));
      dilations.push_back(t.between(1, 2));
      low.push_back(t.between(0, 2));
      high.push_back(t.between(0, 2));
      fitting.push_back((sizes[dim] - 1) * dilations[dim] + t.size());
    }
  }
};

void window(Trial &t) {
  Windows w(t, 2);
  if (t.between(0, 1)) { // side by side
    w.strides = w.sizes;
    w.dilations.assign(2, 1);
  }
  Value x = t.parameter({w.fitting[0], t.size(), w.fitting[1]});
  t.output(t.g.make<WindowOp>(x, ArrayRef<int64_t>{0, 2}, w.sizes, w.strides, w.dilations));
}

void convolution(Trial &t) {
  const int64_t spatial = t.between(1, 2), groups = t.between(1, 2);
  Windows w(t, spatial);
  Shape x = {t.between(1, 2), groups * t.between(1, 2)};
  Shape weight = {groups * t.between(1, 2), x[1] / groups};
  llvm::append_range(x, w.fitting);
  llvm::append_range(weight, w.sizes);
  t.output(t.g.make<ConvolutionOp>(t.parameter(x), t.parameter(weight), w.strides, w.dilations,
                                   w.low, w.high, groups));
}

void concat(Trial &t) {
  int64_t dimension = t.between(0, 1);
  Shape first = t.shape(2), second = first, third = first;
  second[dimension] = t.size();
  Value x = t.parameter(first);
  t.output(t.g.concat({x, t.parameter(second), x, t.parameter(third)}, dimension));
}

void gather(Trial &t) {
  Shape shape = t.shape(3);
  int64_t dimension = t.between(0, 2);
  Value x = t.parameter(shape);
  t.output(t.g.gather(x, t.indices(t.shape(t.between(0, 2)), shape[dimension]), dimension));
}

void scatterAdd(Trial &t) {
  Shape base = t.shape(2), updates = {t.size(), base[1]};
  Value x = t.parameter(base), y = t.parameter(updates);
  t.output(t.g.scatterAdd(x, t.indices({updates[0]}, base[0]), y, 0));
}

/// By given statistics, which have gradients then, or by the batch's.
void batchNorm(Trial &t) {
  Shape shape = t.shape(t.between(2, 4));
  shape[0] = t.between(2, 4);
  const Shape channels = {shape[1]};
  Value x = t.parameter(shape), scale = t.parameter(channels), bias = t.parameter(channels);
  const bool training = t.between(0, 1);
  Value mean = t.g.splatLike(bias, 0.1), variance = t.g.splatLike(bias, 0.7);
  if (!training) {
    mean = t.parameter(channels);
    variance = t.g.add(t.g.square(t.parameter(channels)), 0.3);
  }
  auto norm = BatchNormOp::create(t.builder, t.g.location, x, scale, bias, mean, variance,
                                  t.builder.getF64FloatAttr(1e-5), t.builder.getF64FloatAttr(0.1),
                                  training ? t.builder.getUnitAttr() : UnitAttr());
  t.output(norm.getResult());
}

void layerNorm(Trial &t) {
  Shape shape = t.shape(t.between(1, 3));
  shape.back() = t.between(2, 5);
  Value x = t.parameter(shape), scale = t.parameter({shape.back()});
  auto norm = LayerNormOp::create(t.builder, t.g.location, x, scale, t.parameter({shape.back()}),
                                  t.builder.getF64FloatAttr(1e-5));
  for (Value result : norm->getResults())
    t.output(result);
}

void linear(Trial &t) {
  Shape shape = t.shape(t.between(1, 3));
  int64_t out = t.size();
  Value x = t.parameter(shape), weight = t.parameter({out, shape.back()});
  t.output(t.g.make<LinearOp>(x, weight, t.between(0, 1) ? t.parameter({out}) : Value()));
}

void embedding(Trial &t) {
  int64_t vocabulary = t.size();
  Value table = t.parameter({vocabulary, t.size()});
  t.output(t.g.make<EmbeddingOp>(table, t.indices(t.shape(t.between(0, 2)), vocabulary)));
}

/// With masks that are trained or not, and all other options in any combination.
void attention(Trial &t) {
  int64_t batch = t.between(1, 2), keyHeads = t.between(1, 2), heads = keyHeads * t.between(1, 2),
          queries = t.between(1, 3), head = t.size(), keys = queries + t.between(0, 2);
  Value q = t.parameter({batch, heads, queries, head}),
        k = t.parameter({batch, keyHeads, keys, head});
  Value v = t.parameter({batch, keyHeads, keys, t.size()}), mask, offset, length;
  Shape scores = {batch, heads, queries, keys};
  for (int64_t &size : scores)
    size = t.between(0, 1) ? size : 1;
  if (int64_t kind = t.between(0, 3); kind > 1)
    mask = kind == 2 ? t.condition(scores) : t.parameter(scores);
  auto integer = [&] { return t.indices(t.between(0, 1) ? Shape{} : Shape{batch}, keys + 1); };
  if (t.between(0, 1))
    offset = integer();
  if (t.between(0, 1))
    length = integer();
  auto reach = [&] {
    return t.between(0, 1) ? t.builder.getI64IntegerAttr(t.between(0, 2)) : IntegerAttr();
  };
  const bool isCausal = t.between(0, 1);
  t.output(t.g.make<AttentionOp>(q, k, v, mask, offset, length, t.builder.getF64FloatAttr(0.7),
                                 t.builder.getBoolAttr(isCausal),
                                 t.between(0, 1) ? t.builder.getF64FloatAttr(0.8) : FloatAttr(),
                                 reach(), isCausal ? IntegerAttr() : reach()));
}

void crossEntropy(Trial &t) {
  Shape shape = t.shape(t.between(2, 3));
  Value logits = t.parameter(shape, -3, 3);
  Value targets = t.indices(Shape(shape.begin(), shape.end() - 1), shape.back());
  auto loss = CrossEntropyOp::create(t.builder, t.g.location, logits, targets);
  t.output(loss.getLoss());
  t.output(loss.getLse());
}

void mse(Trial &t) {
  Shape shape = t.shape(t.between(0, 3));
  Value prediction = t.parameter(shape);
  t.output(t.g.make<MseOp>(prediction, t.parameter(shape)));
}

/// A pad or an op that only one branch uses gets zeros from the other.
void branches(Trial &t) {
  Shape shape = t.shape(2);
  Value x = t.parameter(shape), y = t.parameter(shape), condition = t.condition({});
  auto op = IfOp::create(t.builder, t.g.location, TypeRange{x.getType(), y.getType()}, condition);
  auto fill = [&](Region &region, auto build) {
    OpBuilder builder = OpBuilder::atBlockBegin(&region.emplaceBlock());
    GraphBuilder g(builder, t.g.location);
    YieldOp::create(builder, t.g.location, build(g));
  };
  fill(op.getThenRegion(), [&](GraphBuilder &g) { return SmallVector<Value>{g.mul(x, y), x}; });
  fill(op.getElseRegion(), [&](GraphBuilder &g) { return SmallVector<Value>{g.exp(x), g.exp(x)}; });
  t.output(op.getResult(0));
  t.output(op.getResult(1));
}

/// Carries x → tanh(x·w) + i, stacks its squares; w is captured. Forwards or in reverse.
void loopOf(Trial &t, Value count, int64_t rows, IntegerAttr atMost) {
  Shape shape = t.shape(1);
  Value x = t.parameter(shape), w = t.parameter(shape);
  auto stacked = RankedTensorType::get({rows, shape[0]}, t.builder.getF64Type());
  auto op = LoopOp::create(t.builder, t.g.location, TypeRange{x.getType(), stacked}, count, x,
                           atMost, t.between(0, 1) ? t.builder.getUnitAttr() : UnitAttr());
  Block &body = op.getBody().emplaceBlock();
  body.addArguments({count.getType(), x.getType()}, {t.g.location, t.g.location});
  OpBuilder builder = OpBuilder::atBlockBegin(&body);
  GraphBuilder g(builder, t.g.location);
  Value iteration = g.broadcastLike(g.cast(body.getArgument(0), t.builder.getF64Type()), x);
  Value next = g.add(g.tanh(g.mul(body.getArgument(1), w)), iteration);
  YieldOp::create(builder, t.g.location, ValueRange{next, g.square(next)});
  t.output(op.getResult(0));
  t.output(op.getResult(1));
}

void loop(Trial &t) {
  int64_t trips = t.between(0, 3);
  loopOf(t, t.g.scalar(t.builder.getI64Type(), trips), trips, {});
}

/// Fewer iterations than at most.
void countedLoop(Trial &t) {
  Value count = t.g.cast(t.indices({}, 4), t.builder.getI64Type());
  loopOf(t, count, 4, t.builder.getI64IntegerAttr(3));
}

void dynamicSlice(Trial &t) {
  Shape shape = t.shape(3);
  int64_t dimension = t.between(0, 2), size = t.between(0, shape[dimension]);
  Value start = t.g.cast(t.indices({}, shape[dimension] - size + 1), t.builder.getI64Type());
  t.output(t.g.make<DynamicSliceOp>(t.parameter(shape), start, dimension, size));
}

void dynamicUpdateSlice(Trial &t) {
  Shape shape = t.shape(3);
  int64_t dimension = t.between(0, 2), size = t.between(1, shape[dimension]);
  Value start = t.indices({}, shape[dimension] - size + 1), base = t.parameter(shape);
  shape[dimension] = size;
  t.output(t.g.make<DynamicUpdateSliceOp>(base, t.parameter(shape), start, dimension));
}

/// Constant between jumps: the other factor makes the loss depend on the parameter.
template <typename Op> void flat(Trial &t) {
  Value x = t.parameter(t.shape(2), 0.1, 0.9);
  t.output(t.g.mul(x, t.g.add(t.g.make<Op>(x), 2.0)));
}

const Case cases[] = {
    {"graph.neg", unary<NegOp>},
    {"graph.abs", unary<AbsOp>},
    {"graph.sign", flat<SignOp>},
    {"graph.floor", flat<FloorOp>},
    {"graph.round", flat<RoundOp>},
    {"graph.ceil", flat<CeilOp>},
    {"graph.exp", unary<ExpOp>},
    {"graph.log", unary<LogOp, 0.2, 3.0>},
    {"graph.expm1", unary<Expm1Op>},
    {"graph.log1p", unary<Log1pOp, -0.8, 3.0>},
    {"graph.sqrt", unary<SqrtOp, 0.2, 3.0>},
    {"graph.rsqrt", unary<RsqrtOp, 0.2, 3.0>},
    {"graph.reciprocal", unary<ReciprocalOp, 0.2, 3.0>},
    {"graph.reciprocal", unary<ReciprocalOp, -3.0, -0.2>},
    {"graph.tanh", unary<TanhOp>},
    {"graph.erf", unary<ErfOp>},
    {"graph.sin", unary<SinOp, -4.0, 4.0>},
    {"graph.cos", unary<CosOp, -4.0, 4.0>},
    {"graph.atan", unary<AtanOp, -4.0, 4.0>},
    {"graph.sigmoid", unary<SigmoidOp, -4.0, 4.0>},
    {"graph.relu", unary<ReluOp>},
    {"graph.cast",
     [](Trial &t) {
       // Through f32 differences drown in rounding: the step must be seen.
       Value x = t.parameter(t.shape(2));
       t.output(t.g.make<CastOp>(x.getType(), t.g.square(x)));
     }},
    {"graph.add", binary<AddOp>},
    {"graph.sub", binary<SubOp>},
    {"graph.mul", binary<MulOp>},
    {"graph.mul",
     [](Trial &t) {
       Value x = t.parameter(t.shape(2));
       t.output(t.g.mul(t.g.mul(x, x), x));
     }},
    {"graph.div", binary<DivOp, -1.0, 1.0, 0.3, 2.0>},
    {"graph.div", binary<DivOp, -1.0, 1.0, -2.0, -0.3>},
    {"graph.remainder", binary<RemainderOp, 2.6, 3.4, 1.15, 1.2>},
    {"graph.remainder", binary<RemainderOp, -3.4, -2.6, 1.15, 1.2>},
    {"graph.modulo", binary<ModuloOp, 2.6, 3.4, -1.2, -1.15>},
    {"graph.modulo", binary<ModuloOp, -3.4, -2.6, 1.15, 1.2>},
    {"graph.pow", binary<PowOp, 0.3, 2.0, -2.0, 2.0>},
    {"graph.maximum", binary<MaximumOp>},
    {"graph.minimum", binary<MinimumOp>},
    {"graph.select",
     [](Trial &t) {
       Shape shape = t.shape(2);
       Value x = t.parameter(shape), y = t.parameter(shape);
       t.output(t.g.select(t.condition(shape), x, y));
     }},
    {"graph.reshape",
     [](Trial &t) {
       Shape shape = t.shape(3);
       t.output(t.g.make<ReshapeOp>(
           RankedTensorType::get({shape[2], shape[0] * shape[1]}, t.builder.getF64Type()),
           t.parameter(shape)));
     }},
    {"graph.transpose",
     [](Trial &t) { t.output(t.g.transpose(t.parameter(t.shape(3)), {2, 0, 1})); }},
    {"graph.broadcast", broadcast},
    {"graph.slice", slice},
    {"graph.reverse", reverse},
    {"graph.window", window},
    {"graph.convolution", convolution},
    {"graph.pad", pad},
    {"graph.concat", concat},
    {"graph.reduce", reduce<ReduceKind::Sum>},
    {"graph.reduce", reduce<ReduceKind::Max>},
    {"graph.reduce", reduce<ReduceKind::Min>},
    {"graph.reduce", reduce<ReduceKind::Product>},
    {"graph.reduce", productWithZeros},
    {"graph.reduce_tuples", reduceTuples<argmax, 2>},
    {"graph.reduce_tuples", reduceTuples<argmin, 2>},
    {"graph.reduce_tuples", reduceTuples<welford, 3>},
    {"graph.reduce_tuples", reduceTuples<expSum, 2>},
    {"graph.scan", scan<ReduceKind::Sum>},
    {"graph.scan", scan<ReduceKind::Product>},
    {"graph.sort", sort},
    {"graph.contract", contract},
    {"graph.dynamic_slice", dynamicSlice},
    {"graph.dynamic_update_slice", dynamicUpdateSlice},
    {"graph.gather", gather},
    {"graph.scatter_add", scatterAdd},
    {"graph.formula", formulas},
    {"graph.softmax",
     [](Trial &t) { t.output(t.g.make<SoftmaxOp>(t.parameter(t.shape(3)), t.between(0, 2))); }},
    {"graph.log_softmax",
     [](Trial &t) { t.output(t.g.make<LogSoftmaxOp>(t.parameter(t.shape(3)), t.between(0, 2))); }},
    {"graph.pick", pick},
    {"graph.batch_norm", batchNorm},
    {"graph.layer_norm", layerNorm},
    {"graph.linear", linear},
    {"graph.embedding", embedding},
    {"graph.attention", attention},
    {"graph.cross_entropy", crossEntropy},
    {"graph.mse", mse},
    {"graph.if", branches},
    {"graph.loop", loop},
    {"graph.loop", countedLoop},
};

/// Ops without a rule, each for a reason.
const StringRef withoutGradient[] = {
    "graph.constant",
    "graph.iota",
    "graph.random_uniform",
    "graph.random_normal", // no operand
    "graph.compare",
    "graph.and",
    "graph.or",
    "graph.xor",
    "graph.shift_left",
    "graph.shift_right",
    "graph.not",                // no floats
    "graph.attention_backward", // second derivatives
    "graph.update",
    "graph.bucket",
    "graph.unbucket",
    "graph.after",
    "graph.combine", // made behind this pass
    "graph.yield",
};

class GradientsTest : public GraphTest {};

TEST_F(GradientsTest, EveryRuleAgreesWithDifferences) {
  for (const Case &one : cases)
    for (int repeat = 0; repeat < 4; ++repeat) {
      SCOPED_TRACE(one.op.str());
      Trial trial(context, generator);
      one.build(trial);
      ASSERT_TRUE(trial.contains(one.op));
      trial.check();
      if (HasFatalFailure())
        return;
    }
}

/// What a place hides takes no part in a trained mask's gradient either, whatever its value.
TEST_F(GradientsTest, ATrainedMaskHasNoGradientOfWhatPlacesHide) {
  const double infinity = std::numeric_limits<double>::infinity();
  auto module = parse(R"mlir(
func.func @evaluate(%m: tensor<1x1x1x4xf64> {graph.name = "m", graph.role = "parameter"},
                    %q: tensor<1x2x3x2xf64> {graph.name = "q", graph.role = "input"},
                    %k: tensor<1x2x4x2xf64> {graph.name = "k", graph.role = "input"},
                    %v: tensor<1x2x4x2xf64> {graph.name = "v", graph.role = "input"},
                    %o: tensor<i64> {graph.name = "o", graph.role = "input"})
    -> (tensor<f64> {graph.name = "loss"}) {
  %y, %l = graph.attention %q, %k, %v mask %m offset %o scale 0.5 causal true
    : tensor<1x2x3x2xf64>, tensor<1x2x4x2xf64>, tensor<1x2x4x2xf64>, tensor<1x1x1x4xf64>, tensor<i64> -> tensor<1x2x3x2xf64>, tensor<1x2x3xf64>
  %z = graph.tanh %y : tensor<1x2x3x2xf64>
  %loss = graph.reduce sum %z [0, 1, 2, 3] : tensor<1x2x3x2xf64> -> tensor<f64>
  return %loss : tensor<f64>
})mlir");
  ASSERT_TRUE(module);
  PassManager passes(&context);
  passes.addPass(createDifferentiate());
  ASSERT_TRUE(succeeded(passes.run(*module)));
  Tensors arguments = {random("tensor<1x1x1x4xf64>"), random("tensor<1x2x3x2xf64>"),
                       random("tensor<1x2x4x2xf64>"), random("tensor<1x2x4x2xf64>"),
                       tensor(ElementType::I64, {}, {0})};
  auto gradientOf = [&](std::array<double, 2> hidden) {
    for (int64_t head : {0, 1})
      for (int64_t i : {0, 1}) // of the last key, which comes after the last query
        arguments[3].as<double>()[(head * 4 + 3) * 2 + i] = hidden[size_t(i)];
    auto results = interpret(module->lookupSymbol<func::FuncOp>("gradients"), arguments);
    EXPECT_TRUE(results) << (results ? "" : results.error().text());
    return (*results)[1];
  };
  const Tensor expected = gradientOf({0.5, 2});
  for (double number : load<double>(expected))
    EXPECT_TRUE(std::isfinite(number));
  expectClose(gradientOf({infinity, std::nan("")}), expected, 1e-12);
}

TEST_F(GradientsTest, EveryOpHasATestedRuleOrAReasonForNone) {
  for (RegisteredOperationName name : context.getRegisteredOperationsByDialect("graph")) {
    StringRef op = name.getStringRef();
    bool isTested = llvm::any_of(cases, [&](const Case &one) { return one.op == op; });
    bool isExempt = llvm::is_contained(withoutGradient, op);
    EXPECT_EQ(findGradientRule(op) != nullptr, isTested) << op.str();
    EXPECT_NE(isTested, isExempt) << op.str();
  }
}

} // namespace
} // namespace ingot::testing
