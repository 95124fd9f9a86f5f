/// The tables of instruction tests. InstructionCoverageTest.cpp sees to it that no form of an
/// instruction that the emulator takes is missing in them.
#pragma once
#include "test/emulator/instructions/InstructionHarness.h"

namespace ingot::emulator::test {

std::vector<InstructionCase> integerCases();
std::vector<InstructionCase> bitCases();
std::vector<InstructionCase> compareCases();
std::vector<InstructionCase> floatCases();
std::vector<InstructionCase> convertCases();
std::vector<InstructionCase> videoCases();
std::vector<InstructionCase> atomicCases();
std::vector<WarpCase> warpCases();

} // namespace ingot::emulator::test
