/// What a program takes of a GPU's memory, said before it is missing.
#pragma once
#include "runtime/cuda/Gpu.h"
#include "runtime/program/Program.h"

namespace ingot::cuda {

/// Refuses a program that does not fit into what is free. `stored` bytes of parameters and state
/// are there already.
Status checkMemory(const Gpu &gpu, const Program &program, int64_t stored);
/// The error of an allocation, with what the program needs and what it needs it for.
tl::unexpected<Error> explainMemory(const Gpu &gpu, const Program &program, Error error);

} // namespace ingot::cuda
