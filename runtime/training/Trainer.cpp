#include "runtime/training/Trainer.h"
#include "runtime/data/Prefetch.h"
#include "runtime/program/Scalars.h"
#include "runtime/support/File.h"
#include "runtime/training/Plot.h"
#include <chrono>
#include <cmath>
#include <filesystem>

namespace ingot {

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Result<const Function *> requireFunction(const Session &session, std::string_view name) {
  if (const Function *function = session.program().function(name))
    return function;
  return failure(Error::Code::Unsupported, "", "the program has no function '{}'", name);
}

Status writeBatch(Session &session, std::string_view function, const Batch &batch) {
  for (const NamedTensor &tensor : batch)
    INGOT_TRY(session.write(function, tensor.name, tensor.value));
  return {};
}

std::string freshName(const std::string &folder) {
  for (int number = 1;; ++number)
    if (std::string name = fmt::format("{}.{}", folder, number); !std::filesystem::exists(name))
      return name;
}

/// Moves the checkpoints of an earlier run out of the way of a fresh one.
Status moveAside(std::string folder, TrainingObserver &observer) {
  INGOT_ASSIGN(std::vector<int64_t> steps, CheckpointDirectory(folder).steps());
  if (steps.empty())
    return {};
  while (folder.ends_with('/'))
    folder.pop_back();
  std::string aside = freshName(folder);
  std::error_code error;
  std::filesystem::rename(folder, aside, error);
  if (error)
    return failure(Error::Code::Io, folder,
                   "an earlier run's checkpoints cannot be moved to {}: {}", aside,
                   error.message());
  observer.onNote(
      fmt::format("{} held an earlier run's checkpoints; they are in {} now", folder, aside));
  return {};
}

/// Makes the directory and writes to it: better to fail now than when hours of training are saved.
Status checkWritable(const std::string &directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error)
    return failure(Error::Code::Io, directory, "cannot create the directory: {}", error.message());
  std::string probe = directory + "/.writable";
  INGOT_TRY(writeFile(probe, ""));
  std::filesystem::remove(probe, error);
  return {};
}

} // namespace

Result<double> readScalar(const Session &session, std::string_view function,
                          std::string_view port) {
  INGOT_ASSIGN(Tensor value, session.read(function, port));
  if (value.size() == 1 && value.type() == ElementType::F32)
    return double(*value.as<float>());
  if (value.size() == 1 && value.type() == ElementType::F64)
    return *value.as<double>();
  return failure(Error::Code::Unsupported, std::string(port), "{} {} is not a float scalar",
                 name(value.type()), toString(value.shape()));
}

Result<double> evaluateLoss(Session &session, const BatchSource &source, int64_t batches) {
  if (batches < 1)
    return failure(Error::Code::Usage, "", "an evaluation needs at least one batch");
  Batch batch = source.makeBatch();
  double sum = 0;
  for (int64_t step = 0; step < batches; ++step) {
    INGOT_TRY(source.fill(step, batch));
    INGOT_TRY(writeBatch(session, "evaluate", batch));
    INGOT_TRY(session.run("evaluate"));
    INGOT_ASSIGN(double loss, readScalar(session, "evaluate", "loss"));
    sum += loss;
  }
  return sum / double(batches);
}

Trainer::Trainer(Session &session, const BatchSource &training, const BatchSource *validation,
                 TrainerOptions options, TrainingObserver &observer)
    : session(session), training(training), validation(validation), options(std::move(options)),
      observer(observer) {}

Result<TrainingResult> Trainer::run(const std::atomic<bool> &stop) {
  double start = now();
  INGOT_TRY(begin());
  INGOT_TRY(evaluate());
  if (result.step < options.steps) {
    Prefetch batches(training, result.step, options.steps);
    while (result.step < options.steps && !stop) {
      double stepStart = now();
      INGOT_ASSIGN(const Batch *batch, batches.next());
      INGOT_TRY(trainStep(*batch, stepStart));
      if (isDue(options.evaluateEvery))
        INGOT_TRY(evaluate());
      if (isDue(options.saveEvery))
        INGOT_TRY(save());
    }
  }
  result.stopped = result.step < options.steps;
  if (!result.stopped)
    INGOT_TRY(evaluate());
  INGOT_TRY(save());
  result.seconds = now() - start;
  return std::move(result);
}

Status Trainer::begin() {
  result = {};
  savedStep = evaluatedStep = -1;
  INGOT_TRY(requireFunction(session, "step"));
  if (validation)
    INGOT_TRY(requireFunction(session, "evaluate"));
  if (options.resume)
    INGOT_TRY(restore());
  if (savedStep < 0) {
    if (!options.out.empty()) {
      INGOT_TRY(moveAside(options.out, observer));
      INGOT_TRY(checkWritable(options.out));
    }
    INGOT_TRY(initialize());
  }
  result.firstStep = result.step;
  const BatchPort &first = training.ports().at(0);
  result.tokensPerStep = first.type == ElementType::I32 || first.type == ElementType::I64
                             ? elementCount(first.shape)
                             : first.shape.at(0);
  return {};
}

