/// The operations of Builder, a line or a few each.
#include "frontend/builder/BuilderImpl.h"
#include "ir/dialect/TransposedConvolution.h"
#include "ir/formulas/Formulas.h"
#include "ir/formulas/TupleReductions.h"
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace ingot {

using Value = Builder::Value;

namespace {

/// Counts negative dimensions from the end; false if one is out of range.
bool normalize(std::vector<int64_t> &dimensions, int64_t rank) {
  for (int64_t &dimension : dimensions) {
    dimension += dimension < 0 ? rank : 0;
    if (dimension < 0 || dimension >= rank)
      return false;
  }
  return true;
}

int64_t rankOf(const Value &value) { return int64_t(value.shape().size()); }

} // namespace

//===--------------------------------------------------------------------------------------------===//
// Sources
//===--------------------------------------------------------------------------------------------===//

Value Builder::constant(const Tensor &tensor) {
  if (!tensor.data())
    return impl->fail(
        "constant", {},
        fmt::format("the tensor {} {} has no data", toString(tensor.shape()), name(tensor.type())));
  mlir::RankedTensorType type =
      impl->tensor(tensor.shape(), graph::mlirType(tensor.type(), impl->model->context.get()));
  mlir::ElementsAttr value = graph::attributeOf(tensor, type);
  return impl->make<graph::ConstantOp>(type, {}, {impl->builder.getNamedAttr("value", value)});
}

Value Builder::scalar(double value, ElementType type) {
  mlir::Type element = graph::mlirType(type, impl->model->context.get());
  mlir::RankedTensorType scalarType = impl->tensor({}, element);
  mlir::Attribute attribute;
  if (mlir::isa<mlir::FloatType>(element))
    attribute = mlir::FloatAttr::get(element, value);
  else
    attribute = mlir::IntegerAttr::get(element, llvm::APInt(element.getIntOrFloatBitWidth(),
                                                            uint64_t(int64_t(value)), true,
                                                            /*implicitTrunc=*/true));
  mlir::ElementsAttr elements = mlir::DenseElementsAttr::get(scalarType, attribute);
  return impl->make<graph::ConstantOp>(scalarType, {},
                                       {impl->builder.getNamedAttr("value", elements)});
}

Value Builder::iota(const Shape &shape, int64_t dimension, ElementType type) {
  return impl->make<graph::IotaOp>(
      impl->tensor(shape, graph::mlirType(type, impl->model->context.get())), {},
      {impl->integer("dimension", dimension)});
}

//===--------------------------------------------------------------------------------------------===//
// Elementwise
//===--------------------------------------------------------------------------------------------===//

#define INGOT_UNARY(METHOD, OP, ...)                                                               \
  Value Builder::METHOD(Value x) { return impl->elementwise<graph::OP>({x}); }
#define INGOT_BINARY(METHOD, OP, ...)                                                              \
  Value Builder::METHOD(Value a, Value b) { return impl->elementwise<graph::OP>({a, b}); }
#include "ir/formulas/Primitives.def"

#define INGOT_FORMULA(METHOD, ...)                                                                 \
  Value Builder::METHOD(Value x) { return impl->formula(#METHOD, {x}, {}); }
#define INGOT_FORMULA_1(METHOD, P, ...)                                                            \
  Value Builder::METHOD(Value x, double P) { return impl->formula(#METHOD, {x}, {P}); }
#define INGOT_FORMULA_2(METHOD, P, DEFAULT, Q, ...)                                                \
  Value Builder::METHOD(Value x, double P, double Q) { return impl->formula(#METHOD, {x}, {P, Q}); }
#define INGOT_FORMULA_XY(METHOD, ...)                                                              \
  Value Builder::METHOD(Value x, Value y) { return impl->formula(#METHOD, {x, y}, {}); }
#define INGOT_FORMULA_XY_1(METHOD, P, ...)                                                         \
  Value Builder::METHOD(Value x, Value y, double P) { return impl->formula(#METHOD, {x, y}, {P}); }
#include "ir/formulas/Formulas.def"

Value Builder::compare(Comparison direction, Value a, Value b) {
  Impl::Values operands = {a, b};
  if (!impl->broadcastTogether("compare", operands))
    return impl->invalid();
  auto attribute =
      graph::ComparisonAttr::get(impl->model->context.get(), graph::Comparison(direction));
  return impl->infer<graph::CompareOp>(operands,
                                       {impl->builder.getNamedAttr("direction", attribute)});
}

Value Builder::isNan(Value x) {
  if (!impl->usable("is_nan", {x}))
    return impl->invalid();
  return compare(Comparison::NotEqual, x, x);
}

Value Builder::isInf(Value x, bool negative, bool positive) {
  if (!impl->usable("is_inf", {x}))
    return impl->invalid();
  if (graph::kindOf(x.type()) != graph::ElementKind::Float)
    return impl->fail("is_inf", {x}, "only floats have infinities");
  if (!negative && !positive)
    return impl->fail("is_inf", {x}, "neither sign is asked for");
  const double infinity = std::numeric_limits<double>::infinity();
  return compare(Comparison::Equal, negative && positive ? abs(x) : x,
                 scalar(positive ? infinity : -infinity, x.type()));
}

Value Builder::select(Value condition, Value onTrue, Value onFalse) {
  Impl::Values operands = {condition, onTrue, onFalse};
  if (!impl->broadcastTogether("select", operands))
    return impl->invalid();
  return impl->make<graph::SelectOp>(impl->type(operands[1]), operands);
}

Value Builder::cast(Value x, ElementType type) {
  if (!impl->usable("cast", {x}) || x.type() == type)
    return x;
  mlir::Type element = graph::mlirType(type, impl->model->context.get());
  return impl->make<graph::CastOp>(impl->tensor(x.shape(), element), {x});
}

//===--------------------------------------------------------------------------------------------===//
// Shape
//===--------------------------------------------------------------------------------------------===//

Value Builder::reshape(Value x, const Shape &shape) {
  if (!impl->usable("reshape", {x}))
    return impl->invalid();
  Shape target = shape;
  auto open = std::find(target.begin(), target.end(), -1);
  if (open != target.end()) {
    *open = 1;
    int64_t rest = elementCount(target), all = elementCount(x.shape());
    if (rest == 0 || all % rest)
      return impl->fail("reshape", {x},
                        fmt::format("{} elements do not fill shape {}", all, toString(shape)));
    *open = all / rest;
  }
  if (std::any_of(target.begin(), target.end(), [](int64_t size) { return size < 0; }))
    return impl->fail("reshape", {x},
                      fmt::format("shape {} has negative dimensions", toString(shape)));
  if (target == x.shape())
    return x;
  mlir::Type element = impl->type(x).getElementType();
  return impl->make<graph::ReshapeOp>(impl->tensor(target, element), {x});
}

Value Builder::transpose(Value x, const std::vector<int64_t> &permutation) {
  return impl->infer<graph::TransposeOp>({x}, {impl->integers("permutation", permutation)});
}

Value Builder::broadcast(Value x, const Shape &shape) {
  if (!impl->usable("broadcast", {x}))
    return impl->invalid();
  if (rankOf(x) > int64_t(shape.size()))
    return impl->fail("broadcast", {x},
                      fmt::format("shape {} has fewer dimensions", toString(shape)));
  return impl->broadcastTo(x, shape);
}

Value Builder::slice(Value x, const std::vector<int64_t> &offsets,
                     const std::vector<int64_t> &limits, const std::vector<int64_t> &strides) {
  std::vector<int64_t> steps = strides.empty() ? std::vector<int64_t>(offsets.size(), 1) : strides;
  return impl->infer<graph::SliceOp>({x}, {impl->integers("offsets", offsets),
                                           impl->integers("limits", limits),
                                           impl->integers("strides", steps)});
}

Value Builder::slice(Value x, int64_t dimension, int64_t offset, int64_t limit) {
  if (!impl->usable("slice", {x}))
    return impl->invalid();
  std::vector<int64_t> chosen = {dimension};
  if (!normalize(chosen, rankOf(x)))
    return impl->fail("slice", {x}, fmt::format("there is no dimension {}", dimension));
  std::vector<int64_t> offsets(x.shape().size(), 0), limits = x.shape();
  offsets[chosen[0]] = offset;
  limits[chosen[0]] = limit;
  return slice(x, offsets, limits);
}

Value Builder::concat(std::span<const Value> xs, int64_t dimension) {
  llvm::ArrayRef<Value> operands(xs.data(), xs.size());
  if (!impl->usable("concat", operands))
    return impl->invalid();
  if (dimension < 0 && !operands.empty())
    dimension += rankOf(operands.front());
  return impl->infer<graph::ConcatOp>(operands, {impl->integer("dimension", dimension)});
}

Value Builder::reverse(Value x, std::vector<int64_t> dimensions) {
  if (!impl->usable("reverse", {x}))
    return impl->invalid();
  if (!normalize(dimensions, rankOf(x)))
    return impl->fail("reverse", {x}, "its dimensions are not all there");
  return impl->infer<graph::ReverseOp>({x}, {impl->integers("dimensions", dimensions)});
}

Value Builder::pad(Value x, double value, const std::vector<int64_t> &low,
                   const std::vector<int64_t> &high, std::vector<int64_t> interior) {
  if (!impl->usable("pad", {x}))
    return impl->invalid();
  interior.resize(low.size(), 0);
  return impl->infer<graph::PadOp>({x, scalar(value, x.type())},
                                   {impl->integers("low", low), impl->integers("high", high),
                                    impl->integers("interior", interior)});
}

//===--------------------------------------------------------------------------------------------===//
// Reductions
//===--------------------------------------------------------------------------------------------===//

bool Builder::Impl::completeDimensions(llvm::StringRef operation, Value x,
                                       std::vector<int64_t> &dimensions) {
  if (!usable(operation, {x}))
    return false;
  if (dimensions.empty()) {
    dimensions.resize(x.shape().size());
    std::iota(dimensions.begin(), dimensions.end(), 0);
  }
  if (normalize(dimensions, rankOf(x)))
    return true;
  fail(operation, {x}, "a dimension is out of range");
  return false;
}

Value Builder::Impl::keep(Value reduced, Value x, llvm::ArrayRef<int64_t> dimensions) {
  if (!valid(reduced))
    return reduced;
  Shape kept = x.shape();
  for (int64_t dimension : dimensions)
    kept[dimension] = 1;
  return owner.reshape(reduced, kept);
}

Value Builder::Impl::reduce(graph::ReduceKind kind, Value x, std::vector<int64_t> dimensions,
                            bool keepDimensions) {
  if (!completeDimensions("reduce", x, dimensions))
    return invalid();
  auto kindAttribute = graph::ReduceKindAttr::get(model->context.get(), kind);
  Value reduced = infer<graph::ReduceOp>(
      {x}, {builder.getNamedAttr("kind", kindAttribute), integers("dimensions", dimensions)});
  return keepDimensions ? keep(reduced, x, dimensions) : reduced;
}

#define INGOT_REDUCTION(METHOD, KIND, ...)                                                         \
  Value Builder::METHOD(Value x, std::vector<int64_t> dimensions, bool keepDimensions) {           \
    return impl->reduce(graph::ReduceKind::KIND, x, std::move(dimensions), keepDimensions);        \
  }
#include "ir/formulas/Reductions.def"

std::vector<Value> Builder::Impl::reduceTuples(llvm::StringRef method, Value x,
                                               std::vector<int64_t> dimensions,
                                               bool keepDimensions) {
  const graph::TupleReduction &row = *graph::findTupleReduction(graph::formulaName(method));
  if (!completeDimensions(row.name, x, dimensions))
    return std::vector<Value>(row.size(), invalid());
  using Part = graph::TupleReduction::Part;
  auto splat = [&](double value) {
    return owner.broadcast(owner.scalar(value, x.type()), x.shape());
  };
  auto position = [&] {
    const bool isLong = elementCount(x.shape()) > std::numeric_limits<int32_t>::max();
    const ElementType type = isLong ? ElementType::I64 : ElementType::I32;
    Value number = owner.broadcast(owner.scalar(0, type), x.shape());
    int64_t stride = 1;
    for (int64_t dimension : llvm::reverse(dimensions)) {
      number = owner.add(number, owner.mul(owner.iota(x.shape(), dimension, type),
                                           owner.scalar(double(stride), type)));
      stride *= x.shape()[dimension];
    }
    return number;
  };
  std::sort(dimensions.begin(), dimensions.end());
  Values parts;
  for (Part part : row.lift)
    parts.push_back(part == Part::element    ? x
                    : part == Part::position ? position()
                                             : splat(part == Part::one));
  std::vector<Value> results = reduceTuples(row, parts, dimensions);
  if (keepDimensions)
    for (Value &value : results)
      value = keep(value, x, dimensions);
  return results;
}

std::vector<Value> Builder::Impl::reduceTuples(const graph::TupleReduction &row,
                                               llvm::ArrayRef<Value> parts,
                                               llvm::ArrayRef<int64_t> dimensions) {
  Value first = infer<graph::ReduceTuplesOp>(
      parts, {builder.getNamedAttr("kind", builder.getStringAttr(row.name)),
              integers("dimensions", dimensions)});
  std::vector<Value> results = {first};
  for (unsigned part = 1; part < row.size(); ++part)
    results.push_back(result(first, part));
  return results;
}

#define INGOT_TUPLE_REDUCTION(METHOD, ...)                                                         \
  std::vector<Value> Builder::METHOD(Value x, std::vector<int64_t> dimensions,                     \
                                     bool keepDimensions) {                                        \
    return impl->reduceTuples(#METHOD, x, std::move(dimensions), keepDimensions);                  \
  }
#include "ir/formulas/Reductions.def"

Value Builder::logSumExp(Value x, std::vector<int64_t> dimensions, bool keepDimensions) {
  std::vector<Value> parts = expSum(x, std::move(dimensions), keepDimensions);
  return add(parts[0], log(parts[1]));
}

Value Builder::variance(Value x, std::vector<int64_t> dimensions, bool keepDimensions,
                        double correction) {
  std::vector<Value> parts = welford(x, std::move(dimensions), keepDimensions);
  return div(parts[1], sub(parts[2], scalar(correction, x.type())));
}

Value Builder::mean(Value x, std::vector<int64_t> dimensions, bool keepDimensions) {
  Value total = sum(x, std::move(dimensions), keepDimensions);
  if (!impl->valid(total))
    return total;
  double count = double(elementCount(x.shape())) / double(elementCount(total.shape()));
  return div(total, scalar(count, x.type()));
}

//===--------------------------------------------------------------------------------------------===//
// Contractions and indexing
//===--------------------------------------------------------------------------------------------===//

Value Builder::contract(Value a, Value b, std::vector<int64_t> batchA, std::vector<int64_t> batchB,
                        std::vector<int64_t> overA, std::vector<int64_t> overB) {
  if (!impl->usable("contract", {a, b}))
    return impl->invalid();
  if (!normalize(batchA, rankOf(a)) || !normalize(overA, rankOf(a)) ||
      !normalize(batchB, rankOf(b)) || !normalize(overB, rankOf(b)))
    return impl->fail("contract", {a, b}, "a dimension is out of range");
  return impl->infer<graph::ContractOp>(
      {a, b}, {impl->integers("lhs_batch", batchA), impl->integers("rhs_batch", batchB),
               impl->integers("lhs_contract", overA), impl->integers("rhs_contract", overB)});
}

Value Builder::matmul(Value a, Value b) {
  if (!impl->usable("matmul", {a, b}))
    return impl->invalid();
  if (rankOf(a) < 2 || rankOf(b) < 2)
    return impl->fail("matmul", {a, b}, "both operands need at least two dimensions");
  if (a.shape().back() != b.shape()[rankOf(b) - 2])
    return impl->fail("matmul", {a, b},
                      fmt::format("the first operand's last dimension is {}, the second's last "
                                  "but one {}",
                                  a.shape().back(), b.shape()[rankOf(b) - 2]));
  // A matrix on the right serves every batch of the left without being repeated.
  if (rankOf(b) == 2)
    return contract(a, b, {}, {}, {-1}, {0});
  auto leading = [](Value x) { return Shape(x.shape().begin(), x.shape().end() - 2); };
  std::optional<Shape> batch = broadcastShape(leading(a), leading(b));
  if (!batch)
    return impl->fail("matmul", {a, b}, "the leading dimensions do not broadcast");
  auto spread = [&](Value x) {
    Shape full = *batch;
    full.insert(full.end(), x.shape().end() - 2, x.shape().end());
    return impl->broadcastTo(x, full);
  };
  std::vector<int64_t> batchDimensions(batch->size());
  std::iota(batchDimensions.begin(), batchDimensions.end(), 0);
  return contract(spread(a), spread(b), batchDimensions, batchDimensions, {-1}, {-2});
}

Value Builder::gather(Value x, Value indices, int64_t dimension) {
  if (!impl->usable("gather", {x, indices}))
    return impl->invalid();
  return impl->infer<graph::GatherOp>(
      {x, indices},
      {impl->integer("dimension", dimension < 0 ? dimension + rankOf(x) : dimension)});
}

Value Builder::scatterAdd(Value base, Value indices, Value updates, int64_t dimension) {
  if (!impl->usable("scatter_add", {base, indices, updates}))
    return impl->invalid();
  return impl->make<graph::ScatterAddOp>(
      impl->type(base), {base, indices, updates},
      {impl->integer("dimension", dimension < 0 ? dimension + rankOf(base) : dimension)});
}

Value Builder::dynamicSlice(Value x, Value start, int64_t dimension, int64_t size) {
  if (!impl->usable("dynamic_slice", {x, start}))
    return impl->invalid();
  return impl->infer<graph::DynamicSliceOp>(
      {x, start}, {impl->integer("dimension", dimension < 0 ? dimension + rankOf(x) : dimension),
                   impl->integer("size", size)});
}

Value Builder::dynamicUpdateSlice(Value x, Value update, Value start, int64_t dimension) {
  if (!impl->usable("dynamic_update_slice", {x, update, start}))
    return impl->invalid();
  return impl->make<graph::DynamicUpdateSliceOp>(
      impl->type(x), {x, update, start},
      {impl->integer("dimension", dimension < 0 ? dimension + rankOf(x) : dimension)});
}

//===--------------------------------------------------------------------------------------------===//
// Layers
//===--------------------------------------------------------------------------------------------===//

Value Builder::linear(Value x, Value weight, Value bias) {
  Impl::Values operands = {x, weight};
  if (bias.owner)
    operands.push_back(bias);
  return impl->infer<graph::LinearOp>(operands);
}

namespace {

std::vector<int64_t> orAll(std::vector<int64_t> entries, size_t count, int64_t value) {
  return entries.empty() ? std::vector<int64_t>(count, value) : std::move(entries);
}

} // namespace

Value Builder::convolution(Value x, Value weight, Value bias, const Convolution &how) {
  if (!impl->usable("convolution", {x, weight}))
    return impl->invalid();
  const size_t spatial = size_t(std::max<int64_t>(rankOf(x) - 2, 0));
  Value y = impl->infer<graph::ConvolutionOp>(
      {x, weight},
      {impl->integers("strides", orAll(how.strides, spatial, 1)),
       impl->integers("dilations", orAll(how.dilations, spatial, 1)),
       impl->integers("low", orAll(how.low, spatial, 0)),
       impl->integers("high", orAll(how.high, spatial, 0)), impl->integer("groups", how.groups)});
  return impl->addBias("convolution", y, bias);
}

Value Builder::Impl::addBias(llvm::StringRef operation, Value y, Value bias) {
  if (!bias.owner || !usable(operation, {y, bias}))
    return bias.owner ? invalid() : y;
  if (bias.shape() != Shape{y.shape()[1]})
    return fail(operation, {y, bias}, "the bias must have an element a channel");
  Shape spread(y.shape().size(), 1);
  spread[1] = y.shape()[1];
  return owner.add(y, owner.reshape(bias, spread));
}

Value Builder::transposedConvolution(Value x, Value weight, Value bias, const Convolution &how) {
  constexpr llvm::StringRef operation = "transposed_convolution";
  if (!impl->usable(operation, {x, weight}))
    return impl->invalid();
  const size_t spatial = size_t(std::max<int64_t>(rankOf(x) - 2, 0));
  const auto strides = orAll(how.strides, spatial, 1), dilations = orAll(how.dilations, spatial, 1),
             low = orAll(how.low, spatial, 0), high = orAll(how.high, spatial, 0);
  auto fail = [&](const char *message) { return impl->fail(operation, {x, weight}, message); };
  for (const auto *entries : {&strides, &dilations, &low, &high})
    if (entries->size() != spatial)
      return fail("it needs an entry for each dimension after batch and channels");
  if (spatial == 0 || weight.shape().size() != x.shape().size() || weight.type() != x.type() ||
      weight.shape()[0] != x.shape()[1] || how.groups < 1 || x.shape()[1] % how.groups)
    return fail("the weight must be [channels, out / groups, …] of x's type, groups a divisor of "
                "channels");
  std::vector<int64_t> sizes;
  int64_t phases = 1; // each is a convolution of its own
  constexpr int64_t mostPhases = 1024;
  for (size_t dim = 0; dim < spatial; ++dim) {
    constexpr int64_t largest = int64_t(1) << 30; // no product of these overflows
    const int64_t size = x.shape()[dim + 2], kernel = weight.shape()[dim + 2];
    if (strides[dim] < 1 || dilations[dim] < 1 || low[dim] < 0 || size < 1 || kernel < 1 ||
        std::max({strides[dim], dilations[dim], low[dim], std::abs(high[dim]), size, kernel}) >
            largest)
      return fail("strides and dilations must be 1 or more, padding not negative");
    sizes.push_back((size - 1) * strides[dim] + (kernel - 1) * dilations[dim] + 1 - low[dim] -
                    high[dim]);
    if (sizes.back() < 1)
      return fail("the padding cuts off all of it");
    phases *= strides[dim];
    if (phases > mostPhases)
      return fail("strides of more than 1024 in all are too many");
  }
  std::vector<int64_t> result = {x.shape()[0], how.groups * weight.shape()[1]};
  result.insert(result.end(), sizes.begin(), sizes.end());
  if (!graph::isPossibleSize(impl->type(x).clone(result)))
    return fail("the result has more than 64 TiB");
  graph::GraphBuilder g(impl->builder,
                        mlir::NameLoc::get(impl->builder.getStringAttr(impl->node(operation))));
  Value y = impl->give(graph::transposedConvolution(g, impl->ir(x), impl->ir(weight), strides,
                                                    dilations, low, sizes, how.groups));
  return impl->addBias(operation, y, bias);
}

Value Builder::window(Value x, std::vector<int64_t> dimensions, const std::vector<int64_t> &sizes,
                      std::vector<int64_t> strides, std::vector<int64_t> dilations) {
  if (!impl->usable("window", {x}))
    return impl->invalid();
  if (!normalize(dimensions, rankOf(x)))
    return impl->fail("window", {x}, "its dimensions are not all there");
  const size_t count = dimensions.size();
  return impl->infer<graph::WindowOp>(
      {x}, {impl->integers("dimensions", dimensions), impl->integers("sizes", sizes),
            impl->integers("strides", orAll(std::move(strides), count, 1)),
            impl->integers("dilations", orAll(std::move(dilations), count, 1))});
}

Value Builder::embedding(Value table, Value indices) {
  return impl->infer<graph::EmbeddingOp>({table, indices});
}

Value Builder::layerNorm(Value x, Value scale, Value bias, double epsilon) {
  return impl->infer<graph::LayerNormOp>({x, scale, bias}, {impl->number("epsilon", epsilon)});
}

Value Builder::batchNorm(Value x, Value scale, Value bias, Value mean, Value variance,
                         double epsilon, double momentum) {
  return impl->infer<graph::BatchNormOp>(
      {x, scale, bias, mean, variance},
      {impl->number("epsilon", epsilon), impl->number("momentum", momentum)});
}

Value Builder::softmax(Value x, int64_t dimension) {
  if (!impl->usable("softmax", {x}))
    return impl->invalid();
  dimension += dimension < 0 ? rankOf(x) : 0;
  return impl->make<graph::SoftmaxOp>(impl->type(x), {x}, {impl->integer("dimension", dimension)});
}

Value Builder::crossEntropy(Value logits, Value targets) {
  return impl->infer<graph::CrossEntropyOp>({logits, targets});
}

Value Builder::mse(Value prediction, Value target) {
  return impl->infer<graph::MseOp>({prediction, target});
}

} // namespace ingot
