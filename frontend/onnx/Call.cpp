#include "frontend/onnx/Call.h"
#include "frontend/onnx/Importer.h"
#include "runtime/support/HalfFloat.h"
#include <algorithm>

namespace ingot::onnx {
namespace {

/// What a row may compute when the model is compiled: half a gigabyte of numbers.
constexpr int64_t mostConstantElements = int64_t(1) << 26;

} // namespace

Call::Call(Importer &importer, Builder &b, const NodeProto &node, int64_t opset, Items inputs)
    : b(b), node(node), opset(opset), importer(importer), items(std::move(inputs)) {}

Item Call::refuse(std::string reason) {
  if (!refusedAlready)
    importer.refuse(node, opset, reason);
  refusedAlready = true;
  return Item::refused();
}

//===--------------------------------------------------------------------------------------------===//
// Inputs
//===--------------------------------------------------------------------------------------------===//

const Item &Call::item(size_t index) const {
  static const Item absent;
  return index < items.size() ? items[index] : absent;
}

Value Call::operand(size_t index) {
  if (item(index).isCounted())
    refuse(fmt::format("its input {} has a size that depends on data", index));
  return padded(index);
}

Value Call::padded(size_t index) {
  const Item &wanted = item(index);
  switch (wanted.kind) {
  case Item::Kind::Tensor:
    return wanted.value;
  case Item::Kind::Initializer:
    return importer.materialize(*wanted.initializer);
  case Item::Kind::Absent:
    refuse(fmt::format("its input {} is missing", index));
    break;
  case Item::Kind::Sequence:
    refuse(fmt::format("its input {} is a sequence", index));
    break;
  case Item::Kind::Refused:
    break;
  }
  refusedAlready = true;
  return b.scalar(0);
}

std::vector<Value> Call::operands() {
  std::vector<Value> values;
  for (size_t i = 0; i < items.size(); ++i)
    if (has(i))
      values.push_back(operand(i));
  return values;
}

std::vector<Value> Call::tensorsOf(const Item &sequence) {
  std::vector<Value> values;
  if (sequence.kind != Item::Kind::Sequence) {
    refuse("its input is no sequence of known length");
    return values;
  }
  for (const Item &element : *sequence.items)
    values.push_back(tensorOf(element));
  return values;
}

Value Call::tensorOf(const Item &wanted) {
  if (wanted.isCounted())
    refuse("a value that it needs has a size that depends on data");
  if (wanted.kind == Item::Kind::Tensor)
    return wanted.value;
  if (wanted.kind == Item::Kind::Initializer)
    return importer.materialize(*wanted.initializer);
  refuse("a value that must be a tensor is none");
  return b.scalar(0);
}

std::optional<Tensor> Call::ifKnown(size_t index) { return valueOf(item(index)); }

std::optional<Tensor> Call::valueOf(const Item &wanted) const {
  if (wanted.kind == Item::Kind::Initializer) {
    Result<Tensor> tensor = importer.file.tensor(*wanted.initializer);
    return tensor ? std::optional(aligned(*tensor)) : std::nullopt;
  }
  return wanted.kind == Item::Kind::Tensor ? b.constantOf(wanted.value) : std::nullopt;
}

Tensor Call::known(size_t index) {
  if (std::optional<Tensor> tensor = ifKnown(index))
    return *tensor;
  if (item(index).kind != Item::Kind::Tensor) {
    operand(index); // says what it is instead
    return {};
  }
  std::vector<std::string> inputs = b.inputsOf(item(index).value);
  importer.findings.wanted.insert(inputs.begin(), inputs.end());
  refuse(fmt::format("its input {} must be known when the model is compiled{}", index,
                     inputs.empty() ? ""
                                    : fmt::format(", and it depends on the values of {}",
                                                  fmt::join(inputs, ", "))));
  return {};
}

std::vector<double> Call::numbers(size_t index) {
  const Tensor tensor = known(index);
  std::vector<double> values;
  for (int64_t i = 0; tensor.data() && i < tensor.size(); ++i)
    values.push_back(loadElement(tensor.type(), tensor.data(), i));
  return values;
}

Ints Call::ints(size_t index) {
  const Tensor tensor = known(index);
  Ints values;
  for (int64_t i = 0; tensor.data() && i < tensor.size(); ++i)
    values.push_back(tensor.type() == ElementType::I64
                         ? tensor.as<int64_t>()[i]
                         : int64_t(loadElement(tensor.type(), tensor.data(), i)));
  return values;
}

double Call::numberAt(size_t index, double otherwise) {
  if (!has(index))
    return otherwise;
  const std::vector<double> values = numbers(index);
  return values.empty() ? otherwise : values[0];
}

int64_t Call::integerAt(size_t index, int64_t otherwise) {
  if (!has(index))
    return otherwise;
  const Ints values = ints(index);
  return values.empty() ? otherwise : values[0];
}

Ints Call::intsOr(size_t index, const char *attribute, Ints otherwise) {
  return has(index) ? ints(index) : integers(attribute, std::move(otherwise));
}

//===--------------------------------------------------------------------------------------------===//
// Attributes
//===--------------------------------------------------------------------------------------------===//

const AttributeProto *Call::attribute(std::string_view name) const {
  return importer.attribute(node, *importer.current, name);
}

int64_t Call::integer(std::string_view name, int64_t otherwise) const {
  const AttributeProto *found = attribute(name);
  return found ? found->i : otherwise;
}

double Call::number(std::string_view name, double otherwise) const {
  const AttributeProto *found = attribute(name);
  return found ? double(found->f) : otherwise;
}

std::string Call::text(std::string_view name, std::string_view otherwise) const {
  const AttributeProto *found = attribute(name);
  return std::string(found ? found->s : otherwise);
}

Ints Call::integers(std::string_view name, Ints otherwise) const {
  const AttributeProto *found = attribute(name);
  return found ? found->ints : std::move(otherwise);
}

ElementType Call::elementType(std::string_view name, ElementType otherwise) {
  const AttributeProto *found = attribute(name);
  if (!found)
    return otherwise;
  if (std::optional<ElementType> type = elementTypeOf(int32_t(found->i)))
    return *type;
  refuse(fmt::format("tensors of {} are not supported", dataTypeName(int32_t(found->i))));
  return otherwise;
}

Tensor Call::tensor(const TensorProto &proto) {
  Result<Tensor> tensor = importer.file.tensor(proto);
  if (tensor)
    return aligned(*tensor);
  refuse(tensor.error().text());
  return Tensor(ElementType::F32, {});
}

Tensor Call::tensor(std::string_view name) {
  const AttributeProto *found = attribute(name);
  if (found && found->t)
    return tensor(*found->t);
  refuse(fmt::format("its attribute {} is missing", name));
  return Tensor(ElementType::F32, {});
}

Items Call::graph(std::string_view name, Items arguments) {
  const AttributeProto *found = attribute(name);
  if (found && found->g) {
    const size_t before = importer.findings.count();
    Items results = importer.importGraph(*found->g, std::move(arguments));
    // What is wrong in it is said there, once.
    refusedAlready = refusedAlready || importer.isTooLarge() || importer.findings.count() > before;
    return results;
  }
  refuse(fmt::format("its attribute {} is missing", name));
  return {};
}

std::optional<std::vector<Value>> Call::attempt(std::string_view graph,
                                                const std::function<std::vector<Value>()> &make) {
  if (const AttributeProto *found = attribute(graph); found && found->g)
    importer.materializeFor(*found->g);
  const Importer::Findings before = importer.findings;
  const bool wasRefused = refusedAlready;
  std::optional<std::vector<Value>> made = b.attempt([&] {
    std::vector<Value> values = make();
    if (importer.findings.count() > before.count())
      values.emplace_back();
    return values;
  });
  if (!made) {
    importer.findings = before;
    refusedAlready = wasRefused || importer.isTooLarge();
  }
  return made;
}

//===--------------------------------------------------------------------------------------------===//
// Words that many rows share
//===--------------------------------------------------------------------------------------------===//

int64_t Call::axis(const Value &x, int64_t axis) {
  const int64_t dimensions = rank(x);
  if (axis >= -dimensions && axis < dimensions)
    return axis < 0 ? axis + dimensions : axis;
  refuse(fmt::format("there is no axis {} in {}", axis, toString(x.shape())));
  return 0;
}

Ints Call::axes(const Value &x, Ints axes) {
  for (int64_t &each : axes)
    each = axis(x, each);
  return axes;
}

Value Call::stack(std::vector<Value> parts, int64_t axis) {
  const Shape shape = parts[0].shape();
  const auto dimensions = int64_t(shape.size());
  if (axis < -dimensions - 1 || axis > dimensions) {
    refuse(fmt::format("there is no axis {} beside {}", axis, toString(shape)));
    return parts[0];
  }
  axis += axis < 0 ? dimensions + 1 : 0;
  Shape apart = shape;
  apart.insert(apart.begin() + axis, 1);
  for (Value &part : parts) {
    if (part.shape() != shape) {
      refuse(fmt::format("its parts differ in shape: {} and {}", toString(shape),
                         toString(part.shape())));
      return parts[0];
    }
    part = b.reshape(part, apart);
  }
  return b.concat(parts, axis);
}

Value Call::alongChannels(const Value &x, Value perChannel) {
  Shape shape(size_t(std::max<int64_t>(rank(x), 2)), 1);
  shape[1] = -1;
  return b.reshape(perChannel, shape);
}

Value Call::logSoftmax(Value x, int64_t axis) {
  const std::vector<Value> sum = b.expSum(x, {axis}, true);
  return x - sum[0] - b.log(sum[1]); // apart, so that large numbers keep their last digits
}

Value Call::runningSum(const Value &x, int64_t axis) {
  const Shape &shape = x.shape();
  const int64_t size = shape[size_t(axis)];
  constexpr int64_t block = 64;
  if (size <= 2 * block) { // those that a triangle lets in
    Value isIn = b.compare(Comparison::LessEqual, b.iota({size, size}, 0, ElementType::I64),
                           b.iota({size, size}, 1, ElementType::I64));
    Shape apart = shape;
    apart.insert(apart.begin() + axis + 1, 1); // […, from, to, …]
    Shape mask(apart.size(), 1);
    mask[size_t(axis)] = mask[size_t(axis) + 1] = size;
    Value terms = b.select(b.reshape(isIn, mask), b.reshape(x, apart), scalarLike(x, 0));
    return b.sum(terms, {axis});
  }
  // Sums within blocks, and of the blocks before.
  const int64_t blocks = (size + block - 1) / block;
  Ints low(shape.size(), 0), high(shape.size(), 0);
  high[size_t(axis)] = blocks * block - size;
  Shape whole = shape, parts = shape, perBlock = shape;
  whole[size_t(axis)] = blocks * block;
  perBlock[size_t(axis)] = parts[size_t(axis)] = blocks;
  parts.insert(parts.begin() + axis + 1, block);
  Value within = runningSum(b.reshape(b.pad(x, 0, low, high), parts), axis + 1);
  Value ends = runningSum(b.reshape(b.slice(within, axis + 1, block - 1, block), perBlock), axis);
  low[size_t(axis)] = 1, high[size_t(axis)] = 0;
  Value before = b.slice(b.pad(ends, 0, low, high), axis, 0, blocks);
  parts[size_t(axis) + 1] = 1;
  return b.slice(b.reshape(within + b.reshape(before, parts), whole), axis, 0, size);
}

Item Call::placed(Value rows, Value flags, Value places, int64_t axis) {
  // What is not kept is added up in a place of its own, which is cut off.
  const int64_t size = rows.shape()[size_t(axis)];
  const ElementType type = rows.type();
  const bool isBit = type == ElementType::I1;
  rows = isBit ? b.cast(rows, ElementType::U8) : rows;
  Shape room = rows.shape();
  ++room[size_t(axis)];
  Value base = b.broadcast(scalarLike(rows, 0), room);
  Value y = b.scatterAdd(base, b.select(flags, places, constant({size}, {})), rows, axis);
  Value count = b.sum(b.cast(flags, ElementType::I64));
  return {b.cast(b.slice(y, axis, 0, size), type), count, axis};
}

Item Call::kept(const Value &rows, Value flags, int64_t axis) {
  Value places = runningSum(b.cast(flags, ElementType::I64), 0) - constant({1}, {});
  return placed(rows, flags, places, axis);
}

bool Call::constantFits(int64_t rows, int64_t columns) {
  if (rows >= 0 && columns >= 0 && (columns == 0 || rows <= mostConstantElements / columns))
    return true;
  refuse(fmt::format("it needs a constant of more than {} elements", mostConstantElements));
  return false;
}

Value Call::constant(const Ints &values, Shape shape) {
  Tensor tensor(ElementType::I64, std::move(shape));
  std::copy(values.begin(), values.end(), tensor.as<int64_t>());
  return b.constant(tensor);
}

} // namespace ingot::onnx
