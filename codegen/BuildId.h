/// Identifies this build of the compiler.
#pragma once
#include <string>

namespace ingot {

/// The linker's build ID of the binary that holds the compiler, in hexadecimal: caches of generated
/// code depend on it.
std::string compilerBuildId();

} // namespace ingot
