/// Pass add-optimizer: @gradients → @step.
#include "ir/dialect/GraphBuilder.h"
#include "passes/Passes.h"
#include "passes/Signature.h"
#include "passes/training/Buckets.h"
#include "passes/training/MicroBatches.h"
#include "passes/training/Optimizers.h"
#include "runtime/program/Bucket.h"
#include "llvm/Support/Regex.h"
#include <cmath>

using namespace mlir;
using namespace ingot::graph;

namespace ingot {

#define GEN_PASS_DEF_ADDOPTIMIZER
#include "passes/Passes.h.inc"

namespace {

/// How a group of parameters is trained.
struct Group {
  std::shared_ptr<llvm::Regex> pattern; ///< the pass is copied
  bool isFrozen = false;
  double rateFactor = 1, weightDecay = 0;
  bool isAdamW = false; ///< Muon's: no matrix is updated as a whole
  bool isUsed = false;  ///< some parameter is in it
};

/// The number of equal rows in which an update watches so many elements: rows that stay in L1 from
/// one pass over them to the next, in whole vectors if possible. One row where there is no such
/// length.
int64_t watchedRows(int64_t elements) {
  constexpr int64_t longest = 4 * 1024, shortest = 512, lanes = 64;
  if (elements <= longest)
    return 1;
  int64_t rows = 1;
  for (int64_t length = longest; length >= shortest; --length) {
    if (elements % length != 0)
      continue;
    if (length % lanes == 0)
      return elements / length;
    rows = std::max(rows, elements / length);
  }
  return rows;
}

//===--------------------------------------------------------------------------------------------===//
// Pass
//===--------------------------------------------------------------------------------------------===//

class AddOptimizer : public impl::AddOptimizerBase<AddOptimizer> {
public:
  using AddOptimizerBase::AddOptimizerBase;
  AddOptimizer(AddOptimizerOptions options, int64_t mostWrittenOut)
      : AddOptimizerBase(std::move(options)), mostWrittenOut(mostWrittenOut) {}

  void runOnOperation() override {
    function = requireFunction(getOperation(), "gradients", "the pass differentiate");
    if (!function || failed(checkOptions()) || failed(readGroups()) || failed(collectTrained()) ||
        failed(splitMicroBatches()))
      return signalPassFailure();
    function.setName("step");
    addArguments();
    addUpdates();
    nameResults();
    // The pass object lives on: it keeps no pointers into this module.
    trained.clear();
    buckets.clear();
    modelState.clear();
    parameterGroups.clear();
  }

private:
  LogicalResult checkOptions() {
    auto error = [&] { return emitError(function.getLoc()); };
    if (!parseEnum<TrainingOptions::Optimizer>(optimizer.getValue()))
      return error() << "there is no optimizer '" << optimizer.getValue() << "'";
    for (auto [name, value] : {std::pair("beta1", double(beta1)), std::pair("beta2", double(beta2)),
                               std::pair("alpha", double(alpha)), std::pair("rho", double(rho))})
      if (!(value >= 0 && value < 1))
        return error() << name << " must be in [0, 1), but is " << value;
    for (auto [name, value] :
         {std::pair("least scale", double(leastScale)),
          std::pair("update limit", double(updateLimit)), std::pair("epsilon", double(epsilon)),
          std::pair("weight decay", double(weightDecay)), std::pair("momentum", double(momentum)),
          std::pair("dampening", double(dampening)), std::pair("rate decay", double(rateDecay)),
          std::pair("momentum decay", double(momentumDecay)), std::pair("clip", double(clip))})
      if (!(value >= 0))
        return error() << name << " must not be negative, but is " << value;
    if (accumulate < 1)
      return error() << "accumulate must be at least 1, but is " << int(accumulate);
    return success();
  }

  /// `<regular expression>;frozen` or `<regular expression>;<rate factor>;<weight decay>`; Muon's
  /// may end in `;adamw`.
  LogicalResult readGroups() {
    for (const std::string &text : groups) {
      SmallVector<StringRef> parts;
      StringRef(text).split(parts, ';');
      Group group{std::make_shared<llvm::Regex>(("^(" + parts[0] + ")$").str()),
                  /*isFrozen=*/false, 1, weightDecay};
      std::string why;
      group.isFrozen = parts.size() == 2 && parts[1] == "frozen";
      group.isAdamW = parts.size() == 4 && parts[3] == "adamw" &&
                      numbers().optimizer == TrainingOptions::Optimizer::Muon;
      const bool hasNumbers = parts.size() == (group.isAdamW ? 4 : 3) &&
                              !parts[1].getAsDouble(group.rateFactor) &&
                              (parts[2].empty() || !parts[2].getAsDouble(group.weightDecay));
      if (!group.pattern->isValid(why) || (!group.isFrozen && !hasNumbers))
        return emitError(function.getLoc())
               << "'" << text << "' is no group of parameters" << (why.empty() ? "" : ": ") << why;
      parameterGroups.push_back(std::move(group));
    }
    return success();
  }

