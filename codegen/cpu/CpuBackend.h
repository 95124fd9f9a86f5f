/// CPUs as a target of the pipeline.
#pragma once
#include "codegen/cpu/Target.h"
#include "passes/Backend.h"

namespace ingot {

class CpuBackend : public Backend {
public:
  explicit CpuBackend(CpuTarget target) : target(std::move(target)) {}

  std::string name() const override { return target.name(); }
  std::string identity() const override;
  const TargetCosts &costs() const override { return machineCosts; }
  void addLowering(mlir::OpPassManager &passes) const override;

  const CpuTarget target;

private:
  TargetCosts machineCosts;
};

} // namespace ingot
