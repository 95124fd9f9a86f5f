/// Contraction kernels on the cores of f32 and f64: each block computes a tile of the result from
/// tiles of both operands in shared memory, each thread a smaller one in registers. Every sum is
/// one chain of fused multiply-adds in order of the depth, so tiles change no bit.
#include "codegen/cuda/MatrixSizes.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {
namespace {

constexpr int64_t lanes = 4; ///< that shared memory is read by

struct ContractionSizes {
  int64_t threads = 0;
  int64_t rows = 0, columns = 0, depth = 0;             ///< of a block's tile
  int64_t threadRows = 0, threadColumns = 0;            ///< of a thread's, whole lanes
  int64_t leftLanes = 1, rightLanes = 1;                ///< elements that are read at once
  bool leftAlongDepth = false, rightAlongDepth = false; ///< in which direction

  template <typename Field> void fields(Field field) {
    field("threads", threads);
    field("rows", rows);
    field("columns", columns);
    field("depth", depth);
    field("thread_rows", threadRows);
    field("thread_columns", threadColumns);
    field("left_lanes", leftLanes);
    field("right_lanes", rightLanes);
    field("left_along_depth", leftAlongDepth);
    field("right_along_depth", rightAlongDepth);
  }
};

/// One operand's part of a tile in shared memory, [stage][depth][free], rows padded so that they
/// start in different banks and stay aligned.
int64_t tileStride(int64_t free) { return free + lanes; }
MemRefType tileType(Type element, int64_t free, int64_t depth) {
  return MemRefType::get({2 * depth * tileStride(free)}, element);
}

/// In which direction an operand is read, and by how many elements: neighbours in memory, where
/// their number divides the size.
void chooseReading(func::FuncOp kernel, const ContractionProduct &product,
                   const ContractionOperand &operand, int64_t free, bool &alongDepth,
                   int64_t &atOnce) {
  alongDepth = readsAlongDepth(kernel, product, operand, free, lanes);
  atOnce = (alongDepth ? product.depth : free) % lanes == 0 ? lanes : 1;
}

/// The largest tile that leaves no more than half of the chip without a block.
ContractionSizes chooseSizes(func::FuncOp kernel, const ContractionProduct &product) {
  ContractionSizes sizes;
  sizes.depth = 16;
  for (auto [tile, ofThread] :
       {std::pair<int64_t, int64_t>{128, 8}, std::pair<int64_t, int64_t>{64, 4},
        std::pair<int64_t, int64_t>{32, 4}}) {
    if (tile == 128 && product.sumType.getIntOrFloatBitWidth() > 32)
      continue; // its tiles would not fit
    sizes.rows = sizes.columns = tile;
    sizes.threadRows = sizes.threadColumns = ofThread;
    if (product.blocks(sizes.rows, sizes.columns) >= multiprocessors / 2)
      break;
  }
  sizes.threads = sizes.rows / sizes.threadRows * (sizes.columns / sizes.threadColumns);
  chooseReading(kernel, product, product.left, product.rows, sizes.leftAlongDepth, sizes.leftLanes);
  chooseReading(kernel, product, product.right, product.columns, sizes.rightAlongDepth,
                sizes.rightLanes);
  return sizes;
}

//===--------------------------------------------------------------------------------------------===//
// Emission
//===--------------------------------------------------------------------------------------------===//

class ContractionEmitter {
public:
  ContractionEmitter(CudaKernel &kernel, graph::ContractOp contract, const ContractionSizes &sizes)
      : kernel(kernel), code(kernel.code), shape(contract), sizes(sizes),
        epilogue(kernel, contract, shape), sumType(shape.sumType),
        threadsAcross(sizes.columns / sizes.threadColumns),
        threadsDown(sizes.rows / sizes.threadRows),
        left{shape.left, shape.rows, sizes.rows, sizes.leftLanes, sizes.leftAlongDepth, {}, {}},
        right{
            shape.right, shape.columns, sizes.columns, sizes.rightLanes, sizes.rightAlongDepth, {},
            {}} {}