  /// The first group that takes the parameter, or null.
  Group *groupOf(BlockArgument parameter) {
    for (Group &group : parameterGroups)
      if (group.pattern->match(argumentName(parameter))) {
        group.isUsed = true;
        return &group;
      }
    return nullptr;
  }

  LogicalResult collectTrained() {
    Operation *terminator = function.front().getTerminator();
    loss = terminator->getOperand(0);
    scalarType = Float32Type::get(&getContext());
    llvm::StringMap<Value> gradients;
    for (unsigned index = 1; index < function.getNumResults(); ++index)
      gradients[resultName(function, index)] = terminator->getOperand(index);
    for (BlockArgument state : argumentsOf(function, Role::State))
      if (Value next = gradients.lookup(argumentName(state)))
        modelState.push_back({state, next});
    for (BlockArgument parameter : argumentsOf(function, Role::Parameter)) {
      Value gradient = gradients.lookup(("gradient." + argumentName(parameter)).str());
      const Group *group = groupOf(parameter);
      const bool isFrozen =
          group ? group->isFrozen
                : bool(function.getArgAttr(parameter.getArgNumber(), frozenAttribute));
      if (!gradient || isFrozen)
        continue;
      Trained &one =
          trained.emplace_back(Trained{parameter, gradient, group ? group->rateFactor : 1,
                                       group ? group->weightDecay : double(weightDecay)});
      one.isWhole = row().takesWhole(one.type().getShape()) && !(group && group->isAdamW);
      if (one.type().getElementType().isF64())
        scalarType = Float64Type::get(&getContext());
    }
    for (auto [text, group] : llvm::zip_equal(groups, parameterGroups))
      if (!group.isUsed)
        return emitError(function.getLoc())
               << "no parameter is in the group '" << StringRef(text).split(';').first << "'";
    if (trained.empty())
      return emitError(function.getLoc())
             << (parameterGroups.empty() ? "@gradients returns no gradients"
                                         : "every parameter is frozen");
    return success();
  }

  LogicalResult splitMicroBatches();
  void addArguments();
  BlockArgument scalarArgument(StringRef name, Type element);
  void addUpdates();
  Value gradientNorms(GraphBuilder &build);
  Value globalNorm(GraphBuilder &build);
  Value gradientScale(GraphBuilder &build);
  /// Then every gradient is needed before the first update.
  bool needsNorm() { return clip != 0 || skipNonFinite || returnGradients; }
  void update(GraphBuilder &build, Bucket &bucket, Value scale, ArrayRef<Value> ofStep);
  /// What the row computes of a whole parameter.
  WholeUpdate computeWhole(GraphBuilder &build, Trained &one, ArrayRef<Value> scalars);
  Value replaceState(GraphBuilder &build, Trained &one, size_t part, Value after, Value scale);
  void writeFormula(UpdateOp op, size_t ofWhole);
  /// Whether updates say which gradients are too large. Norms of each parameter say it, too.
  bool watches() { return watch && !skipNonFinite && !returnGradients; }
  double watchedSize();
  void nameResults();

  /// The options that a row of the table reads.
  TrainingOptions numbers() {
    TrainingOptions options;
    options.optimizer = *parseEnum<TrainingOptions::Optimizer>(optimizer.getValue());
    options.beta1 = beta1;
    options.beta2 = beta2;
    options.epsilon = epsilon;
    options.momentum = momentum;
    options.dampening = dampening;
    options.nesterov = nesterov;
    options.alpha = alpha;
    options.centered = centered;
    options.rho = rho;
    options.rateDecay = rateDecay;
    options.momentumDecay = momentumDecay;
    options.beta2Decay = beta2Decay;
    options.leastScale = leastScale;
    options.updateLimit = updateLimit;
    options.matchRms = matchRms;
    return options;
  }
  const OptimizerRow &row() { return rowOf(numbers().optimizer); }
  SmallVector<StateTensor> stateOf(const Trained &one) {
    return row().state(numbers(), one.type().getShape(), one.isWhole);
  }