Status Trainer::initialize() {
  INGOT_ASSIGN(const Function *init, requireFunction(session, "init"));
  INGOT_ASSIGN(Batch seed, scalarInputs(*init, {.seed = options.seed}));
  INGOT_TRY(writeBatch(session, "init", seed));
  return session.run("init");
}

Status Trainer::restore() {
  std::vector<std::string> warnings;
  INGOT_ASSIGN(std::optional<Checkpoint> checkpoint,
               CheckpointDirectory(options.out, options.keep).newest(&warnings));
  for (const std::string &warning : warnings)
    observer.onNote(warning);
  if (!checkpoint) {
    observer.onNote(
        fmt::format("there is no checkpoint in {} yet: training starts afresh", options.out));
    return {};
  }
  if (checkpoint->seed != options.seed)
    return failure(Error::Code::Usage, "--seed", "the checkpoint was trained with seed {}, not {}",
                   checkpoint->seed, options.seed);
  INGOT_TRY(loadParameters(session, "step", *checkpoint, options.out));
  result.step = savedStep = checkpoint->step;
  if (result.step >= options.steps)
    observer.onNote(fmt::format("{} is at step {} already, and {} steps are asked for in all",
                                options.out, result.step, options.steps));
  if (std::string losses = options.out + "/losses.json"; std::filesystem::exists(losses)) {
    INGOT_ASSIGN(std::string text, readFile(losses));
    INGOT_ASSIGN(result.curve, Curve::parse(text, losses));
    result.curve.truncate(result.step);
    if (!result.curve.validation.empty())
      evaluatedStep = result.curve.validation.back().step;
  }
  return {};
}

Status Trainer::writeScalars(double learningRate) {
  INGOT_ASSIGN(Batch scalars, scalarInputs(*session.program().function("step"),
                                           {learningRate, result.step, options.seed}));
  return writeBatch(session, "step", scalars);
}

Status Trainer::trainStep(const Batch &batch, double start) {
  StepReport report;
  report.learningRate = options.schedule.at(result.step);
  INGOT_TRY(writeBatch(session, "step", batch));
  INGOT_TRY(writeScalars(report.learningRate));
  INGOT_TRY(session.run("step"));
  INGOT_ASSIGN(report.loss, readScalar(session, "step", "loss"));
  if (session.program().function("step")->port("gradient_norm")) {
    INGOT_ASSIGN(report.gradientNorm, readScalar(session, "step", "gradient_norm"));
  }
  report.ms = (now() - start) * 1e3;
  report.step = ++result.step;
  report.steps = options.steps;
  report.tokens = result.tokensPerStep;
  result.stepMs.push_back(report.ms);
  result.curve.training.push_back({report.step, report.loss});
  observer.onStep(report);
  if (std::isfinite(report.loss) || options.allowNonFinite)
    return {};
  return failure(Error::Code::BadInput, "",
                 "the loss is {} in step {}; a smaller learning rate or clipping may help{}",
                 std::isnan(report.loss) ? "NaN" : "infinite", report.step,
                 savedStep < 0 ? ""
                               : fmt::format(" (the newest checkpoint is of step {})", savedStep));
}

Status Trainer::evaluate() {
  if (!validation || evaluatedStep == result.step)
    return {};
  INGOT_ASSIGN(double loss, evaluateLoss(session, *validation, options.evaluationBatches));
  evaluatedStep = result.step;
  result.curve.validation.push_back({result.step, loss});
  observer.onEvaluation(result.step, loss);
  return {};
}

Status Trainer::save() {
  if (options.out.empty() || savedStep == result.step)
    return {};
  Checkpoint checkpoint;
  checkpoint.step = checkpoint.dataPosition = result.step;
  checkpoint.seed = options.seed;
  checkpoint.options = options.description;
  for (const Port &port : session.program().function("step")->ports)
    if (isPersistent(port.role)) {
      INGOT_ASSIGN(checkpoint.tensors[port.name], session.read("step", port.name));
    }
  CheckpointDirectory directory(options.out, options.keep);
  INGOT_TRY(directory.save(checkpoint));
  INGOT_TRY(writeFile(options.out + "/losses.json", result.curve.toJson()));
  INGOT_TRY(writeFile(options.out + "/loss.svg", plotSvg(result.curve, "Loss")));
  INGOT_TRY(writeFile(options.out + "/loss.txt", plotText(result.curve)));
  savedStep = result.step;
  observer.onCheckpoint(result.step, directory.file(result.step));
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
