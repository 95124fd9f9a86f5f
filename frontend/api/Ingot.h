/// Ingot's C++ interface: build or load a model, compile it, run it, train it. No MLIR and no LLVM.
///
///     auto model = ingot::Model::mlp({.layers = {784, 256, 10}, .batch = 64});
///     auto trainer = model->trainer(ingot::Loss::CrossEntropy, ingot::AdamW());
///     ingot::Result<float> loss = trainer->step({{"x", images}, {"targets", labels}});
///
/// Nothing throws: what can fail returns a Result with a code, a message and a place.
#pragma once
#include "frontend/api/Model.h"
#include "frontend/builder/Builder.h"
#include "frontend/families/Models.h"
#include "passes/options/TrainingOptions.h"
#include "runtime/data/BatchSource.h"
#include "runtime/data/Tokenizer.h"
#include "runtime/program/DLPack.h"
#include "runtime/program/Device.h"
#include "runtime/program/Store.h"
#include "runtime/program/TensorTools.h"
#include "runtime/training/LossHistory.h"
#include "runtime/training/Schedule.h"
#include <atomic>
#include <map>

namespace ingot {

/// Named host tensors: inputs by the model's names, outputs likewise.
using Tensors = std::map<std::string, Tensor>;

/// Where and how a model is compiled.
struct Options {
  std::string device = "cpu"; ///< or `cuda`, `cuda:emulated`, or `reference`, the slow oracle
  std::string target = "cpu"; ///< this machine, or such as `cpu:x86-64-v4`
  int threads = 0;            ///< 0: one per CPU; results do not depend on it
  bool cache = true;          ///< keep compiled code on disk
  /// Largest arena in bytes, parameters and state included; 0: no bound. What does not fit is
  /// recomputed in the backward pass; a bound that no plan meets is an error that names the least.
  int64_t memory = 0;
  /// Use what `ingot tune` found on this machine for as many threads; results are the same bits.
  bool tuned = true;
  /// Parameters and state of other programs, which this one shares and does not initialise: a
  /// trainer's, or a program's of another batch. The first program decides how they lie in memory,
  /// and a trainer is particular about it, so it comes first. Null: its own.
  std::shared_ptr<Store> store = nullptr;
  /// Weights that the program only reads lie in memory as its kernels read them, which is faster. A
  /// program whose store others share needs false; one with a `store` never packs.
  bool packWeights = true;
  /// Looked at while compiling, also from another thread or a signal handler: set, it ends the
  /// compilation with an error. It must outlive the call. Null: nobody cancels.
  const std::atomic<bool> *stop = nullptr;
};

/// A model compiled for a device, with its parameters. Copies share everything. `run` may be called
/// from several threads.
class CompiledProgram {
public:
  /// Fills the parameters with their initial values, a function of the seed. Done with seed 0 when
  /// the program is made, unless it shares the parameters of others.
  Status initialize(uint64_t seed);
  /// Takes the parameters from a checkpoint (a file, or the newest in a directory), or from
  /// safetensors with Hugging Face's names.
  Status load(const std::string &path);
  /// All inputs in, all outputs out. Errors name the input that is missing, unknown or of another
  /// type or shape.
  Result<Tensors> run(const Tensors &inputs);
  /// The same into memory of the caller's: outputs by name, of the model's types and shapes. An
  /// output that is not named is not copied.
  Status run(const Tensors &inputs, Tensors &outputs);
  /// From now on `sink` hears of every kernel call, such as Profile::sink(); null: no longer.
  void profile(ProfileSink sink);
  /// The IR of a stage: graph, train, linalg, kernels, plan, llvm or program.
  Result<std::string> ir(std::string_view stage) const;
  /// Why what `ingot tune` found is not used, if it was of no use; else empty.
  const std::string &note() const;
  /// Writes a `.ingot` file, which the runtime alone can run.
  Status save(const std::string &path) const;
  const Program &program() const;
  /// Its parameters, for `Options::store` of others; null on the device `reference`.
  std::shared_ptr<Store> store() const;

