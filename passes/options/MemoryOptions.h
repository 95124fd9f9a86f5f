/// What the compiler may do to save memory: the one place where these options live.
#pragma once
#include "runtime/support/Fields.h"
#include <cstdint>
#include <optional>

namespace ingot {

/// What is absent follows from the target's costs (TargetCosts.h).
struct MemoryOptions {
  /// Largest arena in bytes, parameters and state included; 0: no bound. The compiler turns it into
  /// the options below (codegen/FitMemory.h).
  int64_t budget = 0;
  /// Results of contractions with more bytes are made and used block by block of their rows.
  std::optional<int64_t> largestTensor = {};
  /// Elementwise results are recomputed where the backward pass reads so many bytes of them.
  std::optional<int64_t> leastRecomputed = {};
  /// Smaller results are kept.
  std::optional<int64_t> smallestRecomputed = {};
  /// Contractions and attentions that are recomputed too, cheapest by byte first.
  int64_t heavyRecomputed = 0;
  /// Where these are, every how many-th value to which the forward pass narrows is kept.
  int64_t checkpointStride = 1;
  /// Parameters that no function writes lie in memory as the kernels read them. Not with a budget,
  /// whose plans are made without, nor where the store is shared with other programs, whose kernels
  /// would read others.
  bool packWeights = false;

  static void fields(auto &self, auto &&visit) {
    visit(Field{"budget"}, self.budget);
    visit(Field{"largest_tensor"}, self.largestTensor);
    visit(Field{"least_recomputed"}, self.leastRecomputed);
    visit(Field{"smallest_recomputed"}, self.smallestRecomputed);
    visit(Field{"heavy_recomputed"}, self.heavyRecomputed);
    visit(Field{"checkpoint_stride"}, self.checkpointStride);
    visit(Field{"pack_weights"}, self.packWeights);
  }
};

} // namespace ingot
