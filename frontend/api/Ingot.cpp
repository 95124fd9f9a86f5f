#include "frontend/api/Ingot.h"
#include "codegen/cache/DiskCache.h"
#include "codegen/tuning/TuningFile.h"
#include "frontend/api/LoadedModel.h"
#include "frontend/api/ModelModule.h"
#include "frontend/api/SavedModel.h"
#include "runtime/program/Scalars.h"
#include "runtime/training/Trainer.h"
#include <mutex>

namespace ingot {
namespace {

Result<CompileOptions> toCompileOptions(const Options &options,
                                        const std::optional<TrainingOptions> &training) {
  CompileOptions result;
  result.training = training;
  result.target = options.target;
  result.threads = options.threads;
  if (options.cache)
    result.cacheDirectory = DiskCache::defaultDirectory();
  if (options.tuned) {
    INGOT_ASSIGN(CpuTarget target, CpuTarget::parse(options.target));
    result.tuning = TuningFile(DiskCache::defaultDirectory(), target, options.threads).read();
  }
  return result;
}

Status writeScalars(Session &session, const Function &function, const Scalars &scalars) {
  INGOT_ASSIGN(std::vector<NamedTensor> inputs, scalarInputs(function, scalars));
  for (const NamedTensor &scalar : inputs)
    INGOT_TRY(session.write(function.name, scalar.name, scalar.value));
  return {};
}

Status initializeParameters(Session &session, uint64_t seed) {
  const Function *init = session.program().function("init");
  if (!init)
    return {};
  INGOT_TRY(writeScalars(session, *init, {.seed = seed}));
  return session.run("init");
}

/// Writes every input of a function; each must be given, and nothing else.
Status writeInputs(Session &session, const Function &function, const Tensors &inputs) {
  size_t used = 0;
  for (const Port &port : function.ports) {
    if (!isBatch(port.role)) // scalars are fed by the trainer itself
      continue;
    auto found = inputs.find(port.name);
    if (found == inputs.end())
      return failure(Error::Code::Usage, port.name, "the input is missing: {} {}",
                     toString(port.shape), name(port.type));
    INGOT_TRY(session.write(function.name, port.name, found->second));
    ++used;
  }
  for (const auto &[inputName, value] : inputs)
    if (const Port *port = function.port(inputName); !port || !isBatch(port->role))
      return failure(Error::Code::Usage, inputName, "@{} has no such input", function.name);
  return {};
}

Result<Tensors> readOutputs(const Session &session, const Function &function) {
  Tensors outputs;
  for (const Port &port : function.ports)
    if (port.role == Role::Output) {
      INGOT_ASSIGN(outputs[port.name], session.read(function.name, port.name));
    }
  return outputs;
}

Result<Tensors> runFunction(Session &session, std::string_view name, const Tensors &inputs) {
  const Function *function = session.program().function(name);
  if (!function)
    return failure(Error::Code::Usage, std::string(name), "the program has no such function");
  INGOT_TRY(writeInputs(session, *function, inputs));
  INGOT_TRY(session.run(name));
  return readOutputs(session, *function);
}

Result<std::string> printIr(const Model &model, const CompileOptions &options,
                            std::string_view stage) {
  INGOT_ASSIGN(Stage parsed, parseStage(stage));
  return printStage(parsed, moduleOf(model), options);
}

TrainingOptions toTrainingOptions(Loss loss, const Optimizer &optimizer,
                                  const TrainOptions &options) {
  TrainingOptions training;
  training.loss = loss;
  training.clip = options.clip;
  training.accumulate = options.accumulate;
  if (auto *adamw = std::get_if<AdamW>(&optimizer)) {
    training.optimizer = TrainingOptions::Optimizer::AdamW;
    training.beta1 = adamw->beta1;
    training.beta2 = adamw->beta2;
    training.epsilon = adamw->epsilon;
    training.weightDecay = adamw->weightDecay;
  } else {
    const Sgd &sgd = std::get<Sgd>(optimizer);
    training.optimizer = TrainingOptions::Optimizer::Sgd;
    training.momentum = sgd.momentum;
    training.weightDecay = sgd.weightDecay;
  }
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
  Model model;
  CompileOptions options;
  LoadedModel loaded;
  double learningRate;
  uint64_t seed;
  TokenizerPointer tokenizer; ///< null if the model takes no text
  int64_t steps = 0;

  Session &session() { return *loaded.session; }
};

Result<Model> Model::gpt(const GptSizes &sizes) { return buildGpt(sizes); }
Result<Model> Model::mlp(const MlpSizes &sizes) { return buildMlp(sizes); }

Result<CompiledProgram> Model::compile(const Options &options) const {
  INGOT_ASSIGN(CompileOptions compileOptions, toCompileOptions(options, std::nullopt));
  bool initializers = parameterCount() > 0;
  INGOT_ASSIGN(LoadedModel loaded,
               loadModel(*this, compileOptions, options.device, options.threads, initializers));
  INGOT_TRY(initializeParameters(*loaded.session, 0));
  return CompiledProgram(
      std::make_shared<CompiledProgram::Impl>(*this, std::move(compileOptions), std::move(loaded)));
}

Result<CompiledProgram> Model::compile() const { return compile(Options()); }

Result<ModelTrainer> Model::trainer(Loss loss, const Optimizer &optimizer,
                                    const TrainOptions &options) const {
  INGOT_ASSIGN(CompileOptions compileOptions,
               toCompileOptions(options, toTrainingOptions(loss, optimizer, options)));
  INGOT_ASSIGN(LoadedModel loaded,
               loadModel(*this, compileOptions, options.device, options.threads));
  INGOT_TRY(initializeParameters(*loaded.session, options.seed));
  double rate = std::visit([](const auto &any) { return any.learningRate; }, optimizer);
  return ModelTrainer(std::make_shared<ModelTrainer::Impl>(
      *this, std::move(compileOptions), std::move(loaded), rate, options.seed, options.tokenizer));
}

Result<ModelTrainer> Model::trainer(Loss loss, const Optimizer &optimizer) const {
  return trainer(loss, optimizer, TrainOptions());
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

Result<std::string> CompiledProgram::ir(std::string_view stage) const {
  std::lock_guard lock(impl->mutex);
  return printIr(impl->model, impl->options, stage);
}

const std::string &CompiledProgram::note() const { return impl->loaded.report.note; }

Status CompiledProgram::save(const std::string &path) const { return program().save(path); }

const Program &CompiledProgram::program() const { return impl->loaded.session->program(); }

//===--------------------------------------------------------------------------------------------===//
// Trainers
//===--------------------------------------------------------------------------------------------===//

Result<float> ModelTrainer::step(const Tensors &batch) {
  Session &session = impl->session();
  const Function &function = *session.program().function("step");
  INGOT_TRY(writeScalars(session, function, {impl->learningRate, impl->steps, impl->seed}));
  INGOT_TRY(writeInputs(session, function, batch));
  INGOT_TRY(session.run("step"));
  INGOT_ASSIGN(double loss, readScalar(session, "step", "loss"));
  ++impl->steps;
  return float(loss);
}

Result<float> ModelTrainer::evaluate(const Tensors &batch) {
  Session &session = impl->session();
  INGOT_TRY(writeInputs(session, *session.program().function("evaluate"), batch));
  INGOT_TRY(session.run("evaluate"));
  INGOT_ASSIGN(double loss, readScalar(session, "evaluate", "loss"));
  return float(loss);
}

Result<Tensors> ModelTrainer::run(const Tensors &inputs) {
  return runFunction(impl->session(), "forward", inputs);
}

Result<Tensor> ModelTrainer::read(std::string_view name) const {
  return impl->session().read("step", name);
}

Status ModelTrainer::write(std::string_view name, const Tensor &value) {
  return impl->session().write("step", name, value);
}

void ModelTrainer::setLearningRate(double rate) { impl->learningRate = rate; }

int64_t ModelTrainer::steps() const { return impl->steps; }

Status ModelTrainer::save(const std::string &directory) const {
  Checkpoint checkpoint;
  checkpoint.step = checkpoint.dataPosition = impl->steps;
  checkpoint.seed = impl->seed;
  checkpoint.options = describe({impl->model, impl->tokenizer, *impl->options.training});
  for (const Port &port : program().function("step")->ports)
    if (isPersistent(port.role)) {
      INGOT_ASSIGN(checkpoint.tensors[port.name], impl->session().read("step", port.name));
    }
  return CheckpointDirectory(directory).save(checkpoint);
}

Status ModelTrainer::load(const std::string &path) {
  INGOT_ASSIGN(Checkpoint checkpoint, readCheckpoint(path));
  INGOT_TRY(loadParameters(impl->session(), "step", checkpoint, path));
  impl->steps = checkpoint.step;
  impl->seed = checkpoint.seed;
  return {};
}

Result<std::string> ModelTrainer::ir(std::string_view stage) const {
  return printIr(impl->model, impl->options, stage);
}

const std::string &ModelTrainer::note() const { return impl->loaded.report.note; }

const Program &ModelTrainer::program() const { return impl->loaded.session->program(); }

} // namespace ingot
