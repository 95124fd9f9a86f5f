/// Tensors in memory of another layout than the host's.
#pragma once
#include "runtime/program/Layout.h"
#include "runtime/program/Tensor.h"
#include <functional>

namespace ingot {

/// Is told of stretches of a tensor that have been copied: some MiB each, or a matrix where the
/// depth is not last.
using Copied = std::function<void(const void *start, size_t bytes)>;

/// Copies a row-major tensor to memory of the layout, which was zeroed before, and back.
void copyToLayout(const Layout &layout, const Tensor &tensor, void *memory,
                  const Copied &copied = {});
void copyFromLayout(const Layout &layout, const void *memory, Tensor &tensor);

} // namespace ingot
