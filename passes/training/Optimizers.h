/// The optimizers: one row each.
#pragma once
#include "ir/formulas/Term.h"
#include "passes/options/TrainingOptions.h"

namespace ingot {

/// What a row sees of an element, and gives back: scalars of the type that updates compute in.
struct ElementUpdate {
  using Term = graph::formulas::Term;

  Term parameter;
  llvm::SmallVector<Term> state; ///< in the order of the row
  const Term gradient;           ///< of the mean over micro-batches, clipped
  const Term rate, weightDecay;  ///< of the parameter's group
  /// 1 - beta^t of the row's `corrections`.
  const llvm::SmallVector<Term> corrections;
};

struct OptimizerRow {
  TrainingOptions::Optimizer optimizer;
  /// Prefixes of the state's names: one tensor a parameter each.
  llvm::SmallVector<llvm::StringRef> (*state)(const TrainingOptions &options);
  /// The betas whose powers correct moments that start at 0.
  llvm::SmallVector<double> (*corrections)(const TrainingOptions &options);
  void (*update)(const TrainingOptions &options, ElementUpdate &element);
};

const OptimizerRow &rowOf(TrainingOptions::Optimizer optimizer);

} // namespace ingot
