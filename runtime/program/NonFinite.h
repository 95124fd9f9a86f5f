/// Where tensors hold numbers that are NaN or infinite.
#pragma once
#include "runtime/program/NamedTensor.h"
#include <optional>
#include <span>

namespace ingot {

/// Such as `'h.0.ln_1.weight' holds NaN at position [3, 5]`, for the first tensor that holds a NaN
/// or an infinity; empty if all are finite. f8 and integers count as finite.
std::string describeNonFinite(std::span<const NamedTensor> tensors);
std::string describeNonFinite(std::string_view what, const Tensor &tensor);

/// The position of the first element that is NaN or infinite.
std::optional<Shape> findNonFinite(const Tensor &tensor);

} // namespace ingot
