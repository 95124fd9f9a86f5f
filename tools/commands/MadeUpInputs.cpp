#include "tools/commands/MadeUpInputs.h"
#include "runtime/data/RandomSource.h"

namespace ingot {
namespace {

/// Below what integer inputs stay: the classes or the vocabulary that the model's last dimension
/// counts when it is trained; otherwise 0 and 1, which every table has.
int64_t integerLimit(const Program &program) {
  const Function *forward = program.function("forward");
  if (!program.function("step") || !forward)
    return 0;
  for (const Port &port : forward->ports)
    if (port.kind == BufferKind::Output && !port.shape.empty())
      return port.shape.back();
  return 0;
}

Status writeScalar(Session &session, const Function &function, const char *name, double value) {
  const Port *port = function.port(name);
  if (!port || port->kind != BufferKind::Input || !port->shape.empty())
    return {};
  Tensor scalar(port->type, {});
  if (port->type == ElementType::F32)
    *scalar.as<float>() = float(value);
  else if (port->type == ElementType::I64)
    *scalar.as<int64_t>() = int64_t(value);
  else
    return {};
  return session.write(function.name, name, scalar);
}

} // namespace

Status fillMadeUpInputs(Session &session, const Function &function) {
  if (const Function *init = session.program().function("init"); init && init != &function) {
    INGOT_TRY(writeScalar(session, *init, "seed", 0));
    INGOT_TRY(session.run("init"));
  }
  INGOT_ASSIGN(
      std::unique_ptr<RandomSource> source,
      RandomSource::create(batchPorts(function, integerLimit(session.program())), /*seed=*/0));
  Batch batch = source->makeBatch();
  INGOT_TRY(source->fill(0, batch));
  for (const NamedTensor &tensor : batch)
    INGOT_TRY(session.write(function.name, tensor.name, tensor.value));
  INGOT_TRY(writeScalar(session, function, "learning_rate", 1e-4));
  INGOT_TRY(writeScalar(session, function, "step", 0));
  return writeScalar(session, function, "seed", 0);
}

} // namespace ingot
