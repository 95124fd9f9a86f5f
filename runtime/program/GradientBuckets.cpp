#include "runtime/program/GradientBuckets.h"
#include "runtime/program/PersistentLayout.h"
#include <algorithm>

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
  std::ranges::sort(ranges, {}, &ByteRange::first);
  std::vector<ByteRange> buckets;
  for (const ByteRange &range : ranges)
    if (buckets.empty() || buckets.back().end < range.first)
      buckets.push_back(range);
    else
      buckets.back().end = std::max(buckets.back().end, range.end);
  return buckets;
}

} // namespace ingot
