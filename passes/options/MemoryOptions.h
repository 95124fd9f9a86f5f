/// What the compiler may do to save memory: the one place where these options live.
#pragma once
#include <cstdint>

namespace ingot {

struct MemoryOptions {
  /// Largest arena in bytes, parameters and state included; 0: no bound. The compiler turns it into
  /// the options below (codegen/FitMemory.h).
  int64_t budget = 0;
  /// Results of contractions with more bytes are made and used block by block of their rows.
  int64_t largestTensor = 64 << 20;
  /// Elementwise results are computed again in the backward pass where it reads so many bytes of
  /// them: with more than caches hold, keeping them takes about as long as computing them.
  int64_t leastRecomputed = 256 << 20;
  /// Smaller results are kept.
  int64_t smallestRecomputed = 64 << 10;
  /// Contractions and attentions that are computed again too, cheapest by byte first.
  int64_t heavyRecomputed = 0;
  /// Where these are, every how many-th value to which the forward pass narrows is kept.
  int64_t checkpointStride = 1;
};

} // namespace ingot
