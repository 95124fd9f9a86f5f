#include "ir/dialect/Sizes.h"
#include "ir/dialect/Elements.h"
#include <algorithm>

namespace ingot::graph {

bool isPossibleSize(mlir::RankedTensorType type) {
  std::optional<ElementType> element = elementTypeOf(type.getElementType());
  int64_t bytes = element ? int64_t(byteSize(*element)) : 1;
  for (int64_t size : type.getShape()) {
    if (mlir::ShapedType::isDynamic(size))
      continue;
    // Also beside a dimension of 0: sizes are added before they are multiplied.
    if (size > largestTensorBytes / std::max<int64_t>(bytes, 1))
      return false;
    bytes *= size;
  }
  return true;
}

} // namespace ingot::graph
