/// NVIDIA GPUs as a target of the pipeline.
#pragma once
#include "codegen/cuda/CudaTarget.h"
#include "passes/Backend.h"

namespace ingot {

class CudaBackend : public Backend {
public:
  explicit CudaBackend(CudaTarget target)
      : target(std::move(target)), workCosts(CudaTarget::costs()) {}

  std::string name() const override { return target.name(); }
  std::string identity() const override { return target.name(); }
  std::vector<std::string> requirements() const override { return {}; }
  const TargetCosts &costs() const override { return workCosts; }
  bool namesOps() const override { return true; }
  kernel::ScheduleAttr schedule(mlir::func::FuncOp kernel) const override;
  llvm::LogicalResult emit(mlir::func::FuncOp kernel) const override;
  void addCodePasses(mlir::OpPassManager &passes) const override;
  Result<std::vector<uint8_t>> compile(mlir::ModuleOp launches, std::string *text) const override;
  Launch launchOf(kernel::ScheduleAttr schedule, kernel::LaunchAttr launch) const override;
  Status assemble(const std::vector<KernelObject> &objects, Program &program) const override;

  const CudaTarget target;

private:
  TargetCosts workCosts;
};

} // namespace ingot
