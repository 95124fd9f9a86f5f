#include "passes/linalg/SplitReductions.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "passes/linalg/Reshape.h"

using namespace mlir;

namespace ingot {
namespace {

bool reducesWhole(linalg::GenericOp op) {
  return op.getNumLoops() > 0 && op.getNumReductionLoops() == op.getNumLoops() &&
         op.getNumResults() == 1 && op.getNumDpsInits() == 1;
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
  Operation *combiner = op.getBody()->getTerminator()->getOperand(0).getDefiningOp();
  Value accumulator = op.getBody()->getArguments().back();
  AffineMap identity = builder.getMultiDimIdentityMap(type.getRank());
  auto result = linalg::GenericOp::create(
      builder, op.getLoc(), op.getResult(0).getType(), partial, op.getDpsInits()[0],
      ArrayRef<AffineMap>{identity, AffineMap::get(type.getRank(), 0, builder.getContext())},
      SmallVector<utils::IteratorType>(type.getRank(), utils::IteratorType::reduction),
      [&](OpBuilder &b, Location where, ValueRange values) {
        Operation *combined = b.clone(*combiner);
        for (OpOperand &operand : combined->getOpOperands())
          operand.set(operand.get() == accumulator ? values[1] : values[0]);
        linalg::YieldOp::create(b, where, combined->getResult(0));
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
/// Chunks that come out even, in whole vectors, need no padding and no masks: where there are
/// enough of them, they are the ones.
int64_t chunksOf(int64_t elements) {
  constexpr int64_t mostChunks = 1024, enough = 256, vector = 16;
  int64_t wanted = std::min(mostChunks, llvm::divideCeilSigned(elements, mostChunks));
  for (int64_t chunks = wanted; chunks >= std::min(wanted, enough); --chunks)
    if (elements % (chunks * vector) == 0)
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

void split(linalg::GenericOp op) {
  OpBuilder builder(op);
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  auto maps = op.getIndexingMapsArray();
  unsigned rows = rowDimensions(extents);
  Value partial;
  bool isPlain = op.getNumDpsInputs() == 1 && maps.front().isIdentity() &&
                 cast<RankedTensorType>(op.getDpsInputs()[0].getType()).getElementType() ==
                     cast<RankedTensorType>(op.getResult(0).getType()).getElementType();
  // Too few rows to share among threads: chunks of the flat tensor.
  if (isPlain && product(ArrayRef(extents).take_front(rows)) < 64) {
    Value chunked = inChunks(builder, op, op.getDpsInputs()[0], chunksOf(product(extents)));
    auto shape = cast<RankedTensorType>(chunked.getType()).getShape();
    partial = reduceRows(builder, op, chunked, builder.getMultiDimIdentityMap(2), shape, 1);
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

void splitReductions(func::FuncOp function) {
  SmallVector<linalg::GenericOp> large;
  for (auto op : function.getBody().front().getOps<linalg::GenericOp>())
    if (reducesWhole(op) && product(op.getStaticLoopRanges()) > wholeReductionLimit)
      large.push_back(op);
  llvm::for_each(large, split);
}

} // namespace ingot
