/// Sort kernels: tiles of lines by bitonic networks in shared memory; of lines that are longer than
/// a tile, runs are merged by rank, each element's place found by a binary search in the other run.
#include "codegen/cuda/Emitters.h"
#include "codegen/kernel/LineShape.h"
#include "codegen/kernel/LineSteps.h"
#include "llvm/Support/MathExtras.h"
#include <limits>

using namespace mlir;

namespace ingot {
namespace {

constexpr int64_t longestTile = 2048;

/// Of the launch that sorts tiles.
struct TileSizes {
  int64_t threads = 0;
  int64_t tile = 0;  ///< elements of a line, rounded up to a power of two
  int64_t lines = 1; ///< tiles of a block, of different lines if there are several

  template <typename Field> void fields(Field field) {
    field("threads", threads);
    field("tile", tile);
    field("lines", lines);
  }
  int64_t tilesPerLine(const LineShape &shape) const {
    return llvm::divideCeilSigned(shape.size, tile);
  }
  int64_t blocks(const LineShape &shape) const {
    if (shape.elements() == 0)
      return 1;
    return llvm::divideCeilSigned(shape.lines() * tilesPerLine(shape), lines);
  }
};

/// Of a launch that merges pairs of runs.
struct MergeSizes {
  int64_t threads = 256;
  int64_t width = 0; ///< of runs, of which the last of a line may be shorter

  template <typename Field> void fields(Field field) {
    field("threads", threads);
    field("width", width);
  }
};

TileSizes chooseSizes(const LineShape &shape) {
  constexpr int64_t usual = 512; // elements of a block: a thread compares two at a time
  TileSizes sizes;
  sizes.tile = std::clamp<int64_t>(llvm::PowerOf2Ceil(shape.size), 2, longestTile);
  sizes.lines = std::max<int64_t>(1, usual / sizes.tile);
  sizes.threads = std::clamp<int64_t>(sizes.lines * sizes.tile / 2, 32, 512);
  return sizes;
}

/// How often runs double until one is the whole line.
int64_t mergesOf(const LineShape &shape, int64_t tile) {
  return shape.size > tile ? llvm::Log2_64_Ceil(llvm::divideCeilSigned(shape.size, tile)) : 0;
}

/// Keys and places, side by side in a memory of their own.
struct Runs {
  Value keys, places;
};

class SortEmitter {
public:
  SortEmitter(CudaKernel &kernel, graph::SortOp op)
      : kernel(kernel), code(kernel.code), points(kernel.points(1)), op(op),
        type(op.getOperand().getType()), shape(type, op.getDimension()), keyType(sortKeyType(op)) {}

  LogicalResult emitTiles(const TileSizes &sizes);
  LogicalResult emitMerge(const MergeSizes &sizes, int64_t number, bool isLast);

private:
  void fill(Value tile, Value place, Value slot);
  void compareAndSwap(Value pair, Value size, Value distance);
  void sortTiles();
  void storeTile(Value tile, Value place, Value slot);
  void store(Value line, Value number, Value place);
  void mergeElement(const Runs &from, const Runs &to, int64_t width, Value element, bool isLast);
  Value rank(Value keys, Value first, Value count, Value key, Value isLeft, int64_t width);
  void overElements(llvm::function_ref<void(Value tile, Value place, Value slot)> body);

  /// The two memories that merges read and write in turns.
  SmallVector<Runs> longRuns() {
    SmallVector<Runs> runs(2);
    for (Runs &each : runs) {
      each.keys = kernel.launchScratch(MemRefType::get({count()}, keyType));
      each.places = kernel.launchScratch(MemRefType::get({count()}, code.builder.getI32Type()));
    }
    return runs;
  }
  int64_t count() const { return shape.lines() * shape.size; }
  Value load(Value memory, Value at, int64_t extent) {
    Type element = cast<MemRefType>(memory.getType()).getElementType();
    return points.load(memory, element, PointIndex::uniform(at, extent), {});
  }
  void put(Value value, Value memory, Value at, int64_t extent) {
    points.store(value, memory, PointIndex::uniform(at, extent), {}, value.getType());
  }
  Value test(arith::CmpIPredicate predicate, Value a, Value b) {
    return code.create<arith::CmpIOp>(predicate, a, b);
  }
  Value both(Value a, Value b) { return code.create<arith::AndIOp>(a, b); }
  Value select(Value condition, Value a, Value b) {
    return code.create<arith::SelectOp>(condition, a, b);
  }
  /// A place as it is kept, and as an index.
  Value kept(Value place) {
    Type i32 = code.builder.getI32Type();
    return code.integer == i32 ? place : code.create<arith::TruncIOp>(i32, place).getResult();
  }
  Value index(Value place) {
    return code.integer == place.getType()
               ? place
               : code.create<arith::ExtUIOp>(code.integer, place).getResult();
  }
  /// In lines of so many elements.
  PointIndex positionOf(Value line, Value place, int64_t size) {
    PointIndex outer = PointIndex::uniform(code.div(line, shape.inner), shape.outer),
               inner = PointIndex::uniform(code.remainder(line, shape.inner), shape.inner);
    return (outer * size + PointIndex::uniform(place, size)) * shape.inner + inner;
  }
  Value element(const PointIndex &position) {
    return points.at(op.getOperand(), points.split(position, type.getShape()));
  }

