#include "passes/memory/AliasSets.h"
#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;

namespace ingot {

AliasSets::Place AliasSets::find(Value value) {
  auto [entry, isNew] = parents.try_emplace(value, Place{value, 0});
  if (isNew) {
    classes[value].push_back(value);
    return entry->second;
  }
  Place place = entry->second;
  if (place.root == value)
    return place;
  Place above = find(place.root);
  Place direct{above.root, above.offset + place.offset};
  parents[value] = direct;
  return direct;
}

bool AliasSets::join(Value value, Value anchor, int64_t distance) {
  Place from = find(value), to = find(anchor);
  int64_t shift = to.offset + distance - from.offset; // of from.root, seen from to.root
  if (from.root == to.root)
    return shift == 0;
  parents[from.root] = {to.root, shift};
  SmallVector<Value> moved = std::move(classes[from.root]);
  classes.erase(from.root);
  classes[to.root].append(moved);
  return true;
}

ArrayRef<Value> AliasSets::members(Value value) { return classes[find(value).root]; }

} // namespace ingot
