/// What a training step keeps for its backward pass and what it recomputes.
#pragma once
#include "passes/linalg/ForwardHalf.h"
#include "passes/options/TargetCosts.h"

namespace ingot {

/// What is recomputed.
struct Repetition {
  llvm::SetVector<mlir::Operation *> ops; ///< in program order
  int64_t spared = 0;                     ///< bytes the backward pass reads and nobody keeps
  int64_t kept = 0;                       ///< bytes that wait between the passes
  double flops = 0;                       ///< of contractions and attention among the ops
};

/// Which ops are recomputed: a minimum cut between the forward pass and what the backward pass
/// reads of it, over kept bytes and repeated work.
class RecomputeChoice {
public:
  RecomputeChoice(const ForwardHalf &forward, const TargetCosts &costs, int64_t smallestBytes);

  /// Contractions and attention that are worth computing again, in the order in which their results
  /// are given up: cheapest by byte first, then from the model's start, whose values wait longest.
  std::vector<mlir::Operation *> candidates(int64_t stride) const;
  /// With the elementwise ops, `heavy` may be recomputed. Where it is not empty, every
  /// `stride`-th narrow point of the forward pass is a checkpoint: it is kept, so that what is
  /// recomputed at once, and lives at once, is between two of them.
  Repetition solve(llvm::ArrayRef<mlir::Operation *> heavy, int64_t stride) const;

private:
  Repetition cut(const llvm::DenseSet<mlir::Operation *> &mayRepeat) const;

  const ForwardHalf &forward;
  const TargetCosts &costs;
  int64_t smallestBytes;
  // What every cut asks.
  llvm::SmallVector<mlir::Value> demanded; ///< that the backward pass reads after a while
  llvm::DenseSet<mlir::Value> free;        ///< that cost nothing to keep
};

} // namespace ingot
