#include "runtime/training/StepDriver.h"
#include "runtime/program/Scalars.h"

namespace ingot {
namespace {

Result<const Function *> requireFunction(const Session &session, std::string_view name) {
  if (const Function *function = session.program().function(name))
    return function;
  return failure(Error::Code::Unsupported, "", "the program has no function '{}'", name);
}

/// A float scalar (f32 or f64).
Result<double> numberOf(const NamedTensor &scalar) {
  const Tensor &value = scalar.value;
  if (value.size() == 1 && value.type() == ElementType::F32)
    return double(*value.as<float>());
  if (value.size() == 1 && value.type() == ElementType::F64)
    return *value.as<double>();
  return failure(Error::Code::Unsupported, scalar.name, "{} {} is not a float scalar",
                 name(value.type()), toString(value.shape()));
}

constexpr const char *lossName = "loss", *gradientNormName = "gradient_norm";

} // namespace

Status initializeParameters(Session &session, uint64_t seed) {
  const Function *init = session.program().function("init");
  if (!init)
    return {};
  INGOT_ASSIGN(std::vector<NamedTensor> scalars, scalarInputs(*init, {.seed = seed}));
  INGOT_ASSIGN(Ticket ticket, session.enqueue("init", scalars, {}));
  INGOT_TRY(session.wait(ticket));
  return {};
}

Status StepDriver::initialize() {
  INGOT_TRY(requireFunction(session, "init"));
  done = 0;
  return initializeParameters(session, seed);
}

Status StepDriver::enqueue(std::span<const NamedTensor> batch, double learningRate) {
  INGOT_ASSIGN(const Function *step, requireFunction(session, "step"));
  INGOT_ASSIGN(std::vector<NamedTensor> inputs,
               scalarInputs(*step, {learningRate, done + inFlight(), seed}));
  inputs.insert(inputs.end(), batch.begin(), batch.end());
  std::vector<std::string> outputs = {lossName};
  if (step->port(gradientNormName))
    outputs.push_back(gradientNormName);
  INGOT_ASSIGN(Ticket ticket, session.enqueue("step", inputs, outputs));
  running.push_back(ticket);
  return {};
}

Result<StepDriver::Outcome> StepDriver::finish() {
  const Ticket ticket = running.front();
  running.pop_front();
  INGOT_ASSIGN(std::vector<NamedTensor> outputs, session.wait(ticket));
  ++done;
  Outcome outcome;
  INGOT_ASSIGN(outcome.loss, numberOf(outputs[0]));
  if (outputs.size() > 1) {
    INGOT_ASSIGN(outcome.gradientNorm, numberOf(outputs[1]));
  }
  return outcome;
}

Result<double> evaluateBatch(Session &session, std::span<const NamedTensor> batch) {
  INGOT_TRY(requireFunction(session, "evaluate"));
  INGOT_ASSIGN(Ticket ticket, session.enqueue("evaluate", batch, {lossName}));
  INGOT_ASSIGN(std::vector<NamedTensor> outputs, session.wait(ticket));
  return numberOf(outputs[0]);
}

Result<Checkpoint> StepDriver::checkpoint() const {
  INGOT_ASSIGN(const Function *step, requireFunction(session, "step"));
  Checkpoint checkpoint;
  checkpoint.step = checkpoint.dataPosition = done;
  checkpoint.seed = seed;
  for (const Port &port : step->ports)
    if (isPersistent(port.role)) {
      INGOT_ASSIGN(checkpoint.tensors[port.name], session.read("step", port.name));
    }
  return checkpoint;
}

Status StepDriver::restore(const Checkpoint &checkpoint, const std::string &place) {
  INGOT_TRY(loadParameters(session, "step", checkpoint, place));
  done = checkpoint.step;
  seed = checkpoint.seed;
  return {};
}

Status loadParameters(Session &session, std::string_view functionName, const Checkpoint &checkpoint,
                      const std::string &place) {
  INGOT_ASSIGN(const Function *function, requireFunction(session, functionName));
  for (const Port &port : function->ports) {
    if (!isPersistent(port.role))
      continue;
    auto found = checkpoint.tensors.find(port.name);
    if (found == checkpoint.tensors.end())
      return failure(Error::Code::BadInput, place,
                     "the checkpoint lacks '{}': it is of another model or optimizer", port.name);
    const Tensor &value = found->second;
    if (value.type() != port.type || value.shape() != port.shape)
      return failure(Error::Code::BadInput, place,
                     "the checkpoint's '{}' is {} {}, but the model's is {} {}", port.name,
                     name(value.type()), toString(value.shape()), name(port.type),
                     toString(port.shape));
    INGOT_TRY(session.write(functionName, port.name, value));
  }
  return {};
}

} // namespace ingot
