/// Graph ops become linalg on tensors, but for the roots that have an emitter of their own.
#include "passes/linalg/GraphToLinalg.h"
#include "ir/dialect/GraphBuilder.h"
#include "ir/formulas/TupleReductions.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Passes.h"
#include "passes/Signature.h"
#include "passes/linalg/RandomNumbers.h"
#include "passes/linalg/Reshape.h"
#include "passes/linalg/ScalarOps.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_GRAPHTOLINALG
#include "passes/Passes.h.inc"

namespace {

using graph::tensorType;

/// arith wants signless integers; what a value's sign was decides which ops compute with it.
Type signless(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !tensor.getElementType().isUnsignedInteger())
    return type;
  return tensor.clone(
      IntegerType::get(type.getContext(), tensor.getElementType().getIntOrFloatBitWidth()));
}

using RegionBody = function_ref<Value(OpBuilder &, ValueRange)>;

class Converter {
public:
  explicit Converter(func::FuncOp function) : function(function), builder(function.getContext()) {}
  LogicalResult run();

private:
  void dropSigns();
  LogicalResult convert(Block &block);
  LogicalResult convert(Operation *op);
  void replace(Operation *op, ValueRange values);

  Value empty(RankedTensorType type) {
    return tensor::EmptyOp::create(builder, location(), type.getShape(), type.getElementType());
  }
  Value fill(RankedTensorType type, TypedAttr value);
  AffineMap identity(int64_t rank) { return builder.getMultiDimIdentityMap(rank); }
  /// An all-parallel generic over the dimensions of `type`.
  Value pointwise(RankedTensorType type, ValueRange inputs, ArrayRef<AffineMap> maps,
                  RegionBody body);
  Value copy(RankedTensorType type, Value input, AffineMap map);

  Value elementwise(Operation *op);
  Value constant(graph::ConstantOp op);
  Value iota(graph::IotaOp op);
  Value transpose(graph::TransposeOp op);
  Value broadcast(graph::BroadcastOp op);
  Value reverse(graph::ReverseOp op);
  Value window(graph::WindowOp op);
  Value slice(graph::SliceOp op);
  Value pad(graph::PadOp op);
  Value reduce(graph::ReduceOp op);
  LogicalResult reduceTuples(graph::ReduceTuplesOp op);
  void combineTuples(const graph::TupleReduction &row, ArrayRef<bool> areUnsigned, Block &combiner);
  Value rounded(Value sum, RankedTensorType to);
  template <typename Op> Value random(Op op, bool isNormal);

  Location location() { return current->getLoc(); }

  func::FuncOp function;
  OpBuilder builder;
  Operation *current = nullptr;
  llvm::DenseSet<Value> unsignedValues;
};

/// Every value gets its signless type; `unsignedValues` remembers.
void Converter::dropSigns() {
  auto drop = [&](Value value) {
    Type type = signless(value.getType());
    if (type == value.getType())
      return;
    unsignedValues.insert(value);
    value.setType(type);
  };
  function.walk([&](Operation *op) {
    llvm::for_each(op->getResults(), drop);
    for (Region &region : op->getRegions())
      llvm::for_each(region.getArguments(), drop);
  });
  auto convert = [](ArrayRef<Type> types) { return llvm::map_to_vector(types, signless); };
  FunctionType type = function.getFunctionType();
  for (auto [index, input] : llvm::enumerate(type.getInputs()))
    if (signless(input) != input)
      function.setArgAttr(index, unsignedAttribute, builder.getUnitAttr());
  for (auto [index, result] : llvm::enumerate(type.getResults()))
    if (signless(result) != result)
      function.setResultAttr(index, unsignedAttribute, builder.getUnitAttr());
  function.setType(builder.getFunctionType(convert(type.getInputs()), convert(type.getResults())));
}

LogicalResult Converter::run() {
  dropSigns();
  return convert(function.getBody().front());
}

