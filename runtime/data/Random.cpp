#include "runtime/data/Random.h"
#include "runtime/support/Philox.h"
#include <algorithm>
#include <bit>
#include <cassert>

namespace ingot {

uint64_t randomBits(uint64_t seed, uint32_t stream, uint64_t step, uint32_t element) {
  auto words = random::philox({element, stream, uint32_t(step), uint32_t(step >> 32)},
                              {uint32_t(seed), uint32_t(seed >> 32)});
  return uint64_t(words[1]) << 32 | words[0];
}

uint64_t randomBelow(uint64_t bits, uint64_t bound) {
  assert(bound > 0);
  return uint64_t((static_cast<unsigned __int128>(bits) * bound) >> 64);
}

double randomUniform(uint64_t bits) { return double(bits >> 11) * 0x1p-53; }

Permutation::Permutation(uint64_t size, uint64_t seed, uint32_t stream, uint64_t epoch)
    : size(size), halfBits(int(std::max<uint64_t>(1, (std::bit_width(size) + 1) / 2))) {
  for (int round = 0; round < rounds; ++round)
    keys[round] = uint32_t(randomBits(seed, stream, epoch, round));
}

uint64_t Permutation::operator()(uint64_t index) const {
  assert(index < size);
  uint64_t mask = (uint64_t(1) << halfBits) - 1;
  do {
    uint64_t left = index >> halfBits, right = index & mask;
    for (uint32_t key : keys) {
      // The finaliser of splitmix64 mixes one half with the round's key.
      uint64_t mixed = right + (uint64_t(key) << 32 | ~key);
      mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u;
      mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
      uint64_t next = left ^ ((mixed ^ (mixed >> 31)) & mask);
      left = right;
      right = next;
    }
    index = left << halfBits | right;
  } while (index >= size);
  return index;
}

} // namespace ingot