  CudaKernel &kernel;
  IndexCode &code;
  PointEmitter points;
  graph::SortOp op;
  const RankedTensorType type;
  const LineShape shape;
  const IntegerType keyType;
  TileSizes sizes;
  Runs tiles;        ///< in shared memory
  int64_t slots = 0; ///< elements there
  Value firstTile;
};

/// The block's elements: the tile, the place in it, and the slot in shared memory.
void SortEmitter::overElements(llvm::function_ref<void(Value, Value, Value)> body) {
  code.loop(kernel.thread(), code.index(slots), kernel.threads, [&](Value slot) {
    PointEmitter::Scope scope(points);
    body(code.add(firstTile, code.div(slot, sizes.tile)), code.remainder(slot, sizes.tile), slot);
  });
}

/// Slots behind a line's end, or of no line, hold what comes after every element.
void SortEmitter::fill(Value tile, Value place, Value slot) {
  const int64_t perLine = sizes.tilesPerLine(shape);
  Value line = code.div(tile, perLine);
  Value own = code.add(code.mul(code.remainder(tile, perLine), sizes.tile), place);
  Value isInside = both(code.isBelow(line, shape.lines()), code.isBelow(own, shape.size));
  PointIndex position = positionOf(code.min(line, code.index(shape.lines() - 1)),
                                   code.min(own, code.index(shape.size - 1)), shape.size);
  const int64_t highest = keyType.isInteger(32) ? std::numeric_limits<int32_t>::max()
                                                : std::numeric_limits<int64_t>::max();
  Value last = code.create<arith::ConstantOp>(code.builder.getIntegerAttr(keyType, highest));
  Value key = select(isInside, sortKey(code, op, element(position), keyType), last);
  put(key, tiles.keys, slot, slots);
  put(kept(own), tiles.places, slot, slots); // beyond the line: larger than all of its places
}

/// Puts two elements in order, which `distance` apart are part of a bitonic run of `size`.
void SortEmitter::compareAndSwap(Value pair, Value size, Value distance) {
  Value below = code.sub(distance, code.index(1)); // bits
  Value low = code.create<arith::AndIOp>(pair, below);
  Value left = code.add(code.mul(code.sub(pair, low), 2), low), right = code.add(left, distance);
  Value leftKey = load(tiles.keys, left, slots), rightKey = load(tiles.keys, right, slots);
  Value leftPlace = load(tiles.places, left, slots), rightPlace = load(tiles.places, right, slots);
  Value isAfter =
      code.create<arith::OrIOp>(test(arith::CmpIPredicate::sgt, leftKey, rightKey),
                                both(test(arith::CmpIPredicate::eq, leftKey, rightKey),
                                     test(arith::CmpIPredicate::ugt, leftPlace, rightPlace)));
  // Every second run descends, but for the last one, which is the tile.
  Value inTile = code.remainder(left, sizes.tile);
  Value descends = test(arith::CmpIPredicate::ne,
                        code.create<arith::AndIOp>(inTile, size).getResult(), code.index(0));
  code.when(test(arith::CmpIPredicate::ne, isAfter, descends), [&] {
    put(rightKey, tiles.keys, left, slots);
    put(rightPlace, tiles.places, left, slots);
    put(leftKey, tiles.keys, right, slots);
    put(leftPlace, tiles.places, right, slots);
  });
}

void SortEmitter::sortTiles() {
  const int64_t steps = llvm::Log2_64(uint64_t(sizes.tile));
  Value one = code.index(1);
  code.loop(code.index(1), code.index(steps + 1), 1, [&](Value log) {
    Value size = code.create<arith::ShLIOp>(one, log);
    code.loop(code.index(0), log, 1, [&](Value step) {
      Value distance =
          code.create<arith::ShRUIOp>(size, code.add(step, 1)); // half, a quarter, … of the run
      code.loop(kernel.thread(), code.index(slots / 2), kernel.threads, [&](Value pair) {
        PointEmitter::Scope scope(points);
        compareAndSwap(pair, size, distance);
      });
      kernel.synchronise();
    });
  });
}

/// A line's element `number` is the one that was at `place`.
void SortEmitter::store(Value line, Value number, Value place) {
  for (unsigned result = 0; result < kernel.results(); ++result) {
    const SortedResult sorted = sortedResult(kernel.kernel, op, result);
    auto put = [&] {
      PointEmitter::Scope scope(points);
      Value value = sorted.isPlaces
                        ? code.create<arith::ExtUIOp>(code.builder.getI64Type(), place).getResult()
                        : element(positionOf(line, index(place), shape.size));
      points.store(value, kernel.resultMemory(result), positionOf(line, number, sorted.size), {},
                   kernel.type(result).getElementType());
    };
    if (sorted.size == shape.size)
      put();
    else if (sorted.size > 0)
      code.when(code.isBelow(number, sorted.size), put);
  }
}

void SortEmitter::storeTile(Value tile, Value place, Value slot) {
  const int64_t perLine = sizes.tilesPerLine(shape);
  Value line = code.div(tile, perLine);
  Value number = code.add(code.mul(code.remainder(tile, perLine), sizes.tile), place);
  Value isInside = both(code.isBelow(line, shape.lines()), code.isBelow(number, shape.size));
  if (perLine == 1)
    return code.when(isInside, [&] { store(line, number, load(tiles.places, slot, slots)); });
  Runs to = longRuns().front();
  code.when(isInside, [&] {
    Value at = code.add(code.mul(line, shape.size), number);
    put(load(tiles.keys, slot, slots), to.keys, at, count());
    put(load(tiles.places, slot, slots), to.places, at, count());
  });
}

LogicalResult SortEmitter::emitTiles(const TileSizes &given) {
  sizes = given;
  slots = sizes.tile * sizes.lines;
  tiles.keys = kernel.workspace(MemRefType::get({slots}, keyType));
  tiles.places = kernel.workspace(MemRefType::get({slots}, code.builder.getI32Type()));
  firstTile = code.mul(kernel.block(), sizes.lines);
  overElements([&](Value tile, Value place, Value slot) { fill(tile, place, slot); });
  kernel.synchronise();
  sortTiles();
  overElements([&](Value tile, Value place, Value slot) { storeTile(tile, place, slot); });
  return success(points.ok());
}

/// How many of the `count` sorted keys from `first` on come before `key`: equal ones too if it is
/// not of the left run.
Value SortEmitter::rank(Value keys, Value first, Value number, Value key, Value isLeft,
                        int64_t width) {
  Value last = code.index(count() - 1);
  auto found = code.loop(code.index(0), code.index(llvm::Log2_64(uint64_t(width)) + 1), 1,
                         ValueRange{first, number}, [&](Value, ValueRange carried) {
                           Value from = carried[0], left = carried[1], half = code.div(left, 2);
                           Value middle = code.add(from, half);
                           Value other = load(keys, code.min(middle, last), count());
                           Value isBefore =
                               select(isLeft, test(arith::CmpIPredicate::slt, other, key),
                                      test(arith::CmpIPredicate::sle, other, key));
                           Value any = test(arith::CmpIPredicate::ne, left, code.index(0));
                           isBefore = both(isBefore, any);
                           Value rest = code.sub(left, code.add(half, 1));
                           return SmallVector<Value>{select(isBefore, code.add(middle, 1), from),
                                                     select(isBefore, rest, half)};
                         });
  return code.sub(found[0], first);
}

void SortEmitter::mergeElement(const Runs &from, const Runs &to, int64_t width, Value element,
                               bool isLast) {
  Value line = code.div(element, shape.size), own = code.remainder(element, shape.size);
  Value start = code.mul(line, shape.size), size = code.index(shape.size);
  Value left = code.mul(code.div(own, 2 * width), 2 * width);
  Value middle = code.min(code.add(left, width), size);
  Value end = code.min(code.add(left, 2 * width), size);
  Value isLeft = test(arith::CmpIPredicate::slt, own, middle);
  Value key = load(from.keys, element, count()), place = load(from.places, element, count());
  Value first = select(isLeft, middle, left);
  Value number = select(isLeft, code.sub(end, middle), code.sub(middle, left));
  Value inOther = rank(from.keys, code.add(start, first), number, key, isLeft, width);
  Value inOwn = code.sub(own, select(isLeft, left, middle));
  Value target = code.add(left, code.add(inOwn, inOther));
  if (isLast)
    return store(line, target, place);
  put(key, to.keys, code.add(start, target), count());
  put(place, to.places, code.add(start, target), count());
}

LogicalResult SortEmitter::emitMerge(const MergeSizes &merge, int64_t number, bool isLast) {
  SmallVector<Runs> runs = longRuns();
  const Runs from = runs[number % 2], to = runs[(number + 1) % 2];
  Value first = code.add(code.mul(kernel.block(), merge.threads), kernel.thread());
  code.loop(first, code.index(count()), kernel.launch.getGrains() * merge.threads,
            [&](Value element) {
              PointEmitter::Scope scope(points);
              mergeElement(from, to, merge.width, element, isLast);
            });
  return success(points.ok());
}

} // namespace

LogicalResult scheduleSort(CudaScheduler &kernel) {
  auto op = lineOpOf<graph::SortOp>(kernel.kernel);
  if (!op)
    return failure();
  const LineShape shape(op.getOperand().getType(), op.getDimension());
  const TileSizes sizes = chooseSizes(shape);
  const int64_t keyBytes = sortKeyType(op).getWidth() / 8, merges = mergesOf(shape, sizes.tile);
  const double elements = shape.elements(), bytes = bytesOf(kernel.kernel);
  kernel.addScratch(sizes.tile * sizes.lines * keyBytes);
  kernel.addScratch(sizes.tile * sizes.lines * int64_t(sizeof(int32_t)));
  for (int memory = 0; merges && memory < 2; ++memory) {
    kernel.addLaunchScratch(shape.lines() * shape.size * keyBytes);
    kernel.addLaunchScratch(shape.lines() * shape.size * int64_t(sizeof(int32_t)));
  }
  const double steps = llvm::Log2_64(uint64_t(sizes.tile));
  kernel.launch("sort_tiles", sizes.blocks(shape), sizes, 4 * elements * steps * (steps + 1),
                bytes);
  MergeSizes merge;
  const int64_t blocks =
      std::clamp<int64_t>(llvm::divideCeilSigned(shape.lines() * shape.size, merge.threads), 1,
                          kernel.costs.mostGrains);
  merge.width = sizes.tile;
  for (int64_t number = 0; number < merges; ++number, merge.width *= 2)
    kernel.launch("sort_merge", blocks, merge, 8 * elements * llvm::Log2_64(uint64_t(merge.width)),
                  bytes);
  return success();
}

LogicalResult emitSort(CudaKernel &kernel) {
  auto op = lineOpOf<graph::SortOp>(kernel.kernel);
  if (!op)
    return failure();
  const LineShape shape(op.getOperand().getType(), op.getDimension());
  auto unfit = [&] {
    return kernel.kernel.emitError("kernel.schedule: these tiles do not make its results");
  };
  ArrayRef<kernel::LaunchAttr> launches = kernel.schedule.getLaunches();
  const size_t number = llvm::find(launches, kernel.launch) - launches.begin();
  TileSizes tiles;
  if (failed(readSizes(kernel.kernel, launches.front(), tiles)))
    return failure();
  const bool fits = llvm::isPowerOf2_64(tiles.tile) && tiles.tile >= 2 && tiles.lines >= 1 &&
                    tiles.threads >= 1 && tiles.threads <= 1024 &&
                    (tiles.lines == 1 || tiles.tilesPerLine(shape) == 1) &&
                    int64_t(launches.size()) == 1 + mergesOf(shape, tiles.tile) &&
                    launches.front().getGrains() == tiles.blocks(shape);
  if (!fits)
    return unfit();
  if (shape.elements() == 0)
    return success();
  SortEmitter emitter(kernel, op);
  if (number == 0)
    return emitter.emitTiles(tiles);
  MergeSizes merge;
  if (failed(readSizes(kernel.kernel, kernel.launch, merge)))
    return failure();
  if (merge.threads < 1 || merge.threads > 1024 || merge.width != tiles.tile << (number - 1))
    return unfit();
  return emitter.emitMerge(merge, int64_t(number) - 1, number + 1 == launches.size());
}

} // namespace ingot
