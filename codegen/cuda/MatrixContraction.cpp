/// Contraction kernels on tensor cores: factors of 16 bits, sums in f32. Tiles of both factors go
/// through several stages of shared memory, copied while the block multiplies those before them.
/// Where tiles of the result are too few for the chip, each is computed in splits of the depth,
/// which a second launch adds up in order.
#include "codegen/cuda/MatrixSizes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace ingot {
namespace {

/// The launch that adds up the splits.
struct SplitSizes {
  int64_t threads = 256;
  int64_t splits = 1;
  int64_t lanes = 1; ///< results of a thread

  template <typename Field> void fields(Field field) {
    field("threads", threads);
    field("splits", splits);
    field("lanes", lanes);
  }
  int64_t blocks(const ContractionProduct &product) const {
    return llvm::divideCeilSigned(product.batch * product.rows * product.columns, threads * lanes);
  }
};

class MatrixEmitter {
public:
  MatrixEmitter(CudaKernel &kernel, graph::ContractOp contract, const MatrixSizes &sizes)
      : kernel(kernel), code(kernel.code),
        bytes{kernel.builder, kernel.location(), kernel.builder.getI32Type()}, product(contract),
        sizes(sizes), epilogue(kernel, contract, product),
        element(getElementTypeOrSelf(contract.getLhs().getType())),
        left(kernel, product, true, sizes.rows, sizes.depth, sizes.left),
        right(kernel, product, false, sizes.columns, sizes.depth, sizes.right) {}

  bool fits() const { return left.fits() && right.fits(); }
  LogicalResult emit();

private:
  using Values = SmallVector<Value>;
  /// A warp's fragments of one step along the depth.
  struct Fragments {
    Values left, right;
  };

  void place();
  Values multiplyAll();
  Values step(Value number, ValueRange carried);
  Values addresses(Value stage);
  Fragments fragments(ValueRange addresses, int64_t step);
  Values multiply(const Fragments &factors, ValueRange sums);
  void storeResults(ValueRange sums);
  void putSums(ValueRange sums, int64_t firstRow);
  void storeSums(int64_t firstRow);
  void storeRun(Value sums, Value row, Value column);
  Value loadSums(Value row, Value column, int64_t lanes);
  Value sumPlace(Value row, Value column);
  Value zero() { return code.create<arith::ConstantOp>(code.builder.getF32FloatAttr(0)); }
  int64_t parts() const { return sizes.depth / matrixDepth; } ///< of a tile, along the depth
  int64_t sumCount() const { return sizes.warpRows * sizes.warpColumns / warpSize; }
  bool isSplit() const { return sizes.splits > 1; }

