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
  llvm::SmallVector<Term> state;        ///< in the order of the row; what is not `ofWhole`
  const Term gradient;                  ///< of the mean over micro-batches, clipped
  const Term rate, weightDecay;         ///< of the parameter's group
  const llvm::SmallVector<Term> ofStep; ///< in the order of the row
  /// What the row has computed of the whole parameter: an element of each of its tensors, and its
  /// scalars.
  const llvm::SmallVector<Term> tensors = {}, ofWhole = {};
};

/// What a row sees of a whole parameter, and gives to the update of its elements: tensors of the
/// type that updates compute in, and scalars. Any op of the graph may compute with them.
struct WholeUpdate {
  using Term = graph::formulas::Term;

  const Term parameter;
  const llvm::SmallVector<Term> state;  ///< in the order of the row, before the step
  const Term gradient;                  ///< of the mean over micro-batches, clipped
  const Term rate, weightDecay;         ///< scalars, of the parameter's group
  const llvm::SmallVector<Term> ofStep; ///< scalars, in the order of the row
  llvm::SmallVector<Term> tensors = {}; ///< of the parameter's shape
  llvm::SmallVector<Term> scalars = {};
  /// Puts a tensor in the place of a part of the state that is `ofWhole` and gives what stands
  /// there then. The part must not be read any more: everything after this computes with the
  /// result.
  std::function<Term(size_t part, Term after)> replace = {};

  /// All elements at once, as their update sees them.
  ElementUpdate elements() const;
};

/// A tensor of a parameter's state.
struct StateTensor {
  llvm::StringRef prefix; ///< of its name, before the parameter's
  llvm::SmallVector<int64_t> shape;
  bool ofWhole = false; ///< updated with the whole parameter, not by element
};

/// A scalar of an update that depends on the step's number alone: 1 for the first, in f64.
using StepFunction = std::function<ElementUpdate::Term(ElementUpdate::Term)>;

struct OptimizerRow {
  TrainingOptions::Optimizer optimizer;
  /// Prefixes of the state's names: one tensor of the parameter's shape each.
  llvm::SmallVector<llvm::StringRef> (*elementState)(const TrainingOptions &options);
  llvm::SmallVector<StepFunction> (*ofStep)(const TrainingOptions &options);
  void (*update)(const TrainingOptions &options, ElementUpdate &element);
  /// What comes before it and is of whole parameters of some shapes; null: nothing.
  const struct WholeRow *whole = nullptr;

  bool takesWhole(llvm::ArrayRef<int64_t> shape) const;
  /// The state of a parameter of this shape, which is updated as a whole or by element.
  llvm::SmallVector<StateTensor> state(const TrainingOptions &options,
                                       llvm::ArrayRef<int64_t> shape, bool isWhole) const;
};

/// What a row computes of whole parameters.
struct WholeRow {
  bool (*takes)(llvm::ArrayRef<int64_t> shape);
  /// Of what it takes: instead of the row's state by elements.
  llvm::SmallVector<StateTensor> (*state)(const TrainingOptions &options,
                                          llvm::ArrayRef<int64_t> shape);
  void (*compute)(const TrainingOptions &options, WholeUpdate &whole);
};

const OptimizerRow &rowOf(TrainingOptions::Optimizer optimizer);

} // namespace ingot
