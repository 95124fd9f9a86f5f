/// Between stored elements, the wide types the reference computes in, and MLIR's types and
/// attributes.
#pragma once
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "runtime/program/Tensor.h"
#include <optional>
#include <type_traits>

namespace ingot::graph {

enum class ElementKind { Float, Signed, Unsigned };
/// i1 counts as unsigned.
ElementKind kindOf(ElementType type);
/// Bits of a value: 4 for i4, 1 for i1.
int bitWidth(ElementType type);

/// The host type of a graph element type; none for types that the dialect does not have.
std::optional<ElementType> elementTypeOf(mlir::Type type);
/// The graph type of a host tensor.
mlir::RankedTensorType typeOf(const Tensor &tensor, mlir::MLIRContext *context);
mlir::Type mlirType(ElementType type, mlir::MLIRContext *context);

/// Elements widened to double, int64_t or uint64_t. Floats widen to double only.
template <typename Wide> std::vector<Wide> load(const Tensor &tensor);
/// Elements rounded to nearest even (floats) or wrapped (integers) to `type`.
template <typename Wide>
Tensor store(ElementType type, const Shape &shape, const std::vector<Wide> &elements);

/// The elements of a constant; an error for kinds of attributes that hold no data.
Result<Tensor> tensorOf(mlir::ElementsAttr attribute);
/// A constant (a splat where all elements have the same bits).
mlir::DenseElementsAttr attributeOf(const Tensor &tensor, mlir::RankedTensorType type);

/// Calls `function` with a zero of the type that `type` widens to.
template <typename Function> auto dispatch(ElementType type, Function &&function) {
  switch (kindOf(type)) {
  case ElementKind::Float:
    return function(double());
  case ElementKind::Signed:
    return function(int64_t());
  case ElementKind::Unsigned:
    break;
  }
  return function(uint64_t());
}

} // namespace ingot::graph
