/// The losses in graph ops, for the pass add-loss and for the builder.
#pragma once
#include "ir/dialect/GraphBuilder.h"
#include "passes/options/LossNumbers.h"
#include <string>

namespace ingot {

/// A loss, its numbers and the dimension of classes; -1: the last.
struct LossForm {
  Loss loss = Loss::CrossEntropy;
  LossNumbers numbers = {};
  int64_t classAxis = -1;

  /// What is wrong with it for a prediction of this type; empty if nothing is.
  std::string problem(mlir::RankedTensorType prediction) const;
  /// The targets' type; class numbers are of type `index`.
  mlir::RankedTensorType targets(mlir::RankedTensorType prediction, mlir::Type index) const;
  /// One for each target (without classes: for each row): what a caller may weigh.
  mlir::RankedTensorType weights(mlir::RankedTensorType prediction, mlir::Type element) const;

  /// The loss of a batch. With weights, a mean is Σ weight·loss / Σ weight.
  mlir::Value build(graph::GraphBuilder &build, mlir::Value prediction, mlir::Value targets,
                    mlir::Value weights = {}) const;

private:
  bool isOfClasses() const;
  int64_t axis(mlir::RankedTensorType prediction) const;
};

} // namespace ingot
