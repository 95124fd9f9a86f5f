/// Pass add-optimizer: @gradients → @step.
#include "ir/dialect/GraphBuilder.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Passes.h"
#include "passes/Signature.h"
#include <cmath>

using namespace mlir;
using namespace ingot::graph;

namespace ingot {

#define GEN_PASS_DEF_ADDOPTIMIZER
#include "passes/Passes.h.inc"

namespace {

using Optimizer = TrainingOptions::Optimizer;

/// A bucket smaller than this is joined with the next: one update kernel has some work to do.
constexpr int64_t bucketBytes = 1 << 20;

/// A parameter that is trained, with what the update needs and gives.
struct Trained {
  BlockArgument parameter;
  Value gradient; ///< the sum over micro-batches
  SmallVector<BlockArgument> state = {};
  SmallVector<Value> updated = {}; ///< the parameter, then its state

  RankedTensorType type() const { return cast<RankedTensorType>(parameter.getType()); }
  int64_t bytes() const { return type().getNumElements() * type().getElementTypeBitWidth() / 8; }
};

struct Bucket {
  SmallVector<Trained *> members;
  /// Behind it the gradients are final and the parameters not used; null: from the start.
  Operation *ready = nullptr;
  bool isApart = false; ///< not to be joined with others: their gradients live longer

  int64_t bytes() const {
    int64_t sum = 0;
    for (Trained *member : members)
      sum += member->bytes();
    return sum;
  }
  Type element() const { return members.front()->type().getElementType(); }
  unsigned firstArgument() const { return members.front()->parameter.getArgNumber(); }
};

//===--------------------------------------------------------------------------------------------===//
// Buckets
//===--------------------------------------------------------------------------------------------===//

/// `h.3.` of `h.3.attn.c_attn.weight`, `ln_f.` of `ln_f.weight`: up to the layer's number, or the
/// first component.
StringRef layerPrefix(StringRef name) {
  size_t start = 0, first = name.find('.');
  while (start < name.size()) {
    size_t end = name.find('.', start);
    if (end == StringRef::npos)
      break;
    if (llvm::all_of(name.slice(start, end), llvm::isDigit))
      return name.take_front(end + 1);
    start = end + 1;
  }
  return name.take_front(first == StringRef::npos ? name.size() : first + 1);
}

Operation *later(Operation *a, Operation *b) {
  if (!a || !b)
    return a ? a : b;
  return a->isBeforeInBlock(b) ? b : a;
}

/// The op behind which `trained` may be updated in place.
Operation *readyAfter(const Trained &trained, Block &block) {
  Operation *ready = trained.gradient.getDefiningOp();
  for (Operation *user : trained.parameter.getUsers()) {
    Operation *top = block.findAncestorOpInBlock(*user);
    if (!isa<func::ReturnOp>(top))
      ready = later(ready, top);
  }
  return ready;
}

/// Parameters by layer, in the order in which they get ready; small neighbours are joined. The
/// vectors (biases, scales) of large layers are one bucket of their own: one kernel sums columns
/// for the end of one layer and the start of the next, which would keep both layers' gradients
/// alive.
SmallVector<Bucket> makeBuckets(MutableArrayRef<Trained> trained, Block &block) {
  using Key = std::tuple<StringRef, Type, int>; // layer, element, 1: vectors of large layers
  llvm::DenseMap<std::pair<StringRef, Type>, int64_t> layerBytes;
  auto layerOf = [](const Trained &one) {
    return std::pair(layerPrefix(argumentName(one.parameter)), one.type().getElementType());
  };
  for (const Trained &one : trained)
    layerBytes[layerOf(one)] += one.bytes();
  llvm::MapVector<Key, Bucket> layers;
  for (Trained &one : trained) {
    auto [layerName, element] = layerOf(one);
    bool isApart = one.type().getRank() < 2 && layerBytes[layerOf(one)] >= bucketBytes;
    Bucket &layer = layers[Key(isApart ? StringRef() : layerName, element, isApart)];
    layer.isApart = isApart;
    layer.ready = later(layer.ready, readyAfter(one, block));
    layer.members.push_back(&one);
  }
  SmallVector<Bucket> sorted =
      llvm::map_to_vector(layers, [](auto &entry) { return entry.second; });
  llvm::sort(sorted, [](const Bucket &a, const Bucket &b) {
    if (a.ready == b.ready)
      return a.firstArgument() < b.firstArgument();
    return b.ready && (!a.ready || a.ready->isBeforeInBlock(b.ready));
  });
  SmallVector<Bucket> buckets;
  for (Bucket &layer : sorted) {
    if (buckets.empty() || buckets.back().bytes() >= bucketBytes || layer.isApart ||
        buckets.back().isApart || buckets.back().element() != layer.element()) {
      buckets.push_back(layer);
      continue;
    }
    llvm::append_range(buckets.back().members, layer.members);
    buckets.back().ready = later(buckets.back().ready, layer.ready);
  }
  return buckets;
}

//===--------------------------------------------------------------------------------------------===//
// Pass
//===--------------------------------------------------------------------------------------------===//

class AddOptimizer : public impl::AddOptimizerBase<AddOptimizer> {
public:
  using AddOptimizerBase::AddOptimizerBase;

