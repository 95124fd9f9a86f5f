/// The clock that durations are measured by.
#pragma once
#include <chrono>

namespace ingot {

/// Seconds since some moment; they never go back.
inline double steadySeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

} // namespace ingot
