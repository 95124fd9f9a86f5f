/// Contraction kernels of sm_90a: a persistent block whose first warpgroup has the copy engine
/// bring tiles of both factors into a ring of stages, while the others multiply from there. They
/// meet at two barriers a stage: one says that it is full, the other that it is free.
#include "codegen/cuda/MatrixSizes.h"
#include "codegen/cuda/WarpgroupSizes.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace ingot {
namespace {

/// Registers of a thread: a multiprocessor has 65536, and warpgroups start with equal parts.
constexpr int64_t registersOfCopies = 40, registersOfOneGroup = 240, registersOfTwoGroups = 232;
constexpr int64_t barrierBytes = 8;

class WarpgroupEmitter {
public:
  WarpgroupEmitter(CudaKernel &kernel, graph::ContractOp contract, const WarpgroupSizes &sizes)
      : kernel(kernel), code(kernel.code),
        bytes{kernel.builder, kernel.location(), kernel.builder.getI32Type()}, product(contract),
        sizes(sizes), tiles(sizes.tiles()), results(kernel, contract, product, tiles, sizes.part()),
        element(getElementTypeOrSelf(contract.getLhs().getType())),
        left(*mapOfFactor(kernel.kernel, product.left, sizes.rows)),
        right(*mapOfFactor(kernel.kernel, product.right, sizes.columns)) {}

  LogicalResult emit();

private:
  using Values = SmallVector<Value>;
  /// The stage that is next, and the parity of its phase: i32s.
  struct Ring {
    Value stage, phase;
  };

  void place();
  void copyAll();
  void copyStep(const TilePlace &tile, Value number, const Ring &ring);
  void multiplyAll();
  Value multiplyTile(const TilePlace &tile, Ring &ring);
  Value multiplyStage(Value stage, Value sums);
  void storeResults(Value sums, const TilePlace &tile);
  Ring next(const Ring &ring);
  Value full(Value stage) { return bytes.add(barriers, bytes.mul(stage, barrierBytes)); }
  Value free(Value stage) { return bytes.add(full(stage), sizes.stages * barrierBytes); }
  Value start(Value stage) { return bytes.add(stages, bytes.mul(stage, sizes.stageBytes())); }
  /// Lets the copying warpgroup have a stage: a thread of each warp does.
  void release(Value stage, Value also = {});
  /// True if a block takes several tiles.
  bool isPersistent() const { return tiles.count(product) > sizes.blocks(product); }
  void forTiles(llvm::function_ref<void(const TilePlace &, Ring &)> body);