LogicalResult Converter::convert(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(block)) {
    current = &op;
    builder.setInsertionPoint(&op);
    if (failed(convert(&op)))
      return failure();
  }
  return success();
}

void Converter::replace(Operation *op, ValueRange values) {
  for (auto [result, value] : llvm::zip_equal(op->getResults(), values)) {
    if (unsignedValues.contains(result))
      unsignedValues.insert(value);
    result.replaceAllUsesWith(value);
  }
  op->erase();
}

LogicalResult Converter::convert(Operation *op) {
  const bool isRegion = isa<graph::LoopOp, graph::IfOp>(op);
  if (!isRegion && isa<func::ReturnOp, graph::YieldOp, graph::KernelOp>(op))
    return success(); // keeps its name
  for (Type type : op->getResultTypes())
    if (auto tensor = dyn_cast<RankedTensorType>(type); !tensor || !tensor.hasStaticShape())
      return op->emitError("has the type ")
             << type << ", but only tensors of static shape can be compiled";
  if (isRegion) {
    for (Region &region : op->getRegions())
      if (failed(convert(region.front())))
        return failure();
    return success();
  }
  if (auto tuples = dyn_cast<graph::ReduceTuplesOp>(op))
    return reduceTuples(tuples);
  Value value =
      TypeSwitch<Operation *, Value>(op)
          .Case([&](graph::ConstantOp op) { return constant(op); })
          .Case([&](graph::IotaOp op) { return iota(op); })
          .Case([&](graph::RandomUniformOp op) { return random(op, false); })
          .Case([&](graph::RandomNormalOp op) { return random(op, true); })
          .Case([&](graph::ReshapeOp op) {
            return reshapeTensor(builder, location(), op.getOperand(), op.getType().getShape());
          })
          .Case([&](graph::TransposeOp op) { return transpose(op); })
          .Case([&](graph::BroadcastOp op) { return broadcast(op); })
          .Case([&](graph::ReverseOp op) { return reverse(op); })
          .Case([&](graph::WindowOp op) { return window(op); })
          .Case([&](graph::SliceOp op) { return slice(op); })
          .Case([&](graph::PadOp op) { return pad(op); })
          .Case([&](graph::ConcatOp op) {
            return tensor::ConcatOp::create(builder, location(), op.getType(), op.getDimension(),
                                            op.getOperands())
                .getResult();
          })
          .Case([&](graph::ReduceOp op) { return reduce(op); })
          .Default([&](Operation *op) { return elementwise(op); });
  if (!value)
    return op->emitError("has no form in linalg");
  replace(op, value);
  return success();
}

Value Converter::fill(RankedTensorType type, TypedAttr value) {
  Value scalar = arith::ConstantOp::create(builder, location(), value);
  return linalg::FillOp::create(builder, location(), scalar, empty(type)).getResult(0);
}

Value Converter::pointwise(RankedTensorType type, ValueRange inputs, ArrayRef<AffineMap> maps,
                           RegionBody body) {
  SmallVector<AffineMap> allMaps(maps);
  allMaps.push_back(identity(type.getRank()));
  SmallVector<utils::IteratorType> loops(type.getRank(), utils::IteratorType::parallel);
  auto generic =
      linalg::GenericOp::create(builder, location(), type, inputs, empty(type), allMaps, loops,
                                [&](OpBuilder &b, Location where, ValueRange arguments) {
                                  linalg::YieldOp::create(b, where, body(b, arguments.drop_back()));
                                });
  return generic.getResult(0);
}

Value Converter::copy(RankedTensorType type, Value input, AffineMap map) {
  return pointwise(type, input, map, [](OpBuilder &, ValueRange values) { return values[0]; });
}

