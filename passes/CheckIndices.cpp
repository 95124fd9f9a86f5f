/// Says where indices are checked: at the port through which they enter, or in the program.
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

/// Indices that must lie in [0, size).
struct IndexUse {
  Value indices;
  int64_t size;
  Operation *op;
};

std::optional<IndexUse> indexUse(Operation *op) {
  auto indexing = dyn_cast<IndexingOp>(op);
  if (!indexing)
    return std::nullopt;
  return IndexUse{indexing.getIndexOperand(), indexing.getIndexLimit(), op};
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

/// True for values that are known to lie in [0, size).
bool isInside(Value source, int64_t size) {
  DenseIntElementsAttr elements;
  if (matchPattern(source, m_Constant(&elements)))
    return llvm::all_of(elements.getValues<APInt>(), [&](const APInt &element) {
      return !element.isNegative() && element.getSExtValue() < size;
    });
  if (auto iota = source.getDefiningOp<IotaOp>())
    return iota.getType().getDimSize(iota.getDimension()) <= size;
  // The number of an iteration; how many there are is the loop's affair.
  auto argument = dyn_cast<BlockArgument>(source);
  return argument && isa<LoopOp>(argument.getOwner()->getParentOp()) &&
         argument.getArgNumber() == 0;
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

/// An error word (IndexError.h): the first index that lies outside [0, size).
Value buildCheck(OpBuilder &builder, const IndexUse &use) {
  GraphBuilder build(builder, use.op->getLoc());
  auto type = cast<RankedTensorType>(use.indices.getType());
  const int64_t count = type.getNumElements();
  Value indices = build.reshape(use.indices, {count});
  Value wrong = build.make<OrOp>(
      build.compare(Comparison::Lt, indices, build.splatLike(indices, 0)),
      build.compare(Comparison::Ge, indices, build.splatLike(indices, double(use.size))));
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
        if (isInside(source, use->size))
          continue;
        if (std::optional<unsigned> port = portOf(function, source))
          limitPort(function, *port, use->size);
        else
          isKnown = false;
      }
      // A loop's body is interpreted or unrolled: there is nobody yet who would carry a flag out.
      const bool isTopLevel = op->getParentOp() == function;
      const bool isChecked = llvm::any_of(computed, [&](const IndexUse &other) {
        return other.indices == use->indices && other.size <= use->size;
      });
      if (!isKnown && isTopLevel && !isChecked)
        computed.push_back(*use);
    });
    if (!computed.empty())
      addChecks(function, computed);
  }

  /// Each check is a result that the runtime reads after a run.
  void addChecks(func::FuncOp function, ArrayRef<IndexUse> computed) {
    Operation *terminator = function.front().getTerminator();
    OpBuilder builder(terminator);
    SmallVector<Type> types(function.getResultTypes());
    SmallVector<DictionaryAttr> attributes;
    for (unsigned index = 0; index < types.size(); ++index)
      attributes.push_back(function.getResultAttrDict(index));
    llvm::StringSet<> names;
    for (const IndexUse &use : computed) {
      Value wrong = buildCheck(builder, use);
      const std::string start =
          llvm::formatv("{0}: an index is outside [0, {1})", placeOf(use.op->getLoc()), use.size)
              .str();
      std::string name = start;
      for (int number = 2; !names.insert(name).second; ++number)
        name = start + ", " + std::to_string(number);
      terminator->insertOperands(terminator->getNumOperands(), wrong);
      types.push_back(wrong.getType());
      attributes.push_back(builder.getDictionaryAttr(
          {builder.getNamedAttr(nameAttribute, builder.getStringAttr(name)),
           builder.getNamedAttr(roleAttribute, builder.getStringAttr(roleName(Role::Error)))}));
    }
    function.setType(builder.getFunctionType(function.getArgumentTypes(), types));
    function.setAllResultAttrs(attributes);
  }
};

} // namespace
} // namespace ingot
