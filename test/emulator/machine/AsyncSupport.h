/// What tests of asynchronous work share.
#pragma once
#include "test/emulator/Support.h"
#include <numeric>

namespace ingot::emulator::test {

/// A module with one kernel, `kernel`, and registers %r, %rd, %p and %h.
inline std::string kernel(std::string_view parameters, std::string_view body) {
  return header() + fmt::format(".visible .entry kernel({})\n{{\n.reg .b32 %r<32>;\n.reg .b64 "
                                "%rd<32>;\n.reg .pred %p<8>;\n.reg .b16 %h<4>;\n{}\nret;\n}}\n",
                                parameters, body);
}

/// Whether the text of any finding contains the part.
inline bool finds(const LaunchResult &result, std::string_view part) {
  for (const Finding &finding : result.findings)
    if (finding.str().find(part) != std::string::npos)
      return true;
  for (const Finding &finding : result.findings)
    std::printf("%s\n", finding.str().c_str());
  return false;
}

inline std::vector<uint32_t> numbers(size_t count, uint32_t first = 1) {
  std::vector<uint32_t> values(count);
  std::iota(values.begin(), values.end(), first);
  return values;
}

/// Runs with `seeds` seeds; how many gave `expected`.
template <typename Run> int agreements(int seeds, Run run) {
  int count = 0;
  for (int seed = 0; seed < seeds; ++seed)
    count += run(static_cast<uint64_t>(seed));
  return count;
}

} // namespace ingot::emulator::test
