#include "codegen/cuda/AttentionBlock.h"
#include "codegen/kernel/PointAccess.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {
namespace {

constexpr int64_t mostLanes = 4; ///< that memory is read by

/// Rows are padded to what the threads that share them read, and so that neighbours start in
/// different banks.
int64_t paddedColumns(int64_t columns, int64_t across) { return llvm::alignTo(columns, across); }
int64_t tileStride(int64_t columns, int64_t across) {
  return paddedColumns(columns, across) + mostLanes;
}

int64_t threadsFor(const AttentionTiling &tiling) {
  return tiling.rows / AttentionTiling::rowsOfThread * tiling.across;
}

} // namespace

//===--------------------------------------------------------------------------------------------===//
// Schedule
//===--------------------------------------------------------------------------------------------===//

int64_t AttentionTiling::blocks(int64_t pairs, int64_t count) const {
  return std::max<int64_t>(1, pairs * llvm::divideCeilSigned(count, rows));
}

HeadColumns::HeadColumns(int64_t count, int64_t across) : count(count), lanes(mostLanes) {
  const int64_t padded = paddedColumns(count, across);
  while (padded % (lanes * across))
    lanes /= 2;
  groups = padded / (lanes * across);
}

void AttentionMemory::tile(int64_t rows, int64_t columns) {
  const int64_t bytes = rows * tileStride(columns, tiling.across) * form.sumBytes();
  total = llvm::alignTo(total + bytes, 64);
}

void AttentionMemory::scores() { tile(tiling.rows, tiling.columns); }

/// From large to small.
static SmallVector<AttentionTiling> tilings(int64_t across) {
  constexpr int64_t mostThreads = 256;
  SmallVector<AttentionTiling> all;
  for (auto [rows, columns] : {std::pair{64, 64},
                               {64, 32},
                               {32, 32},
                               {32, 16},
                               {16, 32},
                               {16, 16},
                               {8, 32},
                               {8, 16},
                               {4, 32}}) {
    AttentionTiling tiling;
    tiling.rows = rows;
    tiling.columns = columns;
    tiling.across = across;
    tiling.threads = threadsFor(tiling);
    if (tiling.threads >= warpSize && tiling.threads <= mostThreads && columns % across == 0)
      all.push_back(tiling);
  }
  return all;
}

AttentionTiling chooseTiling(const CudaScheduler &kernel, int64_t pairs, int64_t rows,
                             int64_t columns, int64_t accumulators,
                             llvm::function_ref<int64_t(const AttentionTiling &)> bytes) {
  constexpr int64_t multiprocessors = 108, twoBlocks = 80 << 10, mostSums = 96;
  SmallVector<int64_t> widths{warpSize / 2};
  // Sums are in registers, and the more threads share a row the fewer each has.
  if (AttentionTiling::rowsOfThread * accumulators > mostSums * widths.front())
    widths.insert(widths.begin(), warpSize);
  for (int64_t across : widths)
    for (int64_t budget : {std::min(twoBlocks, kernel.sharedBytes), kernel.sharedBytes}) {
      std::optional<AttentionTiling> chosen;
      for (const AttentionTiling &tiling : tilings(across)) {
        if (bytes(tiling) > budget)
          continue;
        chosen = tiling;
        const bool isMostlyPadding =
            tiling.rows / 2 >= rows || (tiling.columns > across && tiling.columns / 2 >= columns);
        if (!isMostlyPadding && tiling.blocks(pairs, rows) >= multiprocessors / 2)
          break;
      }
      if (chosen)
        return *chosen;
    }
  return tilings(widths.back()).back(); // which the target refuses
}

