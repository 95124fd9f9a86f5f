/// `ingot emulate -- PROGRAM`: a CUDA program with our runtime in front of it.
#pragma once
#include "runtime/emulator/driver/EmulatedProgram.h"

namespace ingot {

/// What follows `--` on the command line of `emulate`: a program and its arguments.
std::vector<std::string> &programLine();

/// Runs the program to its end. It keeps its streams, its signals and, if it fails, its exit code
/// (this function does not return then); findings are an error.
Status emulateProgram(emulator::ProgramOptions options, const std::vector<std::string> &line);

} // namespace ingot
