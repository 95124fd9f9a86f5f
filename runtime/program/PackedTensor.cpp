#include "runtime/program/PackedTensor.h"
#include <algorithm>

namespace ingot {
namespace {

constexpr int64_t width = Layout::panelRows;
/// Bytes that are told of at once.
constexpr size_t stretch = size_t(8) << 20;

/// Calls `visit(element of the tensor, element of memory)` of one panel, whose rows from `count` on
/// are missing; `tensor` and `memory` are where the panel starts. Blocks of depths keep the lines
/// of both sides in L1.
template <typename Visit>
void walkPanel(const Layout &layout, int64_t count, int64_t tensor, int64_t memory, Visit visit) {
  const int64_t rowStride = layout.depthLast ? layout.depth : 1,
                depthStride = layout.depthLast ? 1 : layout.rows;
  for (int64_t block = 0; block < layout.depth; block += width) {
    const int64_t end = std::min(block + width, layout.depth);
    for (int64_t row = 0; row < count; ++row)
      for (int64_t k = block; k < end; ++k)
        visit(tensor + row * rowStride + k * depthStride, memory + k * width + row);
  }
}

/// Also calls `reach(elements)` when all up to there were visited.
template <typename Visit, typename Reach>
void walkPanels(const Layout &layout, Visit visit, Reach reach) {
  const int64_t rowStride = layout.depthLast ? layout.depth : 1,
                size = layout.rows * layout.depth; // of a matrix
  for (int64_t matrix = 0; matrix < layout.matrices; ++matrix) {
    for (int64_t row = 0; row < layout.rows; row += width) {
      const int64_t count = std::min(width, layout.rows - row);
      walkPanel(layout, count, matrix * size + row * rowStride,
                matrix * layout.matrixStride() + row / width * layout.panelStride(), visit);
      if (layout.depthLast)
        reach(matrix * size + (row + count) * layout.depth);
    }
    reach((matrix + 1) * size);
  }
}

/// Calls `use` with a null pointer to the unsigned integer of the type's size.
template <typename Use> void withWord(ElementType type, Use use) {
  switch (byteSize(type)) {
  case 1:
    return use(static_cast<uint8_t *>(nullptr));
  case 2:
    return use(static_cast<uint16_t *>(nullptr));
  case 4:
    return use(static_cast<uint32_t *>(nullptr));
  default:
    return use(static_cast<uint64_t *>(nullptr));
  }
}

} // namespace

bool Layout::fits(int64_t count) const {
  constexpr int64_t most = int64_t(1) << 46; // elements of any dimension, so that no sum overflows
  int64_t product = 0;
  return isPlain() ? *this == Layout()
                   : matrices > 0 && rows > 0 && depth > 0 && matrices <= most && rows <= most &&
                         depth <= most && !__builtin_mul_overflow(matrices, rows, &product) &&
                         !__builtin_mul_overflow(product, depth, &product) && product == count;
}

std::string toString(const Layout &layout) {
  return layout.isPlain() ? "plain"
                          : fmt::format("panels {}x{}x{}{}", layout.matrices, layout.rows,
                                        layout.depth, layout.depthLast ? "" : " turned");
}

void copyToLayout(const Layout &layout, const Tensor &tensor, void *memory, const Copied &copied) {
  const auto *bytes = tensor.as<uint8_t>();
  size_t told = 0; // bytes that `copied` has heard of
  auto reach = [&](size_t end) {
    if (!copied || end == told || (end - told < stretch && end != tensor.bytes()))
      return;
    copied(bytes + told, end - told);
    told = end;
  };
  if (layout.isPlain()) {
    for (size_t start = 0; start < tensor.bytes(); start += stretch) {
      const size_t count = std::min(stretch, tensor.bytes() - start);
      std::memcpy(static_cast<uint8_t *>(memory) + start, bytes + start, count);
      reach(start + count);
    }
    return;
  }
  withWord(tensor.type(), [&](auto *word) {
    using Word = std::remove_pointer_t<decltype(word)>;
    const Word *from = tensor.as<Word>();
    auto *to = static_cast<Word *>(memory);
    auto copy = [&](int64_t element, int64_t place) { to[place] = from[element]; };
    walkPanels(layout, copy, [&](int64_t end) { reach(size_t(end) * sizeof(Word)); });
  });
}

void copyFromLayout(const Layout &layout, const void *memory, Tensor &tensor) {
  if (!tensor.bytes())
    return;
  if (layout.isPlain()) {
    std::memcpy(tensor.data(), memory, tensor.bytes());
    return;
  }
  withWord(tensor.type(), [&](auto *word) {
    using Word = std::remove_pointer_t<decltype(word)>;
    const auto *from = static_cast<const Word *>(memory);
    Word *to = tensor.as<Word>();
    walkPanels(
        layout, [&](int64_t element, int64_t place) { to[element] = from[place]; }, [](int64_t) {});
  });
}

} // namespace ingot