  struct Impl;
  explicit CompiledProgram(std::shared_ptr<Impl> impl) : impl(std::move(impl)) {}

private:
  std::shared_ptr<Impl> impl;
};

/// One program of a model file: for these shapes, and for the values of those inputs that shapes
/// inside the model depend on.
struct Specialisation {
  std::string what;      ///< `x: 3x224x224; mask: 3x16`, and the values
  int64_t number = 0;    ///< of all that were compiled, from 1
  double ms = 0;         ///< import and compilation
  bool isCached = false; ///< it came whole from the cache on disk
};

/// Which sizes programs are compiled for where the rows of a batch are any number.
enum class Buckets : uint8_t {
  Off,         ///< exactly those that are met
  PowersOfTwo, ///< the next power of two: the last row is repeated, and outputs are cut back
};
constexpr std::array<std::string_view, 2> enumNames(Buckets) { return {"off", "pow2"}; }

struct DynamicOptions : Options {
  /// Programs that are kept, each with its arena. Beyond that the one that was not used for longest
  /// goes; met again, it comes from the cache on disk or is compiled again.
  int64_t mostPrograms = 16;
  /// Fewer programs, where the number of rows (the symbol of the inputs' first dimensions) varies.
  /// No result changes by a bit: a model is refused unless its graph shows that each row of the
  /// outputs follows from the same row of the inputs, whatever the others are and however many.
  /// Where a sum might be added up in another order, the exact size is compiled all the same.
  Buckets buckets = Buckets::Off;
  /// Told of every compilation, at the end of the call that needed it. It may call the model.
  std::function<void(const Specialisation &)> onCompile = {};
};

/// What a DynamicModel has done.
struct DynamicCounts {
  int64_t runs = 0;
  int64_t compilations = 0; ///< programs made, those from the cache on disk included
  int64_t fromCache = 0;    ///< of these
  int64_t proofs = 0;       ///< shapes for which a bucket was looked for: two imports each
  int64_t padded = 0;       ///< runs with rows that fill up a bucket
  int64_t dropped = 0;      ///< programs that made room for others
};

/// An ONNX file whose inputs have symbolic sizes: a program for each set of shapes that it meets,
/// all over one store.
///
///     auto model = ingot::DynamicModel::open("bert.onnx");
///     model->run({{"ids", a}}); // [1, 16]: compiles
///     model->run({{"ids", b}}); // [4, 32]: compiles, and reads the same weights
///     model->run({{"ids", a}}); // compiles nothing
///
/// Copies share everything. Members may be called from several threads; runs come one by one.
class DynamicModel {
public:
  /// Reads the file and compiles nothing. Weights lie in memory as one program's kernels want them
  /// (Options::packWeights) only where the file leaves no size open.
  static Result<DynamicModel> open(const std::string &path, const DynamicOptions &options);
  static Result<DynamicModel> open(const std::string &path);
  /// Inputs and outputs as the file says them; -1 where a size is open.
  std::vector<ModelPort> ports() const;
  /// Compiles for shapes before they are met, with buckets for theirs; those of inputs that the
  /// file fixes may be left out.
  Status prepare(const std::map<std::string, Shape> &shapes);
  /// All inputs in, all outputs out.
  Result<Tensors> run(const Tensors &inputs);
  /// Takes the parameters from a checkpoint, as CompiledProgram::load: those that the store has at
  /// once, a trainer's state among them, others when a program brings them. A program with a
  /// parameter that the checkpoint lacks is an error.
  Status load(const std::string &path);
  DynamicCounts counts() const;
  int64_t programs() const; ///< kept now
  /// The parameters of all programs, for `Options::store` of others; null on `reference`.
  std::shared_ptr<Store> store() const;