Value Converter::elementwise(Operation *op) {
  if (!op->hasTrait<OpTrait::Elementwise>() || op->getNumResults() != 1)
    return {};
  auto type = tensorType(op->getResult(0));
  SmallVector<AffineMap> maps(op->getNumOperands(), identity(type.getRank()));
  bool isUnsigned = unsignedValues.contains(op->getOperand(0));
  bool resultUnsigned = unsignedValues.contains(op->getResult(0));
  Value result = pointwise(type, op->getOperands(), maps, [&](OpBuilder &b, ValueRange values) {
    return emitScalar(b, op, values, type.getElementType(), isUnsigned, resultUnsigned);
  });
  setFastMath(result.getDefiningOp());
  return result;
}

Value Converter::constant(graph::ConstantOp op) {
  auto value = cast<ElementsAttr>(op.getValue());
  auto type = tensorType(op.getResult()); // signless by now
  if (value.getType() != type) {
    auto dense = dyn_cast<DenseElementsAttr>(value);
    if (!dense)
      return {};
    value = DenseElementsAttr::getFromRawBuffer(type, dense.getRawData());
  }
  return arith::ConstantOp::create(builder, location(), cast<TypedAttr>(value));
}

Value Converter::iota(graph::IotaOp op) {
  auto type = op.getType();
  return pointwise(type, {}, {}, [&](OpBuilder &b, ValueRange) -> Value {
    Value index = linalg::IndexOp::create(b, location(), op.getDimension());
    Type element = type.getElementType();
    if (!isa<FloatType>(element))
      return arith::IndexCastOp::create(b, location(), element, index);
    Value integer = arith::IndexCastOp::create(b, location(), b.getI64Type(), index);
    return arith::SIToFPOp::create(b, location(), element, integer);
  });
}

Value Converter::transpose(graph::TransposeOp op) {
  // Result dimension i is operand dimension permutation[i]: operand dimension p[i] runs with loop
  // i.
  SmallVector<unsigned> loopOf(op.getPermutation().size());
  for (auto [loop, dim] : llvm::enumerate(op.getPermutation()))
    loopOf[dim] = loop;
  return copy(tensorType(op.getResult()), op.getOperand(),
              AffineMap::getPermutationMap(loopOf, builder.getContext()));
}

Value Converter::broadcast(graph::BroadcastOp op) {
  auto from = tensorType(op.getOperand()), to = tensorType(op.getResult());
  SmallVector<AffineExpr> position;
  for (auto [index, dim] : llvm::enumerate(op.getDimensions())) {
    bool repeats = from.getDimSize(index) != to.getDimSize(dim);
    position.push_back(repeats ? builder.getAffineConstantExpr(0) : builder.getAffineDimExpr(dim));
  }
  return copy(to, op.getOperand(), AffineMap::get(to.getRank(), 0, position, builder.getContext()));
}

Value Converter::reverse(graph::ReverseOp op) {
  auto type = tensorType(op.getResult());
  SmallVector<AffineExpr> position;
  for (int64_t dim = 0; dim < type.getRank(); ++dim) {
    AffineExpr loop = builder.getAffineDimExpr(dim);
    position.push_back(llvm::is_contained(op.getDimensions(), dim) ? type.getDimSize(dim) - 1 - loop
                                                                   : loop);
  }
  return copy(type, op.getOperand(),
              AffineMap::get(type.getRank(), 0, position, builder.getContext()));
}

Value Converter::window(graph::WindowOp op) {
  auto type = tensorType(op.getResult());
  const int64_t rank = tensorType(op.getOperand()).getRank();
  SmallVector<AffineExpr> position;
  for (int64_t dim = 0; dim < rank; ++dim)
    position.push_back(builder.getAffineDimExpr(dim));
  for (auto [index, dim] : llvm::enumerate(op.getDimensions()))
    position[dim] = position[dim] * op.getStrides()[index] +
                    builder.getAffineDimExpr(rank + index) * op.getDilations()[index];
  return copy(type, op.getOperand(),
              AffineMap::get(type.getRank(), 0, position, builder.getContext()));
}

