#include "runtime/program/PackedTensor.h"
#include <algorithm>

namespace ingot {
namespace {

constexpr int64_t width = Layout::panelRows;

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

template <typename Visit> void walkPanels(const Layout &layout, Visit visit) {
  const int64_t rowStride = layout.depthLast ? layout.depth : 1;
  for (int64_t matrix = 0; matrix < layout.matrices; ++matrix)
    for (int64_t row = 0; row < layout.rows; row += width)
      walkPanel(layout, std::min(width, layout.rows - row),
                matrix * layout.rows * layout.depth + row * rowStride,
                matrix * layout.matrixStride() + row / width * layout.panelStride(), visit);
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

void copyToLayout(const Layout &layout, const Tensor &tensor, void *memory) {
  if (!tensor.bytes())
    return;
  if (layout.isPlain()) {
    std::memcpy(memory, tensor.data(), tensor.bytes());
    return;
  }
  withWord(tensor.type(), [&](auto *word) {
    using Word = std::remove_pointer_t<decltype(word)>;
    const Word *from = tensor.as<Word>();
    auto *to = static_cast<Word *>(memory);
    walkPanels(layout, [&](int64_t element, int64_t place) { to[place] = from[element]; });
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
    walkPanels(layout, [&](int64_t element, int64_t place) { to[element] = from[place]; });
  });
}

} // namespace ingot
