#include "passes/linalg/SplitReductions.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "passes/linalg/Combiner.h"
#include "passes/linalg/Reshape.h"

using namespace mlir;

namespace ingot {
namespace {

/// True if the reduction starts from the value that changes nothing.
bool startsNeutral(linalg::GenericOp op, Operation *combiner) {
  auto fill = op.getDpsInits()[0].getDefiningOp<linalg::FillOp>();
  Attribute start;
  if (!fill || !matchPattern(fill.getInputs()[0], m_Constant(&start)))
    return false;
  TypedAttr neutral = neutralElements(combiner).front();
  auto real = dyn_cast<FloatAttr>(start); // -0 is as good a start as 0
  return real ? real.getValue() == cast<FloatAttr>(neutral).getValue() : start == neutral;
}

bool reducesWhole(linalg::GenericOp op) {
  if (op.getNumLoops() == 0 || op.getNumReductionLoops() != op.getNumLoops() ||
      op.getNumResults() != 1)
    return false;
  Operation *combiner = combinerOf(op);
  return combiner && startsNeutral(op, combiner);
}

int64_t product(ArrayRef<int64_t> sizes) {
  int64_t result = 1;
  for (int64_t size : sizes)
    result *= size;
  return result;
}

/// A fill with the scalar that `op` starts from.
Value neutralFill(OpBuilder &builder, linalg::GenericOp op, ArrayRef<int64_t> shape) {
  auto fill = op.getDpsInits()[0].getDefiningOp<linalg::FillOp>();
  auto element = cast<RankedTensorType>(op.getResult(0).getType()).getElementType();
  Value empty = tensor::EmptyOp::create(builder, op.getLoc(), shape, element);
  return linalg::FillOp::create(builder, op.getLoc(), fill.getInputs()[0], empty).getResult(0);
}

/// The same computation with `rows` leading loops parallel: one result per row.
Value reduceRows(OpBuilder &builder, linalg::GenericOp op, ValueRange inputs,
                 ArrayRef<AffineMap> inputMaps, ArrayRef<int64_t> extents, unsigned rows) {
  Value init = neutralFill(builder, op, extents.take_front(rows));
  SmallVector<AffineMap> maps(inputMaps);
  maps.push_back(
      AffineMap::getMultiDimIdentityMap(extents.size(), builder.getContext()).getMajorSubMap(rows));
  SmallVector<utils::IteratorType> loops(extents.size(), utils::IteratorType::reduction);
  std::fill_n(loops.begin(), rows, utils::IteratorType::parallel);
  auto result = linalg::GenericOp::create(builder, op.getLoc(), init.getType(), inputs, init, maps,
                                          loops, [&](OpBuilder &b, Location, ValueRange values) {
                                            IRMapping mapping;
                                            mapping.map(op.getBody()->getArguments(), values);
                                            for (Operation &inner : *op.getBody())
                                              b.clone(inner, mapping);
                                          });
  return result.getResult(0);
}

/// Combines all elements of `partial` as `op` combines its inputs.
Value combineAll(OpBuilder &builder, linalg::GenericOp op, Value partial) {
  auto type = cast<RankedTensorType>(partial.getType());
  Operation *combiner = combinerOf(op);
  AffineMap identity = builder.getMultiDimIdentityMap(type.getRank());
  auto result = linalg::GenericOp::create(
      builder, op.getLoc(), op.getResult(0).getType(), partial, op.getDpsInits()[0],
      ArrayRef<AffineMap>{identity, AffineMap::get(type.getRank(), 0, builder.getContext())},
      SmallVector<utils::IteratorType>(type.getRank(), utils::IteratorType::reduction),
      [&](OpBuilder &b, Location where, ValueRange values) {
        linalg::YieldOp::create(b, where, combinePartials(b, combiner, values[0], values[1]));
      });
  return result.getResult(0);
}

/// How many leading dimensions make rows: as many as keep the rows' results small.
unsigned rowDimensions(ArrayRef<int64_t> extents) {
  unsigned rows = 0;
  while (rows + 1 < extents.size() && product(extents.take_front(rows + 1)) <= wholeReductionLimit)
    ++rows;
  return rows;
}

/// Into how many chunks a flat tensor is cut: about a thousand elements each, at most `mostChunks`.
/// Chunks that come out even, in whole granules, need no padding and no masks: where there are
/// enough of them, they are the ones.
int64_t chunksOf(int64_t elements, int64_t granule) {
  constexpr int64_t mostChunks = 1024, enough = 256;
  int64_t wanted = std::min(mostChunks, llvm::divideCeilSigned(elements, mostChunks));
  for (int64_t chunks = wanted; chunks >= std::min(wanted, enough); --chunks)
    if (elements % (chunks * granule) == 0)
      return chunks;
  return wanted;
}

/// The operand in rows of equal length, filled up with the reduction's neutral element.
Value inChunks(OpBuilder &builder, linalg::GenericOp op, Value operand, int64_t rows) {
  auto type = cast<RankedTensorType>(operand.getType());
  int64_t elements = type.getNumElements(), length = llvm::divideCeil(elements, rows);
  Value flat = reshapeTensor(builder, op.getLoc(), operand, {elements});
  if (rows * length != elements) {
    auto padded = RankedTensorType::get({rows * length}, type.getElementType());
    auto attribute = [&](int64_t value) {
      return SmallVector<OpFoldResult>{builder.getIndexAttr(value)};
    };
    auto pad = tensor::PadOp::create(builder, op.getLoc(), padded, flat, attribute(0),
                                     attribute(rows * length - elements));
    OpBuilder::InsertionGuard guard(builder);
    Value neutral = op.getDpsInits()[0].getDefiningOp<linalg::FillOp>().getInputs()[0];
    builder.createBlock(&pad.getRegion(), {}, builder.getIndexType(), op.getLoc());
    tensor::YieldOp::create(builder, op.getLoc(), neutral);
    flat = pad;
  }
  return reshapeTensor(builder, op.getLoc(), flat, {rows, length});
}

/// True if the body is the combiner alone, on elements in the order of the loops: filling the
/// operands up with its neutral element (for products with 0) changes nothing.
bool combinesOperands(linalg::GenericOp op) {
  auto isInOrder = [&](OpOperand *operand) {
    return op.getMatchingIndexingMap(operand).isIdentity();
  };
  return llvm::hasSingleElement(op.getBody()->without_terminator()) &&
         llvm::all_of(combinerOf(op)->getOperands(), llvm::IsaPred<BlockArgument>) &&
         llvm::all_of(op.getDpsInputOperands(), isInOrder);
}

void split(linalg::GenericOp op, const TargetCosts &costs) {
  OpBuilder builder(op);
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  auto maps = op.getIndexingMapsArray();
  unsigned rows = rowDimensions(extents);
  Value partial;
  // Too few rows to share among threads: chunks of the flat tensors.
  if (combinesOperands(op) && product(ArrayRef(extents).take_front(rows)) < 64) {
    int64_t chunks = chunksOf(product(extents), costs.reductionGranule);
    auto chunked = llvm::map_to_vector(
        op.getDpsInputs(), [&](Value operand) { return inChunks(builder, op, operand, chunks); });
    auto shape = cast<RankedTensorType>(chunked.front().getType()).getShape();
    SmallVector<AffineMap> flat(chunked.size(), builder.getMultiDimIdentityMap(2));
    partial = reduceRows(builder, op, chunked, flat, shape, 1);
  } else if (rows > 0) {
    maps.pop_back();
    partial = reduceRows(builder, op, op.getDpsInputs(), maps, extents, rows);
  } else {
    return; // one long loop over several operands: left whole
  }
  op.getResult(0).replaceAllUsesWith(combineAll(builder, op, partial));
  op.erase();
}

} // namespace

void splitReductions(func::FuncOp function, const TargetCosts &costs) {
  SmallVector<linalg::GenericOp> large;
  function.walk([&](linalg::GenericOp op) {
    if (reducesWhole(op) && product(op.getStaticLoopRanges()) > wholeReductionLimit)
      large.push_back(op);
  });
  for (linalg::GenericOp op : large)
    split(op, costs);
}

} // namespace ingot
