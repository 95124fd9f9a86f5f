/// The code of a program on a GPU.
#pragma once
#include "runtime/cuda/Gpu.h"
#include "runtime/program/Program.h"

namespace ingot::cuda {

/// Whether a GPU of this capability (90: sm_90) runs code of an architecture such as `sm_80` or
/// `sm_90a`.
bool runsOn(int capability, CodeObject::Kind kind, std::string_view architecture);

class LoadedCode {
public:
  LoadedCode() = default;
  /// Refuses a program that is for another target. A kernel whose machine code for the GPU stands
  /// beside its PTX is that; else the driver compiles the PTX.
  static Result<LoadedCode> load(const std::shared_ptr<Gpu> &gpu, const Program &program);
  CUfunction function(uint32_t kernel) const { return functions[kernel]; }

private:
  Status loadMachineCode(const std::shared_ptr<Gpu> &gpu, const Program &program);
  /// Null where the kernel has none.
  CUlibrary machineCodeOf(const Gpu &gpu, const Kernel &kernel) const;

  std::vector<Library> libraries;     ///< by object; empty where no kernel is in it
  std::vector<CUlibrary> machineCode; ///< those of cubins for the GPU
  std::vector<CUfunction> functions;  ///< by kernel
};

} // namespace ingot::cuda
