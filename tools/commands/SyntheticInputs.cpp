#include "tools/commands/SyntheticInputs.h"
#include "runtime/data/RandomSource.h"
#include "runtime/program/Scalars.h"

namespace ingot {
namespace {

/// Integer inputs stay below this: the classes or the vocabulary that the output's last dimension
/// counts where the model is trained; else 0, for 0 and 1, which every table has.
int64_t integerLimit(const Program &program) {
  const Function *forward = program.function("forward");
  if (!program.function("step") || !forward)
    return 0;
  for (const Port &port : forward->ports)
    if (port.role == Role::Output && !port.shape.empty())
      return port.shape.back();
  return 0;
}

Status writeAll(Session &session, const Function &function, const Batch &values) {
  for (const NamedTensor &tensor : values)
    INGOT_TRY(session.write(function.name, tensor.name, tensor.value));
  return {};
}

} // namespace

Status fillSyntheticInputs(Session &session, const Function &function) {
  const Scalars scalars{.learningRate = 1e-4};
  if (const Function *init = session.program().function("init"); init && init != &function) {
    INGOT_ASSIGN(Batch seed, scalarInputs(*init, scalars));
    INGOT_TRY(writeAll(session, *init, seed));
    INGOT_TRY(session.run("init"));
  }
  INGOT_ASSIGN(
      std::unique_ptr<RandomSource> source,
      RandomSource::create(batchPorts(function, integerLimit(session.program())), /*seed=*/0));
  Batch batch = source->makeBatch();
  INGOT_TRY(source->fill(0, batch));
  INGOT_TRY(writeAll(session, function, batch));
  INGOT_ASSIGN(Batch fed, scalarInputs(function, scalars));
  return writeAll(session, function, fed);
}

} // namespace ingot
