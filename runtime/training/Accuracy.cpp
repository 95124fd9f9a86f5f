#include "runtime/training/Accuracy.h"
#include "runtime/data/Array.h"
#include <algorithm>

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

} // namespace

bool isClassifier(const Program &program) { return targetOf(program); }

Result<double> evaluateAccuracy(Session &session, const BatchSource &source, int64_t batches) {
  const Function &forward = *session.program().function("forward");
  const Port &output = *onlyOutput(forward), &target = *targetOf(session.program());
  const int64_t rows = output.shape[0], classes = output.shape[1];
  Tensor expected(ElementType::I64, {rows});
  Batch batch = source.makeBatch();
  int64_t right = 0;
  for (int64_t step = 0; step < batches; ++step) {
    INGOT_TRY(source.fill(step, batch));
    Batch inputs;
    for (const NamedTensor &tensor : batch) {
      if (tensor.name == target.name)
        INGOT_TRY(convertElements(tensor.value, 0, expected, 0, rows));
      else if (forward.port(tensor.name)) // weights are the loss's alone
        inputs.push_back(tensor);
    }
    INGOT_ASSIGN(Ticket ticket, session.enqueue("forward", inputs, {output.name}));
    INGOT_ASSIGN(std::vector<NamedTensor> outputs, session.wait(ticket));
    const Tensor &logits = outputs[0].value;
    for (int64_t row = 0; row < rows; ++row) {
      const float *first = logits.as<float>() + row * classes;
      right += std::max_element(first, first + classes) - first == expected.as<int64_t>()[row];
    }
  }
  return double(right) / double(batches * rows);
}

} // namespace ingot
