#include "runtime/program/Scalars.h"
#include <array>

namespace ingot {
namespace {

struct Known {
  std::string_view name;
  ElementType type;
  void (*write)(const Scalars &scalars, Tensor &tensor);
};

constexpr std::array<Known, 3> known = {{
    {"learning_rate", ElementType::F32,
     [](const Scalars &from, Tensor &to) { *to.as<float>() = float(from.learningRate); }},
    {"step", ElementType::I64,
     [](const Scalars &from, Tensor &to) { *to.as<int64_t>() = from.step; }},
    {"seed", ElementType::I64,
     [](const Scalars &from, Tensor &to) { *to.as<int64_t>() = int64_t(from.seed); }},
}};

} // namespace

Result<Tensor> scalarInput(const Port &port, const Scalars &scalars) {
  for (const Known &scalar : known)
    if (scalar.name == port.name && scalar.type == port.type && port.shape.empty()) {
      Tensor value(port.type, {});
      scalar.write(scalars, value);
      return value;
    }
  return failure(Error::Code::Unsupported, port.name,
                 "nobody feeds this scalar ({} {}); known are learning_rate (f32), step and seed "
                 "(i64)",
                 toString(port.shape), name(port.type));
}

Result<std::vector<NamedTensor>> scalarInputs(const Function &function, const Scalars &scalars) {
  std::vector<NamedTensor> inputs;
  for (const Port &port : function.ports)
    if (port.role == Role::Scalar) {
      INGOT_ASSIGN(Tensor value, scalarInput(port, scalars));
      inputs.push_back({port.name, std::move(value)});
    }
  return inputs;
}

} // namespace ingot
