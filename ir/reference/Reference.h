/// The reference: a naive interpreter of the graph dialect, the oracle of every test and the device
/// `reference`. Elementwise f32 work is done in double and rounded once per op; sums and
/// contractions accumulate in double; composites follow their own formula, not their decomposition.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "runtime/program/Tensor.h"
#include <functional>
#include <span>

namespace ingot {

/// Called after every op with its results.
using ReferenceObserver = std::function<void(mlir::Operation *, std::span<const Tensor>)>;

/// Runs a function of graph ops (static shapes) on `arguments` in order; returns its results.
/// Errors name the op's location: an argument of another type, an index out of range, an op that is
/// not of the graph dialect.
Result<std::vector<Tensor>> interpret(mlir::func::FuncOp function,
                                      std::span<const Tensor> arguments,
                                      const ReferenceObserver &observer = {});

/// Runs one graph op without regions on its operands' values.
Result<std::vector<Tensor>> evaluate(mlir::Operation *op, std::span<const Tensor> operands);

} // namespace ingot
