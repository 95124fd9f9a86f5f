/// Tensors by the names of ports.
#pragma once
#include "runtime/program/Tensor.h"

namespace ingot {

struct NamedTensor {
  std::string name;
  Tensor value;
};

} // namespace ingot
