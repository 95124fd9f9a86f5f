/// The only way from passes to a target.
#pragma once
#include "mlir/Pass/PassManager.h"
#include "passes/options/TargetCosts.h"
#include <string>

namespace ingot {

/// What the pipeline asks of the target that it compiles for. Declared here and implemented in
/// codegen/<target>, so that passes know of no target.
class Backend {
public:
  virtual ~Backend() = default;

  /// As `--target` and `Program::target` say it: `cpu:znver4`.
  virtual std::string name() const = 0;
  /// Everything of the target that code and schedules depend on: part of the caches' keys.
  virtual std::string identity() const = 0;
  virtual const TargetCosts &costs() const = 0;

  /// Appends the passes that turn kernels on tensors into loops on memory.
  virtual void addLowering(mlir::OpPassManager &passes) const = 0;
};

} // namespace ingot
