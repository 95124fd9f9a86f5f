/// Tensors in flags and on the terminal: `2x2xf32=1,2,3,4`, `@x.npy`.
#pragma once
#include "runtime/program/Tensor.h"

namespace ingot {

/// Reads `2x2xf32=1,2,3,4` (one value fills the tensor) or `@FILE`, a .npy or IDX file.
Result<Tensor> parseTensor(std::string_view flag, std::string_view text);

/// `2x2xf32=[1 2][3 4]`; of a large one only type and shape.
std::string printTensor(const Tensor &tensor);

} // namespace ingot