  void runOnOperation() override {
    function = requireFunction(getOperation(), "gradients", "the pass differentiate");
    if (!function || failed(checkOptions()) || failed(collectTrained()) ||
        failed(splitMicroBatches()))
      return signalPassFailure();
    function.setName("step");
    addArguments();
    addUpdates();
    nameResults();
    // The pass object lives on: it keeps no pointers into this module.
    trained.clear();
  }

private:
  LogicalResult checkOptions() {
    auto error = [&] { return emitError(function.getLoc()); };
    for (auto [name, value] :
         {std::pair("beta1", double(beta1)), std::pair("beta2", double(beta2))})
      if (!(value >= 0 && value < 1))
        return error() << name << " must be in [0, 1), but is " << value;
    for (auto [name, value] :
         {std::pair("epsilon", double(epsilon)), std::pair("weight decay", double(weightDecay)),
          std::pair("momentum", double(momentum)), std::pair("clip", double(clip))})
      if (!(value >= 0))
        return error() << name << " must not be negative, but is " << value;
    if (accumulate < 1)
      return error() << "accumulate must be at least 1, but is " << int(accumulate);
    if (!argumentsOf(function, Role::State).empty())
      return error() << "a model with state of its own cannot be trained yet";
    return success();
  }

  LogicalResult collectTrained() {
    Operation *terminator = function.front().getTerminator();
    loss = terminator->getOperand(0);
    scalarType = Float32Type::get(&getContext());
    llvm::StringMap<Value> gradients;
    for (unsigned index = 1; index < function.getNumResults(); ++index)
      gradients[resultName(function, index)] = terminator->getOperand(index);
    for (BlockArgument parameter : argumentsOf(function, Role::Parameter)) {
      Value gradient = gradients.lookup(("gradient." + argumentName(parameter)).str());
      if (!gradient)
        continue;
      trained.push_back({parameter, gradient});
      if (trained.back().type().getElementType().isF64())
        scalarType = Float64Type::get(&getContext());
    }
    if (trained.empty())
      return emitError(function.getLoc()) << "@gradients returns no gradients";
    return success();
  }

  LogicalResult splitMicroBatches();
  void addArguments();
  BlockArgument scalarArgument(StringRef name, Type element);
  void addUpdates();
  Value correction(GraphBuilder &build, Value count, double beta);
  Value gradientScale(GraphBuilder &build);
  void update(GraphBuilder &build, Bucket &bucket, Value scale, ArrayRef<Value> corrections);
  void nameResults();

  SmallVector<StringRef> statePrefixes() {
    if (optimizer == Optimizer::AdamW)
      return {"adam.m.", "adam.v."};
    return momentum == 0 ? SmallVector<StringRef>() : SmallVector<StringRef>{"sgd.momentum."};
  }

