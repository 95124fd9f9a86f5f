/// Programs for the runtime's tests, with a code image of hand-written machine code.
#pragma once
#include "runtime/program/Program.h"
#include <random>

namespace ingot::test {

/// Kernels of the image; every one works on f32 and handles 16 elements a grain.
enum TestKernel : uint32_t {
  AffineKernel,  ///< (x, y): y = 2x + 1
  AddKernel,     ///< (x, y): y += x
  ScratchKernel, ///< (x, y, workspace): y = 2x + 1, through the workspace
};

/// Programs of one function `step` with input `x`, state `sum` and output `y`, all of `elements` (a
/// multiple of 16): y = 2x + 1, twice through a loop; sum += y.
Program affineProgram(int64_t elements);
/// The same for a GPU: its kernels are PTX.
Program cudaAffineProgram(int64_t elements);

/// Lists the kernels of a program's CPU images in the images' tables, as they are now declared; a
/// kernel that is not listed yet starts at byte 0.
void sealImages(Program &program);

/// A program with random tables, loops, branches, ports, buffers and constants; valid, but not
/// made to run.
Program randomProgram(std::mt19937_64 &random);

/// Empty folder of its own, removed at the end.
class TemporaryFolder {
public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::string operator/(std::string_view name) const { return path + "/" + std::string(name); }
  std::string path;
};

/// Replaces a file at once, without the care (and the disk's time) that real files get.
void writeQuickly(const std::string &path, std::string_view bytes);

/// A fresh seed that is printed with the test's failures.
uint64_t freshSeed();

} // namespace ingot::test
