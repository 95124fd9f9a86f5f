/// Contraction kernels on tensor cores: factors of 16 bits or f32 (as tf32), sums in f32. Tiles of
/// both factors go through several stages of shared memory, copied while the block multiplies those
/// before them. Where tiles of the result are too few for the chip, each is computed in splits of
/// the depth.
#include "codegen/cuda/MatrixSizes.h"
#include "codegen/cuda/WarpgroupSizes.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace ingot {
namespace {

class MatrixEmitter {
public:
  MatrixEmitter(CudaKernel &kernel, graph::ContractOp contract, const MatrixSizes &sizes)
      : kernel(kernel), code(kernel.code),
        bytes{kernel.builder, kernel.location(), kernel.builder.getI32Type()}, product(contract),
        sizes(sizes), results(kernel, contract, product, sizes.tiles(), sizes.part()),
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
  Value zero() { return code.create<arith::ConstantOp>(code.builder.getF32FloatAttr(0)); }
  /// Of a tile, along the depth.
  int64_t parts() const { return sizes.depth * sizes.factorBytes / matrixDepthBytes; }
  int64_t sumCount() const { return sizes.warpRows * sizes.warpColumns / warpSize; }

  CudaKernel &kernel;
  IndexCode &code;
  IndexCode bytes; ///< of stages
  const ContractionProduct product;
  const MatrixSizes sizes;
  MatrixResults results;
  Type element;
  FactorTiles left, right;
  TilePlace tile;                        ///< of the block
  Value warp, lane, warpRow, warpColumn; ///< the last two in the block's tile
  Value stageMemory;                     ///< the block's shared memory
};

void MatrixEmitter::place() {
  tile = sizes.tiles().place(code, product, kernel.block());
  warp = code.div(kernel.thread(), warpSize);
  lane = code.remainder(kernel.thread(), warpSize);
  const int64_t warpsAcross = sizes.columns / sizes.warpColumns;
  warpRow = code.mul(code.div(warp, warpsAcross), sizes.warpRows);
  warpColumn = code.mul(code.remainder(warp, warpsAcross), sizes.warpColumns);

  stageMemory = kernel.workspace(MemRefType::get({sizes.scratch() / sizes.factorBytes}, element));
  left.place(stageMemory, 0, tile.batch, tile.firstRow);
  right.place(stageMemory, sizes.leftBytes(), tile.batch, tile.firstColumn);
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
  Values cursors =
      code.loop(code.index(0), code.index(ahead), 1,
                ValueRange{left.cursor(tile.from), right.cursor(tile.from), bytes.index(0)},
                [&](Value number, ValueRange carried) {
                  Value depth = code.add(tile.from, code.mul(number, sizes.depth)),
                        stage = carried[2];
                  code.when(code.isBelow(number, tile.count), [&] {
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
  Values done = code.loop(code.index(0), tile.count, 1, carried,
                          [&](Value number, ValueRange values) { return step(number, values); });
  neverUnroll(done.front());
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

  Value ahead = code.add(number, sizes.stages - 1), more = code.isBelow(ahead, tile.count);
  Value depth = code.add(tile.from, code.mul(ahead, sizes.depth));
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
  after = code.create<arith::SelectOp>(code.isBelow(code.add(number, 1), tile.count), after, stage);
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

/// By way of what holds the stages.
void MatrixEmitter::storeResults(ValueRange sums) {
  const ResultPart part = sizes.part();
  auto stages = stageMemory.getDefiningOp<memref::ViewOp>();
  auto type = MemRefType::get({part.warps * part.elements()}, product.sumType,
                              MemRefLayoutAttrInterface(), stages.getType().getMemorySpace());
  results.place(
      code.create<memref::ViewOp>(type, stages.getSource(), stages.getByteShift(), ValueRange{}),
      warp, lane);
  Value row = code.add(tile.firstRow, warpRow), column = code.add(tile.firstColumn, warpColumn);
  for (int64_t number = 0; number < sizes.warpRows / part.rows; ++number) {
    if (number)
      kernel.synchroniseWarp();
    results.store(sums.slice(number * part.sums(), part.sums()), tile, row, number * part.rows,
                  column, 0);
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
  return success(left.ok() && right.ok() && results.ok());
}

} // namespace

/// By warpgroups where the chip has them and its copy engine can read the factors.
LogicalResult scheduleMatrixContraction(CudaScheduler &kernel) {
  graph::ContractOp contract = contractionOf(kernel.kernel);
  const ContractionProduct product(contract);
  const int64_t lanes = storedLanes(kernel.kernel, product);
  if (failed(shareEpilogue(kernel, contract, product.batch, product.rows, product.columns,
                           std::max<int64_t>(lanes, 2))))
    return failure();
  const double epilogue = kernel.operations();
  auto launch = [&](StringRef kind, int64_t blocks, const auto &sizes) {
    kernel.addScratch(sizes.scratch());
    launchTiles(kernel, kind, blocks, sizes, product, epilogue);
    return success();
  };
  if (kernel.hasWarpgroups && factorBytes(product) == 2)
    if (auto sizes = chooseWarpgroupSizes(kernel.kernel, product, kernel.sharedBytes))
      return launch("warpgroup_contraction", sizes->blocks(product), *sizes);
  const MatrixSizes sizes = chooseMatrixSizes(kernel.kernel, product);
  return launch("matrix_contraction", sizes.tiles().count(product), sizes);
}

LogicalResult emitMatrixContraction(CudaKernel &kernel) {
  graph::ContractOp contract = contractionOf(kernel.kernel);
  MatrixSizes sizes;
  if (!contract || failed(readSizes(kernel.kernel, kernel.launch, sizes)))
    return failure();
  const ContractionProduct product(contract);
  sizes.factorBytes = factorBytes(product);
  if (isForTensorCores(contract, product, /*tf32=*/true) && !product.isEmpty() &&
      fitTogether(kernel.kernel, sizes, product) &&
      kernel.launch.getGrains() == sizes.tiles().count(product))
    if (MatrixEmitter emitter(kernel, contract, sizes); emitter.fits())
      return emitter.emit();
  return kernel.kernel.emitError("kernel.schedule: these tiles do not make its result");
}

} // namespace ingot
