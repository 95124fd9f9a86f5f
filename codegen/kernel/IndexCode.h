/// A short way to write loops and index arithmetic.
#pragma once
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"

namespace ingot {

/// Emits code at a builder's insertion point. Integers are signed; what is divided is not negative.
/// Arithmetic on constants folds.
struct IndexCode {
  mlir::OpBuilder &builder;
  mlir::Location location;
  mlir::Type integer = builder.getIndexType(); ///< of indices: `index`, i32 or i64

  template <typename Op, typename... Args> Op create(Args &&...args) {
    return Op::create(builder, location, std::forward<Args>(args)...);
  }

  mlir::Value index(int64_t value);
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value add(mlir::Value a, int64_t b) { return add(a, index(b)); }
  mlir::Value sub(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, int64_t b) { return mul(a, index(b)); }
  mlir::Value div(mlir::Value a, int64_t b);
  mlir::Value ceilDiv(mlir::Value a, int64_t b) { return div(add(a, b - 1), b); }
  mlir::Value remainder(mlir::Value a, int64_t b);
  mlir::Value min(mlir::Value a, mlir::Value b);
  mlir::Value max(mlir::Value a, mlir::Value b);
  /// a - b, or 0 where b is larger.
  mlir::Value subClamped(mlir::Value a, mlir::Value b) { return sub(max(a, b), b); }
  mlir::Value isBelow(mlir::Value a, mlir::Value b);
  mlir::Value isBelow(mlir::Value a, int64_t b) { return isBelow(a, index(b)); }
  mlir::Value isEqual(mlir::Value a, mlir::Value b);

  using Body = llvm::function_ref<void(mlir::Value)>;
  using CarryingBody =
      llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value, mlir::ValueRange)>;
  void loop(mlir::Value from, mlir::Value to, int64_t step, Body body);
  llvm::SmallVector<mlir::Value> loop(mlir::Value from, mlir::Value to, int64_t step,
                                      mlir::ValueRange initial, CarryingBody body);
  void when(mlir::Value condition, llvm::function_ref<void()> body);
};

} // namespace ingot
