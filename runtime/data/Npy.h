/// NumPy's .npy files.
#pragma once
#include "runtime/program/Tensor.h"
#include <string_view>

namespace ingot {

/// Reads a .npy file (`.gz` too, `-` for standard input): numbers and booleans, either byte order,
/// C or Fortran order; the tensor is row-major. Errors name the file.
Result<Tensor> readNpy(const std::string &path);
Result<Tensor> parseNpy(std::string_view bytes, const std::string &place);

/// Writes version 1.0. Unsupported for types that NumPy does not have (bf16, f8, 4-bit integers).
Status writeNpy(const std::string &path, const Tensor &tensor);
Result<std::string> formatNpy(const Tensor &tensor, const std::string &place);

} // namespace ingot
