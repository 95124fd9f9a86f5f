/// Identifies this build of the compiler.
#pragma once
#include <string>

namespace ingot {

/// The linker's build ID of the binary that holds the compiler, in hexadecimal: caches of generated
/// code depend on it.
std::string compilerBuildId();

/// A hash of the code generator's sources and LLVM's version: the same in every executable that
/// holds this code generator, whatever else it holds.
std::string codeGeneratorId();

} // namespace ingot