  int64_t mostWrittenOut = MicroBatches::mostWrittenOut;
  func::FuncOp function;
  Type scalarType; ///< of norms and corrections: f64 if a parameter is, else f32
  SmallVector<Trained, 0> trained;
  SmallVector<std::pair<BlockArgument, Value>> modelState; ///< and what becomes of it
  std::vector<Group> parameterGroups;
  SmallVector<Bucket> buckets;
  Value loss, norm;
  BlockArgument learningRate, step;
};

LogicalResult AddOptimizer::splitMicroBatches() {
  if (accumulate == 1)
    return success();
  MicroBatches batches(function, accumulate, mostWrittenOut);
  if (failed(batches.widenArguments()))
    return failure();
  batches.sum(trained, modelState, loss);
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
  size_t most = 0;
  for (Trained &one : trained) {
    one.updated.resize(1 + stateOf(one).size());
    most = std::max(most, stateOf(one).size());
  }
  for (size_t index = 0; index < most; ++index)
    for (Trained &one : trained)
      if (const auto state = stateOf(one); index < state.size())
        one.state.push_back(insertArgument(
            function, Role::State, (state[index].prefix + argumentName(one.parameter)).str(),
            one.type().clone(state[index].shape), one.parameter.getLoc()));
  Builder builder(&getContext());
  learningRate = scalarArgument("learning_rate", builder.getF32Type());
  if (!row().ofStep(numbers()).empty())
    step = scalarArgument("step", builder.getI64Type());
}

/// The norm of all gradients together, of the mean over micro-batches.
Value AddOptimizer::globalNorm(GraphBuilder &build) {
  Value sum;
  for (Trained &one : trained) {
    GraphBuilder local(build.builder, one.gradient.getLoc());
    one.squares = local.sumAll(local.square(local.cast(one.gradient, scalarType)));
    sum = sum ? local.add(sum, one.squares) : one.squares;
  }
  Value root = build.sqrt(sum);
  return accumulate > 1 ? build.mul(root, 1.0 / accumulate) : root;
}

/// What gradients are multiplied by: the mean over micro-batches, and the limit of the norm as in
/// PyTorch's clip_grad_norm_. NaN where the step is to be skipped.
Value AddOptimizer::gradientScale(GraphBuilder &build) {
  Value scale = build.scalar(scalarType, 1.0 / accumulate);
  if (clip != 0) {
    Value limit = build.div(build.scalar(scalarType, clip), build.add(norm, 1e-6));
    scale = build.mul(build.make<MinimumOp>(limit, build.scalar(scalarType, 1)), 1.0 / accumulate);
  }
  if (!skipNonFinite)
    return scale;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  Value lossSize = build.make<AbsOp>(build.cast(loss, scalarType));
  Value isFinite = build.make<AndOp>(
      build.compare(Comparison::Lt, norm, build.scalar(scalarType, infinity)),
      build.compare(Comparison::Lt, lossSize, build.scalar(scalarType, infinity)));
  return build.select(isFinite, scale, build.scalar(scalarType, std::nan("")));
}

void AddOptimizer::addUpdates() {
  Block &block = function.front();
  buckets = makeBuckets(trained, block);
  OpBuilder builder = OpBuilder::atBlockBegin(&block);
  GraphBuilder build(builder, NameLoc::get(builder.getStringAttr("optimizer")));
  SmallVector<Value> ofStep;
  if (step) { // in f64, then rounded: in f32, 1 - beta^t loses digits for the first steps
    formulas::Term count{&build, build.add(build.cast(step, builder.getF64Type()), 1.0)};
    for (const StepFunction &function : row().ofStep(numbers()))
      ofStep.push_back(build.cast(function(count).value, scalarType));
  }
  if (needsNorm()) {
    builder.setInsertionPoint(block.getTerminator());
    norm = globalNorm(build);
  }
  Value scale = gradientScale(build);
  if (skipNonFinite)
    for (auto &[before, after] : modelState) {
      Value isTaken = build.compare(Comparison::Eq, scale, scale);
      after = build.select(build.broadcastLike(isTaken, before), after, before);
    }
  for (Bucket &bucket : buckets) {
    if (!norm && bucket.ready)
      builder.setInsertionPointAfter(later(bucket.ready, scale.getDefiningOp()));
    update(build, bucket, scale, ofStep);
  }
}

/// The size from which on an element is reported: its square is infinite. Where there is a norm, an
/// element that size is in every sum of squares that is infinite.
double AddOptimizer::watchedSize() {
  const double size = std::ldexp(1, scalarType.isF64() ? 512 : 64);
  if (!norm)
    return size;
  int64_t elements = 0;
  for (const Trained &one : trained)
    elements += one.type().getNumElements();
  return size / 2 / std::sqrt(double(elements));
}

void AddOptimizer::update(GraphBuilder &build, Bucket &bucket, Value scale,
                          ArrayRef<Value> ofStep) {
  Trained &first = *bucket.members.front();
  const size_t width = bucket.members.size();
  SmallVector<size_t> byElement; // state, by its number
  for (auto [index, one] : llvm::enumerate(stateOf(first)))
    if (!one.ofWhole)
      byElement.push_back(index);
  SmallVector<Value> parameters, gradients, state(byElement.size() * width);
  for (auto [index, member] : llvm::enumerate(bucket.members)) {
    parameters.push_back(member->parameter);
    gradients.push_back(member->gradient);
    for (auto [group, number] : llvm::enumerate(byElement))
      state[group * width + index] = member->state[number];
  }
  Value rate = learningRate;
  if (first.rateFactor != 1)
    rate = build.mul(rate, first.rateFactor);
  SmallVector<Value> scalars{rate, build.scalar(scalarType, first.weightDecay), scale};
  llvm::append_range(scalars, ofStep);
  std::optional<WholeUpdate> whole;
  if (first.isWhole) {
    whole.emplace(computeWhole(build, first, scalars));
    for (const ElementUpdate::Term &tensor : whole->tensors)
      gradients.push_back(build.cast(tensor.value, first.type().getElementType()));
    for (const ElementUpdate::Term &scalar : whole->scalars)
      scalars.push_back(scalar.value);
  }
  SmallVector<Type> types(ValueRange(parameters).getTypes());
  llvm::append_range(types, ValueRange(state).getTypes());
  FloatAttr limit;
  Type beyond;
  int64_t elements = 0;
  for (Trained *member : bucket.members)
    elements += elementsInBucket(member->type().getNumElements(),
                                 member->type().getElementTypeBitWidth() / 8);
  if (watches() && elements > 0) {
    limit = build.builder.getF64FloatAttr(watchedSize());
    beyond = RankedTensorType::get({watchedRows(elements)}, build.builder.getI32Type());
  }
  auto op = UpdateOp::create(build.builder, build.location, types, /*rounded=*/TypeRange(), beyond,
                             parameters, gradients, state, scalars, limit);
  writeFormula(op, whole ? whole->scalars.size() : 0);
  bucket.beyond = op.getBeyond();
  for (auto [index, result] : llvm::enumerate(op.getUpdated())) {
    const size_t group = index / width;
    bucket.members[index % width]->updated[group == 0 ? 0 : 1 + byElement[group - 1]] = result;
  }
}

WholeUpdate AddOptimizer::computeWhole(GraphBuilder &build, Trained &one, ArrayRef<Value> scalars) {
  using formulas::Term;
  const Type element = accumulationType(one.type().getElementType());
  auto term = [&](Value value) { return Term{&build, build.cast(value, element)}; };
  auto terms = [&](auto values) { return llvm::map_to_vector(values, term); };
  const Term scale = term(scalars[2]), sum = term(one.gradient);
  WholeUpdate whole{.parameter = term(one.parameter),
                    .state = terms(ArrayRef<BlockArgument>(one.state)),
                    .gradient = sum * Term{&build, build.broadcastLike(scale.value, sum.value)},
                    .rate = term(scalars[0]),
                    .weightDecay = term(scalars[1]),
                    .ofStep = terms(scalars.drop_front(3))};
  whole.replace = [&](size_t part, Term after) {
    return term(replaceState(build, one, part, after.value, scalars[2]));
  };
  row().whole->compute(numbers(), whole);
  return whole;
}

/// Puts a tensor in the place of a part of the state, by an update, which nothing is fused with:
/// what is computed after it reads the result, so no kernel needs the part as it was.
Value AddOptimizer::replaceState(GraphBuilder &build, Trained &one, size_t part, Value after,
                                 Value scale) {
  using formulas::Term;
  Value before = one.state[part];
  const Type element = one.type().getElementType();
  SmallVector<Value> scalars;
  if (skipNonFinite)
    scalars.push_back(scale);
  auto op = UpdateOp::create(build.builder, build.location, before.getType(),
                             /*rounded=*/TypeRange(), Type(), before, build.cast(after, element),
                             ValueRange(), scalars, FloatAttr());
  auto type = RankedTensorType::get({}, accumulationType(element));
  Block &block = op.getFormula().emplaceBlock();
  const size_t count = 2 + scalars.size();
  block.addArguments(SmallVector<Type>(count, type), SmallVector<Location>(count, op.getLoc()));
  OpBuilder builder = OpBuilder::atBlockBegin(&block);
  GraphBuilder inner(builder, op.getLoc());
  Term next{&inner, block.getArgument(1)};
  if (skipNonFinite) {
    Term taken{&inner, block.getArgument(2)};
    next = choose(equal(taken, taken), next, Term{&inner, block.getArgument(0)});
  }
  YieldOp::create(builder, op.getLoc(), next.value);
  return one.updated[1 + part] = op.getUpdated().front();
}

void AddOptimizer::writeFormula(UpdateOp op, size_t ofWhole) {
  using formulas::Term;
  Type element = tensorType(op.getParameters().front()).getElementType();
  auto type = RankedTensorType::get({}, accumulationType(element));
  Block &block = op.getFormula().emplaceBlock();
  const size_t states = op.getStateCount(), groups = op.getOperandGroups().size();
  const size_t count = groups + op.getScalars().size();
  block.addArguments(SmallVector<Type>(count, type), SmallVector<Location>(count, op.getLoc()));
  OpBuilder builder = OpBuilder::atBlockBegin(&block);
  GraphBuilder build(builder, op.getLoc());
  auto argument = [&](size_t index) { return Term{&build, block.getArgument(index)}; };
  const size_t firstState = groups - states, scalars = groups, whole = count - ofWhole;
  auto arguments = [&](size_t from, size_t to) {
    SmallVector<Term> terms;
    for (size_t index = from; index < to; ++index)
      terms.push_back(argument(index));
    return terms;
  };
  Term scale = argument(scalars + 2);
  ElementUpdate next{.parameter = argument(0),
                     .state = arguments(firstState, scalars),
                     .gradient = argument(1) * scale,
                     .rate = argument(scalars),
                     .weightDecay = argument(scalars + 1),
                     .ofStep = arguments(scalars + 3, whole),
                     .tensors = arguments(2, firstState),
                     .ofWhole = arguments(whole, count)};
  row().update(numbers(), next);
  SmallVector<Value> results;
  auto yield = [&](Term after, Term before) {
    results.push_back((skipNonFinite ? choose(equal(scale, scale), after, before) : after).value);
  };
  yield(next.parameter, argument(0));
  for (auto [index, after] : llvm::enumerate(next.state))
    yield(after, argument(firstState + index));
  YieldOp::create(builder, op.getLoc(), results);
}

/// A value a parameter of @step: the norm of its gradient, 0 if it is not trained.
Value AddOptimizer::gradientNorms(GraphBuilder &build) {
  llvm::DenseMap<Value, Value> squares;
  for (Trained &one : trained)
    squares[one.parameter] = one.squares;
  SmallVector<Value> parts;
  for (BlockArgument parameter : argumentsOf(function, Role::Parameter)) {
    Value part = squares.lookup(parameter);
    parts.push_back(build.reshape(part ? part : build.scalar(scalarType, 0), {1}));
  }
  Value norms = build.sqrt(build.concat(parts, 0));
  return accumulate > 1 ? build.mul(norms, 1.0 / accumulate) : norms;
}

/// Parameters and state come back under their names, donated; then the loss, the norm, the
/// gradients.
void AddOptimizer::nameResults() {
  llvm::DenseMap<Value, Value> updated;
  for (Trained &one : trained) {
    updated[one.parameter] = one.updated.front();
    for (auto [before, after] : llvm::zip_equal(one.state, llvm::drop_begin(one.updated)))
      updated[before] = after;
  }
  for (auto [before, after] : modelState)
    updated[before] = after;
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
  OpBuilder end(function.front().getTerminator());
  GraphBuilder build(end, NameLoc::get(builder.getStringAttr("optimizer")));
  if (norm)
    results.push_back({norm, "gradient_norm"});
  // Not for clipping alone: sums that are wanted one by one cannot share a kernel (GPT-2: 91 more).
  if (skipNonFinite || returnGradients)
    results.push_back({gradientNorms(build), "gradient_norms"});
  for (auto [index, bucket] : llvm::enumerate(buckets))
    if (bucket.beyond) {
      results.push_back({bucket.beyond, ("gradient_beyond." + Twine(index)).str()});
      for (Trained *member : bucket.members)
        results.back().members.push_back(argumentName(member->parameter));
    }
  if (returnGradients)
    for (Trained &one : trained) {
      Value mean = accumulate > 1 ? build.mul(one.gradient, 1.0 / accumulate) : one.gradient;
      results.push_back({mean, ("gradient." + argumentName(one.parameter)).str()});
    }
  setResults(function, results);
}

} // namespace

std::unique_ptr<Pass> createAddOptimizer(AddOptimizerOptions options, int64_t mostWrittenOut) {
  return std::make_unique<AddOptimizer>(std::move(options), mostWrittenOut);
}

} // namespace ingot