std::optional<SmallVector<int64_t>> readingLanes(func::FuncOp kernel, ValueRange tensors) {
  SmallVector<int64_t> all;
  for (Value tensor : tensors) {
    ArrayRef<int64_t> shape = cast<RankedTensorType>(tensor.getType()).getShape();
    const int64_t lanes = shape[3] % mostLanes || llvm::is_contained(shape, 0) ? 1 : mostLanes;
    PointAccess points(kernel, lanes);
    SmallVector<PointIndex> indices =
        points.split(points.uniform(shape[0] * shape[1]), shape.take_front(2));
    indices.push_back(points.uniform(shape[2]));
    indices.push_back(lanes == 1 ? points.uniform(shape[3]) : points.consecutive(shape[3]));
    points.at(tensor, indices);
    if (!points.ok())
      return std::nullopt;
    all.push_back(points.slowAccesses() ? 1 : lanes);
  }
  return all;
}

LogicalResult readTiling(CudaKernel &kernel, int64_t pairs, int64_t rows, ValueRange tensors,
                         AttentionTiling &tiling) {
  if (failed(readSizes(kernel.kernel, kernel.launch, tiling)))
    return failure();
  bool fits = tiling.across >= mostLanes && tiling.across <= warpSize &&
              llvm::isPowerOf2_64(tiling.across) && tiling.rows > 0 &&
              tiling.rows % AttentionTiling::rowsOfThread == 0 && tiling.columns > 0 &&
              tiling.columns % tiling.across == 0 && tiling.columns <= 256 &&
              tiling.threads == threadsFor(tiling) && tiling.threads % warpSize == 0 &&
              tiling.threads <= 1024 && tiling.lanes.size() == tensors.size() &&
              kernel.launch.getGrains() == tiling.blocks(pairs, rows);
  for (size_t index = 0; fits && index < tensors.size(); ++index) {
    const int64_t lanes = tiling.lanes[index];
    fits = (lanes == 1 || lanes == mostLanes) &&
           cast<RankedTensorType>(tensors[index].getType()).getDimSize(3) % lanes == 0;
  }
  return fits ? success()
              : kernel.kernel.emitError("kernel.schedule: these tiles do not make its results");
}

//===--------------------------------------------------------------------------------------------===//
// Place
//===--------------------------------------------------------------------------------------------===//

AttentionBlock::AttentionBlock(CudaKernel &kernel, const AttentionForm &form,
                               const graph::AttentionRule &rule, const AttentionTiling &tiling)
    : kernel(kernel), code(kernel.code), extents(form.extents), sumType(form.sumType),
      tiling(tiling), sight(code, form, rule), leavesOut(sight.hasStart() || sight.hasEnd()),
      threadRow(code.mul(code.div(kernel.thread(), tiling.across), rowsOfThread)),
      threadColumn(code.remainder(kernel.thread(), tiling.across)) {}

/// Blocks are numbered by pair, then rows.
void AttentionBlock::place(int64_t count, bool lastFirst) {
  const int64_t blocks = llvm::divideCeilSigned(count, tiling.rows);
  pair = code.div(kernel.block(), blocks);
  Value number = code.remainder(kernel.block(), blocks);
  if (lastFirst)
    number = code.sub(code.index(blocks - 1), number);
  first = code.mul(number, tiling.rows);
}

Value AttentionBlock::inside(Value position, int64_t count, int64_t step) {
  return count % step ? code.isBelow(position, count) : Value();
}

Value AttentionBlock::both(Value a, Value b) {
  return a && b ? code.create<arith::AndIOp>(a, b).getResult() : a ? a : b;
}

Value AttentionBlock::choose(Value condition, Value value, Value otherwise) {
  return condition ? code.create<arith::SelectOp>(condition, value, otherwise).getResult() : value;
}

Value AttentionBlock::clamped(Value position, int64_t count) {
  return code.min(position, code.index(count - 1));
}

Value AttentionBlock::keysFrom(Value query) {
  if (!sight.hasStart())
    return code.index(0);
  return code.mul(code.div(sight.keysFrom(query), tiling.columns), tiling.columns);
}

