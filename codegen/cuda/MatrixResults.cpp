#include "codegen/cuda/MatrixResults.h"
#include "codegen/cuda/MatrixInstructions.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace ingot {

void MatrixResults::place(Value memory, Value warp, Value lane) {
  this->memory = memory;
  this->lane = lane;
  start = code.mul(warp, part.elements());
  if (tiles.splits > 1)
    partials = kernel.launchScratch(partialSums(product, tiles.splits));
}

/// Of a sum in its warp's memory. Runs of four are exchanged so that threads that write sums as
/// tensor cores leave them, and those that read neighbours, meet different banks.
Value MatrixResults::sumPlace(Value row, Value column) {
  const int64_t chunks = part.columns / 4; // of a row
  Value chunk = code.div(column, 4);
  Value linear = code.add(code.mul(row, chunks), chunk);
  Value pair = chunks >= 8 ? code.remainder(row, 4) : code.remainder(code.div(row, 2), 2);
  Value phase = code.add(code.mul(pair, 2), code.remainder(code.div(linear, 8), 2));
  linear = code.builder.createOrFold<arith::XOrIOp>(code.location, linear, phase);
  return code.add(start, code.add(code.mul(linear, 4), code.remainder(column, 4)));
}

/// Writes this thread's sums.
void MatrixResults::put(ValueRange sums) {
  auto pairType = VectorType::get({2}, product.sumType);
  Value ownRow = code.div(lane, 4), ownColumn = code.mul(code.remainder(lane, 4), 2);
  const int64_t ofRow = part.columns / matrixColumns * 4;
  for (int64_t row = 0; row < part.rows; row += matrixRows)
    for (int64_t column = 0; column < part.columns; column += matrixColumns) {
      ValueRange four = sums.slice(row / matrixRows * ofRow + column / matrixColumns * 4, 4);
      for (int64_t half = 0; half < 2; ++half) {
        Value pair = code.create<vector::FromElementsOp>(pairType, four.slice(2 * half, 2));
        Value place = sumPlace(code.add(ownRow, row + 8 * half), code.add(ownColumn, column));
        code.create<vector::StoreOp>(
            pair, memory,
            ValueRange{code.create<arith::IndexCastOp>(code.builder.getIndexType(), place)},
            /*nontemporal=*/false, llvm::MaybeAlign(8));
      }
    }
}

Value MatrixResults::load(Value row, Value column, int64_t lanes) {
  auto load = [&](Value column, int64_t count) -> Value {
    Value place =
        code.create<arith::IndexCastOp>(code.builder.getIndexType(), sumPlace(row, column));
    if (count == 1)
      return code.create<memref::LoadOp>(memory, ValueRange{place});
    return code.create<vector::LoadOp>(VectorType::get({count}, product.sumType), memory,
                                       ValueRange{place}, /*nontemporal=*/false,
                                       llvm::MaybeAlign(count * 4));
  };
  if (lanes <= 4)
    return load(column, lanes);
  return code.create<vector::ShuffleOp>(load(column, 4), load(code.add(column, 4), 4),
                                        ArrayRef<int64_t>{0, 1, 2, 3, 4, 5, 6, 7});
}

void MatrixResults::storeRun(Value sums, const TilePlace &tile, Value row, Value column) {
  const int64_t lanes = part.lanes;
  PointIndex along = lanes > 1 ? PointIndex::consecutive(column, product.columns, /*aligned=*/true)
                               : PointIndex::uniform(column, product.columns);
  if (tiles.splits == 1)
    return epilogue.store(sums, tile.batch, row, along, lanes);
  PointEmitter points = kernel.points(lanes);
  PointIndex matrix = PointIndex::uniform(tile.split, tiles.splits) * product.batch +
                      PointIndex::uniform(tile.batch, product.batch);
  PointIndex position =
      (matrix * product.rows + PointIndex::uniform(row, product.rows)) * product.columns + along;
  points.store(sums, partials, position, {}, product.sumType);
}

/// Neighbouring threads store neighbouring runs of the rows that memory has.
void MatrixResults::store(ValueRange sums, const TilePlace &tile, Value row, int64_t furtherRows,
                          Value column, int64_t furtherColumns) {
  put(sums);
  kernel.synchroniseWarp();
  const int64_t lanes = part.lanes, perRow = part.columns / lanes;
  const int64_t turns = part.rows * perRow / warpSize;
  code.loop(code.index(0), code.index(turns), 1, [&](Value turn) {
    Value run = code.add(code.mul(turn, warpSize), lane);
    Value inRow = code.div(run, perRow), inColumn = code.mul(code.remainder(run, perRow), lanes);
    Value ownRow = code.add(row, code.add(inRow, furtherRows)),
          ownColumn = code.add(column, code.add(inColumn, furtherColumns));
    auto storeOwn = [&] { storeRun(load(inRow, inColumn, lanes), tile, ownRow, ownColumn); };
    Value inside;
    if (product.rows % tiles.rows)
      inside = code.isBelow(ownRow, product.rows);
    if (product.columns % tiles.columns) {
      Value below = code.isBelow(ownColumn, product.columns);
      inside = inside ? code.create<arith::AndIOp>(inside, below).getResult() : below;
    }
    if (inside)
      code.when(inside, storeOwn);
    else
      storeOwn();
  });
}

MemRefType partialSums(const ContractionProduct &product, int64_t splits) {
  return MemRefType::get({splits * product.batch * product.rows * product.columns},
                         product.sumType);
}

/// A thread adds up the splits' sums of neighbours in a row.
LogicalResult emitContractionOfSplits(CudaKernel &kernel) {
  graph::ContractOp contract = contractionOf(kernel.kernel);
  SplitSizes sizes;
  if (!contract || failed(readSizes(kernel.kernel, kernel.launch, sizes)))
    return failure();
  const ContractionProduct product(contract);
  const int64_t lanes = sizes.lanes, rows = product.batch * product.rows;
  if (lanes < 1 || lanes > 8 || product.isEmpty() || product.columns % lanes || sizes.splits < 1 ||
      sizes.threads < 1 || sizes.threads > 1024 ||
      kernel.launch.getGrains() != sizes.blocks(product))
    return kernel.kernel.emitError("kernel.schedule: these splits do not make its result");
  IndexCode &code = kernel.code;
  ContractionEpilogue epilogue(kernel, contract, product);
  Value partials = kernel.launchScratch(partialSums(product, sizes.splits));
  Value run = code.add(code.mul(kernel.block(), sizes.threads), kernel.thread());
  const int64_t perRow = product.columns / lanes;
  bool loaded = true;
  auto add = [&] {
    Value number = code.mul(code.remainder(run, perRow), lanes);
    PointIndex row = PointIndex::uniform(code.div(run, perRow), rows),
               column = lanes > 1
                            ? PointIndex::consecutive(number, product.columns, /*aligned=*/true)
                            : PointIndex::uniform(number, product.columns);
    PointEmitter points = kernel.points(lanes);
    Value sum;
    for (int64_t split = 0; split < sizes.splits; ++split) {
      Value next =
          points.load(partials, product.sumType,
                      (row + PointIndex::constant(split * rows)) * product.columns + column, {});
      sum = sum ? code.create<arith::AddFOp>(sum, next).getResult() : next;
    }
    loaded = points.ok();
    epilogue.store(sum, row, column, lanes);
  };
  if (rows * perRow % sizes.threads)
    code.when(code.isBelow(run, rows * perRow), add);
  else
    add();
  return success(loaded && epilogue.ok());
}

} // namespace ingot