Value Converter::slice(graph::SliceOp op) {
  auto attributes = [&](ArrayRef<int64_t> values) {
    return getAsIndexOpFoldResult(builder.getContext(), values);
  };
  auto type = tensorType(op.getResult());
  return tensor::ExtractSliceOp::create(builder, location(), type, op.getOperand(),
                                        attributes(op.getOffsets()), attributes(type.getShape()),
                                        attributes(op.getStrides()));
}

/// Interior padding is padding after each element in a dimension of its own.
Value Converter::pad(graph::PadOp op) {
  Value value = op.getOperand();
  auto padded = [&](Value operand, ArrayRef<int64_t> low, ArrayRef<int64_t> high) -> Value {
    SmallVector<int64_t> shape(tensorType(operand).getShape());
    for (auto [dim, size] : llvm::enumerate(shape))
      size += low[dim] + high[dim];
    auto attributes = [&](ArrayRef<int64_t> values) {
      return getAsIndexOpFoldResult(builder.getContext(), values);
    };
    auto type = RankedTensorType::get(shape, op.getType().getElementType());
    auto result = tensor::PadOp::create(builder, location(), type, operand, attributes(low),
                                        attributes(high));
    SmallVector<Location> locations(shape.size(), location());
    OpBuilder::InsertionGuard guard(builder);
    SmallVector<Type> indices(shape.size(), builder.getIndexType());
    builder.createBlock(&result.getRegion(), {}, indices, locations);
    DenseElementsAttr constant; // a computed value became a choice, see PadByComputedValue
    [[maybe_unused]] const bool isConstant = matchPattern(op.getValue(), m_Constant(&constant));
    assert(isConstant && "prepareForLinalg leaves constant values alone");
    Value scalar =
        arith::ConstantOp::create(builder, location(), constant.getSplatValue<TypedAttr>());
    tensor::YieldOp::create(builder, location(), scalar);
    return result;
  };
  for (auto [dim, interior] : llvm::enumerate(op.getInterior())) {
    SmallVector<int64_t> shape(tensorType(value).getShape());
    int64_t size = shape[dim];
    if (interior == 0 || size < 2)
      continue;
    SmallVector<int64_t> split(shape), low(shape.size() + 1, 0), high(low), joined(shape);
    split.insert(split.begin() + dim + 1, 1);
    high[dim + 1] = interior;
    joined[dim] = size * (interior + 1);
    value = reshapeTensor(builder, location(), value, split);
    value = reshapeTensor(builder, location(), padded(value, low, high), joined);
    SmallVector<int64_t> kept(joined), zeros(shape.size(), 0), ones(shape.size(), 1);
    kept[dim] -= interior; // nothing follows the last element
    value = tensor::ExtractSliceOp::create(
        builder, location(), RankedTensorType::get(kept, op.getType().getElementType()), value,
        getAsIndexOpFoldResult(builder.getContext(), zeros),
        getAsIndexOpFoldResult(builder.getContext(), kept),
        getAsIndexOpFoldResult(builder.getContext(), ones));
  }
  auto isZero = [](int64_t amount) { return amount == 0; };
  if (llvm::all_of(op.getLow(), isZero) && llvm::all_of(op.getHigh(), isZero))
    return value;
  return padded(value, op.getLow(), op.getHigh());
}

/// A number of an element type. `value` gives it as a double, int64_t or uint64_t, like the zero
/// that it takes.
template <typename Function>
TypedAttr numberOf(Builder &builder, Type type, bool isUnsigned, Function value) {
  if (isa<FloatType>(type))
    return builder.getFloatAttr(type, value(double(0)));
  uint64_t bits =
      isUnsigned || type.isInteger(1) ? value(uint64_t(0)) : uint64_t(value(int64_t(0)));
  return builder.getIntegerAttr(type, APInt(64, bits).trunc(type.getIntOrFloatBitWidth()));
}

