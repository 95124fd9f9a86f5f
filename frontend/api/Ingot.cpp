#include "frontend/api/Ingot.h"
#include "codegen/cache/DiskCache.h"
#include "codegen/tuning/TuningFile.h"
#include "frontend/api/LoadedModel.h"
#include "frontend/api/ModelModule.h"
#include "frontend/api/RunFunction.h"
#include "frontend/api/SavedModel.h"
#include "passes/options/CheckTraining.h"
#include "runtime/training/StepDriver.h"
#include "runtime/training/TrainingLoop.h"
#include <cmath>
#include <mutex>

namespace ingot {

Result<CompileOptions> toCompileOptions(const Options &options,
                                        const std::optional<TrainingOptions> &training) {
  CompileOptions result;
  result.training = training;
  result.target = targetFor(options.device, options.target);
  result.threads = options.threads;
  result.stop = options.stop;
  if (options.memory < 0)
    return failure(Error::Code::Usage, "Options::memory", "{} is not 0 or more", options.memory);
  result.memory.budget = options.memory;
  // Who shares a trainer's store reads its frozen parameters, too.
  result.memory.packWeights = options.packWeights && !options.store && !training;
  if (options.cache)
    result.cacheDirectory = DiskCache::defaultDirectory();
  if (options.tuned) {
    INGOT_ASSIGN(result.tuning,
                 readTuning(DiskCache::defaultDirectory(), options.target, options.threads));
  }
  return result;
}

namespace {

/// A usage error that names the first number that is none of its field's.
Status checkFit(const FitOptions &options) {
  auto refuse = [](const char *field, auto number, const char *allowed) {
    return failure(Error::Code::Usage, field, "{} is not {}", number, allowed);
  };
  if (options.evaluateEvery < 0)
    return refuse("FitOptions::evaluateEvery", options.evaluateEvery, "0 or more");
  if (options.validation && options.evaluationBatches < 1)
    return refuse("FitOptions::evaluationBatches", options.evaluationBatches, "1 or more");
  if (!options.schedule)
    return {};
  const Schedule &schedule = *options.schedule;
  for (auto [field, rate] :
       {std::pair("Schedule::peak", schedule.peak), std::pair("Schedule::final", schedule.final)})
    if (!Schedule::isRate(rate))
      return refuse(field, rate, "a number, 0 or more");
  if (schedule.warmup < 0)
    return refuse("Schedule::warmup", schedule.warmup, "0 or more");
  if (schedule.kind != Schedule::Kind::Constant && schedule.steps < 1)
    return refuse("Schedule::steps", schedule.steps, "1 or more");
  return {};
}

/// A usage error where a source makes other batches than the function takes.
Status checkSource(const char *field, const BatchSource &source, const Function &function) {
  const std::vector<BatchPort> expected = batchPorts(function);
  auto isMade = [&](const BatchPort &port) {
    return std::ranges::any_of(source.ports(), [&](const BatchPort &made) {
      return made.name == port.name && made.type == port.type && made.shape == port.shape;
    });
  };
  for (const BatchPort &port : expected)
    if (!isMade(port))
      return failure(Error::Code::Usage, field, "makes no '{}', {} {}", port.name,
                     toString(port.shape), name(port.type));
  if (source.ports().size() != expected.size())
    return failure(Error::Code::Usage, field, "makes {} tensors a batch, not {}",
                   source.ports().size(), expected.size());
  return {};
}

/// Runs into the caller's memory.
Status runInto(Session &session, const Tensors &inputs, Tensors &outputs) {
  const Function *function = session.program().function("forward");
  if (!function)
    return failure(Error::Code::Usage, "forward", "the program has no such function");
  INGOT_ASSIGN(Batch batch, batchOf(*function, inputs));
  for (const auto &[outputName, value] : outputs) {
    const Port *port = function->port(outputName);
    if (!port || port->role != Role::Output)
      return failure(Error::Code::Usage, outputName, "@forward has no such output");
    INGOT_TRY(checkPlace("forward", *port, value));
  }
  // Not enqueued, which would keep a copy of the inputs and of the outputs.
  for (const NamedTensor &input : batch)
    INGOT_TRY(session.write("forward", input.name, input.value));
  INGOT_TRY(session.run("forward"));
  for (auto &[outputName, value] : outputs)
    INGOT_TRY(session.readInto("forward", outputName, value));
  return {};
}

Result<std::string> printIr(const Model &model, const CompileOptions &options,
                            std::string_view stage) {
  INGOT_ASSIGN(Stage parsed, parseStage(stage));
  CompileOptions again = options;
  again.stop = nullptr; // it was asked to live as long as the compilation alone
  return printStage(parsed, moduleOf(model), again);
}

TrainingOptions toTrainingOptions(Loss loss, const Optimizer &optimizer,
                                  const ModelTrainerOptions &options) {
  TrainingOptions training;
  training.loss = loss;
  training.clip = options.clip;
  training.dtype = options.dtype;
  training.accumulate = options.accumulate;
  training.onNonFinite = options.onNonFinite;
  training.groups = options.groups;
  training.gradients = options.gradients;
  training.lossNumbers = options.lossNumbers;
  training.lossWeights = options.lossWeights;
  training.classAxis = options.classAxis;
  training.output = options.output;
  training.optimizer = TrainingOptions::Optimizer(optimizer.index()); // rows of one table
#define INGOT_NUMBER(FIELD, DEFAULT) training.FIELD = numbers->FIELD;
#define INGOT_OPTIMIZER(NAME, TEXT, RATE, ...)                                                     \
  if (const auto *numbers = std::get_if<NAME>(&optimizer)) {                                       \
    __VA_ARGS__                                                                                    \
  }
#include "passes/options/Optimizers.def"
  return training;
}

} // namespace

//===--------------------------------------------------------------------------------------------===//
// Models
//===--------------------------------------------------------------------------------------------===//

struct CompiledProgram::Impl {
  Model model;
  CompileOptions options;
  LoadedModel loaded;
  std::mutex mutex; ///< a session runs one call at a time
};

struct ModelTrainer::Impl {
  Impl(Model model, CompileOptions options, LoadedModel loadedModel, double learningRate,
       uint64_t seed, TokenizerPointer tokenizer)
      : model(std::move(model)), options(std::move(options)), loaded(std::move(loadedModel)),
        driver(*loaded.session, seed), learningRate(learningRate), tokenizer(std::move(tokenizer)) {
  }

