/// Memory that compiling took and that running does not need.
#pragma once

namespace ingot {

/// Gives back what the heap keeps for the next compilation, and the pages of the code of LLVM's and
/// MLIR's libraries, about 0.1 GB: a step runs none of it. They come from the file again if
/// something does, so this may be called at any time, from any thread.
void releaseCompilerMemory();

} // namespace ingot