void AttentionBlock::forRows(int64_t count, llvm::function_ref<void(int64_t, Value)> body) {
  for (int64_t number = 0; number < rowsOfThread; ++number) {
    Value position = code.add(first, row(number));
    if (Value exists = inside(position, count, tiling.rows))
      code.when(exists, [&] { body(number, position); });
    else
      body(number, position);
  }
}

void AttentionBlock::forRowsOnce(int64_t count, llvm::function_ref<void(int64_t, Value)> body) {
  code.when(code.isEqual(threadColumn, code.index(0)), [&] { forRows(count, body); });
}

//===--------------------------------------------------------------------------------------------===//
// Memory
//===--------------------------------------------------------------------------------------------===//

AttentionBlock::Matrix AttentionBlock::matrix(Value tensor, unsigned number) const {
  auto type = cast<RankedTensorType>(tensor.getType());
  return {tensor, type.getDimSize(2), type.getDimSize(3), tiling.lanes[number]};
}

AttentionBlock::Tile AttentionBlock::tile(int64_t rows, const Matrix &matrix) {
  Tile tile;
  tile.rows = rows;
  tile.columns = paddedColumns(matrix.columns, tiling.across);
  tile.depth = llvm::alignTo(matrix.columns, mostLanes);
  tile.stride = tileStride(matrix.columns, tiling.across);
  tile.memory = kernel.workspace(MemRefType::get({rows * tile.stride}, sumType));
  return tile;
}

AttentionBlock::Tile AttentionBlock::scoreTile() {
  return tile(tiling.rows, {{}, tiling.rows, tiling.columns});
}

Type AttentionBlock::lanesOf(int64_t count) const {
  return count == 1 ? sumType : Type(VectorType::get({count}, sumType));
}

Value AttentionBlock::zero(int64_t lanes) {
  return code.create<arith::ConstantOp>(cast<TypedAttr>(code.builder.getZeroAttr(lanesOf(lanes))));
}

Value AttentionBlock::elementOf(const Tile &tile, Value row, Value column) {
  return code.create<arith::IndexCastOp>(code.builder.getIndexType(),
                                         code.add(code.mul(row, tile.stride), column));
}

Value AttentionBlock::loadLanes(const Tile &tile, Value row, Value column, int64_t lanes) {
  Value at = elementOf(tile, row, column);
  if (lanes == 1)
    return code.create<memref::LoadOp>(tile.memory, ValueRange{at});
  const int64_t bytes = lanes * sumType.getIntOrFloatBitWidth() / 8;
  return code.create<vector::LoadOp>(cast<VectorType>(lanesOf(lanes)), tile.memory, ValueRange{at},
                                     /*nontemporal=*/false,
                                     llvm::MaybeAlign(std::min<int64_t>(bytes, 16)));
}

void AttentionBlock::storeLanes(const Tile &tile, Value row, Value column, Value value) {
  Value at = elementOf(tile, row, column);
  if (!isa<VectorType>(value.getType())) {
    code.create<memref::StoreOp>(value, tile.memory, ValueRange{at});
    return;
  }
  code.create<vector::StoreOp>(value, tile.memory, ValueRange{at}, /*nontemporal=*/false,
                               llvm::MaybeAlign(16));
}

/// The pair of this block's among the matrices of a tensor [batch, heads, …].
PointIndex AttentionBlock::pairOf(ArrayRef<int64_t> shape) {
  const int64_t pairs = shape[0] * shape[1];
  return PointIndex::uniform(pairs == extents.pairs ? pair : code.div(pair, extents.group), pairs);
}

/// The value at a point of this block's pair.
Value AttentionBlock::evaluate(PointEmitter &points, Value tensor, ArrayRef<PointIndex> inPair) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(tensor.getType()).getShape();
  SmallVector<PointIndex> indices = points.split(pairOf(shape), shape.take_front(2));
  indices.append(inPair.begin(), inPair.end());
  Value value = points.vectorised(points.at(tensor, indices));
  broken |= !points.ok();
  Type type = lanesOf(points.lanes());
  return value.getType() == type ? value : code.create<arith::ExtFOp>(type, value).getResult();
}

