#include "codegen/cuda/FactorMaps.h"

using namespace mlir;

namespace ingot {
namespace {

struct Dimension {
  int64_t size, stride;
};

/// Dimensions of a view that are walked by one index, outermost first. Neighbours whose strides fit
/// together are one.
SmallVector<Dimension> joined(const KernelView &view, ArrayRef<int64_t> dims) {
  SmallVector<Dimension> all;
  for (int64_t d : dims) {
    const Dimension next{view.sizes[d], view.strides[d]};
    if (next.size == 1)
      continue;
    if (!all.empty() && all.back().stride == next.size * next.stride)
      all.back() = {all.back().size * next.size, next.stride};
    else
      all.push_back(next);
  }
  return all;
}

constexpr int64_t elementBytes = 2, alignment = 16;

} // namespace

std::optional<FactorMap> mapOfFactor(func::FuncOp kernel, const ContractionOperand &operand,
                                     int64_t tile) {
  constexpr size_t mostBatchDims = 3;
  if (!operand.view)
    return std::nullopt;
  const KernelView &view = *operand.view;
  auto memory = kernel::memoryType(kernel.getArgumentTypes()[view.memory]);
  if (memory.getElementType() != getElementTypeOrSelf(operand.tensor.getType()))
    return std::nullopt;
  SmallVector<Dimension> deep = joined(view, operand.contractDims),
                         free = joined(view, operand.freeDims),
                         batch = joined(view, operand.batchDims);
  llvm::erase_if(batch, [](const Dimension &d) { return d.stride == 0; });
  if (deep.size() > 1 || free.size() > 1 || batch.size() > mostBatchDims)
    return std::nullopt;
  FactorMap factor;
  factor.alongDepth = deep.empty() ? free.empty() : deep.front().stride == 1;
  // A single line has no distance to another.
  const Dimension single{1, alignment / elementBytes};
  const SmallVector<Dimension> &inner = factor.alongDepth ? deep : free,
                               &outer = factor.alongDepth ? free : deep;
  if (!inner.empty() && inner.front().stride != 1)
    return std::nullopt;
  SmallVector<Dimension> all = {inner.empty() ? Dimension{1, 1} : inner.front(),
                                outer.empty() ? single : outer.front()};
  all.append(batch.rbegin(), batch.rend());
  LaunchMap &map = factor.map;
  map.argument = view.memory;
  map.offset = view.offset * elementBytes;
  if (map.offset % alignment || (!factor.alongDepth && tile % lineElements))
    return std::nullopt;
  for (auto [number, dimension] : llvm::enumerate(all)) {
    map.sizes.push_back(dimension.size);
    map.box.push_back(1);
    if (number == 0)
      continue;
    map.strides.push_back(dimension.stride * elementBytes);
    if (map.strides.back() % alignment)
      return std::nullopt;
  }
  map.box[0] = lineElements;
  map.box[1] = factor.alongDepth ? tile : lineElements;
  return factor;
}

Value FactorBoxes::narrow(Value index) {
  Type i32 = code.builder.getI32Type();
  return index.getType() == i32 ? index : code.create<arith::TruncIOp>(i32, index).getResult();
}

void FactorBoxes::copy(Value map, Value batch, Value first, Value depth, Value shared,
                       Value barrier) {
  // Digits of the matrix's number, the last dimension first; matrices that are the same have none.
  SmallVector<Value> digits;
  SmallVector<Dimension> dims = joined(*operand.view, operand.batchDims);
  for (size_t d = dims.size(); d-- > 0;) {
    Value digit = d == 0 ? batch : code.remainder(batch, dims[d].size);
    batch = d == 0 ? batch : code.div(batch, dims[d].size);
    if (dims[d].stride != 0)
      digits.push_back(narrow(digit));
  }
  IndexCode narrowCode{code.builder, code.location, code.builder.getI32Type()};
  for (int64_t box = 0; box < factor.boxes(tile); ++box) {
    Value beside = narrow(code.add(first, box * lineElements)), deep = narrow(depth);
    SmallVector<Value> coordinates = {factor.alongDepth ? deep : beside,
                                      factor.alongDepth ? beside : deep};
    llvm::append_range(coordinates, digits);
    copyBox(code, narrowCode.add(shared, box * factor.layout().blockBytes), map, coordinates,
            barrier);
  }
}

} // namespace ingot