Operation *combine(OpBuilder &b, Location location, graph::ReduceKind kind, bool isUnsigned,
                   Value x, Value y) {
  Scalars s(b, location, isUnsigned);
  auto combined = [&]() -> Value {
    switch (kind) {
#define INGOT_REDUCTION(METHOD, KIND, NEUTRAL, REFERENCE, LOWERING, ...)                           \
  case graph::ReduceKind::KIND:                                                                    \
    return LOWERING;
#include "ir/formulas/Reductions.def"
    }
    llvm_unreachable("a reduction of unknown kind");
  };
  return combined().getDefiningOp();
}

struct ReductionLoops {
  SmallVector<utils::IteratorType> kinds;
  AffineMap operand, result;
};

/// The operand's dimensions in order where the reduced ones are the first or the last; otherwise
/// the reduced ones last, so that every reduction works on rows or on columns.
ReductionLoops reductionLoops(Builder &builder, int64_t rank, ArrayRef<int64_t> dimensions) {
  int64_t reduced = dimensions.size();
  auto isReduced = [&](int64_t dim) { return llvm::is_contained(dimensions, dim); };
  bool areFirst = llvm::all_of(llvm::seq(reduced), isReduced);
  SmallVector<unsigned> loopOf(rank);
  unsigned keptLoop = areFirst ? reduced : 0, reducedLoop = areFirst ? 0 : rank - reduced;
  ReductionLoops loops;
  SmallVector<AffineExpr> kept;
  loops.kinds.resize(rank);
  for (int64_t dim = 0; dim < rank; ++dim) {
    loopOf[dim] = isReduced(dim) ? reducedLoop++ : keptLoop++;
    loops.kinds[loopOf[dim]] =
        isReduced(dim) ? utils::IteratorType::reduction : utils::IteratorType::parallel;
    if (!isReduced(dim))
      kept.push_back(builder.getAffineDimExpr(loopOf[dim]));
  }
  loops.operand = AffineMap::getPermutationMap(loopOf, builder.getContext());
  loops.result = AffineMap::get(rank, 0, kept, builder.getContext());
  return loops;
}

/// Rounds what was accumulated to the type of a result.
Value Converter::rounded(Value sum, RankedTensorType to) {
  if (sum.getType() == to)
    return sum;
  return pointwise(to, sum, identity(to.getRank()), [&](OpBuilder &b, ValueRange values) -> Value {
    return arith::TruncFOp::create(b, location(), to.getElementType(), values[0]);
  });
}

/// Narrow floats accumulate in f32 and are rounded once.
Value Converter::reduce(graph::ReduceOp op) {
  auto from = tensorType(op.getOperand()), to = tensorType(op.getResult());
  if (op.getDimensions().empty())
    return copy(to, op.getOperand(), identity(to.getRank()));
  Type element = graph::accumulationType(from.getElementType());
  bool isUnsigned = unsignedValues.contains(op.getOperand());
  auto sumType = RankedTensorType::get(to.getShape(), element);
  Value init =
      fill(sumType, numberOf(builder, element, isUnsigned, [&](auto zero) {
             return graph::neutralOf<decltype(zero)>(op.getKind(), element.getIntOrFloatBitWidth());
           }));

  ReductionLoops loops = reductionLoops(builder, from.getRank(), op.getDimensions());
  auto generic =
      linalg::GenericOp::create(builder, location(), sumType, op.getOperand(), init,
                                ArrayRef<AffineMap>{loops.operand, loops.result}, loops.kinds,
                                [&](OpBuilder &b, Location where, ValueRange values) {
                                  Value x = values[0];
                                  if (x.getType() != element)
                                    x = arith::ExtFOp::create(b, where, element, x);
                                  Operation *sum =
                                      combine(b, where, op.getKind(), isUnsigned, x, values[1]);
                                  linalg::YieldOp::create(b, where, sum->getResult(0));
                                  setFastMath(sum);
                                });
  return rounded(generic.getResult(0), to);
}