  CudaKernel &kernel;
  IndexCode &code;
  IndexCode bytes; ///< of stages
  const ContractionProduct product;
  const MatrixSizes sizes;
  ContractionEpilogue epilogue;
  Type element;
  FactorTiles left, right;
  Value split, batch, firstRow, firstColumn; ///< of the block
  Value warp, lane, warpRow, warpColumn;     ///< the last two in the block's tile
  Value stageMemory, sumMemory;              ///< the block's shared memory
  Value sumStart, partials;                  ///< of the warp in shared memory, and of all splits
  Value from, count; ///< along the depth: where the block begins, and how many tiles it takes
};

/// Blocks are numbered by split, batch, group of rows, columns, row in the group: those that run at
/// once share tiles of both factors.
void MatrixEmitter::place() {
  const int64_t across = llvm::divideCeilSigned(product.columns, sizes.columns),
                down = llvm::divideCeilSigned(product.rows, sizes.rows);
  int64_t group = 8;
  while (down % group)
    group /= 2;
  Value block = kernel.block();
  Value inGroup = code.remainder(block, group);
  block = code.div(block, group);
  firstColumn = code.mul(code.remainder(block, across), sizes.columns);
  block = code.div(block, across);
  Value row = code.add(code.mul(code.remainder(block, down / group), group), inGroup);
  firstRow = code.mul(row, sizes.rows);
  block = code.div(block, down / group);
  batch = code.remainder(block, product.batch);
  split = code.div(block, product.batch);

  const int64_t steps = sizes.steps(product),
                ofSplit = std::max<int64_t>(sizes.stepsOfSplit(product), 1);
  Value firstStep = code.mul(split, ofSplit);
  from = code.mul(firstStep, sizes.depth);
  count = steps % ofSplit == 0
              ? code.index(ofSplit)
              : code.min(code.index(ofSplit), code.sub(code.index(steps), firstStep));

  warp = code.div(kernel.thread(), warpSize);
  lane = code.remainder(kernel.thread(), warpSize);
  const int64_t warpsAcross = sizes.columns / sizes.warpColumns;
  warpRow = code.mul(code.div(warp, warpsAcross), sizes.warpRows);
  warpColumn = code.mul(code.remainder(warp, warpsAcross), sizes.warpColumns);

  stageMemory = kernel.workspace(MemRefType::get({sizes.scratch() / 2}, element));
  left.place(stageMemory, 0, batch, firstRow);
  right.place(stageMemory, FactorTiles::bytes(sizes.rows, sizes.depth), batch, firstColumn);
  left.placeFragments(warpRow, sizes.warpRows);
  right.placeFragments(warpColumn, sizes.warpColumns);
}

/// Of both factors' fragments.
MatrixEmitter::Values MatrixEmitter::addresses(Value stage) {
  Values all = left.addresses(stage);
  llvm::append_range(all, right.addresses(stage));
  return all;
}

MatrixEmitter::Fragments MatrixEmitter::fragments(ValueRange addresses, int64_t step) {
  Fragments found;
  ValueRange ofLeft = addresses.take_front(left.addressCount()),
             ofRight = addresses.drop_front(left.addressCount());
  for (const std::array<Value, 4> &words : left.fragments(ofLeft, step))
    found.left.append(words.begin(), words.end());
  for (const std::array<Value, 4> &words : right.fragments(ofRight, step))
    found.right.append(words.begin(), words.end());
  return found;
}

/// Sums are by 16 rows, then by 8 columns.
MatrixEmitter::Values MatrixEmitter::multiply(const Fragments &factors, ValueRange sums) {
  Values next;
  for (size_t row = 0; row < factors.left.size(); row += 4)
    for (size_t column = 0; column < factors.right.size(); column += 2) {
      std::array<Value, 4> made =
          multiplyMatrices(code, element, ValueRange(factors.left).slice(row, 4),
                           ValueRange(factors.right).slice(column, 2), sums.slice(next.size(), 4));
      next.append(made.begin(), made.end());
    }
  return next;
}

/// All tiles of the depth. Carried from tile to tile: sums, the first fragments of the tile and
/// where they are, the stages that it is in and that is free, the factors' cursors.
MatrixEmitter::Values MatrixEmitter::multiplyAll() {
  const int64_t ahead = sizes.stages - 1;
  Values cursors = code.loop(code.index(0), code.index(ahead), 1,
                             ValueRange{left.cursor(from), right.cursor(from), bytes.index(0)},
                             [&](Value number, ValueRange carried) {
                               Value depth = code.add(from, code.mul(number, sizes.depth)),
                                     stage = carried[2];
                               code.when(code.isBelow(number, count), [&] {
                                 Values begun = left.begin(carried[0], depth, stage);
                                 left.finish(begun, stage);
                                 begun = right.begin(carried[1], depth, stage);
                                 right.finish(begun, stage);
                               });
                               commitCopies(code);
                               return Values{left.next(carried[0]), right.next(carried[1]),
                                             bytes.add(stage, sizes.stageBytes())};
                             });
  waitForCopies(code, ahead - 1);
  kernel.synchronise();

  Value firstStage = bytes.index(0);
  Values places = addresses(firstStage);
  Fragments first = fragments(places, 0);
  Values carried(sumCount(), zero());
  llvm::append_range(carried, first.left);
  llvm::append_range(carried, first.right);
  llvm::append_range(carried, places);
  carried.append({firstStage, bytes.index(ahead * sizes.stageBytes()), cursors[0], cursors[1]});
  Values done = code.loop(code.index(0), count, 1, carried,
                          [&](Value number, ValueRange values) { return step(number, values); });
  // Unrolled, the loop would take a multiple of its time to assemble, and registers.
  MLIRContext *context = code.builder.getContext();
  auto never =
      LLVM::LoopUnrollAttr::get(context, BoolAttr::get(context, true), {}, {}, {}, {}, {}, {});
  done.front().getDefiningOp()->setAttr(
      loopAnnotationName, LLVM::LoopAnnotationAttr::get(context, {}, {}, {}, never, {}, {}, {}, {},
                                                        {}, {}, {}, {}, {}, {}, {}));
  done.resize(sumCount());
  return done;
}

/// Multiplies one tile while a later one is copied into the stage of the one before. Each part's
/// fragments are read before the part before is multiplied.
MatrixEmitter::Values MatrixEmitter::step(Value number, ValueRange carried) {
  const size_t leftWords = left.fragmentCount() * 4, rightWords = right.fragmentCount() * 4;
  Values sums(carried.take_front(sumCount()));
  carried = carried.drop_front(sumCount());
  Fragments factors{Values(carried.take_front(leftWords)),
                    Values(carried.slice(leftWords, rightWords))};
  carried = carried.drop_front(leftWords + rightWords);
  const size_t placeCount = left.addressCount() + right.addressCount();
  Values places(carried.take_front(placeCount));
  carried = carried.drop_front(placeCount);
  Value stage = carried[0], free = carried[1], leftCursor = carried[2], rightCursor = carried[3];

  Value ahead = code.add(number, sizes.stages - 1), more = code.isBelow(ahead, count);
  Value depth = code.add(from, code.mul(ahead, sizes.depth));
  SmallVector<Type> types = left.begunTypes();
  const size_t leftBegun = types.size();
  llvm::append_range(types, right.begunTypes());
  auto branch = code.create<scf::IfOp>(types, more, /*else=*/!types.empty());
  {
    OpBuilder::InsertionGuard guard(code.builder);
    code.builder.setInsertionPointToStart(branch.thenBlock());
    Values begun = left.begin(leftCursor, depth, free);
    llvm::append_range(begun, right.begin(rightCursor, depth, free));
    if (!types.empty()) {
      code.create<scf::YieldOp>(begun);
      code.builder.setInsertionPointToStart(branch.elseBlock());
      Values none;
      for (Type type : types)
        none.push_back(
            code.create<arith::ConstantOp>(cast<TypedAttr>(code.builder.getZeroAttr(type))));
      code.create<scf::YieldOp>(none);
    }
  }
  commitCopies(code);

  // The tile after the last one is the last one again: nobody uses what is read of it.
  Value last = bytes.index((sizes.stages - 1) * sizes.stageBytes());
  Value after = code.create<arith::SelectOp>(bytes.isEqual(stage, last), bytes.index(0),
                                             bytes.add(stage, sizes.stageBytes()));
  after = code.create<arith::SelectOp>(code.isBelow(code.add(number, 1), count), after, stage);
  for (int64_t part = 0; part < parts(); ++part) {
    Fragments ahead;
    if (part + 1 < parts()) {
      ahead = fragments(places, part + 1);
    } else {
      if (!types.empty())
        code.when(more, [&] {
          ValueRange begun = branch.getResults();
          left.finish(begun.take_front(leftBegun), free);
          right.finish(begun.drop_front(leftBegun), free);
        });
      waitForCopies(code, sizes.stages - 2);
      kernel.synchronise();
      places = addresses(after);
      ahead = fragments(places, 0);
    }
    sums = multiply(factors, sums);
    factors = std::move(ahead);
  }
  Values next = std::move(sums);
  llvm::append_range(next, factors.left);
  llvm::append_range(next, factors.right);
  llvm::append_range(next, places);
  next.append({after, stage, left.next(leftCursor), right.next(rightCursor)});
  return next;
}

//===--------------------------------------------------------------------------------------------===//
// Results
//===--------------------------------------------------------------------------------------------===//

/// Of a sum in its warp's memory. Runs of four are exchanged so that threads that write sums as
/// tensor cores leave them, and those that read neighbours, meet different banks.
Value MatrixEmitter::sumPlace(Value row, Value column) {
  const int64_t chunks = sizes.warpColumns / 4; // of a row
  Value chunk = code.div(column, 4);
  Value linear = code.add(code.mul(row, chunks), chunk);
  Value pair = chunks >= 8 ? code.remainder(row, 4) : code.remainder(code.div(row, 2), 2);
  Value phase = code.add(code.mul(pair, 2), code.remainder(code.div(linear, 8), 2));
  linear = code.builder.createOrFold<arith::XOrIOp>(code.location, linear, phase);
  return code.add(sumStart, code.add(code.mul(linear, 4), code.remainder(column, 4)));
}

/// Writes this thread's sums of the rows from `first` on, as many as memory has.
void MatrixEmitter::putSums(ValueRange sums, int64_t first) {
  auto pairType = VectorType::get({2}, product.sumType);
  Value ownRow = code.div(lane, 4), ownColumn = code.mul(code.remainder(lane, 4), 2);
  const int64_t ofRow = sizes.warpColumns / matrixColumns * 4;
  for (int64_t row = 0; row < sizes.sumRows(); row += matrixRows)
    for (int64_t column = 0; column < sizes.warpColumns; column += matrixColumns) {
      ValueRange four =
          sums.slice((first + row) / matrixRows * ofRow + column / matrixColumns * 4, 4);
      for (int64_t half = 0; half < 2; ++half) {
        Value pair = code.create<vector::FromElementsOp>(pairType, four.slice(2 * half, 2));
        Value place = sumPlace(code.add(ownRow, row + 8 * half), code.add(ownColumn, column));
        code.create<vector::StoreOp>(
            pair, sumMemory,
            ValueRange{code.create<arith::IndexCastOp>(code.builder.getIndexType(), place)},
            /*nontemporal=*/false, llvm::MaybeAlign(8));
      }
    }
}

Value MatrixEmitter::loadSums(Value row, Value column, int64_t lanes) {
  auto load = [&](Value column, int64_t count) -> Value {
    Value place =
        code.create<arith::IndexCastOp>(code.builder.getIndexType(), sumPlace(row, column));
    if (count == 1)
      return code.create<memref::LoadOp>(sumMemory, ValueRange{place});
    return code.create<vector::LoadOp>(VectorType::get({count}, product.sumType), sumMemory,
                                       ValueRange{place}, /*nontemporal=*/false,
                                       llvm::MaybeAlign(count * 4));
  };
  if (lanes <= 4)
    return load(column, lanes);
  return code.create<vector::ShuffleOp>(load(column, 4), load(code.add(column, 4), 4),
                                        ArrayRef<int64_t>{0, 1, 2, 3, 4, 5, 6, 7});
}

void MatrixEmitter::storeRun(Value sums, Value row, Value column) {
  const int64_t lanes = sizes.lanes;
  PointIndex along = lanes > 1 ? PointIndex::consecutive(column, product.columns, /*aligned=*/true)
                               : PointIndex::uniform(column, product.columns);
  if (!isSplit())
    return epilogue.store(sums, batch, row, along, lanes);
  PointEmitter points = kernel.points(lanes);
  PointIndex matrix = PointIndex::uniform(split, sizes.splits) * product.batch +
                      PointIndex::uniform(batch, product.batch);
  PointIndex position =
      (matrix * product.rows + PointIndex::uniform(row, product.rows)) * product.columns + along;
  points.store(sums, partials, position, {}, product.sumType);
}

/// Neighbouring threads store neighbouring runs of the rows that memory has.
void MatrixEmitter::storeSums(int64_t first) {
  const int64_t lanes = sizes.lanes, perRow = sizes.warpColumns / lanes;
  const int64_t turns = sizes.sumRows() * perRow / warpSize;
  code.loop(code.index(0), code.index(turns), 1, [&](Value turn) {
    Value run = code.add(code.mul(turn, warpSize), lane);
    Value inRow = code.div(run, perRow), inColumn = code.mul(code.remainder(run, perRow), lanes);
    Value row = code.add(code.add(firstRow, warpRow), code.add(inRow, first)),
          column = code.add(code.add(firstColumn, warpColumn), inColumn);
    auto store = [&] { storeRun(loadSums(inRow, inColumn, lanes), row, column); };
    Value inside;
    if (product.rows % sizes.rows)
      inside = code.isBelow(row, product.rows);
    if (product.columns % sizes.columns) {
      Value below = code.isBelow(column, product.columns);
      inside = inside ? code.create<arith::AndIOp>(inside, below).getResult() : below;
    }
    if (inside)
      code.when(inside, store);
    else
      store();
  });
}

/// Each warp passes its sums through shared memory: results are stored in rows of 16 bytes a
/// thread.
void MatrixEmitter::storeResults(ValueRange sums) {
  const int64_t ofWarp = sizes.sumRows() * sizes.warpColumns;
  // What holds the stages, as sums.
  auto stages = stageMemory.getDefiningOp<memref::ViewOp>();
  auto type = MemRefType::get({sizes.warps() * ofWarp}, product.sumType,
                              MemRefLayoutAttrInterface(), stages.getType().getMemorySpace());
  sumMemory =
      code.create<memref::ViewOp>(type, stages.getSource(), stages.getByteShift(), ValueRange{});
  sumStart = code.mul(warp, ofWarp);
  if (isSplit())
    partials = kernel.launchScratch(sizes.partials(product));
  for (int64_t first = 0; first < sizes.warpRows; first += sizes.sumRows()) {
    if (first)
      kernel.synchroniseWarp();
    putSums(sums, first);
    kernel.synchroniseWarp();
    storeSums(first);
  }
}

LogicalResult MatrixEmitter::emit() {
  place();
  Values sums(sumCount(), zero());
  if (product.depth) {
    sums = multiplyAll();
    kernel.synchronise(); // all have read the last tile
  }
  storeResults(sums);
  return success(left.ok() && right.ok() && epilogue.ok());
}

} // namespace

