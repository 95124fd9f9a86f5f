/// Rows of sequences and optional values, which are known element by element, and of branches whose
/// condition is known: none of them is left in the model.
#include "frontend/onnx/Rows.h"

namespace ingot::onnx {
namespace {

std::vector<Item> elementsOf(Call &c, size_t index) {
  const Item &item = c.item(index);
  if (item.kind == Item::Kind::Sequence)
    return *item.items;
  c.refuse(fmt::format("its input {} is no sequence of known length", index));
  return {};
}

/// A position in a sequence of `count`, or `otherwise`; `end` is one past what is allowed.
size_t position(Call &c, size_t index, int64_t count, int64_t end, int64_t otherwise) {
  int64_t place = c.integerAt(index, otherwise);
  place += place < 0 ? count : 0;
  if (place >= 0 && place < end)
    return size_t(place);
  c.refuse(fmt::format("there is no place {} in a sequence of {}", place, count));
  return 0;
}

Items sequenceConstruct(Call &c) {
  std::vector<Item> items;
  for (size_t i = 0; i < c.inputs(); ++i)
    items.push_back(c.item(i));
  return {Item::sequenceOf(std::move(items))};
}

Items sequenceEmpty(Call &) { return {Item::sequenceOf({})}; }

Items sequenceAt(Call &c) {
  const std::vector<Item> items = elementsOf(c, 0);
  const auto count = int64_t(items.size());
  const size_t place = position(c, 1, count, count, 0);
  return {c.isRefused() ? Item::refused() : items[place]};
}

Items sequenceInsert(Call &c) {
  std::vector<Item> items = elementsOf(c, 0);
  const auto count = int64_t(items.size());
  const size_t place = position(c, 2, count, count + 1, count);
  items.insert(items.begin() + ptrdiff_t(std::min(place, items.size())), c.item(1));
  return {Item::sequenceOf(std::move(items))};
}

Items sequenceErase(Call &c) {
  std::vector<Item> items = elementsOf(c, 0);
  const auto count = int64_t(items.size());
  const size_t place = position(c, 1, count, count, count - 1);
  if (c.isRefused())
    return {};
  items.erase(items.begin() + ptrdiff_t(place));
  return {Item::sequenceOf(std::move(items))};
}

Items sequenceLength(Call &c) { return {c.constant({int64_t(elementsOf(c, 0).size())}, {})}; }

Items splitToSequence(Call &c) {
  Value x = c.operand(0);
  const int64_t axis = c.axis(x, c.integer("axis", 0));
  Ints sizes = c.has(1) ? c.ints(1) : Ints{1};
  const bool isOne = !c.has(1) || (c.ifKnown(1) && c.ifKnown(1)->shape().empty());
  if (c.isRefused() || sizes.empty() || (isOne && sizes[0] < 1))
    return {c.refuse("its parts have no size")};
  const int64_t size = x.shape()[size_t(axis)];
  if (isOne) { // parts of this size, the last one of what is left
    const int64_t each = sizes[0];
    if (size / each >= mostIterations)
      return {c.refuse(fmt::format("it has more than {} parts", mostIterations))};
    sizes.assign(size_t(size / each), each);
    if (size % each)
      sizes.push_back(size % each);
  }
  const bool keeps = c.has(1) || c.integer("keepdims", 1) != 0;
  std::vector<Item> items;
  int64_t offset = 0;
  for (int64_t part : sizes) {
    Value piece = c.b.slice(x, axis, offset, offset + part);
    Shape shape = piece.shape();
    if (!keeps && piece.valid())
      shape.erase(shape.begin() + axis);
    items.emplace_back(keeps ? piece : c.b.reshape(piece, shape));
    offset += part;
  }
  return {Item::sequenceOf(std::move(items))};
}

Items concatFromSequence(Call &c) {
  std::vector<Value> parts = c.tensorsOf(c.item(0));
  if (c.isRefused() || parts.empty())
    return {c.refuse("it joins nothing")};
  const int64_t axis = c.integer("axis", 0);
  if (c.integer("new_axis", 0) == 0)
    return {c.b.concat(parts, c.axis(parts[0], axis))};
  return {c.stack(std::move(parts), axis)};
}

/// The body on each element; other inputs are sequences too, or the same for all.
Items sequenceMap(Call &c) {
  const std::vector<Item> items = elementsOf(c, 0);
  std::vector<std::vector<Item>> results(c.outputs());
  for (size_t i = 0; i < items.size(); ++i) {
    Items arguments = {items[i]};
    for (size_t k = 1; k < c.inputs(); ++k) {
      const Item &other = c.item(k);
      const bool isSequence = other.kind == Item::Kind::Sequence;
      if (isSequence && i >= other.items->size())
        return {c.refuse("its sequences differ in length")};
      arguments.push_back(isSequence ? (*other.items)[i] : other);
    }
    Items made = c.graph("body", std::move(arguments));
    if (c.isRefused())
      return {};
    for (size_t k = 0; k < results.size() && k < made.size(); ++k)
      results[k].push_back(made[k]);
  }
  Items sequences;
  for (std::vector<Item> &each : results)
    sequences.push_back(Item::sequenceOf(std::move(each)));
  return sequences;
}

Items optionalOf(Call &c) { return {c.item(0)}; }

Items optionalHasElement(Call &c) { return {c.b.scalar(c.has(0) ? 1 : 0, ElementType::I1)}; }

Items optionalGetElement(Call &c) {
  return {c.has(0) ? c.item(0) : c.refuse("the optional value is empty")};
}

Items branch(Call &c) {
  const Ints condition = c.ints(0);
  if (c.isRefused() || condition.empty())
    return {};
  return c.graph(condition[0] ? "then_branch" : "else_branch");
}

constexpr Row rows[] = {
    {"ConcatFromSequence", 11, newestOpset, concatFromSequence},
    {"If", 1, newestOpset, branch},
    {"Optional", 15, newestOpset, optionalOf},
    {"OptionalGetElement", 15, newestOpset, optionalGetElement},
    {"OptionalHasElement", 15, newestOpset, optionalHasElement},
    {"SequenceAt", 11, newestOpset, sequenceAt},
    {"SequenceConstruct", 11, newestOpset, sequenceConstruct},
    {"SequenceEmpty", 11, newestOpset, sequenceEmpty},
    {"SequenceErase", 11, newestOpset, sequenceErase},
    {"SequenceInsert", 11, newestOpset, sequenceInsert},
    {"SequenceLength", 11, newestOpset, sequenceLength},
    {"SequenceMap", 17, newestOpset, sequenceMap},
    {"SplitToSequence", 11, newestOpset, splitToSequence},
};

} // namespace

std::span<const Row> sequenceRows() { return rows; }

} // namespace ingot::onnx
