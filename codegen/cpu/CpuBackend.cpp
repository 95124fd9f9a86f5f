#include "codegen/cpu/CpuBackend.h"
#include "codegen/Passes.h"

using namespace mlir;

namespace ingot {

std::string CpuBackend::identity() const {
  return fmt::format("{} {} caches {} {}", target.cpu, target.features, target.l1Bytes,
                     target.l2Bytes);
}

void CpuBackend::addLowering(OpPassManager &passes) const {
  const MachineShape machine = target.machine();
  passes.addPass(createLowerKernels({machine.vectorBytes, machine.l1Bytes, machine.l2Bytes}));
}

} // namespace ingot
