#include "codegen/kernel/LaunchMaps.h"

using namespace mlir;

namespace ingot {

std::vector<int64_t> writeMaps(ArrayRef<LaunchMap> maps) {
  std::vector<int64_t> numbers;
  for (const LaunchMap &map : maps) {
    numbers.insert(numbers.end(), {map.argument, map.offset, int64_t(map.sizes.size())});
    for (const std::vector<int64_t> *part : {&map.sizes, &map.strides, &map.box})
      numbers.insert(numbers.end(), part->begin(), part->end());
  }
  return numbers;
}

std::vector<LaunchMap> readMaps(kernel::ScheduleAttr schedule, kernel::LaunchAttr launch) {
  auto attribute = launch.getSizes().getAs<DenseI64ArrayAttr>("maps");
  if (!attribute)
    return {};
  ArrayRef<int64_t> numbers = attribute.asArrayRef();
  std::vector<LaunchMap> maps;
  while (numbers.size() >= 3) {
    LaunchMap map{numbers[0], numbers[1]};
    const int64_t rank = numbers[2];
    numbers = numbers.drop_front(3);
    if (map.argument < 0 || map.argument >= schedule.operandCount() || map.offset < 0 || rank < 1 ||
        rank > 5 || int64_t(numbers.size()) < 3 * rank - 1)
      return {};
    auto take = [&](int64_t count) {
      std::vector<int64_t> part(numbers.begin(), numbers.begin() + count);
      numbers = numbers.drop_front(count);
      return part;
    };
    map.sizes = take(rank);
    map.strides = take(rank - 1);
    map.box = take(rank);
    maps.push_back(std::move(map));
  }
  return numbers.empty() ? maps : std::vector<LaunchMap>();
}

} // namespace ingot
