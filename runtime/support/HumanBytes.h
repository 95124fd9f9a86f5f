/// Sizes as people read them.
#pragma once
#include <cstdint>
#include <string>

namespace ingot {

/// `12.3 MB`; `512 B`.
std::string humanBytes(int64_t bytes);

} // namespace ingot
