#include "runtime/training/TrainingLoop.h"
#include "runtime/data/Prefetch.h"
#include "runtime/support/Clock.h"

namespace ingot {

Result<double> evaluateLoss(Session &session, const BatchSource &source, int64_t batches) {
  if (batches < 1)
    return failure(Error::Code::Usage, "", "an evaluation needs at least one batch");
  Batch batch = source.makeBatch();
  double sum = 0;
  int64_t rows = 0;
  for (int64_t step = 0; step < batches; ++step) {
    INGOT_TRY(source.fill(step, batch));
    INGOT_ASSIGN(double loss, evaluateBatch(session, batch));
    sum += loss * double(source.rowsOf(step));
    rows += source.rowsOf(step);
  }
  return sum / double(rows);
}

int64_t tokensPerBatch(const std::vector<BatchPort> &ports) {
  const Shape &shape = ports.at(0).shape;
  return countsTokens(ports) ? elementCount(shape) : shape.at(0);
}

tl::unexpected<Error> diverged(int64_t step, std::string_view what) {
  return failure(Error::Code::BadInput, "",
                 "step {}: {}; a smaller learning rate or clipping may help", step, what);
}

Status TrainingLoop::run(const std::atomic<bool> &stop) {
  Status status = runSteps(stop);
  while (driver.inFlight() > 0) // after an error: the driver's next user waits for its own steps
    static_cast<void>(driver.finish());
  return status;
}

Status TrainingLoop::runSteps(const std::atomic<bool> &stop) {
  if (driver.steps() < options.steps) {
    Prefetch batches(training, driver.steps(), options.steps);
    for (double stepStart = steadySeconds();; stepStart = steadySeconds()) {
      while (mayEnqueue(stop)) {
        INGOT_ASSIGN(const Batch *batch, batches.next());
        INGOT_TRY(driver.enqueue(*batch, options.rate(driver.steps() + driver.inFlight())));
      }
      if (driver.inFlight() == 0)
        break;
      INGOT_TRY(finishStep(stepStart));
      if (isDue(options.evaluateEvery, driver.steps()))
        INGOT_TRY(evaluate());
      if (isDue(options.saveEvery, driver.steps()))
        INGOT_TRY(options.save());
    }
  }
  if (driver.steps() >= options.steps)
    INGOT_TRY(evaluate());
  return {};
}

/// Nothing runs ahead of an evaluation or a checkpoint.
bool TrainingLoop::mayEnqueue(const std::atomic<bool> &stop) const {
  const int64_t before = driver.steps() + driver.inFlight();
  if (driver.inFlight() == options.mostInFlight || before >= options.steps || stop)
    return false;
  return driver.inFlight() == 0 ||
         (!isDue(options.evaluateEvery, before) && !isDue(options.saveEvery, before));
}

Status TrainingLoop::finishStep(double start) {
  StepReport report;
  report.learningRate = options.rate(driver.steps());
  INGOT_ASSIGN(report.outcome, driver.finish());
  const StepDriver::Outcome &outcome = report.outcome;
  report.ms = (steadySeconds() - start) * 1e3;
  report.step = driver.steps();
  report.steps = options.steps;
  report.tokens = tokensPerBatch(training.ports());
  report.skipped = !outcome.isFinite() && options.onNonFinite == OnNonFinite::Skip;
  record.stepMs.push_back(report.ms);
  record.losses.training.push_back({report.step, outcome.loss});
  observer.onStep(report);
  if (outcome.isFinite() || options.onNonFinite == OnNonFinite::Continue)
    return {};
  // The data may be to blame: a source is a function of the step.
  Batch batch = training.makeBatch();
  INGOT_TRY(training.fill(report.step - 1, batch));
  if (std::string found = describeNonFinite(batch); !found.empty())
    return failure(Error::Code::BadInput, "", "the data of step {} is not finite: {}", report.step,
                   found);
  INGOT_ASSIGN(const std::string what, driver.describe(outcome));
  if (!report.skipped)
    return diverged(report.step, what);
  constexpr int64_t told = 10; // then the total says it
  if (++record.skipped <= told)
    observer.onNote(fmt::format("step {} is skipped: {}", report.step, what));
  return {};
}

Status TrainingLoop::evaluate() {
  const std::vector<LossPoint> &known = record.losses.validation;
  if (!validation || (!known.empty() && known.back().step == driver.steps()))
    return {};
  INGOT_ASSIGN(double loss, evaluateLoss(session, *validation, options.evaluationBatches));
  record.losses.validation.push_back({driver.steps(), loss});
  observer.onEvaluation(driver.steps(), loss);
  return {};
}

} // namespace ingot