Value AttentionBlock::read(const Matrix &matrix, Value row, Value column, int64_t lanes) {
  PointEmitter points = kernel.points(lanes);
  PointIndex along = lanes == 1 ? PointIndex::uniform(column, matrix.columns)
                                : PointIndex::consecutive(column, matrix.columns, /*aligned=*/true);
  return evaluate(points, matrix.tensor, {PointIndex::uniform(row, matrix.rows), along});
}

Value AttentionBlock::read(Value tensor, Value position) {
  PointEmitter points = kernel.points(1);
  const int64_t count = cast<RankedTensorType>(tensor.getType()).getDimSize(2);
  return evaluate(points, tensor, {PointIndex::uniform(position, count)});
}

/// Neighbouring threads copy neighbours.
void AttentionBlock::load(const Matrix &matrix, Value from, const Tile &tile) {
  const int64_t perRow = tile.columns / matrix.lanes;
  if (perRow == 0)
    return;
  code.loop(kernel.thread(), code.index(tile.rows * perRow), tiling.threads, [&](Value run) {
    Value row = code.div(run, perRow), column = code.mul(code.remainder(run, perRow), matrix.lanes);
    Value position = code.add(from, row);
    Value exists = both(inside(position, matrix.rows, tile.rows),
                        inside(column, matrix.columns, tile.columns));
    if (!exists)
      return storeLanes(tile, row, column, read(matrix, position, column, matrix.lanes));
    auto branch = code.create<scf::IfOp>(lanesOf(matrix.lanes), exists, /*else=*/true);
    {
      OpBuilder::InsertionGuard guard(code.builder);
      code.builder.setInsertionPointToStart(branch.thenBlock());
      code.create<scf::YieldOp>(read(matrix, position, column, matrix.lanes));
      code.builder.setInsertionPointToStart(branch.elseBlock());
      code.create<scf::YieldOp>(zero(matrix.lanes));
    }
    storeLanes(tile, row, column, branch.getResult(0));
  });
}

//===--------------------------------------------------------------------------------------------===//
// Products
//===--------------------------------------------------------------------------------------------===//

AttentionBlock::Values AttentionBlock::products(const Tile &left, const Tile &right) {
  const int64_t columns = columnsOfThread();
  return code.loop(code.index(0), code.index(left.depth), mostLanes,
                   Values(rowsOfThread * columns, zero(1)), [&](Value depth, ValueRange carried) {
                     Values sums(carried), lefts, rights;
                     for (int64_t number = 0; number < rowsOfThread; ++number)
                       lefts.push_back(loadLanes(left, row(number), depth, mostLanes));
                     for (int64_t number = 0; number < columns; ++number)
                       rights.push_back(loadLanes(right, column(number), depth, mostLanes));
                     for (int64_t lane = 0; lane < mostLanes; ++lane) {
                       auto scalar = [&](Value vector) -> Value {
                         return code.create<vector::ExtractOp>(vector, lane);
                       };
                       Values factors = llvm::map_to_vector(rights, scalar);
                       for (int64_t i = 0; i < rowsOfThread; ++i) {
                         Value factor = scalar(lefts[i]);
                         for (int64_t j = 0; j < columns; ++j) {
                           Value &sum = sums[i * columns + j];
                           sum = code.create<math::FmaOp>(factor, factors[j], sum);
                         }
                       }
                     }
                     return sums;
                   });
}

/// Rows belong to the threads of one warp, which alone wait for each other.
void AttentionBlock::store(const Tile &scores, ValueRange values) {
  for (int64_t i = 0; i < rowsOfThread; ++i)
    for (int64_t j = 0; j < columnsOfThread(); ++j)
      storeLanes(scores, row(i), column(j), values[i * columnsOfThread() + j]);
  kernel.synchroniseWarp();
}

