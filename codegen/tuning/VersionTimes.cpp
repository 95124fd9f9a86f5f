#include "codegen/tuning/VersionTimes.h"
#include <algorithm>
#include <cmath>

namespace ingot {

double median(std::vector<double> values) {
  if (values.empty())
    return 0;
  std::ranges::sort(values);
  const size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double VersionTimes::base(size_t kernel, size_t turn) const {
  return (kernels.front()[kernel][turn] + kernels.back()[kernel][turn]) / 2;
}

double VersionTimes::ratio(size_t version, size_t kernel, size_t first, size_t step) const {
  std::vector<double> ratios;
  for (size_t turn = first; turn < turns(); turn += step)
    if (base(kernel, turn) > 0)
      ratios.push_back(kernels[version][kernel][turn] / base(kernel, turn));
  return ratios.empty() ? 1 : median(std::move(ratios));
}

double VersionTimes::noise(size_t kernel) const {
  std::vector<double> differences;
  for (size_t turn = 0; turn < turns(); ++turn)
    if (base(kernel, turn) > 0)
      differences.push_back(std::abs(kernels.front()[kernel][turn] - kernels.back()[kernel][turn]) /
                            base(kernel, turn));
  return median(std::move(differences));
}

} // namespace ingot