/// The row's formula on scalars: written as graph ops in a block of their own, which is then
/// lowered op by op.
void Converter::combineTuples(const graph::TupleReduction &row, ArrayRef<bool> areUnsigned,
                              Block &combiner) {
  Block formula;
  IRMapping mapping;
  SmallVector<graph::formulas::Term> terms;
  graph::GraphBuilder build(builder, location());
  for (auto [index, argument] : llvm::enumerate(combiner.getArguments())) {
    Type element = argument.getType();
    if (areUnsigned[index % row.size()])
      element = IntegerType::get(element.getContext(), element.getIntOrFloatBitWidth(),
                                 IntegerType::Unsigned);
    Value scalar = formula.addArgument(RankedTensorType::get({}, element), location());
    terms.push_back({&build, scalar});
    mapping.map(scalar, argument);
  }
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(&formula);
  auto combined =
      row.expand(ArrayRef(terms).take_front(row.size()), ArrayRef(terms).drop_front(row.size()));
  builder.setInsertionPointToEnd(&combiner);
  for (Operation &op : formula) {
    auto constant = dyn_cast<graph::ConstantOp>(op);
    auto operands =
        llvm::map_to_vector(op.getOperands(), [&](Value value) { return mapping.lookup(value); });
    bool isUnsigned = llvm::any_of(op.getOperandTypes(), [](Type type) {
      return cast<RankedTensorType>(type).getElementType().isUnsignedInteger();
    });
    Value scalar =
        constant ? arith::ConstantOp::create(
                       builder, op.getLoc(),
                       cast<DenseElementsAttr>(constant.getValue()).getSplatValue<TypedAttr>())
                       .getResult()
                 : emitScalar(
                       builder, &op, operands,
                       cast<RankedTensorType>(signless(op.getResult(0).getType())).getElementType(),
                       isUnsigned, isUnsigned);
    mapping.map(op.getResult(0), scalar);
  }
  auto results = llvm::map_to_vector(
      combined, [&](graph::formulas::Term term) { return mapping.lookup(term.value); });
  graph::YieldOp::create(builder, location(), results);
}

/// A reduction of as many results as the tuples have parts, whose body ends with graph.combine.
LogicalResult Converter::reduceTuples(graph::ReduceTuplesOp op) {
  const graph::TupleReduction &row = *graph::findTupleReduction(op.getKind());
  ReductionLoops loops =
      reductionLoops(builder, tensorType(op.getOperand(0)).getRank(), op.getDimensions());
  SmallVector<Type> elements, sumTypes;
  SmallVector<bool> areUnsigned;
  SmallVector<Value> inits;
  SmallVector<Attribute> neutral;
  for (auto [operand, result, start] :
       llvm::zip_equal(op.getOperands(), op.getResults(), row.neutral)) {
    Type element = graph::accumulationType(tensorType(operand).getElementType());
    elements.push_back(element);
    areUnsigned.push_back(unsignedValues.contains(operand));
    TypedAttr number =
        numberOf(builder, element, areUnsigned.back(), [&, start = start](auto zero) {
          return graph::startOf<decltype(zero)>(start, element.getIntOrFloatBitWidth());
        });
    neutral.push_back(number);
    auto type = tensorType(result).clone(element);
    sumTypes.push_back(type);
    inits.push_back(fill(type, number));
  }
  SmallVector<AffineMap> maps(row.size(), loops.operand);
  maps.append(row.size(), loops.result);
  auto generic = linalg::GenericOp::create(
      builder, location(), sumTypes, op.getOperands(), inits, maps, loops.kinds,
      [&](OpBuilder &b, Location where, ValueRange values) {
        SmallVector<Value> tuple;
        for (auto [value, element] : llvm::zip(values, elements))
          tuple.push_back(value.getType() == element
                              ? value
                              : arith::ExtFOp::create(b, where, element, value).getResult());
        auto combined = graph::CombineOp::create(b, where, elements, values.drop_front(row.size()),
                                                 tuple, b.getArrayAttr(neutral));
        SmallVector<Type> both(elements);
        llvm::append_range(both, elements);
        {
          OpBuilder::InsertionGuard guard(b);
          Block *region = b.createBlock(&combined.getCombiner(), {}, both,
                                        SmallVector<Location>(both.size(), where));
          combineTuples(row, areUnsigned, *region);
        }
        linalg::YieldOp::create(b, where, combined.getResults());
      });
  setFastMath(generic);
  SmallVector<Value> results;
  for (auto [sum, result] : llvm::zip_equal(generic.getResults(), op.getResults()))
    results.push_back(rounded(sum, tensorType(result)));
  replace(op, results);
  return success();
}