AttentionBlock::Values AttentionBlock::noSums(const HeadColumns &columns) {
  return Values(rowsOfThread * columns.groups, zero(columns.lanes));
}

AttentionBlock::Values AttentionBlock::accumulate(const Tile &scores, const Tile &values,
                                                  const HeadColumns &columns, ValueRange before,
                                                  Sees sees) {
  const int64_t groups = columns.groups;
  if (groups == 0)
    return {};
  // At a border depth by depth: with conditions of several depths at a time ptxas spills.
  const int64_t depths = sees ? 1 : mostLanes;
  return code.loop(
      code.index(0), code.index(tiling.columns), depths, before,
      [&](Value depth, ValueRange carried) {
        Values sums(carried), weights;
        for (int64_t number = 0; number < rowsOfThread; ++number)
          weights.push_back(loadLanes(scores, row(number), depth, depths));
        for (int64_t lane = 0; lane < depths; ++lane) {
          Values line;
          for (int64_t group = 0; group < groups; ++group)
            line.push_back(loadLanes(values, code.add(depth, lane),
                                     code.mul(column(group), columns.lanes), columns.lanes));
          for (int64_t i = 0; i < rowsOfThread; ++i) {
            Value factor =
                depths == 1 ? weights[i] : code.create<vector::ExtractOp>(weights[i], lane);
            Value seen = sees ? sees(row(i), code.add(depth, lane)) : Value();
            if (columns.lanes > 1)
              factor = code.create<vector::BroadcastOp>(lanesOf(columns.lanes), factor);
            for (int64_t group = 0; group < groups; ++group) {
              Value &sum = sums[i * groups + group];
              sum = choose(seen, code.create<math::FmaOp>(factor, line[group], sum), sum);
            }
          }
        }
        return sums;
      });
}

AttentionBlock::Values AttentionBlock::accumulateSeen(const Tile &scores, const Tile &values,
                                                      const HeadColumns &columns, ValueRange before,
                                                      Value allSee, Sees sees) {
  if (!leavesOut || before.empty())
    return accumulate(scores, values, columns, before, Sees());
  auto branch = code.create<scf::IfOp>(before.getTypes(), allSee, /*else=*/true);
  OpBuilder::InsertionGuard guard(code.builder);
  for (Block *block : {branch.thenBlock(), branch.elseBlock()}) {
    code.builder.setInsertionPointToStart(block);
    code.create<scf::YieldOp>(
        accumulate(scores, values, columns, before, block == branch.thenBlock() ? Sees() : sees));
  }
  return Values(branch.getResults());
}

//===--------------------------------------------------------------------------------------------===//
// Scores
//===--------------------------------------------------------------------------------------------===//

/// A tile's padding may come after the last key, which no query sees whose place is no later.
Value AttentionBlock::seen(Value query, Value key) {
  const bool neverBeyond = rule.length || (rule.after == 0 && !rule.offset);
  return both(sight.sees(query, key),
              neverBeyond ? Value() : inside(key, extents.keyCount, tiling.columns));
}

AttentionSight::Score AttentionBlock::scoreOf(Value product, Value query, Value key) {
  if (!rule.mask)
    return sight.scoreOf(product, {});
  auto place = [&](Value position, int64_t count) {
    return PointIndex::uniform(clamped(position, count), count);
  };
  PointEmitter points = kernel.points(1);
  Value added = sight.maskAt(points, pair, place(query, extents.queryCount),
                             place(key, extents.keyCount), sumType);
  broken |= !points.ok();
  return sight.scoreOf(product, added);
}

//===--------------------------------------------------------------------------------------------===//
// Arithmetic
//===--------------------------------------------------------------------------------------------===//

