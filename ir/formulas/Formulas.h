/// Functions of elements that are written with primitives: what graph.formula names. Formulas.def
/// is the table.
#pragma once
#include "ir/formulas/Term.h"

namespace ingot::graph {

struct Formula {
  std::string name; ///< in IR: `leaky_relu`
  unsigned operands;
  std::vector<double> parameters; ///< by default
  llvm::StringRef text;           ///< as it stands in the table
  /// One element, in double.
  double (*reference)(llvm::ArrayRef<double> operands, llvm::ArrayRef<double> parameters);
  /// The same in graph ops.
  formulas::Term (*expand)(llvm::ArrayRef<formulas::Term> operands,
                           llvm::ArrayRef<double> parameters);
  /// By each operand; none where the gradient is that of `expand`.
  std::vector<formulas::Term (*)(llvm::ArrayRef<formulas::Term> operands)> derivatives = {};
};

/// Null if the table has no such row.
const Formula *findFormula(llvm::StringRef name);
/// In the order of the table.
llvm::ArrayRef<Formula> allFormulas();
/// `leakyRelu` of the table and the builder is `leaky_relu` in IR.
std::string formulaName(llvm::StringRef method);

} // namespace ingot::graph
