/// What a training step keeps for its backward pass and what it computes again.
#pragma once
#include "passes/linalg/ForwardHalf.h"

namespace ingot {

/// What is computed again.
struct Repetition {
  llvm::SetVector<mlir::Operation *> ops; ///< in program order
  int64_t spared = 0;                     ///< bytes the backward pass reads and nobody keeps
  int64_t kept = 0;                       ///< bytes that wait between the passes
  double flops = 0;                       ///< of contractions and attention among the ops
};

/// Which ops are computed again: a minimum cut between the forward pass and what the backward pass
/// reads of it, over kept bytes and repeated work.
class RecomputeChoice {
public:
  RecomputeChoice(const ForwardPass &forward, int64_t smallestBytes)
      : forward(forward), smallestBytes(smallestBytes) {}

  /// Contractions and attention that are worth computing again, in the order in which their results
  /// are given up: cheapest by byte first, then from the model's start, whose values wait longest.
  std::vector<mlir::Operation *> candidates(int64_t stride) const;
  /// With the elementwise ops, `heavy` may be computed again. Where it is not empty, every
  /// `stride`-th narrow point of the forward pass is a checkpoint: it is kept, so that what is
  /// computed again at once, and lives at once, lies between two of them.
  Repetition solve(llvm::ArrayRef<mlir::Operation *> heavy, int64_t stride) const;

private:
  Repetition cut(const llvm::DenseSet<mlir::Operation *> &mayRepeat) const;

  const ForwardPass &forward;
  int64_t smallestBytes;
};

} // namespace ingot
