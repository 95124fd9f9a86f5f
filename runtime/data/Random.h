/// Counter-based random numbers: every value is a function of (seed, stream, step, element), so
/// data order needs no generator state and resuming needs only the step number.
#pragma once
#include <array>
#include <cstdint>

namespace ingot {

/// 64 random bits for one element of one step. `stream` keeps users of one seed apart.
uint64_t randomBits(uint64_t seed, uint32_t stream, uint64_t step, uint32_t element);

/// Maps random bits to [0, bound) by multiplication; bound > 0.
uint64_t randomBelow(uint64_t bits, uint64_t bound);

/// Maps random bits to [0, 1).
double randomUniform(uint64_t bits);

/// A pseudo-random permutation of [0, size) that can be read at any place without storing it: a
/// Feistel network over the next power of four, walked until it lands inside.
class Permutation {
public:
  Permutation(uint64_t size, uint64_t seed, uint32_t stream, uint64_t epoch);
  uint64_t operator()(uint64_t index) const;

private:
  static constexpr int rounds = 6;
  uint64_t size;
  int halfBits;
  std::array<uint32_t, rounds> keys;
};

} // namespace ingot
