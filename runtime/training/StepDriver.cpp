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

StepDriver::Outputs StepDriver::outputsOf(const Function &step) {
  Outputs outputs{.names = {lossName}, .watched = {}};
  for (const char *optional : {gradientNormName, gradientNormsName})
    if (step.port(optional))
      outputs.names.push_back(optional);
  for (const Port &port : step.ports) {
    if (!port.name.starts_with(beyondPrefix))
      continue;
    outputs.names.push_back(port.name);
    Watched &bucket = outputs.watched.emplace_back();
    int64_t elements = 0;
    for (const std::string &name : port.members) {
      bucket.members.push_back(step.port(name));
      bucket.starts.push_back(elements);
      elements += elementsInBucket(elementCount(bucket.members.back()->shape),
                                   int64_t(byteSize(bucket.members.back()->type)));
    }
    bucket.rowElements = elements / std::max<int64_t>(1, elementCount(port.shape));
  }
  return outputs;
}

/// What the update of a parameter made of a gradient that is not finite: a parameter or a state of
/// it (`velocity.w` of `w`) that is not finite either.
Result<std::optional<StepDriver::Outcome::Large>>
StepDriver::findWritten(const Port &parameter) const {
  for (const Port &port : session.program().function("step")->ports) {
    const bool isState = port.role == Role::State && port.shape == parameter.shape &&
                         port.name.ends_with("." + parameter.name);
    if (port.name != parameter.name && !isState)
      continue;
    INGOT_ASSIGN(const Tensor value, session.read("step", port.name));
    if (std::optional<Shape> position = findNonFinite(value))
      return Outcome::Large{parameter.name, std::move(*position)};
  }
  return std::nullopt;
}

/// The first element of which an output `gradient_beyond.N` tells: a row's value is a place in it,
/// or its length.
Result<std::optional<StepDriver::Outcome::Large>> StepDriver::firstLarge(const Watched &bucket,
                                                                         const Tensor &rows) const {
  if (bucket.members.empty() || rows.type() != ElementType::I32)
    return std::nullopt;
  const int64_t length = bucket.rowElements;
  for (int64_t row = 0; row < rows.size(); ++row) {
    const int64_t place = rows.as<int32_t>()[row];
    if (place < 0 || place >= length)
      continue;
    const int64_t flat = row * length + place;
    auto member = size_t(std::ranges::upper_bound(bucket.starts, flat) - bucket.starts.begin() - 1);
    const int64_t inMember = flat - bucket.starts[member];
    const Port &parameter = *bucket.members[member];
    if (inMember < elementCount(parameter.shape))
      return Outcome::Large{parameter.name, indexOf(inMember, parameter.shape)};
    // Padding, which means nothing; but nobody has looked at what follows it in the row.
    while (++member < bucket.members.size() && bucket.starts[member] < (row + 1) * length) {
      INGOT_ASSIGN(std::optional<Outcome::Large> found, findWritten(*bucket.members[member]));
      if (found)
        return found;
    }
  }
  return std::nullopt;
}

Status StepDriver::enqueue(std::span<const NamedTensor> batch, double learningRate) {
  if (!Schedule::isRate(learningRate))
    return failure(Error::Code::Usage, "learningRate", "{} is not a number, 0 or more",
                   learningRate);
  INGOT_ASSIGN(const Function *step, requireFunction(session, "step"));
  INGOT_ASSIGN(std::vector<NamedTensor> inputs,
               scalarInputs(*step, {learningRate, done + inFlight(), seed}));
  inputs.insert(inputs.end(), batch.begin(), batch.end());
  if (!outputs)
    outputs = outputsOf(*step);
  INGOT_ASSIGN(Ticket ticket, session.enqueue("step", inputs, outputs->names));
  running.push_back(ticket);
  return {};
}

Result<StepDriver::Outcome> StepDriver::finish() {
  const Ticket ticket = running.front();
  running.pop_front();
  INGOT_ASSIGN(std::vector<NamedTensor> values, session.wait(ticket));
  ++done;
  Outcome outcome;
  INGOT_ASSIGN(outcome.loss, numberOf(values[0]));
  const size_t firstWatched = values.size() - outputs->watched.size();
  for (size_t i = 1; i < values.size(); ++i)
    if (values[i].name == gradientNormName) {
      INGOT_ASSIGN(outcome.gradientNorm, numberOf(values[i]));
    } else if (values[i].name == gradientNormsName) {
      outcome.gradientNorms = numbersOf(values[i].value);
    } else if (!outcome.large) {
      INGOT_ASSIGN(outcome.large, firstLarge(outputs->watched[i - firstWatched], values[i].value));
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
    if (isSaved(port.role)) {
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
    if (isSaved(port.role)) {
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

Status checkParameter(const Checkpoint &checkpoint, const std::string &parameter, ElementType type,
                      const Shape &shape, const std::string &place) {
  auto found = checkpoint.tensors.find(parameter);
  if (found == checkpoint.tensors.end())
    return failure(Error::Code::BadInput, place,
                   "the checkpoint lacks '{}': it is of another model or optimizer", parameter);
  const Tensor &value = found->second;
  if (value.type() != type || value.shape() != shape)
    return failure(Error::Code::BadInput, place,
                   "the checkpoint's '{}' is {} {}, but the model's is {} {}", parameter,
                   name(value.type()), toString(value.shape()), name(type), toString(shape));
  return {};
}

Status loadParameters(Session &session, std::string_view functionName, const Checkpoint &checkpoint,
                      const std::string &place, bool withState) {
  INGOT_ASSIGN(const Function *function, requireFunction(session, functionName));
  std::vector<std::string> wanted;
  for (const Port &port : function->ports) {
    if (!isSaved(port.role) || (!withState && isOfOptimizer(session, port)))
      continue;
    INGOT_TRY(checkParameter(checkpoint, port.name, port.type, port.shape, place));
    wanted.push_back(port.name);
  }
  for (const std::string &parameter : wanted)
    INGOT_TRY(session.write(functionName, parameter, checkpoint.tensors.at(parameter)));
  return {};
}

} // namespace ingot
