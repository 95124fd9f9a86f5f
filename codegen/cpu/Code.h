/// A short way to write vector accesses on flat buffers.
#pragma once
#include "codegen/kernel/IndexCode.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace ingot {

/// Vectors have `lanes` elements of any type; LLVM splits those that are wider than a register.
struct Code : IndexCode {
  static constexpr int64_t lanes = 16;

  /// A one-dimensional view of a contiguous buffer.
  mlir::Value flat(mlir::Value buffer);
  /// `count` elements of `type` at a byte offset of a byte buffer.
  mlir::Value view(mlir::Value bytes, int64_t byteOffset, int64_t count, mlir::Type type);

  /// While `at`, at first `from`, is below `end`: `at = body(at)`.
  void whileBelow(mlir::Value from, mlir::Value end,
                  llvm::function_ref<mlir::Value(mlir::Value)> body);

  /// Lanes below `count`; `count` may exceed the number of lanes or be negative.
  mlir::Value maskBelow(mlir::Value count);
  mlir::Value load(mlir::Value buffer, mlir::Value at);
  void store(mlir::Value scalar, mlir::Value buffer, mlir::Value at);
  /// Lanes that the mask leaves out are zero; no mask means all lanes.
  mlir::Value loadVector(mlir::Value buffer, mlir::Value at, mlir::Value mask = {});
  void storeVector(mlir::Value vector, mlir::Value buffer, mlir::Value at, mlir::Value mask = {});
  /// Prefetches the cache line of an element, which may lie outside the buffer, into the cache of
  /// this level.
  void prefetch(mlir::Value buffer, mlir::Value at, int level = 1);
  mlir::Value splat(mlir::Value scalar);
  /// The sum of a vector's lanes by a fixed tree: halves, quarters, …
  mlir::Value sumOfLanes(mlir::Value vector);
  /// The constant `value` as a scalar or vector of `type`.
  mlir::Value constant(mlir::Type type, double value);
  mlir::Value zero(mlir::Type type) { return constant(type, 0); }
  /// Widens or rounds a float scalar or vector to the element type `element`.
  mlir::Value convert(mlir::Value value, mlir::Type element);
};

inline mlir::VectorType lanesOf(mlir::Type element) {
  return mlir::VectorType::get(Code::lanes, element);
}

} // namespace ingot