LogicalResult scheduleMatrixContraction(CudaScheduler &kernel) {
  graph::ContractOp contract = contractionOf(kernel.kernel);
  const ContractionProduct product(contract);
  const MatrixSizes sizes = chooseMatrixSizes(kernel.kernel, product);
  if (failed(shareEpilogue(kernel, contract, product.batch, product.rows, product.columns,
                           std::max<int64_t>(sizes.lanes, 2))))
    return failure();
  const double epilogue = kernel.operations();
  kernel.addScratch(sizes.scratch());
  if (sizes.splits == 1) {
    kernel.launch("matrix_contraction", sizes.blocks(product), sizes, product.flops() + epilogue);
    return success();
  }
  const SplitSizes adding{.splits = sizes.splits, .lanes = sizes.lanes};
  const int64_t partials = sizes.partials(product).getNumElements();
  kernel.addLaunchScratch(partials * 4);
  kernel.launch("matrix_contraction", sizes.blocks(product), sizes, product.flops());
  kernel.launch("contraction_of_splits", adding.blocks(product), adding,
                double(partials) + epilogue, double(partials) * 4);
  return success();
}

LogicalResult emitMatrixContraction(CudaKernel &kernel) {
  graph::ContractOp contract = contractionOf(kernel.kernel);
  MatrixSizes sizes;
  if (!contract || failed(readSizes(kernel.kernel, kernel.launch, sizes)))
    return failure();
  const ContractionProduct product(contract);
  if (isForTensorCores(contract, product) && !product.isEmpty() &&
      fitTogether(kernel.kernel, sizes, product) &&
      kernel.launch.getGrains() == sizes.blocks(product))
    if (MatrixEmitter emitter(kernel, contract, sizes); emitter.fits())
      return emitter.emit();
  return kernel.kernel.emitError("kernel.schedule: these tiles do not make its result");
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
  Value partials = kernel.launchScratch(MatrixSizes::partials(product, sizes.splits));
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
