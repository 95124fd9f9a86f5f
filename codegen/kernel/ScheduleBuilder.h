/// The schedule of one kernel while it is decided.
#pragma once
#include "codegen/kernel/Cost.h"
#include "codegen/kernel/LaunchSizes.h"
#include "llvm/Support/MathExtras.h"

namespace ingot {

/// What the schedulers of all targets have in common.
class ScheduleBuilder {
public:
  ScheduleBuilder(mlir::func::FuncOp kernel, const TargetCosts &costs)
      : kernel(kernel), costs(costs) {}

  const mlir::func::FuncOp kernel; ///< the body on tensors
  const TargetCosts &costs;

  /// The kernel body's tensor that result i returns, and its type.
  mlir::Value returned(unsigned result) const {
    return mlir::func::FuncOp(kernel).getBody().front().getTerminator()->getOperand(result);
  }
  mlir::RankedTensorType type(unsigned result) const {
    return mlir::cast<mlir::RankedTensorType>(returned(result).getType());
  }

  /// Bytes of scratch for each worker, after what was added before.
  void addScratch(int64_t bytes) { scratch = llvm::alignTo(scratch + bytes, 64); }
  /// Bytes of scratch that the kernel's launches share, after what was added before.
  void addLaunchScratch(int64_t bytes) { launchScratch = llvm::alignTo(launchScratch + bytes, 64); }
  void share(llvm::ArrayRef<kernel::PairAttr> pairs) { sharing.append(pairs.begin(), pairs.end()); }
  /// The next launch. Costs that are not given are estimated from the body.
  template <typename Sizes>
  void launch(llvm::StringRef kind, int64_t grains, const Sizes &sizes,
              std::optional<double> flops = {}, std::optional<double> bytes = {}) {
    addLaunch(kind, grains, writeSizes(context(), sizes), flops, bytes);
  }

  double operations() const { return operationsOf(kernel, costs); }
  double nanoseconds() const { return costs.nanoseconds(operations(), bytesOf(kernel)); }
  mlir::MLIRContext *context() const { return mlir::func::FuncOp(kernel).getContext(); }

  kernel::ScheduleAttr finish();

private:
  void addLaunch(llvm::StringRef kind, int64_t grains, mlir::DictionaryAttr sizes,
                 std::optional<double> flops, std::optional<double> bytes);

  int64_t scratch = 0, launchScratch = 0;
  llvm::SmallVector<kernel::PairAttr> sharing;
  llvm::SmallVector<kernel::LaunchAttr> launches;
};

/// A kernel's types have static shapes; else a diagnostic at the kernel.
llvm::LogicalResult verifyStatic(mlir::func::FuncOp kernel);

} // namespace ingot
