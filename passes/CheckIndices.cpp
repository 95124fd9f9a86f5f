/// Says where indices are checked: at the port through which they enter, or in the program.
/// Integers that divide are checked in the program.
#include "ir/dialect/Diagnostics.h"
#include "ir/dialect/GraphBuilder.h"
#include "mlir/IR/Matchers.h"
#include "passes/Passes.h"
#include "passes/Signature.h"
#include "runtime/program/IndexError.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_CHECKINDICES
#include "passes/Passes.h.inc"

namespace {

using namespace graph;

/// Integers of which an op takes some alone: indices in [0, size), or divisors other than 0.
struct IndexUse {
  Value indices;
  int64_t size;
  Operation *op;

  bool isDivisor() const { return size == 0 && !isa<IndexingOp>(op); }
};

std::optional<IndexUse> indexUse(Operation *op) {
  if (auto indexing = dyn_cast<IndexingOp>(op))
    return IndexUse{indexing.getIndexOperand(), indexing.getIndexLimit(), op};
  if (!isa<DivOp, RemainderOp, ModuloOp>(op))
    return std::nullopt;
  Value divisor = op->getOperand(1);
  if (isa<FloatType>(tensorType(divisor).getElementType()))
    return std::nullopt;
  while (auto repeated = divisor.getDefiningOp<BroadcastOp>())
    divisor = repeated.getOperand();
  return IndexUse{divisor, 0, op};
}

/// Adds the values from which an index comes through ops that only move and widen elements.
void collectSources(Value value, SmallVectorImpl<Value> &sources) {
  Operation *op = value.getDefiningOp();
  auto isInteger = [](Value operand) {
    return cast<RankedTensorType>(operand.getType()).getElementType().isInteger();
  };
  if ((op && op->hasTrait<MovesElements>()) ||
      (isa_and_nonnull<CastOp>(op) && isInteger(op->getOperand(0)))) {
    for (Value operand : op->getOperands())
      collectSources(operand, sources);
    return;
  }
  sources.push_back(value);
}

/// True for values that the op is known to take: in [0, size), or not 0.
bool isInside(Value source, const IndexUse &use) {
  DenseIntElementsAttr elements;
  const int64_t size = use.size;
  if (use.isDivisor())
    return matchPattern(source, m_Constant(&elements)) &&
           llvm::none_of(elements.getValues<APInt>(),
                         [](const APInt &element) { return element.isZero(); });
  if (matchPattern(source, m_Constant(&elements)))
    return llvm::all_of(elements.getValues<APInt>(), [&](const APInt &element) {
      return !element.isNegative() && element.getSExtValue() < size;
    });
  if (auto iota = source.getDefiningOp<IotaOp>())
    return iota.getType().getDimSize(iota.getDimension()) <= size;
  // The number of an iteration.
  auto argument = dyn_cast<BlockArgument>(source);
  auto loop = argument ? dyn_cast<LoopOp>(argument.getOwner()->getParentOp()) : LoopOp();
  return loop && argument == loop.getCounter() && loop.getMostTrips().value_or(INT64_MAX) <= size;
}

/// The function's argument that a value is, if a batch fills it.
std::optional<unsigned> portOf(func::FuncOp function, Value source) {
  auto argument = dyn_cast<BlockArgument>(source);
  if (!argument || argument.getOwner() != &function.front() ||
      !isFed(roleOf(function, argument.getArgNumber())))
    return std::nullopt;
  return argument.getArgNumber();
}

void limitPort(func::FuncOp function, unsigned port, int64_t size) {
  auto known = function.getArgAttrOfType<IntegerAttr>(port, limitAttribute);
  if (!known || known.getInt() > size)
    function.setArgAttr(port, limitAttribute,
                        Builder(function.getContext()).getI64IntegerAttr(size));
}

/// An error word (IndexError.h): the first index that lies outside [0, size). Asks the op for its
/// indices: what made them may have been replaced when an earlier word was carried out of a loop.
Value buildCheck(OpBuilder &builder, const IndexUse &use) {
  GraphBuilder build(builder, use.op->getLoc());
  Value given = indexUse(use.op)->indices;
  const int64_t count = tensorType(given).getNumElements();
  Value indices = build.reshape(given, {count});
  auto is = [&](Comparison direction, double bound) {
    return build.compare(direction, indices, build.splatLike(indices, bound));
  };
  Value wrong = use.isDivisor()
                    ? is(Comparison::Eq, 0)
                    : build.make<OrOp>(is(Comparison::Lt, 0), is(Comparison::Ge, double(use.size)));
  Type i64 = builder.getI64Type();
  Value wide = build.cast(indices, i64);
  auto word = [&](int64_t value) -> Value {
    auto words = RankedTensorType::get({count}, i64);
    return build.make<ConstantOp>(DenseElementsAttr::get(words, value));
  };
  Value low = build.make<MaximumOp>(wide, word(IndexError::leastIndex));
  Value index = build.make<MinimumOp>(low, word(IndexError::largestIndex));
  Value position = build.iota({count}, i64, 0);
  Value error = build.add(build.mul(position, word(IndexError::perPosition)),
                          build.sub(index, word(IndexError::leastIndex)));
  return build.reduce(ReduceKind::Min, build.select(wrong, error, word(IndexError::none)), {0});
}

Value noError(GraphBuilder &build) {
  auto type = RankedTensorType::get({}, build.builder.getI64Type());
  return build.make<ConstantOp>(DenseElementsAttr::get(type, int64_t(IndexError::none)));
}

/// The loop carries the least word of all iterations.
Value carryThrough(LoopOp loop, Value word) {
  OpBuilder builder(loop);
  GraphBuilder outer(builder, word.getLoc());
  const size_t carried = loop.getCarried().size();
  SmallVector<Value> initial(loop.getCarried());
  initial.push_back(noError(outer));
  SmallVector<Type> types(loop.getResultTypes());
  types.insert(types.begin() + carried, word.getType());
  auto wider = LoopOp::create(builder, loop.getLoc(), types, loop.getTripCount(), initial,
                              loop.getAtMostAttr(), loop.getReverseAttr());
  wider.getBody().takeBody(loop.getBody());
  Block &body = wider.getBody().front();
  Value before = body.addArgument(word.getType(), word.getLoc());
  OpBuilder inside(body.getTerminator());
  body.getTerminator()->insertOperands(
      carried, GraphBuilder(inside, word.getLoc()).make<MinimumOp>(before, word));
  for (auto [index, result] : llvm::enumerate(loop.getResults()))
    result.replaceAllUsesWith(wider.getResult(index < carried ? index : index + 1));
  loop.erase();
  return wider.getResult(carried);
}

/// The other side of the branch finds no error.
Value carryThrough(IfOp branch, Value word) {
  OpBuilder builder(branch);
  SmallVector<Type> types(branch.getResultTypes());
  types.push_back(word.getType());
  auto wider = IfOp::create(builder, branch.getLoc(), types, branch.getCondition());
  for (auto [from, to] : llvm::zip_equal(branch->getRegions(), wider->getRegions())) {
    to.takeBody(from);
    Operation *yield = to.front().getTerminator();
    OpBuilder inside(yield);
    GraphBuilder build(inside, word.getLoc());
    const bool isHere = word.getParentRegion() == &to;
    yield->insertOperands(yield->getNumOperands(), isHere ? word : noError(build));
  }
  for (auto [before, after] : llvm::zip(branch.getResults(), wider.getResults()))
    before.replaceAllUsesWith(after);
  branch.erase();
  return wider.getResults().back();
}

/// An error word as a value of the function.
Value carryOut(Value word) {
  Operation *around = word.getParentBlock()->getParentOp();
  if (auto loop = dyn_cast<LoopOp>(around))
    return carryOut(carryThrough(loop, word));
  if (auto branch = dyn_cast<IfOp>(around))
    return carryOut(carryThrough(branch, word));
  return word;
}

class CheckIndices : public impl::CheckIndicesBase<CheckIndices> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isExternal())
        check(function);
  }

  void check(func::FuncOp function) {
    SmallVector<IndexUse> computed;
    function.walk([&](Operation *op) {
      std::optional<IndexUse> use = indexUse(op);
      if (!use || ShapedType::isDynamic(use->size))
        return;
      SmallVector<Value> sources;
      collectSources(use->indices, sources);
      bool isKnown = true;
      for (Value source : sources) {
        if (isInside(source, *use))
          continue;
        if (std::optional<unsigned> port = portOf(function, source); port && !use->isDivisor())
          limitPort(function, *port, use->size);
        else
          isKnown = false;
      }
      const bool isChecked = llvm::any_of(computed, [&](const IndexUse &other) {
        return other.indices == use->indices && other.size <= use->size &&
               other.isDivisor() == use->isDivisor() &&
               other.op->getBlock()->findAncestorOpInBlock(*op);
      });
      if (!isKnown && !isChecked)
        computed.push_back(*use);
    });
    if (!computed.empty())
      addChecks(function, computed);
  }

  /// Each check is a result that the runtime reads after a run.
  void addChecks(func::FuncOp function, ArrayRef<IndexUse> computed) {
    Operation *terminator = function.front().getTerminator();
    Builder attrs(function.getContext());
    SmallVector<Type> types(function.getResultTypes());
    SmallVector<DictionaryAttr> attributes;
    for (unsigned index = 0; index < types.size(); ++index)
      attributes.push_back(function.getResultAttrDict(index));
    llvm::StringSet<> names;
    for (const IndexUse &use : computed) {
      const bool isTopLevel = use.op->getParentOp() == function;
      OpBuilder builder(isTopLevel ? terminator : use.op);
      Value wrong = carryOut(buildCheck(builder, use));
      const std::string what = use.isDivisor()
                                   ? "an integer is divided by zero"
                                   : llvm::formatv("an index is outside [0, {0})", use.size).str();
      const std::string start = llvm::formatv("{0}: {1}", placeOf(use.op->getLoc()), what).str();
      std::string name = start;
      for (int number = 2; !names.insert(name).second; ++number)
        name = start + ", " + std::to_string(number);
      terminator->insertOperands(terminator->getNumOperands(), wrong);
      types.push_back(wrong.getType());
      attributes.push_back(attrs.getDictionaryAttr(
          {attrs.getNamedAttr(nameAttribute, attrs.getStringAttr(name)),
           attrs.getNamedAttr(roleAttribute, attrs.getStringAttr(roleName(Role::Error)))}));
    }
    function.setType(attrs.getFunctionType(function.getArgumentTypes(), types));
    function.setAllResultAttrs(attributes);
  }
};

} // namespace
} // namespace ingot
