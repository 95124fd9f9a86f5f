#include "codegen/cuda/FactorTiles.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {
namespace {

constexpr int64_t fragmentBytes = 32; ///< of a line
constexpr int64_t lineCycle = 8;      ///< lines so far apart are exchanged alike

int64_t bytesOf(const ContractionOperand &operand) {
  return getElementTypeOrSelf(operand.tensor.getType()).getIntOrFloatBitWidth() / 8;
}

/// Elements that are moved at once at most.
int64_t mostLanes(const ContractionOperand &operand) { return chunkBytes / bytesOf(operand); }

/// How many neighbours may be copied at once from a factor's memory: runs that lie side by side and
/// begin at multiples of their size. 0: none, as they do not lie there.
int64_t copiedLanes(func::FuncOp kernel, const ContractionOperand &operand, bool alongDepth) {
  if (!operand.view)
    return 0;
  const KernelView &view = *operand.view;
  auto memory = kernel::memoryType(kernel.getArgumentTypes()[view.memory]);
  if (memory.getElementType() != getElementTypeOrSelf(operand.tensor.getType()))
    return 0;
  SmallVector<int64_t> along = alongDepth ? operand.contractDims : operand.freeDims;
  llvm::erase_if(along, [&](int64_t d) { return view.sizes[d] == 1; });
  if (along.empty() || view.strides[along.back()] != 1)
    return 0;
  auto fits = [&](int64_t lanes) {
    for (int64_t d = 0; d < int64_t(view.sizes.size()); ++d)
      if ((d == along.back() ? view.sizes[d] : view.strides[d]) % lanes && view.sizes[d] != 1)
        return false;
    return view.offset % lanes == 0;
  };
  int64_t lanes = mostLanes(operand);
  while (!fits(lanes))
    lanes /= 2;
  return lanes;
}

int64_t lanesOf(int64_t count, int64_t lanes) {
  while (count % lanes)
    lanes /= 2;
  return lanes;
}

} // namespace

FactorReading chooseFactorReading(func::FuncOp kernel, const ContractionProduct &product,
                                  const ContractionOperand &operand, int64_t free) {
  constexpr int64_t leastBytes = 4; // of a copy
  const int64_t least = leastBytes / bytesOf(operand), most = mostLanes(operand);
  FactorReading reading;
  const int64_t byDepth = copiedLanes(kernel, operand, true),
                byFree = copiedLanes(kernel, operand, false);
  reading.isCopied = std::max(byDepth, byFree) >= least;
  reading.alongDepth =
      reading.isCopied ? byDepth >= byFree : readsAlongDepth(kernel, product, operand, free, most);
  reading.lanes = reading.isCopied ? std::max(byDepth, byFree)
                                   : lanesOf(reading.alongDepth ? product.depth : free, most);
  return reading;
}

FactorTiles::FactorTiles(CudaKernel &kernel, const ContractionProduct &product, bool isLeft,
                         int64_t tile, int64_t depth, FactorReading reading)
    : kernel(kernel), code(kernel.code),
      narrowCode{kernel.builder, kernel.location(), kernel.builder.getI32Type()}, product(product),
      isLeft(isLeft), tile(tile), depth(depth), reading(reading),
      element(getElementTypeOrSelf(operand().tensor.getType())), elementBytes(bytesOf(operand())) {}

bool FactorTiles::fits() const {
  auto isTile = [](int64_t size) { return size >= 16 && llvm::isPowerOf2_64(size); };
  const int64_t lanes = reading.lanes;
  return isTile(tile) && isTile(depth) && lanes >= 1 && lanes <= chunkLength() &&
         llvm::isPowerOf2_64(lanes) && kernel.threads % runsOfLine() == 0 &&
         (reading.alongDepth ? product.depth : free()) % lanes == 0;
}

//===--------------------------------------------------------------------------------------------===//
// Places
//===--------------------------------------------------------------------------------------------===//

Value FactorTiles::narrow(Value index) {
  Type i32 = narrowCode.integer;
  return index.getType() == i32 ? index : code.create<arith::TruncIOp>(i32, index).getResult();
}

Value FactorTiles::exchange(Value a, Value b) {
  return code.builder.createOrFold<arith::XOrIOp>(code.location, a, b);
}

/// What the numbers of a line's chunks are exchanged by: lines that would begin in one bank differ.
/// Of words two chunks of four lines are read at once, of others one chunk of eight.
Value FactorTiles::phase(Value line) {
  const int64_t period = std::min(chunks(), lineCycle), together = readsWords() ? 2 : 1;
  Value number = narrowCode.div(line, lineCycle / period);
  return narrowCode.mul(narrowCode.remainder(number, period / together), together);
}

/// Of an element in a stage, in bytes.
Value FactorTiles::sharedOffset(Value line, Value along) {
  IndexCode &code = narrowCode;
  Value chunk = exchange(code.div(along, chunkLength()), phase(line));
  Value byte = code.mul(code.add(code.mul(line, chunks()), chunk), chunkBytes);
  return code.add(byte, code.mul(code.remainder(along, chunkLength()), elementBytes));
}