  LogicalResult emit();

private:
  /// An operand and its tiles.
  struct Side {
    const ContractionOperand &operand;
    int64_t free, tile, atOnce;
    bool alongDepth;
    Value memory; ///< both stages
    Value first;  ///< of the tile, among the free elements
    int64_t runs(const ContractionSizes &sizes) const { return tile * sizes.depth / atOnce; }
  };
  /// The place of a run in a tile.
  struct Place {
    Value free, depth;
  };

  void place();
  Place placeOf(const Side &side, int64_t turn);
  void forRuns(const Side &side, llvm::function_ref<void(const Place &, int64_t turn)> body);
  int64_t turns(const Side &side) const {
    return llvm::divideCeilSigned(side.runs(sizes), sizes.threads);
  }
  SmallVector<Value> load(const Side &side, Value depth);
  void store(const Side &side, Value stage, ValueRange values);
  SmallVector<Value> multiply(Value stage, ValueRange sums);
  void storeResults(ValueRange sums);
  void storeRun(Value sum, Value row, Value column);
  Value loadLanes(const Side &side, Value at);
  Value zero(int64_t count);
  int64_t sumCount() const { return sizes.threadRows * sizes.threadColumns / lanes; }

  CudaKernel &kernel;
  IndexCode &code;
  const ContractionProduct shape;
  const ContractionSizes sizes;
  ContractionEpilogue epilogue;
  const Type sumType;
  const int64_t threadsAcross, threadsDown;
  Side left, right;
  Value batch;
  Value threadRow, threadColumn; ///< of this thread among those of the tile
  bool broken = false;
};

Value ContractionEmitter::zero(int64_t count) {
  Type type = count == 1 ? sumType : Type(VectorType::get({count}, sumType));
  return code.create<arith::ConstantOp>(cast<TypedAttr>(code.builder.getZeroAttr(type)));
}

/// Blocks are numbered by batch, tile of rows, tile of columns.
void ContractionEmitter::place() {
  const int64_t across = llvm::divideCeilSigned(shape.columns, sizes.columns),
                down = llvm::divideCeilSigned(shape.rows, sizes.rows);
  Value block = kernel.block();
  right.first = code.mul(code.remainder(block, across), sizes.columns);
  block = code.div(block, across);
  left.first = code.mul(code.remainder(block, down), sizes.rows);
  batch = code.div(block, down);
  threadColumn = code.remainder(kernel.thread(), threadsAcross);
  threadRow = code.div(kernel.thread(), threadsAcross);
  left.memory = kernel.workspace(tileType(sumType, sizes.rows, sizes.depth));
  right.memory = kernel.workspace(tileType(sumType, sizes.columns, sizes.depth));
}

/// Neighbouring threads read neighbouring runs.
ContractionEmitter::Place ContractionEmitter::placeOf(const Side &side, int64_t turn) {
  Value run = code.add(kernel.thread(), turn * sizes.threads);
  const int64_t perLine = (side.alongDepth ? sizes.depth : side.tile) / side.atOnce;
  Value line = code.div(run, perLine), along = code.mul(code.remainder(run, perLine), side.atOnce);
  return side.alongDepth ? Place{line, along} : Place{along, line};
}

/// The runs that this thread moves.
void ContractionEmitter::forRuns(const Side &side,
                                 llvm::function_ref<void(const Place &, int64_t)> body) {
  for (int64_t turn = 0; turn < turns(side); ++turn)
    body(placeOf(side, turn), turn);
}

/// Elements of the tile at `depth`; those outside the operand are zeros.
SmallVector<Value> ContractionEmitter::load(const Side &side, Value depth) {
  SmallVector<Value> values;
  const Type type = zero(side.atOnce).getType();
  forRuns(side, [&](const Place &place, int64_t turn) {
    Value free = code.add(side.first, place.free), deep = code.add(depth, place.depth);
    Value inside;
    auto require = [&](Value test) {
      inside = inside ? code.create<arith::AndIOp>(inside, test).getResult() : test;
    };
    if (side.runs(sizes) % sizes.threads) // the last turn is not whole
      require(code.isBelow(code.add(kernel.thread(), turn * sizes.threads), side.runs(sizes)));
    if (side.free % side.tile)
      require(code.isBelow(free, side.free));
    if (shape.depth % sizes.depth)
      require(code.isBelow(deep, shape.depth));
    auto read = [&]() -> Value {
      PointEmitter points = kernel.points(side.atOnce);
      auto index = [&](Value value, int64_t extent, bool along) {
        return along && side.atOnce > 1 ? PointIndex::consecutive(value, extent, /*aligned=*/true)
                                        : PointIndex::uniform(value, extent);
      };
      Value value = points.vectorised(side.operand.at(
          points, PointIndex::uniform(batch, shape.batch), index(free, side.free, !side.alongDepth),
          index(deep, shape.depth, side.alongDepth)));
      broken |= !points.ok();
      return value.getType() == type ? value : code.create<arith::ExtFOp>(type, value).getResult();
    };
    if (!inside)
      return values.push_back(read());
    auto branch = code.create<scf::IfOp>(type, inside, /*else=*/true);
    OpBuilder::InsertionGuard guard(code.builder);
    code.builder.setInsertionPointToStart(branch.thenBlock());
    code.create<scf::YieldOp>(read());
    code.builder.setInsertionPointToStart(branch.elseBlock());
    code.create<scf::YieldOp>(zero(side.atOnce));
    values.push_back(branch.getResult(0));
  });
  return values;
}

/// Writes what `load` gave into a stage of the shared memory.
void ContractionEmitter::store(const Side &side, Value stage, ValueRange values) {
  const int64_t stride = tileStride(side.tile);
  auto asIndex = [&](Value value) {
    return code.create<arith::IndexCastOp>(code.builder.getIndexType(), value).getResult();
  };
  forRuns(side, [&](const Place &place, int64_t turn) {
    Value value = values[turn];
    auto write = [&] {
      Value line = code.add(code.mul(stage, sizes.depth), place.depth);
      Value at = code.add(code.mul(line, stride), place.free);
      if (side.atOnce == 1) {
        code.create<memref::StoreOp>(value, side.memory, ValueRange{asIndex(at)});
      } else if (side.alongDepth) {
        for (int64_t lane = 0; lane < side.atOnce; ++lane) {
          Value one = code.create<vector::ExtractOp>(value, lane);
          code.create<memref::StoreOp>(one, side.memory,
                                       ValueRange{asIndex(code.add(at, lane * stride))});
        }
      } else {
        const int64_t bytes = side.atOnce * sumType.getIntOrFloatBitWidth() / 8;
        code.create<vector::StoreOp>(value, side.memory, ValueRange{asIndex(at)},
                                     /*nontemporal=*/false,
                                     llvm::MaybeAlign(std::min<int64_t>(bytes, 16)));
      }
    };
    if (side.runs(sizes) % sizes.threads)
      code.when(code.isBelow(code.add(kernel.thread(), turn * sizes.threads), side.runs(sizes)),
                write);
    else
      write();
  });
}

Value ContractionEmitter::loadLanes(const Side &side, Value at) {
  Value place = code.create<arith::IndexCastOp>(code.builder.getIndexType(), at);
  return code.create<vector::LoadOp>(VectorType::get({lanes}, sumType), side.memory,
                                     ValueRange{place}, /*nontemporal=*/false,
                                     llvm::MaybeAlign(16));
}

/// A thread's rows and columns come in groups of lanes, which lie as far apart as all threads have
/// groups: neighbours read neighbouring banks.
SmallVector<Value> ContractionEmitter::multiply(Value stage, ValueRange sums) {
  SmallVector<Value> next(sums);
  auto vector = VectorType::get({lanes}, sumType);
  Value first = code.mul(stage, sizes.depth);
  for (int64_t depth = 0; depth < sizes.depth; ++depth) {
    auto line = [&](const Side &side, Value thread, int64_t group, int64_t threads) {
      Value start = code.mul(code.add(first, depth), tileStride(side.tile));
      return loadLanes(side,
                       code.add(code.add(start, code.mul(thread, lanes)), group * threads * lanes));
    };
    SmallVector<Value> columns;
    for (int64_t group = 0; group < sizes.threadColumns / lanes; ++group)
      columns.push_back(line(right, threadColumn, group, threadsAcross));
    size_t place = 0;
    for (int64_t group = 0; group < sizes.threadRows / lanes; ++group) {
      Value rows = line(left, threadRow, group, threadsDown);
      for (int64_t row = 0; row < lanes; ++row) {
        Value factor = code.create<vector::BroadcastOp>(
            vector, code.create<vector::ExtractOp>(rows, row).getResult());
        for (Value column : columns) {
          next[place] = code.create<math::FmaOp>(factor, column, next[place]);
          ++place;
        }
      }
    }
  }
  return next;
}

/// One group of lanes of a row.
void ContractionEmitter::storeRun(Value sum, Value row, Value column) {
  if (shape.columns % lanes == 0) {
    auto store = [&] {
      epilogue.store(sum, batch, row,
                     PointIndex::consecutive(column, shape.columns, /*aligned=*/true), lanes);
    };
    if (shape.columns % sizes.columns)
      code.when(code.isBelow(column, shape.columns), store);
    else
      store();
    return;
  }
  for (int64_t lane = 0; lane < lanes; ++lane) {
    Value place = code.add(column, lane);
    code.when(code.isBelow(place, shape.columns), [&] {
      epilogue.store(code.create<vector::ExtractOp>(sum, lane), batch, row,
                     PointIndex::uniform(place, shape.columns), 1);
    });
  }
}

void ContractionEmitter::storeResults(ValueRange sums) {
  size_t place = 0;
  for (int64_t group = 0; group < sizes.threadRows / lanes; ++group)
    for (int64_t lane = 0; lane < lanes; ++lane) {
      Value row = code.add(code.add(left.first, code.mul(threadRow, lanes)),
                           group * threadsDown * lanes + lane);
      auto store = [&] {
        for (int64_t across = 0; across < sizes.threadColumns / lanes; ++across)
          storeRun(sums[place + across], row,
                   code.add(code.add(right.first, code.mul(threadColumn, lanes)),
                            across * threadsAcross * lanes));
      };
      if (shape.rows % sizes.rows)
        code.when(code.isBelow(row, shape.rows), store);
      else
        store();
      place += sizes.threadColumns / lanes;
    }
}

/// While one stage is multiplied, the next tiles are on their way into the other.
LogicalResult ContractionEmitter::emit() {
  place();
  SmallVector<Value> sums(sumCount(), zero(lanes));
  if (shape.depth) {
    for (const Side *side : {&left, &right})
      store(*side, code.index(0), load(*side, code.index(0)));
    kernel.synchronise();
    sums = code.loop(code.index(0), code.index(llvm::divideCeilSigned(shape.depth, sizes.depth)), 1,
                     sums, [&](Value tile, ValueRange carried) {
                       Value stage = code.remainder(tile, 2),
                             other = code.sub(code.index(1), stage);
                       Value next = code.mul(code.add(tile, 1), sizes.depth);
                       Value more = code.isBelow(next, shape.depth);
                       SmallVector<Type> types;
                       for (const Side *side : {&left, &right})
                         types.append(turns(*side), zero(side->atOnce).getType());
                       auto ahead = code.create<scf::IfOp>(types, more, /*else=*/true);
                       {
                         OpBuilder::InsertionGuard guard(code.builder);
                         code.builder.setInsertionPointToStart(ahead.thenBlock());
                         SmallVector<Value> values = load(left, next);
                         llvm::append_range(values, load(right, next));
                         code.create<scf::YieldOp>(values);
                         code.builder.setInsertionPointToStart(ahead.elseBlock());
                         SmallVector<Value> none;
                         for (const Side *side : {&left, &right})
                           none.append(turns(*side), zero(side->atOnce));
                         code.create<scf::YieldOp>(none);
                       }
                       SmallVector<Value> after = multiply(stage, carried);
                       code.when(more, [&] {
                         ValueRange values = ahead.getResults();
                         store(left, other, values.take_front(turns(left)));
                         store(right, other, values.drop_front(turns(left)));
                       });
                       kernel.synchronise();
                       return after;
                     });
  }
  storeResults(sums);
  return success(!broken && epilogue.ok());
}

bool fitsTogether(const ContractionSizes &sizes, const ContractionProduct &product) {
  auto divides = [](int64_t part, int64_t whole) { return part > 0 && whole % part == 0; };
  auto reads = [&](int64_t atOnce, bool alongDepth, int64_t free, int64_t tile) {
    return (atOnce == 1 || atOnce == lanes) && divides(atOnce, alongDepth ? product.depth : free) &&
           divides(atOnce, alongDepth ? sizes.depth : tile);
  };
  return divides(lanes, sizes.threadRows) && divides(lanes, sizes.threadColumns) &&
         sizes.threadRows <= 16 && sizes.threadColumns <= 16 &&
         divides(sizes.threadRows, sizes.rows) && divides(sizes.threadColumns, sizes.columns) &&
         sizes.depth > 0 && sizes.depth <= 64 && sizes.threads <= 1024 &&
         sizes.threads == sizes.rows / sizes.threadRows * (sizes.columns / sizes.threadColumns) &&
         reads(sizes.leftLanes, sizes.leftAlongDepth, product.rows, sizes.rows) &&
         reads(sizes.rightLanes, sizes.rightAlongDepth, product.columns, sizes.columns);
}

} // namespace

