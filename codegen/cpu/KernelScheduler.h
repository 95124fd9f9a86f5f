/// How kernels run on a CPU: one scheduler per kernel root decides from shapes and costs, and emits
/// nothing.
#pragma once
#include "codegen/cpu/MachineShape.h"
#include "codegen/kernel/ScheduleBuilder.h"
#include "passes/options/BlockChoice.h"

namespace ingot {

/// The schedule of one kernel on a CPU.
class KernelScheduler : public ScheduleBuilder {
public:
  KernelScheduler(mlir::func::FuncOp kernel, const MachineShape &machine, const TargetCosts &costs,
                  const BlockChoice &choice)
      : ScheduleBuilder(kernel, costs), machine(machine), choice(choice) {}

  const MachineShape &machine;
  const BlockChoice choice; ///< what tuning found for this kernel; absent sizes are derived
};

/// A failure has reported a located diagnostic.
llvm::LogicalResult scheduleElementwise(KernelScheduler &);
/// One pass over the points of the results; `pointsPerGrain` 0: by cost.
llvm::LogicalResult schedulePointwise(KernelScheduler &, int64_t pointsPerGrain);
llvm::LogicalResult scheduleRow(KernelScheduler &);
llvm::LogicalResult scheduleColumn(KernelScheduler &);
llvm::LogicalResult scheduleUpdate(KernelScheduler &);
llvm::LogicalResult scheduleScatter(KernelScheduler &);
llvm::LogicalResult scheduleScan(KernelScheduler &);
llvm::LogicalResult scheduleSort(KernelScheduler &);
llvm::LogicalResult scheduleContraction(KernelScheduler &);
llvm::LogicalResult scheduleAttention(KernelScheduler &);
llvm::LogicalResult scheduleAttentionBackward(KernelScheduler &);

} // namespace ingot
