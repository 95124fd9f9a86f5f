#include "runtime/program/GradientBuckets.h"
#include "runtime/program/PersistentLayout.h"

namespace ingot {

std::vector<ByteRange> gradientBuckets(const Program &program) {
  std::vector<ByteRange> ranges;
  for (const Function &function : program.functions)
    forEachCall(function.steps, [&](const CallStep &call, int64_t) {
      const Kernel &kernel = program.kernels[call.kernel];
      if (kernel.root != "update")
        return;
      for (size_t index = 0; const KernelParameter *parameter : kernel.placed()) {
        const int64_t offset = call.arguments[index++];
        if (parameter->reads() && offset >= program.persistentBytes)
          ranges.push_back({offset, offset + parameter->bytes});
      }
    });
  return ranges;
}

} // namespace ingot
