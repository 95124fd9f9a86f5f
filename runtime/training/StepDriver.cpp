#include "runtime/training/StepDriver.h"
#include "runtime/program/Bucket.h"
#include "runtime/program/Scalars.h"
#include "runtime/training/Schedule.h"
#include <algorithm>
#include <cmath>

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

constexpr const char *lossName = "loss", *gradientNormName = "gradient_norm",
                     *gradientNormsName = "gradient_norms";
constexpr std::string_view beyondPrefix = "gradient_beyond.";

std::vector<double> numbersOf(const Tensor &values) {
  std::vector<double> numbers(values.size());
  for (size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = values.type() == ElementType::F64 ? values.as<double>()[i] : values.as<float>()[i];
  return numbers;
}

/// The first element of which an output `gradient_beyond.N` tells: a row's value is a place in it,
/// or its length.
std::optional<StepDriver::Outcome::Large> firstLarge(const Function &step,
                                                     const NamedTensor &output) {
  std::vector<const Port *> members;
  std::vector<int64_t> starts;
  int64_t elements = 0;
  for (const std::string &name : step.port(output.name)->members) {
    members.push_back(step.port(name));
    starts.push_back(elements);
    elements += elementsInBucket(elementCount(members.back()->shape));
  }
  const int64_t rows = output.value.size();
  if (members.empty() || rows == 0 || output.value.type() != ElementType::I32)
    return std::nullopt;
  const int64_t length = elements / rows;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t place = output.value.as<int32_t>()[row];
    if (place < 0 || place >= length)
      continue;
    const int64_t flat = row * length + place;
    const size_t index = std::ranges::upper_bound(starts, flat) - starts.begin() - 1;
    const Shape &shape = members[index]->shape;
    if (flat - starts[index] < elementCount(shape)) // else it is padding
      return StepDriver::Outcome::Large{members[index]->name, indexOf(flat - starts[index], shape)};
  }
  return std::nullopt;
}

std::string quoted(std::string_view name) { return fmt::format("'{}'", name); }

/// State that the model itself has not.
bool isOfOptimizer(const Session &session, const Port &port) {
  const Function *evaluate = session.program().function("evaluate");
  return port.role == Role::State && !(evaluate && evaluate->port(port.name));
}

std::string_view wordFor(double value) {
  return std::isnan(value) ? "NaN" : value > 0 ? "infinite" : "-infinite";
}

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
  done = 0;
  return initializeParameters(session, seed);
}

Status StepDriver::enqueue(std::span<const NamedTensor> batch, double learningRate) {
  if (!Schedule::isRate(learningRate))
    return failure(Error::Code::Usage, "learningRate", "{} is not a number, 0 or more",
                   learningRate);
  INGOT_ASSIGN(const Function *step, requireFunction(session, "step"));
  INGOT_ASSIGN(std::vector<NamedTensor> inputs,
               scalarInputs(*step, {learningRate, done + inFlight(), seed}));
  inputs.insert(inputs.end(), batch.begin(), batch.end());
  std::vector<std::string> outputs = {lossName};
  for (const char *optional : {gradientNormName, gradientNormsName})
    if (step->port(optional))
      outputs.push_back(optional);
  for (const Port &port : step->ports)
    if (port.name.starts_with(beyondPrefix))
      outputs.push_back(port.name);
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
  const Function &step = *session.program().function("step");
  for (const NamedTensor &output : std::span(outputs).subspan(1))
    if (output.name == gradientNormName) {
      INGOT_ASSIGN(outcome.gradientNorm, numberOf(output));
    } else if (output.name == gradientNormsName) {
      outcome.gradientNorms = numbersOf(output.value);
    } else if (!outcome.large) {
      outcome.large = firstLarge(step, output);
    }
  return outcome;
}

bool StepDriver::Outcome::isFinite() const {
  return std::isfinite(loss) && (gradientNorm ? std::isfinite(*gradientNorm) : !large);
}

Result<std::string> StepDriver::describe(const Outcome &outcome) const {
  std::string text;
  if (!std::isfinite(outcome.loss))
    text = fmt::format("the loss is {}", wordFor(outcome.loss));
  else if (outcome.gradientNorm && !outcome.isFinite())
    text = fmt::format("the gradients' norm is {}", wordFor(*outcome.gradientNorm));
  else
    text = "the gradients' norm is not finite";
  if (outcome.large)
    text += fmt::format("; the first gradient that shows it is of '{}', at position [{}]",
                        outcome.large->parameter, fmt::join(outcome.large->position, ", "));
  INGOT_ASSIGN(const Function *step, requireFunction(session, "step"));
  size_t index = 0;
  for (const Port &port : step->ports) {
    if (port.role != Role::Parameter)
      continue;
    if (index < outcome.gradientNorms.size() && !std::isfinite(outcome.gradientNorms[index]))
      return fmt::format("{}; the first gradient that shows it is of '{}', its norm is {}", text,
                         port.name, wordFor(outcome.gradientNorms[index]));
    ++index;
  }
  for (const Port &port : step->ports)
    if (isPersistent(port.role)) {
      INGOT_ASSIGN(const Tensor value, session.read("step", port.name));
      if (std::string found = ingot::describeNonFinite(quoted(port.name), value); !found.empty())
        return fmt::format("{}, and {}", text, found);
    }
  return outcome.large ? text : text + ", though all parameters are finite";
}

std::string StepDriver::describeNonFinite(const Checkpoint &checkpoint) {
  for (const auto &[name, value] : checkpoint.tensors)
    if (std::string found = ingot::describeNonFinite(quoted(name), value); !found.empty())
      return found;
  return "";
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
  INGOT_ASSIGN(const Function *step, requireFunction(session, "step"));
  bool hasState = false, isStateThere = false;
  for (const Port &port : step->ports)
    if (isOfOptimizer(session, port)) {
      hasState = true;
      isStateThere |= checkpoint.tensors.contains(port.name);
    }
  if (hasState && !isStateThere) {
    INGOT_TRY(initialize());
    return loadParameters(session, "step", checkpoint, place, /*withState=*/false);
  }
  INGOT_TRY(loadParameters(session, "step", checkpoint, place));
  done = checkpoint.step;
  seed = checkpoint.seed;
  return {};
}

Status loadParameters(Session &session, std::string_view functionName, const Checkpoint &checkpoint,
                      const std::string &place, bool withState) {
  INGOT_ASSIGN(const Function *function, requireFunction(session, functionName));
  for (const Port &port : function->ports) {
    if (!isPersistent(port.role) || (!withState && isOfOptimizer(session, port)))
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
