#include "codegen/Target.h"
#include "codegen/cpu/CpuBackend.h"
#include "codegen/cuda/CudaBackend.h"

namespace ingot {

Result<std::shared_ptr<const Backend>> parseTarget(const std::string &text) {
  if (CudaTarget::isMeant(text)) {
    INGOT_ASSIGN(CudaTarget cuda, CudaTarget::parse(text));
    return std::make_shared<const CudaBackend>(std::move(cuda));
  }
  INGOT_ASSIGN(CpuTarget cpu, CpuTarget::parse(text));
  return std::make_shared<const CpuBackend>(std::move(cpu));
}

} // namespace ingot
