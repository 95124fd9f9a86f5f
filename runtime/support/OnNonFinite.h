/// What a training does about numbers that are NaN or infinite.
#pragma once
#include <array>
#include <string_view>

namespace ingot {

/// After a loss or gradient norm that is not finite.
enum class OnNonFinite {
  Stop,     ///< the training ends with an error that says what was seen first
  Skip,     ///< the step changes nothing, on the device; the next one goes on
  Continue, ///< as if nothing had happened
};
constexpr std::array<std::string_view, 3> enumNames(OnNonFinite) {
  return {"stop", "skip", "continue"};
}

} // namespace ingot
