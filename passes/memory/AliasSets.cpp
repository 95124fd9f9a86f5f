#include "passes/memory/AliasSets.h"

using namespace mlir;

namespace ingot {

AliasSets::Number AliasSets::numberOf(Value value) {
  auto [entry, isNew] = numbers.try_emplace(value, Number(tensors.size()));
  const Number number = entry->second;
  if (isNew)
    tensors.push_back({.value = value, .parent = number, .offset = 0, .last = number});
  return number;
}

AliasSets::Number AliasSets::rootOf(Number number) {
  Tensor &tensor = tensors[number];
  if (tensor.parent == number || tensors[tensor.parent].parent == tensor.parent)
    return tensor.parent;
  const Number root = rootOf(tensor.parent);
  tensor.offset += tensors[tensor.parent].offset;
  return tensor.parent = root;
}

bool AliasSets::join(Value value, Value anchor, int64_t distance) {
  const Place from = find(value), to = find(anchor);
  const int64_t shift = to.offset + distance - from.offset; // of from.root, seen from to.root
  if (from.root == to.root)
    return shift == 0;
  const Number moved = numberOf(from.root), root = numberOf(to.root);
  tensors[moved].parent = root;
  tensors[moved].offset = shift;
  tensors[tensors[root].last].next = moved;
  tensors[root].last = tensors[moved].last;
  return true;
}

} // namespace ingot
