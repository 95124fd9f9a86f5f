/// The kinds of graph.reduce_tuples: how tuples of numbers combine. Reductions.def is the table.
#pragma once
#include "ir/formulas/Reductions.h"
#include "ir/formulas/Term.h"

namespace ingot::graph {

struct TupleReduction {
  /// What a part of the tuple is for an element alone.
  enum class Part { element, position, zero, one };
  enum class Start { lowest, highest, zero };

  std::string name; ///< in IR: `exp_sum`
  std::vector<Part> lift;
  std::vector<Start> neutral;
  /// Two tuples as one. Numbers hold every number of the dialect.
  std::vector<long double> (*reference)(llvm::ArrayRef<long double> x,
                                        llvm::ArrayRef<long double> y);
  /// The same in graph ops, on scalars or tensors.
  std::vector<formulas::Term> (*expand)(llvm::ArrayRef<formulas::Term> x,
                                        llvm::ArrayRef<formulas::Term> y);

  size_t size() const { return neutral.size(); }
  /// True if the last part numbers the tuples.
  bool isNumbered() const { return lift.back() == Part::position; }
};

/// Null if the table has no such row.
const TupleReduction *findTupleReduction(llvm::StringRef name);
/// In the order of the table.
llvm::ArrayRef<TupleReduction> allTupleReductions();

/// Where a part of a tuple starts, in a type of `width` bits within its range.
template <typename T> T startOf(TupleReduction::Start start, unsigned width) {
  switch (start) {
  case TupleReduction::Start::lowest:
    return inRange(reference::lowest<T>(), width);
  case TupleReduction::Start::highest:
    return inRange(reference::highest<T>(), width);
  case TupleReduction::Start::zero:
    break;
  }
  return T(0);
}

} // namespace ingot::graph
