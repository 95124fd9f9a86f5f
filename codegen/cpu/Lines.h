/// How scan and sort kernels share their lines out.
#pragma once
#include "codegen/cpu/Emitters.h"
#include "codegen/cpu/KernelScheduler.h"
#include "codegen/kernel/LineShape.h"
#include "llvm/Support/MathExtras.h"

namespace ingot {

/// How units of work, lines or lines side by side, are shared out.
struct LineSizes {
  int64_t units = 0; ///< of a grain

  template <typename Field> void fields(Field field) { field("units", units); }
};

/// One launch, whose grains take so many units each.
inline void launchLines(KernelScheduler &kernel, llvm::StringRef kind, int64_t units,
                        double operations, double bytes) {
  LineSizes sizes;
  int64_t grains = 0;
  if (units) {
    const double nanoseconds = kernel.costs.nanoseconds(operations, bytes);
    sizes.units = llvm::divideCeilSigned(units, kernel.costs.grains(nanoseconds, units));
    grains = llvm::divideCeilSigned(units, sizes.units);
  }
  kernel.launch(kind, grains, sizes, operations, bytes);
}

/// The units of a grain, as the launch's schedule says; 0 where there is nothing to do.
inline mlir::FailureOr<int64_t> readLines(KernelBuilder &kernel, int64_t units) {
  LineSizes sizes;
  if (failed(readSizes(kernel.kernel, kernel.launch, sizes)))
    return mlir::failure();
  const int64_t grains = kernel.launch.getGrains();
  if (units ? sizes.units < 1 || grains != llvm::divideCeilSigned(units, sizes.units) : grains != 0)
    return kernel.kernel.emitError("kernel.schedule: these grains do not make its result");
  return units ? sizes.units : 0;
}

/// The units of the kernel's grains, one by one.
inline void forUnits(KernelBuilder &kernel, Code &code, int64_t unitsPerGrain, int64_t units,
                     llvm::function_ref<void(mlir::Value unit)> emit) {
  code.loop(kernel.lo(), kernel.hi(), 1, [&](mlir::Value grain) {
    mlir::Value first = code.mul(grain, unitsPerGrain);
    mlir::Value end = code.min(code.add(first, unitsPerGrain), code.index(units));
    code.loop(first, end, 1, emit);
  });
}

} // namespace ingot
