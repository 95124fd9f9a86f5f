#include "codegen/Target.h"
#include "codegen/cpu/CpuBackend.h"

namespace ingot {

Result<std::shared_ptr<const Backend>> parseTarget(const std::string &text) {
  INGOT_ASSIGN(CpuTarget cpu, CpuTarget::parse(text));
  return std::make_shared<const CpuBackend>(std::move(cpu));
}

} // namespace ingot