Value AttentionBlock::across(Value value, llvm::function_ref<Value(Value, Value)> combine) {
  for (int64_t bit = 1; bit < tiling.across; bit *= 2)
    value = combine(value, kernel.exchange(value, bit));
  return value;
}

Value AttentionBlock::sumAcross(Value value) {
  return across(value, [&](Value a, Value b) { return plus(a, b); });
}

Value AttentionBlock::maximumAcross(Value value) {
  return across(value, [&](Value a, Value b) { return greater(a, b); });
}

Value AttentionBlock::greater(Value a, Value b) {
  Value isGreater = code.create<arith::CmpFOp>(arith::CmpFPredicate::OGT, b, a);
  return code.create<arith::SelectOp>(isGreater, b, a);
}

Value AttentionBlock::constant(double value) {
  return code.create<arith::ConstantOp>(cast<TypedAttr>(code.builder.getFloatAttr(sumType, value)));
}

/// A factor may be the same for all lanes.
Value AttentionBlock::multiply(Value a, Value b) {
  if (a.getType() != b.getType())
    b = code.create<vector::BroadcastOp>(a.getType(), b);
  return code.create<arith::MulFOp>(a, b);
}

Value AttentionBlock::exp(Value value) { return code.create<math::ExpOp>(value); }

//===--------------------------------------------------------------------------------------------===//
// Results
//===--------------------------------------------------------------------------------------------===//

/// Writes the value at a point of this block's pair.
void AttentionBlock::write(PointEmitter &points, const KernelView &view,
                           ArrayRef<PointIndex> inPair, Value value) {
  SmallVector<PointIndex> indices =
      points.split(pairOf(view.sizes), ArrayRef(view.sizes).take_front(2));
  indices.append(inPair.begin(), inPair.end());
  PointIndex position = PointIndex::constant(view.offset);
  for (auto [index, stride] : llvm::zip_equal(indices, view.strides))
    position = position + index * stride;
  Type element = kernel.type(view.memory).getElementType(), type = element;
  if (auto vector = dyn_cast<VectorType>(value.getType()))
    type = vector.clone(element);
  if (value.getType() != type)
    value = code.create<arith::TruncFOp>(type, value);
  points.store(value, kernel.resultMemory(view.memory), position, {}, element);
}

void AttentionBlock::storeElement(ArrayRef<KernelView> views, Value position, Value value) {
  PointEmitter points = kernel.points(1);
  for (const KernelView &view : views)
    write(points, view, {PointIndex::uniform(position, view.sizes[2])}, value);
}

void AttentionBlock::storeRows(ArrayRef<KernelView> views, int64_t count,
                               const HeadColumns &columns, ValueRange sums) {
  auto storeRun = [&](const KernelView &view, Value row, Value column, Value value) {
    const bool isRun = columns.count % columns.lanes == 0 && view.strides[3] == 1;
    const int64_t lanes = isRun ? columns.lanes : 1;
    for (int64_t lane = 0; lane < columns.lanes; lane += lanes) {
      Value part = value, at = code.add(column, lane);
      if (lanes < columns.lanes)
        part = code.create<vector::ExtractOp>(value, lane);
      auto store = [&] {
        PointEmitter points = kernel.points(lanes);
        PointIndex along = lanes == 1
                               ? PointIndex::uniform(at, columns.count)
                               : PointIndex::consecutive(at, columns.count, /*aligned=*/true);
        write(points, view, {PointIndex::uniform(row, count), along}, part);
      };
      if (Value exists = inside(at, columns.count, columns.groups * columns.lanes * tiling.across))
        code.when(exists, store);
      else
        store();
    }
  };
  forRows(count, [&](int64_t number, Value position) {
    for (int64_t group = 0; group < columns.groups; ++group)
      for (const KernelView &view : views)
        storeRun(view, position, code.mul(column(group), columns.lanes),
                 sums[number * columns.groups + group]);
  });
}

} // namespace ingot
