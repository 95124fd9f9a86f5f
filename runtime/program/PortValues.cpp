#include "runtime/program/IndexError.h"
#include "runtime/program/Loops.h"
#include "runtime/program/Program.h"
#include <algorithm>
#include <cstring>

namespace ingot {
namespace {

template <typename T> std::string namesOf(const std::vector<T> &rows) {
  std::string names;
  for (const T &row : rows)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", row.name);
  return names;
}

std::string typeAndShape(ElementType type, const Shape &shape) {
  return fmt::format("{} of {}", toString(shape), name(type));
}

template <typename T>
Status checkIndices(std::string_view function, const Port &port, const Tensor &value) {
  const int64_t count = value.size();
  const T *indices = value.as<T>();
  for (int64_t i = 0; i < count; ++i)
    if (indices[i] < 0 || indices[i] >= port.limit)
      return failure(Error::Code::BadInput, "",
                     "'{}' of function '{}' has {} at position {}, outside [0, {})", port.name,
                     function, indices[i], i, port.limit);
  return {};
}

} // namespace

Result<const Function *> findFunction(const Program &program, std::string_view name) {
  if (const Function *found = program.function(name))
    return found;
  return failure(Error::Code::Usage, "", "the program has no function '{}', only: {}", name,
                 namesOf(program.functions));
}

Result<const Port *> findPort(const Program &program, std::string_view function,
                              std::string_view port) {
  INGOT_ASSIGN(const Function *owner, findFunction(program, function));
  if (const Port *found = owner->port(port))
    return found;
  return failure(Error::Code::Usage, "", "function '{}' has no port '{}', only: {}", function, port,
                 namesOf(owner->ports));
}

Status checkErrorWord(const Function &function, const Port &port, int64_t word) {
  if (word == IndexError::none)
    return {};
  const auto [position, index] = IndexError::decode(word);
  return failure(Error::Code::BadInput, "", "@{}: {}: {}{} at position {}", function.name,
                 port.name, index,
                 index == IndexError::leastIndex     ? " or less"
                 : index == IndexError::largestIndex ? " or more"
                                                     : "",
                 position);
}

Status keepCounted(const Function &function, std::vector<NamedTensor> &outputs) {
  for (NamedTensor &output : outputs) {
    const Port *port = function.port(output.name);
    if (!port || port->count.empty())
      continue;
    auto count = std::ranges::find(outputs, port->count, &NamedTensor::name);
    if (count == outputs.end())
      return failure(Error::Code::Usage, output.name, "its size is told by '{}', which is not read",
                     port->count);
    const int64_t kept = *count->value.as<int64_t>(), whole = port->shape[size_t(port->counted)];
    if (kept < 0 || kept > whole)
      return failure(Error::Code::Internal, output.name, "has {} elements of {}", kept, whole);
    Shape shape = port->shape;
    shape[size_t(port->counted)] = kept;
    Tensor part(port->type, shape);
    int64_t outer = 1;
    for (int64_t i = 0; i < port->counted; ++i)
      outer *= shape[size_t(i)];
    const size_t from = whole ? output.value.bytes() / size_t(outer) : 0,
                 to = kept ? part.bytes() / size_t(outer) : 0;
    for (int64_t i = 0; to && i < outer; ++i)
      std::memcpy(part.as<uint8_t>() + size_t(i) * to,
                  output.value.as<uint8_t>() + size_t(i) * from, to);
    output.value = std::move(part);
  }
  return {};
}

Status checkTrips(const Function &function, const LoopStep &loop, int64_t trips) {
  if (trips >= 0 && trips <= loop.trips)
    return {};
  return failure(Error::Code::BadInput, "", "@{}: {}: the trip count {} is {}", function.name,
                 loop.op, trips, trips < 0 ? "negative" : fmt::format("more than {}", loop.trips));
}

void normalise(Tensor &tensor) {
  const int64_t count = tensor.size();
  auto *elements = tensor.as<uint8_t>();
  if (tensor.type() == ElementType::I4)
    for (int64_t i = 0; i < count; ++i)
      elements[i] = static_cast<uint8_t>(static_cast<int8_t>(elements[i] << 4) >> 4);
  if (tensor.type() == ElementType::U4 || tensor.type() == ElementType::I1)
    for (int64_t i = 0; i < count; ++i)
      elements[i] &= tensor.type() == ElementType::U4 ? 0xf : 1;
}

Status checkPlace(std::string_view function, const Port &port, const Tensor &value) {
  if (value.type() != port.type || value.shape() != port.shape)
    return failure(Error::Code::BadInput, "", "'{}' of function '{}' {} {}, not {}", port.name,
                   function, isFed(port.role) || isPersistent(port.role) ? "takes" : "is",
                   typeAndShape(port.type, port.shape), typeAndShape(value.type(), value.shape()));
  if (value.bytes() && !value.data())
    return failure(Error::Code::Usage, port.name, "the tensor {} {} has no data",
                   toString(value.shape()), name(value.type()));
  return {};
}

Status checkValue(std::string_view function, const Port &port, const Tensor &value) {
  INGOT_TRY(checkPlace(function, port, value));
  if (port.limit > 0 && port.type == ElementType::I32)
    return checkIndices<int32_t>(function, port, value);
  if (port.limit > 0 && port.type == ElementType::I64)
    return checkIndices<int64_t>(function, port, value);
  return {};
}

} // namespace ingot
