#include "frontend/check/Compare.h"
#include "ir/dialect/Elements.h"
#include <cmath>
#include <limits>

namespace ingot {

double Difference::relative(double floor) const {
  if (norm == 0)
    return 0;
  double scale = std::max(reference, floor);
  return scale > 0 ? norm / scale : std::numeric_limits<double>::infinity();
}

Difference compareTensors(const Tensor &actual, const Tensor &expected) {
  assert(actual.shape() == expected.shape());
  std::vector<double> a = graph::load<double>(actual), b = graph::load<double>(expected);
  Difference result;
  for (size_t i = 0; i < a.size(); ++i) {
    bool same = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]));
    double distance = same ? 0 : std::abs(a[i] - b[i]);
    if (std::isnan(distance))
      distance = std::numeric_limits<double>::infinity();
    result.norm += distance * distance;
    result.reference += std::isfinite(b[i]) ? b[i] * b[i] : 0;
    if (distance > result.largest) {
      result.largest = distance;
      result.where = int64_t(i);
    }
  }
  result.norm = std::sqrt(result.norm);
  result.reference = std::sqrt(result.reference);
  return result;
}

} // namespace ingot
