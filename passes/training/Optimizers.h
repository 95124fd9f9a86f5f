/// The optimizers: one row each.
#pragma once
#include "ir/formulas/Term.h"
#include "passes/options/TrainingOptions.h"
#include <functional>

namespace ingot {

/// What a row sees of an element, and gives back: scalars of the type that updates compute in.
struct ElementUpdate {
  using Term = graph::formulas::Term;

  Term parameter;
  llvm::SmallVector<Term> state;        ///< in the order of the row
  const Term gradient;                  ///< of the mean over micro-batches, clipped
  const Term rate, weightDecay;         ///< of the parameter's group
  const llvm::SmallVector<Term> ofStep; ///< in the order of the row
};

/// A scalar of an update that depends on the step's number alone: 1 for the first, in f64.
using StepFunction = std::function<ElementUpdate::Term(ElementUpdate::Term)>;

struct OptimizerRow {
  TrainingOptions::Optimizer optimizer;
  /// Prefixes of the state's names: one tensor a parameter each.
  llvm::SmallVector<llvm::StringRef> (*state)(const TrainingOptions &options);
  llvm::SmallVector<StepFunction> (*ofStep)(const TrainingOptions &options);
  void (*update)(const TrainingOptions &options, ElementUpdate &element);
};

const OptimizerRow &rowOf(TrainingOptions::Optimizer optimizer);

} // namespace ingot
