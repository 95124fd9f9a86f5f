#include "codegen/cpu/KernelScheduler.h"
#include <cmath>

using namespace mlir;

namespace ingot {

void KernelScheduler::addLaunch(StringRef kind, int64_t grains, DictionaryAttr sizes,
                                std::optional<double> flops, std::optional<double> bytes) {
  // What no machine computes in a day; several launches still add up.
  static constexpr double most = 1e18;
  auto whole = [](double value) { return int64_t(std::llround(std::min(value, most))); };
  launches.push_back(kernel::LaunchAttr::get(context(), StringAttr::get(context(), kind), grains,
                                             whole(flops.value_or(operations())),
                                             whole(bytes.value_or(bytesOf(kernel))), sizes));
}

kernel::ScheduleAttr KernelScheduler::finish() {
  func::FuncOp function = kernel;
  SmallVector<kernel::Access> arguments(function.getNumArguments(), kernel::Access::Read);
  arguments.append(function.getNumResults(), kernel::Access::Write);
  return kernel::ScheduleAttr::get(context(), arguments, sharing, scratch, launchScratch, launches);
}

} // namespace ingot
