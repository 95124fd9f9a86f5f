/// The words of the interface KernelOp (KernelOp.td): what ops are to kernel formation.
#pragma once
#include "llvm/ADT/SmallVector.h"
#include <cstdint>
#include <optional>

namespace ingot::graph {

enum class KernelRoot : uint32_t;

enum class OpRole : uint8_t {
  Unknown,
  View,      ///< operand 0's memory under another type: free in the step and inside kernels
  Source,    ///< constants and fills: every kernel makes its own
  Point,     ///< each element of the result from elements of the operands, at any point on its own
  Reduction, ///< sums over some loops
  Root,      ///< a kernel is built around it
  Region     ///< a loop or a branch: its blocks have kernels of their own
};

/// Which ops on its results a root's kernel takes in.
enum class Epilogue : uint8_t {
  None,
  Moves, ///< those that say where results are stored: permutations, reshapes, joins
  Points ///< those on the same points
};

struct KernelForm {
  OpRole role = OpRole::Unknown;
  KernelRoot root = KernelRoot(0); ///< of role Root alone
  Epilogue epilogue = Epilogue::None;
};

/// How a kernel reads an operand of its op.
enum class OperandUse : uint8_t {
  Points,  ///< at the points that it computes: may be computed there
  Factor,  ///< packed once for many points: may be computed then, or read through strides
  Strided, ///< from memory, through strides
  Memory,  ///< from memory as it lies there
  Scalar   ///< from memory, one value for all points
};

/// What one element takes, by how long it takes: passes weigh the counts (TargetCosts).
struct PointCost {
  double operations = 0, functions = 0, divisions = 0, scattered = 0;
};

/// The loops of an op with one result.
struct OpLoops {
  using Dims = llvm::SmallVector<int>; ///< loop of each dimension; -1: none, or no loop alone
  llvm::SmallVector<Dims> operands;    ///< inputs; a generic's init is left out
  Dims result;
  llvm::SmallVector<bool> isReduced; ///< by loop
};

} // namespace ingot::graph