/// Element i of the tensor draws with counter i, whatever the shape. The stream's number is an
/// operand, so that kernels that differ in it alone are one: a second element keeps it from being
/// folded as a splat.
template <typename Op> Value Converter::random(Op op, bool isNormal) {
  auto type = tensorType(op.getResult());
  MLIRContext *context = builder.getContext();
  auto streamType = RankedTensorType::get({2}, builder.getI64Type());
  Value stream = arith::ConstantOp::create(
      builder, location(),
      DenseElementsAttr::get(streamType, ArrayRef<int64_t>{int64_t(op.getId()), -1}));
  AffineMap scalar = AffineMap::get(type.getRank(), 0, context);
  AffineMap first = AffineMap::get(type.getRank(), 0, builder.getAffineConstantExpr(0), context);
  SmallVector<Value> counters{op.getSeed(), op.getStep(), stream};
  return pointwise(type, counters, {scalar, scalar, first}, [&](OpBuilder &b, ValueRange values) {
    return emitRandom(b, location(), type, values[0], values[1], values[2], isNormal);
  });
}

struct GraphToLinalgPass : impl::GraphToLinalgBase<GraphToLinalgPass> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (failed(prepareForLinalg(function)) || failed(convertToLinalg(function)) ||
          failed(foldCopies(function)))
        return signalPassFailure();
    }
  }
};

} // namespace

LogicalResult convertToLinalg(func::FuncOp function) { return Converter(function).run(); }

bool isCopy(Operation *op) {
  auto generic = dyn_cast_or_null<linalg::GenericOp>(op);
  if (!generic || generic.getNumDpsInputs() != 1 || generic.getNumDpsInits() != 1 ||
      generic.getNumReductionLoops() != 0)
    return false;
  auto yield = cast<linalg::YieldOp>(generic.getBody()->getTerminator());
  return yield.getOperand(0) == generic.getBody()->getArgument(0);
}

LogicalResult foldCopies(func::FuncOp function) {
  RewritePatternSet patterns(function.getContext());
  linalg::populateElementwiseOpsFusionPatterns(patterns, [](OpOperand *operand) {
    auto producer = operand->get().getDefiningOp<linalg::GenericOp>();
    if (!producer || (!isCopy(producer) && producer.getNumDpsInputs() > 0))
      return false;
    // What is the same in every iteration of a loop is moved once.
    if (isCopy(producer) && producer->getBlock() != operand->getOwner()->getBlock())
      return false;
    // A counter's number would be an expression of loops, in the body: points compute it better.
    auto consumer = cast<linalg::GenericOp>(operand->getOwner());
    if (!producer.getBody()->getOps<linalg::IndexOp>().empty() &&
        !consumer.getMatchingIndexingMap(operand).isProjectedPermutation())
      return false;
    // It says in which form its operand is stored.
    return !isCopy(producer) || !isStoredMoved(producer.getDpsInputs()[0]);
  });
  // Bodies of generics are one block each.
  return applyPatternsGreedily(
      function, std::move(patterns),
      GreedyRewriteConfig().setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled));
}

} // namespace ingot
