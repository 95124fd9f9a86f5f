/// CPUs as a target of the pipeline.
#pragma once
#include "codegen/cpu/Target.h"
#include "passes/Backend.h"
#include "passes/options/BlockChoice.h"

namespace ingot {

class CpuBackend : public Backend {
public:
  explicit CpuBackend(CpuTarget target, TargetCosts costs = {})
      : target(std::move(target)), machine(this->target.machine()), workCosts(costs) {}

  std::string name() const override { return target.name(); }
  std::string identity() const override;
  std::vector<std::string> requirements() const override { return target.required; }
  const TargetCosts &costs() const override { return workCosts; }
  kernel::PanelsAttr packedLayout(mlir::func::FuncOp kernel, unsigned argument) const override;
  kernel::ScheduleAttr schedule(mlir::func::FuncOp kernel) const override;
  llvm::LogicalResult emit(mlir::func::FuncOp kernel) const override;
  void addCodePasses(mlir::OpPassManager &passes) const override;
  Result<std::vector<uint8_t>> compile(mlir::ModuleOp launches, std::string *text) const override;
  Launch launchOf(kernel::ScheduleAttr schedule, kernel::LaunchAttr launch) const override;
  Status assemble(const std::vector<KernelObject> &objects, Program &program) const override;

  const CpuTarget target;
  const MachineShape machine;

private:
  TargetCosts workCosts;
};

/// The sizes in a kernel's schedule that tuning may vary; none where its kind has none.
BlockChoice takenBlocks(mlir::func::FuncOp kernel);

} // namespace ingot
