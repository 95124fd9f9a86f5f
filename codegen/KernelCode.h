/// Machine code for the kernels of a planned module: in parallel, each on its own, from the cache
/// where it was compiled before.
#pragma once
#include "codegen/CompileOptions.h"
#include "codegen/cache/DiskCache.h"
#include "mlir/IR/BuiltinOps.h"
#include "passes/Backend.h"
#include "runtime/program/Program.h"

namespace ingot {

struct KernelCodeReport {
  size_t scheduled = 0; ///< kernels of the program
  size_t emitted = 0;   ///< kernels that went through an emitter
  size_t compiled = 0;  ///< kernels that went through LLVM
  size_t cached = 0;    ///< kernels whose code was in the cache: neither
};

/// Gives the program its code objects; `program.kernels` are the launches of the module's kernels
/// in order. A kernel's code is looked for by its body and schedule, the target and the build of
/// the compiler; only what is missing is emitted. The code does not depend on the number of threads
/// or on what was cached.
Result<KernelCodeReport> generateKernelCode(mlir::ModuleOp planned, const Backend &backend,
                                            const DiskCache &cache, const CompileOptions &options,
                                            Program &program);

/// Every kernel of a module of stage `plan` or `loops` in the target's last form that is MLIR, as
/// text.
Result<std::string> kernelsAsCode(mlir::ModuleOp planned, const Backend &backend);

} // namespace ingot
