#pragma once
#include "codegen/kernel/IndexCode.h"

namespace ingot {

/// Widens or rounds a float, or a vector of them, to the element type `element`.
mlir::Value convertFloat(IndexCode &code, mlir::Value value, mlir::Type element);
/// The sum of two elements, or of vectors of them, rounded to their type. Floats narrower than f32,
/// which not every target adds, are added in f32.
mlir::Value addElements(IndexCode &code, mlir::Value left, mlir::Value right);

} // namespace ingot