  Model model;
  CompileOptions options;
  LoadedModel loaded;
  StepDriver driver;
  double learningRate;
  TokenizerPointer tokenizer; ///< null if the model takes no text
  StepOutcome last;

  OnNonFinite onNonFinite() const { return options.training->onNonFinite; }
  /// The batch of a function in its order, checked where it enters.
  Result<Batch> batch(const Function &function, const Tensors &inputs) const {
    INGOT_ASSIGN(Batch batch, batchOf(function, inputs));
    if (onNonFinite() != OnNonFinite::Continue)
      if (std::string found = describeNonFinite(batch); !found.empty())
        return failure(Error::Code::BadInput, "", "{}: data must be finite", found);
    return batch;
  }
  Session &session() { return *loaded.session; }
  void remember(const StepDriver::Outcome &outcome, bool isSkipped) {
    last = {float(outcome.loss), isSkipped, outcome.gradientNorm, {}};
    size_t index = 0;
    for (const Port &port : session().program().function("step")->ports)
      if (port.role == Role::Parameter && index < outcome.gradientNorms.size())
        last.gradientNorms[port.name] = outcome.gradientNorms[index++];
  }
};

Result<Model> Model::gpt(const GptSizes &sizes) { return buildGpt(sizes); }
Result<Model> Model::mlp(const MlpSizes &sizes) { return buildMlp(sizes); }

namespace {

Status checkRate(const Optimizer &optimizer) {
  const double rate = std::visit([](const auto &any) { return any.learningRate; }, optimizer);
  if (Schedule::isRate(rate))
    return {};
  return failure(
      Error::Code::Usage,
      fmt::format("{}::learningRate", structOf(TrainingOptions::Optimizer(optimizer.index()))),
      "{} is not a number, 0 or more", rate);
}

} // namespace

Result<CompiledProgram> Model::compile(const Options &options) const {
  INGOT_ASSIGN(CompileOptions compileOptions, toCompileOptions(options, std::nullopt));
  const bool initializers = parameterCount() > 0,
             hadParameters = options.store && !options.store->names().empty();
  INGOT_ASSIGN(LoadedModel loaded, loadModel(*this, compileOptions, options.device, options.threads,
                                             initializers, options.store));
  if (!hadParameters)
    INGOT_TRY(initializeParameters(*loaded.session, 0));
  return CompiledProgram(
      std::make_shared<CompiledProgram::Impl>(*this, std::move(compileOptions), std::move(loaded)));
}

Result<CompiledProgram> Model::compile() const { return compile(Options()); }

Result<ModelTrainer> Model::trainer(Loss loss, const Optimizer &optimizer,
                                    const ModelTrainerOptions &options) const {
  INGOT_TRY(checkRate(optimizer));
  INGOT_ASSIGN(CompileOptions compileOptions,
               toCompileOptions(options, toTrainingOptions(loss, optimizer, options)));
  const bool hadParameters = options.store && !options.store->names().empty();
  INGOT_ASSIGN(LoadedModel loaded, loadModel(*this, compileOptions, options.device, options.threads,
                                             /*initializers=*/false, options.store));
  if (!hadParameters)
    INGOT_TRY(initializeParameters(*loaded.session, options.seed));
  double rate = std::visit([](const auto &any) { return any.learningRate; }, optimizer);
  return ModelTrainer(std::make_shared<ModelTrainer::Impl>(
      *this, std::move(compileOptions), std::move(loaded), rate, options.seed, options.tokenizer));
}

Result<ModelTrainer> Model::trainer(Loss loss, const Optimizer &optimizer) const {
  return trainer(loss, optimizer, ModelTrainerOptions());
}

//===--------------------------------------------------------------------------------------------===//
// Compiled programs
//===--------------------------------------------------------------------------------------------===//

Status CompiledProgram::initialize(uint64_t seed) {
  std::lock_guard lock(impl->mutex);
  return initializeParameters(*impl->loaded.session, seed);
}

Status CompiledProgram::load(const std::string &path) {
  INGOT_ASSIGN(Checkpoint checkpoint, readCheckpoint(path));
  std::lock_guard lock(impl->mutex);
  return loadParameters(*impl->loaded.session, "forward", checkpoint, path);
}

Result<Tensors> CompiledProgram::run(const Tensors &inputs) {
  std::lock_guard lock(impl->mutex);
  return runFunction(*impl->loaded.session, "forward", inputs);
}

Status CompiledProgram::run(const Tensors &inputs, Tensors &outputs) {
  std::lock_guard lock(impl->mutex);
  return runInto(*impl->loaded.session, inputs, outputs);
}

void CompiledProgram::profile(ProfileSink sink) {
  std::lock_guard lock(impl->mutex);
  impl->loaded.session->profile(std::move(sink));
}

Result<std::string> CompiledProgram::ir(std::string_view stage) const {
  std::lock_guard lock(impl->mutex);
  return printIr(impl->model, impl->options, stage);
}

const std::string &CompiledProgram::note() const { return impl->loaded.report.note; }

Status CompiledProgram::save(const std::string &path) const { return program().save(path); }

std::shared_ptr<Store> CompiledProgram::store() const { return impl->loaded.session->store(); }

const Program &CompiledProgram::program() const { return impl->loaded.session->program(); }

//===--------------------------------------------------------------------------------------------===//
// Trainers
//===--------------------------------------------------------------------------------------------===//

Result<float> ModelTrainer::step(const Tensors &batch) {
  INGOT_ASSIGN(Batch inputs, impl->batch(*program().function("step"), batch));
  INGOT_TRY(impl->driver.enqueue(inputs, impl->learningRate));
  INGOT_ASSIGN(StepDriver::Outcome outcome, impl->driver.finish());
  const bool isAccepted = outcome.isFinite() || impl->onNonFinite() == OnNonFinite::Continue;
  const bool isSkipped = !isAccepted && impl->onNonFinite() == OnNonFinite::Skip;
  impl->remember(outcome, isSkipped);
  if (isAccepted || isSkipped)
    return impl->last.loss;
  INGOT_ASSIGN(const std::string what, impl->driver.describe(outcome));
  return diverged(steps(), what);
}

std::vector<BatchPort> ModelTrainer::batchPorts() const {
  return ingot::batchPorts(*program().function("step"));
}

namespace {

/// Tells the callbacks of a call of `fit`.
class FitObserver : public TrainingObserver {
public:
  FitObserver(const FitOptions &options, ModelTrainer::Impl &trainer)
      : options(options), trainer(trainer) {}

