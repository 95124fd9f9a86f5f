/// What work costs on a target: the one cost model, by which passes choose what to fuse, recompute,
/// split and share out, and by which profiles estimate.
#pragma once
#include <algorithm>
#include <cstdint>

namespace ingot {

/// Numbers, not lanes, caches or warps. Costs change which work is done where, and how it is cut;
/// a program computes right under any of them. The defaults are those of a CPU core.
///
/// A *worker* is what takes one grain of a launch at a time: a core, or a GPU's block. A *simple
/// operation* adds, multiplies or compares one f32.
struct TargetCosts {
  // Rates of one worker.
  double bytesPerNanosecond = 12;         ///< streamed from or to memory
  double cachedBytesPerNanosecond = 20;   ///< of operands that are read several times
  double operationsPerNanosecond = 48;    ///< simple operations outside contractions
  double contractionsPerNanosecond = 100; ///< FLOPs of a contraction, two per multiply-add

  // Simple operations that one op on one element counts as.
  double division = 4;   ///< quotient, square root, reciprocal root
  double function = 24;  ///< exp, log, tanh, erf, sin, cos, pow
  double scattered = 16; ///< an element that is read out of order: gather, permutation

  // Recomputing against storing.
  /// Points that share one computation of a value that is the same for all of them, such as a row's
  /// statistics inside the row.
  int64_t pointsPerUniformValue = 16;
  /// Simple operations a point from which a row keeps a value in scratch for its later passes.
  double worthKeepingInRow = 12;
  /// Elementwise results of fewer bytes are kept for the backward pass.
  int64_t worthRecomputing = 64 << 10;
  /// The backward pass recomputes them where it would read at least so many bytes in all: with more
  /// than caches hold, keeping them takes about as long as computing them.
  int64_t recomputedTogether = 256 << 20;
  /// Results of contractions with more bytes are made and used in blocks of rows.
  int64_t largestTensor = 64 << 20;

  // Fusing.
  /// How often a contraction computes an element of a factor that is not stored.
  int64_t packings = 2;
  /// Kernels back from the newest that a reduction beside its operands may still join: operands of
  /// those further apart would live longer.
  int64_t fusionWindow = 20;

  // Sharing out.
  double grainNanoseconds = 20'000; ///< a smaller grain costs more to hand out than to compute
  int64_t mostGrains = 128;         ///< of a launch, where a grain need not be larger
  /// Elements that a reduction takes at once: chunks of a split one come in multiples of it.
  int64_t reductionGranule = 16;

  // Memory of a worker.
  int64_t scratchBytes = 512 << 10; ///< scratch that stays near it
  /// It copies 16-bit factors of contractions as they lie in memory, where their rows are multiples
  /// of so many bytes: rows, contractions and the like store such factors. 0: it packs them.
  int64_t copiedRowBytes = 0;

  /// Nanoseconds of one worker for so many simple operations and so many bytes.
  double nanoseconds(double operations, double bytes) const {
    return std::max(operations / operationsPerNanosecond, bytes / bytesPerNanosecond);
  }
  /// Bytes that could be moved in the time of so many simple operations: what a recomputation is
  /// weighed by against a load.
  double asBytes(double operations) const {
    return operations * bytesPerNanosecond / operationsPerNanosecond;
  }
  /// Into how many grains to cut work of so many nanoseconds that comes in so many units.
  int64_t grains(double nanoseconds, int64_t units) const {
    const auto wanted = int64_t(std::min(nanoseconds / grainNanoseconds, double(mostGrains)));
    return std::clamp<int64_t>(wanted, 1, std::max<int64_t>(1, std::min(units, mostGrains)));
  }
};

} // namespace ingot