  struct Impl;
  explicit DynamicModel(std::shared_ptr<Impl> impl) : impl(std::move(impl)) {}

private:
  std::shared_ptr<Impl> impl;
};

// The optimizers with their numbers, `AdamW{.learningRate = 1e-3, .beta1 = 0.9, …}`: the rows of
// passes/options/Optimizers.def, with PyTorch's defaults. What the numbers mean: TrainingOptions.h.
#define INGOT_NUMBER(FIELD, DEFAULT) decltype(DEFAULT) FIELD = DEFAULT;
#define INGOT_OPTIMIZER(NAME, TEXT, RATE, ...)                                                     \
  struct NAME {                                                                                    \
    double learningRate = RATE;                                                                    \
    __VA_ARGS__                                                                                    \
  };
#include "passes/options/Optimizers.def"

struct ModelTrainerOptions : Options {
  double clip = 0; ///< largest global gradient norm; 0: off
  /// Of what linear layers, matrix products and attention multiply. Weights, optimizer state,
  /// norms, losses and sums stay f32.
  TrainingOptions::Dtype dtype = TrainingOptions::Dtype::F32;
  int accumulate = 1; ///< micro-batches a step; the batch has this many times the rows
  /// After a loss or gradient that is not finite: `step` returns an error that names the parameter,
  /// or the step changes nothing (on the device; it needs all gradients at once, as clipping does),
  /// or nothing special happens.
  OnNonFinite onNonFinite = OnNonFinite::Stop;
  /// Parameters that are frozen or have a rate or a decay of their own, by regular expression.
  std::vector<ParameterGroup> groups;
  /// Batches have `weights`, an f32 for each target (a row's, under mse), 0 to leave it out: the
  /// loss is Σ weight·loss / Σ weight.
  bool lossWeights = false;
  LossNumbers lossNumbers = {}; ///< of the loss: its reduction, class weights, ignored targets, …
  int64_t classAxis =
      -1; ///< the output's dimension of classes (cosine's: of vectors); -1: the last
  std::string output = {}; ///< that the loss is of; empty: `logits`, or the only one
  bool gradients = false;  ///< keep every step's gradients for `ModelTrainer::gradients`
  uint64_t seed = 0;       ///< of the initial parameters
  /// Of the text that the model learns: checkpoints keep it, and `ingot generate` writes with it.
  TokenizerPointer tokenizer;
};

/// What an update was.
struct StepOutcome {
  float loss = 0;       ///< of the model before the update
  bool skipped = false; ///< nothing was changed: OnNonFinite::Skip
  /// Of all gradients together, before clipping; absent unless the step clips, skips or keeps
  /// gradients. If it skips or keeps them, `gradientNorms` has that of each parameter by name.
  std::optional<double> gradientNorm;
  std::map<std::string, double> gradientNorms;
};

/// A step of `ModelTrainer::fit`.
struct FitStep {
  int64_t step = 0;  ///< updates done
  int64_t steps = 0; ///< in all
  double learningRate = 0;
  double ms = 0; ///< the step's, its batch included
  const StepOutcome &outcome;
};

struct FitOptions {
  int64_t steps = 100;                   ///< updates in all, those before this call included
  std::optional<Schedule> schedule = {}; ///< absent: the rate stays as it is
  const BatchSource *validation = nullptr;
  int64_t evaluateEvery = 0;     ///< steps; 0: at the end
  int64_t evaluationBatches = 8; ///< the validation source's batches 0 … N-1
  std::function<void(const FitStep &)> onStep = {};
  /// Mean loss over the validation batches after so many updates.
  std::function<void(int64_t step, double loss)> onEvaluation = {};
  /// Looked at between steps, also from a callback, another thread or a signal handler: set, it
  /// ends the call after the running step.
  const std::atomic<bool> *stop = nullptr;
};

/// A model's compiled training step with its parameters and optimizer state.
class ModelTrainer {
public:
  /// One update on a batch: inputs and `targets`. Returns the loss before the update. Errors:
  /// inputs and losses that are not finite, unless the options allow them.
  Result<float> step(const Tensors &batch);
  /// Steps until there are `FitOptions::steps`; a source's batch is a function of the step, so a
  /// call that goes on after another one reads what one long call would have read. The losses of
  /// this call, also of a cancelled one.
  Result<LossHistory> fit(const BatchSource &training, const FitOptions &options);
  /// What batches consist of: for TextSource, ArraySource or a source of the caller's.
  std::vector<BatchPort> batchPorts() const;
  /// Of the last step; zeros before the first.
  const StepOutcome &lastStep() const;
  /// The last step's gradients by their parameters' names, before clipping; Usage unless
  /// `ModelTrainerOptions::gradients` is set.
  Result<Tensors> gradients() const;
  /// The loss on a batch, nothing updated.
  Result<float> evaluate(const Tensors &batch);
  /// The model's outputs with the present parameters.
  Result<Tensors> run(const Tensors &inputs);
  /// The same into memory of the caller's: outputs by name, of the model's types and shapes.
  Status run(const Tensors &inputs, Tensors &outputs);
  /// From now on `sink` hears of every kernel call, such as Profile::sink(); null: no longer.
  void profile(ProfileSink sink);
  /// A parameter or a piece of optimizer state by name.
  Result<Tensor> read(std::string_view name) const;
  Status write(std::string_view name, const Tensor &value);
  /// From the next step on. The step refuses a rate that is negative or not finite.
  void setLearningRate(double rate);
  int64_t steps() const; ///< updates done

  /// Adds a checkpoint to a directory; `load`, `ingot eval` and, if the options have a tokenizer,
  /// `ingot generate` read it. Parameters that are not finite are an error, unless the options
  /// continue after them.
  Status save(const std::string &directory) const;
  /// Goes on from a checkpoint, bit by bit as if it had never been left. One of parameters alone,
  /// such as weights of another program, begins a training.
  Status load(const std::string &path);
  Result<std::string> ir(std::string_view stage) const;
  /// Why what `ingot tune` found is not used, if it was of no use; else empty.
  const std::string &note() const;
  const Program &program() const;
  /// Its parameters and state, for `Options::store` of others; null on the device `reference`.
  std::shared_ptr<Store> store() const;

  struct Impl;
  explicit ModelTrainer(std::shared_ptr<Impl> impl) : impl(std::move(impl)) {}

private:
  std::shared_ptr<Impl> impl;
};

} // namespace ingot
