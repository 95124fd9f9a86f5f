/// PTX as CUDA C++ that NVRTC takes: every kernel's body becomes the asm of a kernel with the same
/// signature.
///
/// NVRTC is the one way found to assemble PTX in the process, without a driver and as a whole
/// program; nvJitLink compiles relocatably and drops `setmaxnreg`.
#pragma once
#include "runtime/support/Result.h"
#include <span>
#include <string>
#include <vector>

namespace ingot::cuda {

/// A module cut into the parts that a wrapper needs. Views are into the module's text.
struct PtxModule {
  struct Variable {
    std::string name, declaration;
    int alignment = 1;
  };
  struct Kernel {
    std::string name;
    std::vector<std::string> parameters; ///< names, in order
    std::string signature;               ///< of C++, without the parentheses
    std::string attributes;              ///< of C++: __launch_bounds__ and friends
    std::string body;
  };
  std::vector<Kernel> kernels;
  std::vector<Variable> shared;        ///< of the module: each kernel gets its own
  std::vector<Variable> dynamicShared; ///< .extern: one memory under all names
  /// Tables in global memory: the declaration is C++, with all bytes.
  std::vector<Variable> tables;
};

/// An error for what has no place in a wrapper: functions beside kernels (inline them), variables
/// in global or constant memory that are no tables of bytes (pass them as arguments).
Result<PtxModule> parsePtxModule(std::string_view text);

/// One program of C++ with the kernels of all modules, whose names must differ.
std::string wrapPtx(std::span<const PtxModule> modules);

} // namespace ingot::cuda
