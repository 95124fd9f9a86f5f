#include "codegen/kernel/ScheduleBuilder.h"
#include <cmath>

using namespace mlir;

namespace ingot {

void ScheduleBuilder::addLaunch(StringRef kind, int64_t grains, DictionaryAttr sizes,
                                std::optional<double> flops, std::optional<double> bytes) {
  // What no machine computes in a day; several launches still add up.
  static constexpr double most = 1e18;
  auto whole = [](double value) { return int64_t(std::llround(std::min(value, most))); };
  launches.push_back(kernel::LaunchAttr::get(context(), StringAttr::get(context(), kind), grains,
                                             whole(flops.value_or(operations())),
                                             whole(bytes.value_or(bytesOf(kernel))), sizes));
}

kernel::ScheduleAttr ScheduleBuilder::finish() {
  func::FuncOp function = kernel;
  SmallVector<kernel::Access> arguments(function.getNumArguments(), kernel::Access::Read);
  arguments.append(function.getNumResults(), kernel::Access::Write);
  return kernel::ScheduleAttr::get(context(), arguments, sharing, scratch, launchScratch, launches);
}

LogicalResult verifyStatic(func::FuncOp kernel) {
  auto isStatic = [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && tensor.hasStaticShape();
  };
  if (llvm::all_of(kernel.getArgumentTypes(), isStatic) &&
      llvm::all_of(kernel.getResultTypes(), isStatic))
    return success();
  return kernel.emitError("a kernel takes and returns tensors of static shape alone");
}

} // namespace ingot