void FactorTiles::place(Value memory, int64_t offset, Value batch, Value first) {
  this->memory = memory;
  this->offset = offset;
  this->batch = batch;
  this->first = first;
  shared = narrowCode.add(sharedAddress(code, memory), offset);
  ownLine = code.div(kernel.thread(), runsOfLine());
  ownAlong = code.mul(code.remainder(kernel.thread(), runsOfLine()), reading.lanes);
  // Lines eight apart are exchanged alike: one address with a constant for each turn.
  Value base = sharedOffset(narrow(ownLine), narrow(ownAlong));
  for (int64_t turn = 0; turn < turns(); ++turn) {
    const int64_t further = turn * linesOfTurn();
    destinations.push_back(further % lineCycle == 0
                               ? narrowCode.add(base, further * lineBytes())
                               : sharedOffset(narrow(line(turn)), narrow(ownAlong)));
    if (free() % tile)
      frees.push_back(code.isBelow(freeIndex(turn), free()));
  }
  if (!reading.isCopied)
    return;
  const KernelView &view = *operand().view;
  global = advance(code, globalAddress(code, kernel.operandMemory(view.memory)), element,
                   code.add(operand().batch.offset(code, batch), view.offset));
  for (int64_t turn = 0; turn < turns(); ++turn)
    freeOffsets.push_back(operand().free.offset(code, freeIndex(turn)));
}

void FactorTiles::placeFragments(Value first, int64_t count) {
  IndexCode &code = narrowCode;
  warpCount = count;
  Value lane = code.remainder(narrow(kernel.thread()), warpSize);
  Value row = code.remainder(lane, 8), low = code.remainder(code.div(lane, 8), 2),
        high = code.div(lane, 16);
  Value freeHalf = isLeft ? low : high, depthHalf = isLeft ? high : low;
  Value line = code.add(row, code.mul(reading.alongDepth ? freeHalf : depthHalf, 8)),
        along = code.mul(reading.alongDepth ? depthHalf : freeHalf, chunkLength());
  if (readsWords()) {
    line = code.remainder(lane, 4);
    along = code.div(lane, 4);
  }
  (reading.alongDepth ? line : along) = code.add(reading.alongDepth ? line : along, narrow(first));
  fragmentBase = code.add(shared, sharedOffset(line, along));
}

//===--------------------------------------------------------------------------------------------===//
// From memory
//===--------------------------------------------------------------------------------------------===//

/// A pointer where neighbours along the depth have one distance, else the depth itself.
Value FactorTiles::cursor(Value from) {
  std::optional<int64_t> stride = operand().contract.stride();
  if (!reading.isCopied || !stride)
    return from;
  Value further = code.mul(depthIndex(from, 0), *stride);
  return advance(code, global, element, code.add(freeOffsets[0], further));
}

Value FactorTiles::next(Value cursor) {
  std::optional<int64_t> stride = operand().contract.stride();
  if (!reading.isCopied || !stride)
    return code.add(cursor, depth);
  return advance(code, cursor, element, code.index(depth * *stride));
}

/// Where this thread's run of a turn lies in global memory.
Value FactorTiles::source(Value cursor, int64_t turn) {
  std::optional<int64_t> ofDepth = operand().contract.stride(), ofFree = operand().free.stride();
  if (!ofDepth) {
    Value further = operand().contract.offset(code, depthIndex(cursor, turn));
    return advance(code, global, element, code.add(freeOffsets[turn], further));
  }
  if (turn == 0)
    return cursor;
  const int64_t further = turn * linesOfTurn();
  if (!reading.alongDepth)
    return advance(code, cursor, element, code.index(further * *ofDepth));
  if (ofFree)
    return advance(code, cursor, element, code.index(further * *ofFree));
  return advance(code, cursor, element, code.sub(freeOffsets[turn], freeOffsets[0]));
}

/// Whether a run lies in the factor; null: it does.
Value FactorTiles::inside(Value depthFrom, int64_t turn) {
  Value inside = frees.empty() ? Value() : frees[turn];
  if (product.depth % depth == 0)
    return inside;
  Value deep = code.isBelow(depthIndex(depthFrom, turn), product.depth);
  return inside ? code.create<arith::AndIOp>(inside, deep).getResult() : deep;
}

