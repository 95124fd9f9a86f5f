/// A model: a graph with named parameters, before anything is compiled. No MLIR types here.
#pragma once
#include "passes/options/TrainingOptions.h"
#include "runtime/program/Role.h"
#include "runtime/program/Tensor.h"
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace ingot {

/// A named argument or result of a model's forward function. Unknown dimensions are -1.
struct ModelPort {
  std::string name;
  Role role = Role::Input;
  ElementType type = ElementType::F32;
  Shape shape;
  /// Of parameters: `normal:STD`, `uniform:LIMIT`, `constant:VALUE`, or `file`: see Model::weights.
  std::string initializer;
};

/// Values of parameters by name. They may be ranges of a mapped file, at any address: copy them
/// before reading elements.
using Weights = std::map<std::string, Tensor>;

struct GptSizes;
struct MlpSizes;
struct Options;
struct ModelTrainerOptions;
namespace detail {
template <typename, typename... Types> struct Choice {
  using type = std::variant<Types...>;
};
} // namespace detail
#define INGOT_NUMBER(...)
#define INGOT_OPTIMIZER(NAME, ...) struct NAME;
#include "passes/options/Optimizers.def"
/// Any of the structs of passes/options/Optimizers.def.
using Optimizer = detail::Choice<void
#define INGOT_NUMBER(...)
#define INGOT_OPTIMIZER(NAME, ...) , NAME
#include "passes/options/Optimizers.def"
                                 >::type;
class CompiledProgram;
class ModelTrainer;

/// Immutable; copies share the graph. May be used by one thread at a time.
class Model {
public:
  /// Reads graph IR from a `.mlir` file, `-` for standard input (errors carry file, line and
  /// column), or an ONNX file whose inputs have fixed shapes (errors name its nodes).
  static Result<Model> load(const std::string &path);
  /// Reads graph IR from text; `place` stands for its file in errors.
  static Result<Model> parse(std::string_view text, const std::string &place = "<text>");
  /// GPT-2 and MLPs by their sizes; see frontend/families/Models.h.
  static Result<Model> gpt(const GptSizes &sizes);
  static Result<Model> mlp(const MlpSizes &sizes);

  /// The model alone, for inference.
  Result<CompiledProgram> compile(const Options &options) const;
  Result<CompiledProgram> compile() const;
  /// The whole training step: forward, loss, backward, update.
  Result<ModelTrainer> trainer(TrainingOptions::Loss loss, const Optimizer &optimizer,
                               const ModelTrainerOptions &options) const;
  Result<ModelTrainer> trainer(TrainingOptions::Loss loss, const Optimizer &optimizer) const;

  /// Writes graph IR that `load` reads back, `-` for standard output.
  Status save(const std::string &path) const;
  /// The graph IR, with locations if asked for.
  std::string text(bool locations = false) const;

  /// Arguments, then results, of the forward function, in its order.
  std::vector<ModelPort> ports() const;
  /// Elements of all parameters.
  int64_t parameterCount() const;
  /// Operations of the graph, constants left out.
  int64_t operationCount() const;
  /// JSON text: family, sizes and what else `train` and `generate` need to know; `{}` if unknown.
  std::string metadata() const;

  /// Values that came with the model's file, for the parameters whose initializer is `file`; empty
  /// where there are none. They are not part of the graph: a checkpoint keeps them, text does not.
  const Weights &weights() const;

  /// What the compiler's own code sees; see frontend/api/ModelModule.h.
  struct Impl;
  explicit Model(std::shared_ptr<Impl> impl) : impl(std::move(impl)) {}
  const Impl &internals() const { return *impl; }

private:
  std::shared_ptr<Impl> impl;
};

} // namespace ingot
