/// Machine code for the kernels of a planned module: in parallel, each on its own, from the cache
/// where it was compiled before.
#pragma once
#include "codegen/Compile.h"
#include "codegen/cache/DiskCache.h"
#include "codegen/cpu/Target.h"

namespace ingot {

struct KernelCodeReport {
  size_t compiled = 0; ///< kernels that went through LLVM
  size_t cached = 0;   ///< kernels whose code was in the cache
};

/// Gives the program its code object; `program.kernels` are in the order of the module's kernel
/// functions. The image does not depend on the number of threads or on what was
/// cached.
Result<KernelCodeReport> generateKernelCode(mlir::ModuleOp planned, const CpuTarget &target,
                                            const DiskCache &cache, const CompileOptions &options,
                                            Program &program);

/// Every kernel of a planned module in the LLVM dialect, as text.
Result<std::string> kernelsAsLlvm(mlir::ModuleOp planned, const CpuTarget &target);

} // namespace ingot