  func::FuncOp function;
  Type scalarType; ///< of norms and corrections: f64 if a parameter is, else f32
  SmallVector<Trained, 0> trained;
  Value loss, norm;
  BlockArgument learningRate, step;
};

/// Repeats the body for each slice of the batch; gradients are summed as they arise, the loss is
/// the mean.
LogicalResult AddOptimizer::splitMicroBatches() {
  if (accumulate == 1)
    return success();
  Block &block = function.front();
  auto body = llvm::map_to_vector(block.without_terminator(), [](Operation &op) { return &op; });
  SmallVector<BlockArgument> batches = argumentsOf(function, Role::Input);
  llvm::append_range(batches, argumentsOf(function, Role::Target));
  SmallVector<int64_t> rows;
  for (BlockArgument batch : batches) {
    auto type = tensorType(batch);
    if (type.getRank() == 0)
      return emitError(batch.getLoc()) << "'" << argumentName(batch)
                                       << "' has no batch dimension to split into micro-batches";
    rows.push_back(type.getDimSize(0));
    SmallVector<int64_t> shape(type.getShape());
    shape[0] *= accumulate;
    batch.setType(type.clone(shape));
  }
  function.setType(
      FunctionType::get(&getContext(), block.getArgumentTypes(), function.getResultTypes()));

  OpBuilder builder(block.getTerminator());
  SmallVector<Value> sums(trained.size());
  Value lossSum;
  for (int index = 0; index < accumulate; ++index) {
    builder.setInsertionPoint(block.getTerminator());
    IRMapping mapping;
    for (auto [batch, size] : llvm::zip_equal(batches, rows)) {
      GraphBuilder build(builder, batch.getLoc());
      mapping.map(batch, build.slice(batch, 0, index * size, (index + 1) * size));
    }
    for (Operation *op : body)
      builder.clone(*op, mapping);
    auto accumulateInto = [&](Value &sum, Value value) {
      Value share = mapping.lookupOrDefault(value);
      if (Operation *source = share.getDefiningOp())
        builder.setInsertionPointAfter(source);
      GraphBuilder build(builder, share.getLoc());
      sum = sum ? build.add(sum, share) : share;
    };
    for (auto [sum, one] : llvm::zip_equal(sums, trained))
      accumulateInto(sum, one.gradient);
    accumulateInto(lossSum, loss);
  }
  for (auto [sum, one] : llvm::zip_equal(sums, trained))
    one.gradient = sum;
  builder.setInsertionPoint(block.getTerminator());
  loss = GraphBuilder(builder, lossSum.getLoc()).mul(lossSum, 1.0 / accumulate);
  block.getTerminator()->setOperands({});
  for (Operation *op : llvm::reverse(body))
    op->erase();
  return success();
}

BlockArgument AddOptimizer::scalarArgument(StringRef name, Type element) {
  for (BlockArgument argument : argumentsOf(function, Role::Scalar))
    if (argumentName(argument) == name)
      return argument;
  return insertArgument(function, Role::Scalar, name, RankedTensorType::get({}, element),
                        function.getLoc());
}

void AddOptimizer::addArguments() {
  for (StringRef prefix : statePrefixes())
    for (Trained &one : trained)
      one.state.push_back(insertArgument(function, Role::State,
                                         (prefix + argumentName(one.parameter)).str(), one.type(),
                                         one.parameter.getLoc()));
  Builder builder(&getContext());
  learningRate = scalarArgument("learning_rate", builder.getF32Type());
  if (optimizer == Optimizer::AdamW)
    step = scalarArgument("step", builder.getI64Type());
}

/// 1 - beta^count in f64, then rounded: in f32 it loses digits for the first steps.
Value AddOptimizer::correction(GraphBuilder &build, Value count, double beta) {
  Value power = build.exp(build.mul(count, std::log(beta)));
  return build.cast(build.sub(1.0, power), scalarType);
}

/// What gradients are multiplied by: the mean over micro-batches, and the limit of the norm as in
/// PyTorch's clip_grad_norm_.
Value AddOptimizer::gradientScale(GraphBuilder &build) {
  double mean = 1.0 / accumulate;
  if (clip == 0)
    return build.scalar(scalarType, mean);
  Value sum;
  for (Trained &one : trained) {
    GraphBuilder local(build.builder, one.gradient.getLoc());
    Value part = local.sumAll(local.square(local.cast(one.gradient, scalarType)));
    sum = sum ? local.add(sum, part) : part;
  }
  norm = build.sqrt(sum);
  if (accumulate > 1)
    norm = build.mul(norm, mean);
  Value limit = build.div(build.scalar(scalarType, clip), build.add(norm, 1e-6));
  return build.mul(build.make<MinimumOp>(limit, build.scalar(scalarType, 1)), mean);
}

void AddOptimizer::addUpdates() {
  Block &block = function.front();
  SmallVector<Bucket> buckets = makeBuckets(trained, block);
  OpBuilder builder = OpBuilder::atBlockBegin(&block);
  GraphBuilder build(builder, NameLoc::get(builder.getStringAttr("optimizer")));
  SmallVector<Value> corrections;
  if (optimizer == Optimizer::AdamW) {
    Value count = build.add(build.cast(step, builder.getF64Type()), 1.0);
    corrections = {correction(build, count, beta1), correction(build, count, beta2)};
  }
  if (clip != 0)
    builder.setInsertionPoint(block.getTerminator());
  Value scale = gradientScale(build);
  for (Bucket &bucket : buckets) {
    if (clip == 0 && bucket.ready)
      builder.setInsertionPointAfter(later(bucket.ready, scale.getDefiningOp()));
    update(build, bucket, scale, corrections);
  }
}

void AddOptimizer::update(GraphBuilder &build, Bucket &bucket, Value scale,
                          ArrayRef<Value> corrections) {
  SmallVector<Value> parameters, gradients;
  SmallVector<SmallVector<Value>> state(statePrefixes().size());
  for (Trained *member : bucket.members) {
    parameters.push_back(member->parameter);
    gradients.push_back(member->gradient);
    for (auto [group, value] : llvm::zip_equal(state, member->state))
      group.push_back(value);
  }
  TypeRange types{ValueRange(parameters)};
  Builder &attribute = build.builder;
  auto number = [&](double value) { return attribute.getF64FloatAttr(value); };
  Operation *op;
  if (optimizer == Optimizer::AdamW)
    op = AdamWOp::create(build.builder, build.location, types, types, types, parameters, gradients,
                         state[0], state[1], learningRate, corrections[0], corrections[1], scale,
                         number(beta1), number(beta2), number(epsilon), number(weightDecay));
  else
    op = SgdOp::create(build.builder, build.location, types, momentum == 0 ? TypeRange() : types,
                       parameters, gradients, momentum == 0 ? ValueRange() : ValueRange(state[0]),
                       learningRate, scale, number(momentum), number(weightDecay));
  size_t width = bucket.members.size();
  for (auto [index, result] : llvm::enumerate(op->getResults()))
    bucket.members[index % width]->updated.push_back(result);
}

/// Parameters and state come back under their names, donated; then the loss and the norm.
void AddOptimizer::nameResults() {
  llvm::DenseMap<Value, Value> updated;
  for (Trained &one : trained) {
    updated[one.parameter] = one.updated.front();
    for (auto [before, after] : llvm::zip_equal(one.state, llvm::drop_begin(one.updated)))
      updated[before] = after;
  }
  SmallVector<NamedResult> results;
  Builder builder(&getContext());
  for (Role role : {Role::Parameter, Role::State})
    for (BlockArgument argument : argumentsOf(function, role)) {
      function.setArgAttr(argument.getArgNumber(), donatedAttribute,
                          builder.getI64IntegerAttr(results.size()));
      Value after = updated.lookup(argument);
      results.push_back({after ? after : argument, argumentName(argument).str(), roleName(role)});
    }
  results.push_back({loss, "loss"});
  if (norm)
    results.push_back({norm, "gradient_norm"});
  setResults(function, results);
}

} // namespace
} // namespace ingot
