/// What inferred types are made of and compared by.
#pragma once
#include "ir/dialect/GraphBuilder.h"

namespace ingot::graph {

inline bool compatible(int64_t a, int64_t b) {
  return a == b || mlir::ShapedType::isDynamic(a) || mlir::ShapedType::isDynamic(b);
}

/// One value per row: the operand without its last dimension, never narrower than f32.
inline mlir::RankedTensorType statisticsType(mlir::RankedTensorType type) {
  return mlir::RankedTensorType::get(type.getShape().drop_back(1),
                                     accumulationType(type.getElementType()));
}

/// Inferred and stated types agree where both are known: a stated `?` dimension may be known
/// better.
inline bool areCompatible(mlir::TypeRange inferred, mlir::TypeRange stated) {
  return inferred.size() == stated.size() &&
         llvm::all_of(llvm::zip(inferred, stated), [](auto pair) {
           auto a = llvm::cast<mlir::ShapedType>(std::get<0>(pair)),
                b = llvm::cast<mlir::ShapedType>(std::get<1>(pair));
           return a.getElementType() == b.getElementType() &&
                  succeeded(mlir::verifyCompatibleShape(a, b));
         });
}

} // namespace ingot::graph
