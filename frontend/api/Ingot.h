/// Ingot's C++ interface: build or load a model, compile it, run it, train it. No MLIR and no LLVM.
///
///     auto model = ingot::Model::mlp({.layers = {784, 256, 10}, .batch = 64});
///     auto trainer = model->trainer(ingot::Loss::CrossEntropy, ingot::AdamW{.learningRate =
///     1e-3}); ingot::Result<float> loss = trainer->step({{"x", images}, {"targets", labels}});
///
/// Nothing throws: what can fail returns a Result with a code, a message and a place.
#pragma once
#include "frontend/api/Model.h"
#include "frontend/builder/Builder.h"
#include "frontend/families/Models.h"
#include "passes/options/TrainingOptions.h"
#include "runtime/data/Tokenizer.h"
#include "runtime/program/Program.h"
#include "runtime/program/Store.h"
#include <map>

namespace ingot {

using Loss = TrainingOptions::Loss;
/// Named host tensors: inputs by the model's names, outputs likewise.
using Tensors = std::map<std::string, Tensor>;

/// Where and how a model is compiled.
struct Options {
  std::string device = "cpu"; ///< or `reference`, the slow oracle
  std::string target = "cpu"; ///< this machine, or such as `cpu:x86-64-v4`
  int threads = 0;            ///< 0: one per CPU; results do not depend on it
  bool cache = true;          ///< keep compiled code on disk
  /// Use what `ingot tune` found on this machine for as many threads; results are the same bits.
  bool tuned = true;
  /// Parameters and state of other programs, which this one shares and does not initialise: a
  /// trainer's, or a program's of another batch. The first program decides how they lie in memory,
  /// and a trainer is particular about it, so it comes first. Null: its own.
  std::shared_ptr<Store> store = nullptr;
};

/// A model compiled for a device, with its parameters. Copies share everything. `run` may be called
/// from several threads.
class CompiledProgram {
public:
  /// Fills the parameters with their initial values, a function of the seed. Done with seed 0 when
  /// the program is made, unless it shares the parameters of others.
  Status initialize(uint64_t seed);
  /// Takes the parameters from a checkpoint: a file, or the newest in a directory.
  Status load(const std::string &path);
  /// All inputs in, all outputs out. Errors name the input that is missing, unknown or of another
  /// type or shape.
  Result<Tensors> run(const Tensors &inputs);
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

/// Adam with decoupled weight decay (Loshchilov & Hutter 2019); defaults are PyTorch's.
struct AdamW {
  double learningRate = 1e-3;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0.01;
};

/// Stochastic gradient descent; defaults are PyTorch's.
struct Sgd {
  double learningRate = 1e-3;
  double momentum = 0, weightDecay = 0;
};
using Optimizer = std::variant<AdamW, Sgd>;

struct ModelTrainerOptions : Options {
  double clip = 0;    ///< largest global gradient norm; 0: off
  int accumulate = 1; ///< micro-batches a step; the batch has this many times the rows
  uint64_t seed = 0;  ///< of the initial parameters
  /// Of the text that the model learns: checkpoints keep it, and `ingot generate` writes with it.
  TokenizerPointer tokenizer;
};

/// A model's compiled training step with its parameters and optimizer state.
class ModelTrainer {
public:
  /// One update on a batch: inputs and `targets`. Returns the loss before the update.
  Result<float> step(const Tensors &batch);
  /// The loss on a batch, nothing updated.
  Result<float> evaluate(const Tensors &batch);
  /// The model's outputs with the present parameters.
  Result<Tensors> run(const Tensors &inputs);
  /// A parameter or a piece of optimizer state by name.
  Result<Tensor> read(std::string_view name) const;
  Status write(std::string_view name, const Tensor &value);
  /// From the next step on: for schedules. The step refuses a rate that is negative or not finite.
  void setLearningRate(double rate);
  int64_t steps() const; ///< updates done

  /// Adds a checkpoint to a directory; `load`, `ingot eval` and, if the options have a tokenizer,
  /// `ingot generate` read it.
  Status save(const std::string &directory) const;
  /// Goes on from a checkpoint, bit by bit as if it had never been left.
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