  CudaKernel &kernel;
  IndexCode &code;
  IndexCode bytes; ///< of shared memory
  const ContractionProduct product;
  const WarpgroupSizes sizes;
  const MatrixTiles tiles;
  MatrixResults results;
  Type element;
  const FactorMap left, right;
  Value stages, barriers;                  ///< addresses in shared memory
  Value sumMemory, group, warp, lane;      ///< the group and warp among those that multiply
  Value leftDescription, rightDescription; ///< of the first stage
};

void WarpgroupEmitter::place() {
  auto shared = [&](int64_t count, Type type) {
    return kernel.workspace(MemRefType::get({count}, type));
  };
  stages = sharedAddress(code, shared(sizes.stages * sizes.stageBytes() / 2, element));
  const ResultPart part = sizes.part();
  sumMemory = shared(part.warps * part.elements(), product.sumType);
  barriers = sharedAddress(code, shared(2 * sizes.stages, code.builder.getI64Type()));
  lane = code.remainder(kernel.thread(), warpSize);
  // The compiler sees that all threads of a warp go one way.
  Value own = code.div(kernel.thread(), warpSize);
  warp = kernel.fromLane(own, bytes.index(0));
  group = code.div(warp, warpgroupThreads / warpSize);
}

WarpgroupEmitter::Ring WarpgroupEmitter::next(const Ring &ring) {
  Value after = bytes.add(ring.stage, 1), wraps = bytes.isEqual(after, bytes.index(sizes.stages));
  return {
      code.create<arith::SelectOp>(wraps, bytes.index(0), after),
      code.create<arith::XOrIOp>(ring.phase, code.create<arith::ExtUIOp>(bytes.integer, wraps))};
}

/// Those of this block, over which the ring goes on.
void WarpgroupEmitter::forTiles(llvm::function_ref<void(const TilePlace &, Ring &)> body) {
  auto take = [&](Value number, Ring ring) {
    body(tiles.place(code, product, number), ring);
    return Values{ring.stage, ring.phase};
  };
  const Ring first{bytes.index(0), bytes.index(0)};
  if (!isPersistent()) {
    (void)take(kernel.block(), first);
    return;
  }
  Values done =
      code.loop(kernel.block(), code.index(tiles.count(product)), sizes.blocks(product),
                ValueRange{first.stage, first.phase}, [&](Value number, ValueRange carried) {
                  return take(number, {carried[0], carried[1]});
                });
  neverUnroll(done.front());
}

//===--------------------------------------------------------------------------------------------===//
// Copies
//===--------------------------------------------------------------------------------------------===//

void WarpgroupEmitter::copyStep(const TilePlace &tile, Value number, const Ring &ring) {
  // The phase before the first one counts as over.
  waitForPhase(code, free(ring.stage), code.create<arith::XOrIOp>(ring.phase, bytes.index(1)));
  Value arrived = full(ring.stage);
  arriveExpecting(code, arrived, sizes.stageBytes());
  Value depth = code.add(tile.from, code.mul(number, lineElements)), shared = start(ring.stage);
  FactorBoxes(code, product.left, left, sizes.rows)
      .copy(kernel.map(0), tile.batch, tile.firstRow, depth, shared, arrived);
  FactorBoxes(code, product.right, right, sizes.columns)
      .copy(kernel.map(1), tile.batch, tile.firstColumn, depth,
            bytes.add(shared, sizes.leftBytes()), arrived);
}

/// One thread tells the engine what to copy.
void WarpgroupEmitter::copyAll() {
  limitRegisters(code, registersOfCopies);
  code.when(code.isEqual(kernel.thread(), code.index(0)), [&] {
    forTiles([&](const TilePlace &tile, Ring &ring) {
      Values done = code.loop(code.index(0), tile.count, 1, ValueRange{ring.stage, ring.phase},
                              [&](Value number, ValueRange carried) {
                                const Ring now{carried[0], carried[1]};
                                copyStep(tile, number, now);
                                const Ring after = next(now);
                                return Values{after.stage, after.phase};
                              });
      neverUnroll(done.front());
      ring = {done[0], done[1]};
    });
  });
}

//===--------------------------------------------------------------------------------------------===//
// Products
//===--------------------------------------------------------------------------------------------===//

void WarpgroupEmitter::release(Value stage, Value also) {
  Value isFirst = code.isEqual(lane, code.index(0));
  if (also)
    isFirst = code.create<arith::AndIOp>(isFirst, also);
  code.when(isFirst, [&] { arrive(code, free(stage)); });
}

Value WarpgroupEmitter::multiplyStage(Value stage, Value sums) {
  Value further = code.create<arith::ExtUIOp>(code.builder.getI64Type(),
                                              bytes.mul(stage, furtherBy(sizes.stageBytes())));
  auto at = [&](Value description, int64_t fixed) {
    Value moved = code.create<arith::AddIOp>(description, further);
    if (!fixed)
      return moved;
    Value constant = code.create<arith::ConstantOp>(code.builder.getI64IntegerAttr(fixed));
    return code.create<arith::AddIOp>(moved, constant).getResult();
  };
  beginProducts(code);
  for (int64_t part = 0; part < lineBytes / matrixDepthBytes; ++part)
    sums = multiplyWarpgroup(
        code, element, sizes.columns, at(leftDescription, furtherBy(part * left.bytesOfPart())),
        left.alongDepth, at(rightDescription, furtherBy(part * right.bytesOfPart())),
        right.alongDepth, sums);
  commitProducts(code);
  return sums;
}

/// The products of a stage go on while the next one's begin; then the stage is free.
Value WarpgroupEmitter::multiplyTile(const TilePlace &tile, Ring &ring) {
  Values done =
      code.loop(code.index(0), tile.count, 1,
                ValueRange{ring.stage, ring.phase, ring.stage, zeroSums(code, sizes.columns)},
                [&](Value number, ValueRange carried) {
                  const Ring now{carried[0], carried[1]};
                  Value before = carried[2];
                  waitForPhase(code, full(now.stage), now.phase);
                  Value sums = multiplyStage(now.stage, carried[3]);
                  waitForProducts(code, 1);
                  release(before, code.isBelow(code.index(0), number));
                  const Ring after = next(now);
                  return Values{after.stage, after.phase, now.stage, sums};
                });
  neverUnroll(done.front());
  waitForProducts(code, 0);
  if (isPersistent())
    release(done[2]);
  ring = {done[0], done[1]};
  return done[3];
}

void WarpgroupEmitter::storeResults(Value sums, const TilePlace &tile) {
  const ResultPart part = sizes.part();
  Values all = sumsOf(code, sums);
  Value row = code.add(tile.firstRow, code.mul(warp, part.rows));
  for (int64_t number = 0; number < sizes.columns / part.columns; ++number) {
    if (number || isPersistent())
      kernel.synchroniseWarp(); // all have read what the memory held
    results.store(ValueRange(all).slice(number * part.sums(), part.sums()), tile, row, 0,
                  tile.firstColumn, number * part.columns);
  }
}

void WarpgroupEmitter::multiplyAll() {
  extendRegisters(code, sizes.groups() == 1 ? registersOfOneGroup : registersOfTwoGroups);
  warp = code.sub(warp, code.index(warpgroupThreads / warpSize));
  group = code.sub(group, code.index(1));
  Value narrow = code.integer == bytes.integer
                     ? group
                     : code.create<arith::TruncIOp>(bytes.integer, group).getResult();
  leftDescription = describe(code, bytes.add(stages, bytes.mul(narrow, warpgroupRows * lineBytes)),
                             left.layout());
  rightDescription = describe(code, bytes.add(stages, sizes.leftBytes()), right.layout());
  results.place(sumMemory, warp, lane);
  forTiles(
      [&](const TilePlace &tile, Ring &ring) { storeResults(multiplyTile(tile, ring), tile); });
}

LogicalResult WarpgroupEmitter::emit() {
  place();
  code.when(code.isEqual(kernel.thread(), code.index(0)), [&] {
    for (int64_t stage = 0; stage < sizes.stages; ++stage) {
      initBarrier(code, full(bytes.index(stage)), 1);
      initBarrier(code, free(bytes.index(stage)), sizes.part().warps);
    }
    publishBarriers(code);
  });
  kernel.synchronise();
  auto roles = code.create<scf::IfOp>(code.isEqual(group, code.index(0)), /*else=*/true);
  OpBuilder::InsertionGuard guard(code.builder);
  code.builder.setInsertionPointToStart(roles.thenBlock());
  copyAll();
  code.builder.setInsertionPointToStart(roles.elseBlock());
  multiplyAll();
  return success(results.ok());
}

} // namespace

LogicalResult emitWarpgroupContraction(CudaKernel &kernel) {
  graph::ContractOp contract = contractionOf(kernel.kernel);
  WarpgroupSizes sizes;
  if (!contract || failed(readSizes(kernel.kernel, kernel.launch, sizes)))
    return failure();
  const ContractionProduct product(contract);
  if (isForTensorCores(contract, product, /*tf32=*/false) && !product.isEmpty() &&
      fitTogether(kernel.kernel, sizes, product) &&
      kernel.launch.getGrains() == sizes.blocks(product))
    return WarpgroupEmitter(kernel, contract, sizes).emit();
  return kernel.kernel.emitError("kernel.schedule: these tiles do not make its result");
}

} // namespace ingot
