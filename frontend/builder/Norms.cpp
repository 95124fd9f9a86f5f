/// Norms and relatives of softmax, in terms of Builder's smaller operations; losses.
#include "frontend/builder/BuilderImpl.h"
#include "passes/options/CheckTraining.h"
#include "passes/training/Losses.h"

namespace ingot {

using Value = Builder::Value;

namespace {

/// In the type that statistics are computed in.
Value widen(Builder &b, Value x) {
  return b.cast(x, x.type() == ElementType::F64 ? ElementType::F64 : ElementType::F32);
}

Value like(Builder &b, Value x, double value) { return b.scalar(value, x.type()); }

bool isFloat(Value x) { return graph::kindOf(x.type()) == graph::ElementKind::Float; }

} // namespace

//===--------------------------------------------------------------------------------------------===//
// Norms
//===--------------------------------------------------------------------------------------------===//

Value Builder::groupNorm(Value x, int64_t groups, Value scale, Value bias, double epsilon) {
  if (!impl->usable("group_norm", {x, scale, bias}))
    return impl->invalid();
  const Shape &shape = x.shape();
  if (shape.size() < 2 || groups < 1 || shape[1] % groups)
    return impl->fail(
        "group_norm", {x},
        fmt::format("needs [batch, channels, …], and channels that {} divides", groups));
  if (scale.shape() != Shape{shape[1]} || bias.shape() != scale.shape() ||
      scale.type() != x.type() || bias.type() != x.type())
    return impl->fail("group_norm", {x, scale, bias},
                      "scale and bias need an element a channel, of x's type");
  const int64_t width = shape[0] == 0 ? 0 : elementCount(shape) / shape[0] / groups;
  Value rows = reshape(widen(*this, x), {shape[0], groups, width});
  // A scale of ones and a bias of zeros leave no trace.
  Value normal = layerNorm(rows, broadcast(like(*this, rows, 1), {width}),
                           broadcast(like(*this, rows, 0), {width}), epsilon);
  Shape channels(shape.size(), 1);
  channels[1] = shape[1];
  auto spread = [&](Value channel) { return reshape(widen(*this, channel), channels); };
  return cast(add(mul(reshape(normal, shape), spread(scale)), spread(bias)), x.type());
}

Value Builder::instanceNorm(Value x, Value scale, Value bias, double epsilon) {
  if (!impl->usable("instance_norm", {x}))
    return impl->invalid();
  if (x.shape().size() < 3)
    return impl->fail("instance_norm", {x}, "needs [batch, channels, …]");
  return groupNorm(x, std::max<int64_t>(x.shape()[1], 1), scale, bias, epsilon);
}

Value Builder::rmsNorm(Value x, Value scale, double epsilon) {
  if (!impl->usable("rms_norm", {x, scale}))
    return impl->invalid();
  if (x.shape().empty() || !isFloat(x) || scale.shape() != Shape{x.shape().back()} ||
      scale.type() != x.type())
    return impl->fail("rms_norm", {x, scale},
                      "the scale needs an element of x's type for each of "
                      "x's last dimension");
  Value wide = widen(*this, x);
  Value rstd = rsqrt(add(mean(square(wide), {-1}, true), like(*this, wide, epsilon)));
  return cast(mul(mul(wide, rstd), widen(*this, scale)), x.type());
}

Value Builder::localResponseNorm(Value x, int64_t size, double alpha, double beta, double k) {
  if (!impl->usable("local_response_norm", {x}))
    return impl->invalid();
  if (x.shape().size() < 2 || size < 1 || !isFloat(x))
    return impl->fail("local_response_norm", {x}, "needs floats [batch, channels, …] and a size");
  std::vector<int64_t> low(x.shape().size(), 0), high = low;
  low[1] = size / 2, high[1] = (size - 1) / 2;
  Value wide = widen(*this, x);
  Value windows = window(pad(square(wide), 0, low, high), {1}, {size});
  Value squares = mean(windows, {int64_t(low.size())});
  Value base = add(mul(squares, like(*this, wide, alpha)), like(*this, wide, k));
  return cast(div(wide, pow(base, like(*this, wide, beta))), x.type());
}

//===--------------------------------------------------------------------------------------------===//
// Relatives of softmax
//===--------------------------------------------------------------------------------------------===//

Value Builder::logSoftmax(Value x, int64_t dimension) {
  if (!impl->usable("log_softmax", {x}))
    return impl->invalid();
  dimension += dimension < 0 ? int64_t(x.shape().size()) : 0;
  return impl->make<graph::LogSoftmaxOp>(impl->type(x), {x},
                                         {impl->integer("dimension", dimension)});
}

Value Builder::hardmax(Value x, int64_t dimension) {
  Value first = argmax(x, {dimension}, true)[1];
  if (!impl->valid(first))
    return first;
  dimension += dimension < 0 ? int64_t(x.shape().size()) : 0;
  return cast(compare(Comparison::Equal, iota(x.shape(), dimension, first.type()), first),
              x.type());
}

//===--------------------------------------------------------------------------------------------===//
// Losses
//===--------------------------------------------------------------------------------------------===//

Value Builder::loss(Loss loss, Value prediction, Value targets, const LossNumbers &numbers,
                    int64_t classAxis) {
  if (!impl->usable("loss", {prediction, targets}))
    return impl->invalid();
  const std::string name(enumName(loss));
  auto fail = [&](const std::string &why) { return impl->fail(name, {prediction, targets}, why); };
  if (loss == Loss::None)
    return fail("is no loss");
  if (Status status = checkLoss(loss, numbers); !status)
    return fail(status.error().text());
  const LossForm form{loss, numbers, classAxis};
  const mlir::RankedTensorType type = impl->type(prediction), given = impl->type(targets);
  if (std::string problem = form.problem(type); !problem.empty())
    return fail(problem);
  mlir::Type index = given.getElementType();
  if (!index.isInteger(64))
    index = impl->builder.getI32Type();
  if (const mlir::RankedTensorType wanted = form.targets(type, index); given != wanted)
    return fail(fmt::format("the targets must be {} {}", toString(Shape(wanted.getShape())),
                            ingot::name(*graph::elementTypeOf(wanted.getElementType()))));
  graph::GraphBuilder build(impl->builder,
                            mlir::NameLoc::get(impl->builder.getStringAttr(impl->node(name))));
  return impl->give(form.build(build, impl->ir(prediction), impl->ir(targets)));
}

Value Builder::cosineEmbedding(Value a, Value b, Value same, double margin) {
  Value lack = loss(Loss::Cosine, a, b, {.reduction = Reduction::None});
  if (!impl->valid(lack) || !impl->usable("cosine_embedding", {same}))
    return impl->invalid();
  if (same.shape() != lack.shape() || same.type() != lack.type())
    return impl->fail("cosine_embedding", {a, b, same}, "there must be a 1 or -1 for each row");
  Value zero = like(*this, lack, 0);
  Value excess = sub(sub(like(*this, lack, 1), lack), like(*this, lack, margin));
  Value apart = relu(excess); // NaN stays
  auto where = [&](double sign, Value value) {
    return select(compare(Comparison::Equal, same, like(*this, same, sign)), value, zero);
  };
  return add(where(1, lack), where(-1, apart));
}

} // namespace ingot