  void onStep(const StepReport &report) override {
    trainer.remember(report.outcome, report.skipped);
    if (options.onStep)
      options.onStep({report.step, report.steps, report.learningRate, report.ms, trainer.last});
  }
  void onEvaluation(int64_t step, double loss) override {
    if (options.onEvaluation)
      options.onEvaluation(step, loss);
  }

private:
  const FitOptions &options;
  ModelTrainer::Impl &trainer;
};

} // namespace

Result<LossHistory> ModelTrainer::fit(const BatchSource &training, const FitOptions &options) {
  INGOT_TRY(checkFit(options));
  INGOT_TRY(checkSource("ModelTrainer::fit", training, *program().function("step")));
  if (options.validation)
    INGOT_TRY(checkSource("FitOptions::validation", *options.validation,
                          *program().function("evaluate")));
  LoopOptions loopOptions = {
      .steps = options.steps,
      .rate =
          [&](int64_t step) {
            if (options.schedule)
              impl->learningRate = options.schedule->at(step);
            return impl->learningRate;
          },
      .evaluateEvery = options.evaluateEvery,
      .evaluationBatches = options.evaluationBatches,
      .onNonFinite = impl->onNonFinite(),
      .mostInFlight = options.onStep ? 1 : 2, // a callback may look at the parameters
  };
  const std::atomic<bool> never = false;
  LoopRecord record;
  FitObserver observer(options, *impl);
  TrainingLoop loop(impl->session(), impl->driver, training, options.validation,
                    std::move(loopOptions), record, observer);
  INGOT_TRY(loop.run(options.stop ? *options.stop : never));
  return std::move(record.losses);
}

const StepOutcome &ModelTrainer::lastStep() const { return impl->last; }

Result<Tensors> ModelTrainer::gradients() const {
  if (!impl->options.training->gradients)
    return failure(Error::Code::Usage, "ModelTrainerOptions::gradients",
                   "is not set: the step does not keep them");
  constexpr std::string_view prefix = "gradient.";
  Tensors gradients;
  for (const Port &port : program().function("step")->ports)
    if (port.role == Role::Output && port.name.starts_with(prefix)) {
      INGOT_ASSIGN(gradients[port.name.substr(prefix.size())], read(port.name));
    }
  return gradients;
}

Result<float> ModelTrainer::evaluate(const Tensors &batch) {
  INGOT_ASSIGN(Batch inputs, impl->batch(*program().function("evaluate"), batch));
  INGOT_ASSIGN(double loss, evaluateBatch(impl->session(), inputs));
  return float(loss);
}

Result<Tensors> ModelTrainer::run(const Tensors &inputs) {
  return runFunction(impl->session(), "forward", inputs);
}

Status ModelTrainer::run(const Tensors &inputs, Tensors &outputs) {
  return runInto(impl->session(), inputs, outputs);
}

void ModelTrainer::profile(ProfileSink sink) { impl->session().profile(std::move(sink)); }

Result<Tensor> ModelTrainer::read(std::string_view name) const {
  return impl->session().read("step", name);
}

Status ModelTrainer::write(std::string_view name, const Tensor &value) {
  return impl->session().write("step", name, value);
}

void ModelTrainer::setLearningRate(double rate) { impl->learningRate = rate; }

int64_t ModelTrainer::steps() const { return impl->driver.steps(); }

Status ModelTrainer::save(const std::string &directory) const {
  INGOT_ASSIGN(Checkpoint checkpoint, impl->driver.checkpoint());
  if (impl->onNonFinite() != OnNonFinite::Continue)
    if (std::string found = StepDriver::describeNonFinite(checkpoint); !found.empty())
      return failure(Error::Code::BadInput, directory, "{}: what is broken is not saved", found);
  checkpoint.options = describe({impl->model, impl->tokenizer, *impl->options.training});
  return CheckpointDirectory(directory).save(checkpoint);
}

Status ModelTrainer::load(const std::string &path) {
  INGOT_ASSIGN(Checkpoint checkpoint, readCheckpoint(path));
  return impl->driver.restore(checkpoint, path);
}

Result<std::string> ModelTrainer::ir(std::string_view stage) const {
  return printIr(impl->model, impl->options, stage);
}

const std::string &ModelTrainer::note() const { return impl->loaded.report.note; }

std::shared_ptr<Store> ModelTrainer::store() const { return impl->loaded.session->store(); }

const Program &ModelTrainer::program() const { return impl->loaded.session->program(); }

} // namespace ingot
