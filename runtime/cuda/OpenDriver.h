/// Finds a driver at run time: NVIDIA's, or the PTX machine in the library that serves the same
/// table. Nothing is linked against either.
#pragma once
#include "runtime/cuda/Driver.h"
#include "runtime/support/Result.h"

namespace ingot::cuda {

/// Of a file that exports `cuGetProcAddress`, opened once in the process; an error that says what
/// is missing.
Result<const Driver *> openNvidiaDriver();
/// Of `libingot_cuda_emulated.so`: the file that INGOT_CUDA_EMULATED names, else the one that was
/// built or installed with this program, else what the system's search finds.
Result<const Driver *> openEmulatedDriver();

} // namespace ingot::cuda