LogicalResult scheduleContraction(CudaScheduler &kernel) {
  graph::ContractOp contract = contractionOf(kernel.kernel);
  if (!contract)
    return failure();
  const ContractionProduct product(contract);
  if (!isa<Float32Type, Float64Type>(product.sumType))
    return contract.emitError("a GPU contracts floating-point numbers alone");
  if (isForTensorCores(contract, product, kernel.tf32) && !product.isEmpty())
    return scheduleMatrixContraction(kernel);
  const ContractionSizes sizes = chooseSizes(kernel.kernel, product);
  const double flops = product.flops() + kernel.operations();
  if (product.isEmpty()) {
    kernel.launch("contraction", 1, sizes, flops);
    return success();
  }
  if (failed(shareEpilogue(kernel, contract, product.batch, product.rows, product.columns, lanes)))
    return failure();
  for (int64_t free : {sizes.rows, sizes.columns}) {
    MemRefType tile = tileType(product.sumType, free, sizes.depth);
    kernel.addScratch(tile.getNumElements() * tile.getElementTypeBitWidth() / 8);
  }
  kernel.launch("contraction", product.blocks(sizes.rows, sizes.columns), sizes, flops);
  return success();
}

LogicalResult emitContraction(CudaKernel &kernel) {
  graph::ContractOp contract = contractionOf(kernel.kernel);
  ContractionSizes sizes;
  if (!contract || failed(readSizes(kernel.kernel, kernel.launch, sizes)))
    return failure();
  const ContractionProduct product(contract);
  const bool fits = sizes.rows > 0 && sizes.columns > 0 && fitsTogether(sizes, product) &&
                    kernel.launch.getGrains() ==
                        (product.isEmpty() ? 1 : product.blocks(sizes.rows, sizes.columns));
  if (!fits)
    return kernel.kernel.emitError("kernel.schedule: these tiles do not make its result");
  return product.isEmpty() ? success() : ContractionEmitter(kernel, contract, sizes).emit();
}

} // namespace ingot