/// The values of a run, zeros outside the factor. Reading stays inside, so that nothing branches.
Value FactorTiles::compute(Value depthFrom, int64_t turn) {
  const int64_t lanes = reading.lanes;
  PointEmitter points = kernel.points(lanes);
  const bool isIdle = runs() < kernel.threads; // some threads' lines are beyond the tile
  auto index = [&](Value value, int64_t extent, bool isAlong, bool mayLeave) {
    const int64_t last = extent - (isAlong ? lanes : 1);
    if (mayLeave || (isIdle && !isAlong))
      value = code.min(value, code.index(last));
    return isAlong && lanes > 1 ? PointIndex::consecutive(value, extent, /*aligned=*/true)
                                : PointIndex::uniform(value, extent);
  };
  PointIndex beside = index(freeIndex(turn), free(), !reading.alongDepth, free() % tile != 0),
             deep = index(depthIndex(depthFrom, turn), product.depth, reading.alongDepth,
                          product.depth % depth != 0);
  Value value = operand().at(points, PointIndex::uniform(batch, product.batch), beside, deep);
  if (lanes > 1)
    value = points.vectorised(value);
  broken |= !points.ok();
  Value counts = inside(depthFrom, turn);
  if (!counts)
    return value;
  Value zero =
      code.create<arith::ConstantOp>(cast<TypedAttr>(code.builder.getZeroAttr(value.getType())));
  return code.create<arith::SelectOp>(counts, value, zero);
}

void FactorTiles::forTurns(function_ref<void(int64_t)> body) {
  auto all = [&] {
    for (int64_t turn = 0; turn < turns(); ++turn)
      body(turn);
  };
  if (runs() < kernel.threads)
    code.when(code.isBelow(kernel.thread(), runs()), all);
  else
    all();
}

SmallVector<Type> FactorTiles::begunTypes() {
  if (reading.isCopied)
    return {};
  return SmallVector<Type>(
      turns(), reading.lanes > 1 ? Type(VectorType::get({reading.lanes}, element)) : element);
}

SmallVector<Value> FactorTiles::begin(Value cursor, Value depthFrom, Value stage) {
  SmallVector<Value> values;
  if (!reading.isCopied) {
    for (int64_t turn = 0; turn < turns(); ++turn)
      values.push_back(compute(depthFrom, turn));
    return values;
  }
  Value into = narrowCode.add(shared, stage), start = narrowCode.add(into, destinations[0]);
  forTurns([&](int64_t turn) {
    const int64_t bytes = reading.lanes * elementBytes, further = turn * linesOfTurn();
    Value count;
    if (Value counts = inside(depthFrom, turn))
      count = code.create<arith::SelectOp>(counts, narrowCode.index(bytes), narrowCode.index(0));
    const bool isConstant = further % lineCycle == 0;
    copyToShared(code, isConstant ? start : narrowCode.add(into, destinations[turn]),
                 isConstant ? further * lineBytes() : 0, source(cursor, turn), bytes, count);
  });
  return values;
}

void FactorTiles::finish(ValueRange begun, Value stage) {
  if (reading.isCopied)
    return;
  forTurns([&](int64_t turn) {
    Value byte = narrowCode.add(narrowCode.add(stage, offset), destinations[turn]);
    Value place = code.create<arith::IndexCastOp>(code.builder.getIndexType(),
                                                  narrowCode.div(byte, elementBytes));
    if (reading.lanes > 1)
      code.create<vector::StoreOp>(begun[turn], memory, ValueRange{place}, /*nontemporal=*/false,
                                   llvm::MaybeAlign(reading.lanes * elementBytes));
    else
      code.create<memref::StoreOp>(begun[turn], memory, ValueRange{place});
  });
}

//===--------------------------------------------------------------------------------------------===//
// To registers
//===--------------------------------------------------------------------------------------------===//

/// Stages begin at multiples of 1024 bytes: numbers of chunks may be exchanged in addresses.
SmallVector<Value> FactorTiles::addresses(Value stage) {
  Value base = narrowCode.add(fragmentBase, stage);
  SmallVector<Value> all;
  for (int64_t number = 0; number < addressCount(); ++number)
    all.push_back(exchange(base, narrowCode.index(number * fragmentBytes)));
  return all;
}

SmallVector<std::array<Value, 4>> FactorTiles::fragments(ValueRange addresses, int64_t step) {
  SmallVector<std::array<Value, 4>> all;
  Value atStep;
  if (reading.alongDepth)
    atStep = exchange(addresses[0], narrowCode.index(step * fragmentBytes));
  for (int64_t number = 0; number < fragmentCount(); ++number)
    if (readsWords())
      all.push_back(words(addresses.slice(2 * number, 2), step));
    else
      all.push_back(loadMatrices(code, atStep ? atStep : addresses[number],
                                 (atStep ? number : step) * 16 * lineBytes(), !reading.alongDepth));
  if (elementBytes == 4)
    for (std::array<Value, 4> &fragment : all)
      for (Value &word : fragment)
        word = roundToTf32(code, word);
  return all;
}

/// A fragment word by word: `ldmatrix` turns 16-bit elements alone.
std::array<Value, 4> FactorTiles::words(ValueRange addresses, int64_t step) {
  const int64_t line = step * fragmentBytes / elementBytes;
  std::array<Value, 4> four;
  for (int64_t beside = 0; beside < 2; ++beside)
    for (int64_t deeper = 0; deeper < 2; ++deeper)
      four[isLeft ? 2 * deeper + beside : 2 * beside + deeper] =
          loadWord(code, addresses[beside], (line + 4 * deeper) * lineBytes());
  return four;
}

} // namespace ingot
