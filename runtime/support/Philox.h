/// Philox 4x32-10 (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3"): the one
/// source of random bits, on the host, in reference and compiled code alike. No state: 128 bits are
/// a function of a counter and a key.
#pragma once
#include <array>
#include <cstdint>

namespace ingot::random {

inline constexpr std::array<uint32_t, 2> multipliers = {0xD2511F53, 0xCD9E8D57};
inline constexpr std::array<uint32_t, 2> keyIncrements = {0x9E3779B9, 0xBB67AE85};
inline constexpr int rounds = 10;

using Counter = std::array<uint32_t, 4>;
using Key = std::array<uint32_t, 2>;

inline Counter philox(Counter counter, Key key) {
  for (int round = 0; round < rounds; ++round) {
    uint64_t first = uint64_t(multipliers[0]) * counter[0];
    uint64_t second = uint64_t(multipliers[1]) * counter[2];
    counter = {uint32_t(second >> 32) ^ counter[1] ^ key[0], uint32_t(second),
               uint32_t(first >> 32) ^ counter[3] ^ key[1], uint32_t(first)};
    key[0] += keyIncrements[0];
    key[1] += keyIncrements[1];
  }
  return counter;
}

} // namespace ingot::random
