/// Tensors in memory of another layout than the host's.
#pragma once
#include "runtime/program/Layout.h"
#include "runtime/program/Tensor.h"

namespace ingot {

/// Copies a row-major tensor to memory of the layout, which was zeroed before, and back.
void copyToLayout(const Layout &layout, const Tensor &tensor, void *memory);
void copyFromLayout(const Layout &layout, const void *memory, Tensor &tensor);

} // namespace ingot
