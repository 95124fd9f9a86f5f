#include "runtime/training/Accuracy.h"
#include "runtime/data/Array.h"
#include <cmath>

namespace ingot {

namespace {

bool isInteger(ElementType type) { return type == ElementType::I32 || type == ElementType::I64; }

/// The only output of `forward`; null if there are several.
const Port *onlyOutput(const Function &forward) {
  const Port *only = nullptr;
  for (const Port &port : forward.ports)
    if (port.role == Role::Output) {
      if (only)
        return nullptr;
      only = &port;
    }
  return only;
}

/// The integer target [rows] of `evaluate`; null if there is none.
const Port *targetOf(const Program &program) {
  const Function *forward = program.function("forward"), *evaluate = program.function("evaluate");
  if (!forward || !evaluate)
    return nullptr;
  const Port *output = onlyOutput(*forward);
  if (!output || output->type != ElementType::F32 || output->shape.size() != 2)
    return nullptr;
  for (const Port &port : evaluate->ports)
    if (port.role == Role::Target && isInteger(port.type) && port.shape == Shape{output->shape[0]})
      return &port;
  return nullptr;
}

struct Count {
  int64_t right = 0, all = 0;
};

/// Counts a batch's first targets, and how many have the largest output; none does where an output
/// is NaN.
void count(const Tensor &output, const Classifier &classifier, const Tensor &targets,
           int64_t positions, Count &sum) {
  const Shape &shape = output.shape();
  const int64_t classAxis = classifier.classAxis;
  const int64_t classes = shape[size_t(classAxis)];
  const int64_t inner = elementCount(Shape(shape.begin() + classAxis + 1, shape.end()));
  for (int64_t position = 0; position < positions; ++position) {
    const int64_t target = targets.as<int64_t>()[position];
    if (target == classifier.ignored)
      continue;
    const float *first = output.as<float>() + position / inner * inner * classes + position % inner;
    int64_t best = 0;
    bool isNumber = true;
    for (int64_t candidate = 0; candidate < classes; ++candidate) {
      isNumber &= !std::isnan(first[candidate * inner]);
      if (first[candidate * inner] > first[best * inner])
        best = candidate;
    }
    sum.right += isNumber && best == target;
    ++sum.all;
  }
}

} // namespace

std::optional<Classifier> classifierOf(const Program &program, std::optional<int64_t> ignored) {
  const Port *target = targetOf(program);
  if (!target)
    return std::nullopt;
  return Classifier{onlyOutput(*program.function("forward"))->name, target->name, 1, ignored};
}

Result<double> evaluateAccuracy(Session &session, const BatchSource &source, int64_t batches,
                                const Classifier &classifier) {
  const Function &forward = *session.program().function("forward");
  Shape positions = forward.port(classifier.output)->shape;
  positions.erase(positions.begin() + classifier.classAxis);
  Tensor expected(ElementType::I64, positions);
  Batch batch = source.makeBatch();
  Count sum;
  for (int64_t step = 0; step < batches; ++step) {
    INGOT_TRY(source.fill(step, batch));
    Batch inputs;
    for (const NamedTensor &tensor : batch) {
      if (tensor.name == classifier.target)
        INGOT_TRY(convertElements(tensor.value, 0, expected, 0, expected.size()));
      else if (forward.port(tensor.name)) // weights are the loss's alone
        inputs.push_back(tensor);
    }
    INGOT_ASSIGN(Ticket ticket, session.enqueue("forward", inputs, {classifier.output}));
    INGOT_ASSIGN(std::vector<NamedTensor> outputs, session.wait(ticket));
    const int64_t held = expected.size() / expected.shape()[0] * source.rowsOf(step);
    count(outputs[0].value, classifier, expected, held, sum);
  }
  return double(sum.right) / double(sum.all);
}

} // namespace ingot
