/// Damaged files, as disks, transfers and editors make them.
#pragma once
#include <cctype>
#include <cstdlib>
#include <random>
#include <string>

namespace ingot::test {

/// 200 trials a loader, ten times as many in the long tier.
inline int mutationTrials() { return std::getenv("INGOT_LONG_TESTS") ? 2000 : 200; }

/// `good` after one to four edits: bits flipped, digits changed, stretches cut out, doubled or cut
/// off.
inline std::string mutate(std::string bytes, std::mt19937_64 &random) {
  for (uint64_t edits = 1 + random() % 4; edits > 0 && !bytes.empty(); --edits) {
    // Most formats decide at their beginning: every second edit is there.
    const size_t near = random() % 2 ? bytes.size() : std::min<size_t>(bytes.size(), 200);
    const size_t place = random() % near;
    switch (random() % 6) {
    case 0:
      bytes[place] ^= static_cast<char>(1 << random() % 8);
      break;
    case 1:
      bytes[place] = static_cast<char>(random());
      break;
    case 2: // digits stay digits: sizes and offsets change, text stays well-formed
      for (size_t p = place; p < bytes.size() && p < place + 40; ++p)
        if (std::isdigit(static_cast<unsigned char>(bytes[p])))
          bytes[p] = static_cast<char>('0' + random() % 10);
      break;
    case 3:
      bytes.erase(place, random() % 80);
      break;
    case 4:
      bytes.insert(place, bytes.substr(random() % bytes.size(), random() % 80));
      break;
    case 5:
      bytes.resize(place);
      break;
    }
  }
  return bytes;
}

} // namespace ingot::test
