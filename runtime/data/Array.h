/// Arrays on the host: reading them from files and converting their elements.
#pragma once
#include "runtime/program/Tensor.h"
#include <optional>

namespace ingot {

/// A whole file as one tensor, recognised by its first bytes: .npy or IDX, each also as .gz.
Result<Tensor> readArray(const std::string &path);

/// Bytes of a tensor, or nothing where the product overflows or a dimension is negative.
std::optional<size_t> checkedBytes(const Shape &shape, size_t elementBytes);

/// Reverses the bytes of every element.
void swapBytes(Tensor &tensor);

/// Converts elements [first, first + count) of `from` into elements [target, target + count) of
/// `to`, multiplied by `scale` where `to` holds floats. Integers must fit exactly; floats become
/// integers only if they are whole. BadInput says which value did not fit; Unsupported names the
/// types.
Status convertElements(const Tensor &from, int64_t first, Tensor &to, int64_t target, int64_t count,
                       double scale = 1);

} // namespace ingot
