#include "frontend/check/RandomTrial.h"
#include "frontend/api/LoadedModel.h"
#include "frontend/api/ModelModule.h"
#include "frontend/check/ReferenceDevice.h"
#include "ir/dialect/Elements.h"
#include "ir/dialect/Graph.h"
#include "ir/reference/Reference.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Signature.h"
#include "runtime/program/Scalars.h"
#include <cmath>
#include <random>

namespace ingot {
namespace {

using graph::ElementKind;
using graph::kindOf;

/// The distance from 1 to the next number of a type.
double epsilonOf(ElementType type) {
  switch (type) {
  case ElementType::F64:
    return 0x1p-52;
  case ElementType::F32:
    return 0x1p-23;
  case ElementType::F16:
    return 0x1p-10;
  case ElementType::BF16:
    return 0x1p-7;
  case ElementType::F8E4M3FN:
    return 0x1p-3;
  case ElementType::F8E5M2:
    return 0x1p-2;
  default:
    return 0;
  }
}

//===--------------------------------------------------------------------------------------------===//
// What rounding does
//===--------------------------------------------------------------------------------------------===//

/// Multiplies what every float op gives, and float arguments, by numbers near 1: what the results
/// are then apart is what rounding may make of them.
class Noise {
public:
  explicit Noise(uint64_t seed) : random(seed) {}

  void disturb(mlir::func::FuncOp function) {
    while (decompose(function))
      ;
    llvm::SmallVector<mlir::Value> values;
    function.walk([&](mlir::Operation *op) {
      // What does not round stays exact: a floor is a whole number.
      if (mlir::isa<mlir::func::FuncOp, graph::ConstantOp, graph::IotaOp, graph::FloorOp,
                    graph::CeilOp, graph::RoundOp, graph::SignOp, graph::NegOp, graph::AbsOp,
                    graph::ReluOp, graph::MaximumOp, graph::MinimumOp, graph::SelectOp>(op) ||
          op->getParentOfType<graph::UpdateOp>())
        return;
      llvm::append_range(values, op->getResults());
    });
    for (mlir::Value value : values)
      disturb(value);
  }

  /// The same for a tensor.
  Tensor disturbed(const Tensor &tensor) {
    if (kindOf(tensor.type()) != ElementKind::Float)
      return tensor;
    std::vector<double> elements = graph::load<double>(tensor);
    for (double &element : elements)
      element *= factor(tensor.type());
    return graph::store(tensor.type(), tensor.shape(), elements);
  }

private:
  /// Composites round inside, too: 1 + erf loses all digits of its tail, and so does the logarithm
  /// of a sum near 1. True if there were any.
  static bool decompose(mlir::func::FuncOp function) {
    llvm::SmallVector<graph::Composite> composites;
    function.walk([&](graph::Composite op) {
      // Attention's definition multiplies what a mask hides by 0: NaN would make NaN.
      if (!mlir::isa<graph::UpdateOp, graph::AttentionOp, graph::AttentionBackwardOp>(op))
        composites.push_back(op);
    });
    for (graph::Composite op : composites) {
      mlir::OpBuilder builder(op);
      op->replaceAllUsesWith(op.decompose(builder));
      op->erase();
    }
    return !composites.empty();
  }

  /// A few units in the last place away from 1.
  double factor(ElementType type) {
    return 1 + std::uniform_real_distribution<double>(-2, 2)(random) * epsilonOf(type);
  }

  void disturb(mlir::Value value) {
    auto type = mlir::dyn_cast<mlir::RankedTensorType>(value.getType());
    if (!type || !mlir::isa<mlir::FloatType>(type.getElementType()))
      return;
    const ElementType element = *graph::elementTypeOf(type.getElementType());
    std::vector<double> factors(size_t(type.getNumElements()));
    for (double &each : factors)
      each = factor(element);
    mlir::OpBuilder builder(value.getContext());
    builder.setInsertionPointAfterValue(value);
    auto constant = graph::ConstantOp::create(
        builder, value.getLoc(),
        graph::attributeOf(graph::store(element, Shape(type.getShape()), factors), type));
    auto product = graph::MulOp::create(builder, value.getLoc(), value, constant);
    value.replaceAllUsesExcept(product, product);
  }

  std::mt19937_64 random;
};

/// How far the reference's results move under rounding, element by element: infinitely where a
/// number and no number change places.
class Spread {
public:
  Spread(mlir::func::FuncOp function, std::span<const Tensor> arguments,
         std::span<const Tensor> expected) {
    for (const Tensor &result : expected)
      of.emplace_back(size_t(result.size()), 0.0);
    constexpr uint64_t runs = 16;
    for (uint64_t run = 0; run < runs; ++run) {
      auto module = mlir::cast<mlir::ModuleOp>(function->getParentOp()).clone();
      Noise noise(run);
      auto copy = module.lookupSymbol<mlir::func::FuncOp>(function.getName());
      noise.disturb(copy);
      std::vector<Tensor> inputs;
      for (const Tensor &argument : arguments)
        inputs.push_back(noise.disturbed(argument));
      if (auto results = interpret(copy, inputs))
        widen(*results, expected);
      module->erase();
    }
  }

  double at(size_t result, size_t element) const { return of[result][element]; }

private:
  void widen(std::span<const Tensor> results, std::span<const Tensor> expected) {
    for (size_t i = 0; i < results.size(); ++i) {
      const std::vector<double> a = graph::load<double>(results[i]),
                                e = graph::load<double>(expected[i]);
      for (size_t j = 0; j < a.size(); ++j) {
        if (a[j] == e[j] || (std::isnan(a[j]) && std::isnan(e[j])))
          continue;
        const double distance = std::abs(a[j] - e[j]);
        of[i][j] = std::isfinite(distance) ? std::max(of[i][j], distance) : INFINITY;
      }
    }
  }

  std::vector<std::vector<double>> of;
};

//===--------------------------------------------------------------------------------------------===//
// Comparison
//===--------------------------------------------------------------------------------------------===//

/// The first element that is further off than rounding moves it; without a spread, than a few units
/// in the last place.
std::optional<std::string> difference(const Tensor &actual, const Tensor &expected,
                                      const Spread *spread, size_t result) {
  if (kindOf(expected.type()) != ElementKind::Float) {
    const auto a = graph::load<int64_t>(actual), e = graph::load<int64_t>(expected);
    for (size_t j = 0; j < a.size(); ++j)
      if (std::abs(double(a[j]) - double(e[j])) > (spread ? spread->at(result, j) : 0))
        return fmt::format("element {} is {}, not {}", j, a[j], e[j]);
    return std::nullopt;
  }
  const std::vector<double> a = graph::load<double>(actual), e = graph::load<double>(expected);
  const double epsilon = epsilonOf(expected.type());
  for (size_t j = 0; j < a.size(); ++j) {
    if (a[j] == e[j] || (std::isnan(a[j]) && std::isnan(e[j])))
      continue;
    // Whether a sum that overflows ends in infinity or NaN depends on its order.
    if (spread && !std::isfinite(a[j]) && !std::isfinite(e[j]))
      continue;
    const double moved = spread ? spread->at(result, j) : 0;
    const double allowed = 8 * epsilon * std::abs(e[j]) + 16 * moved;
    if (!(std::abs(a[j] - e[j]) <= allowed) && moved != INFINITY)
      return fmt::format("element {} is {}, not {}", j, a[j], e[j]);
  }
  return std::nullopt;
}

/// The values of a function's arguments: the graph's own, and small positive state.
Result<std::vector<Tensor>> argumentsOf(const Function &function, size_t count,
                                        const RandomGraph &graph) {
  std::vector<Tensor> arguments;
  std::mt19937_64 random(7);
  for (size_t i = 0; i < count; ++i) {
    const Port &port = function.ports[i];
    if (auto value = graph.values.find(port.name); value != graph.values.end()) {
      arguments.push_back(value->second);
    } else if (port.role == Role::Scalar) {
      INGOT_ASSIGN(Tensor scalar, scalarInput(port, {.learningRate = 1e-2, .step = 10, .seed = 1}));
      arguments.push_back(std::move(scalar));
    } else {
      std::vector<double> elements(size_t(elementCount(port.shape)));
      for (double &element : elements)
        element = std::uniform_real_distribution<double>(0.25, 1)(random);
      arguments.push_back(graph::store(port.type, port.shape, elements));
    }
  }
  return arguments;
}

/// A module's function without the others, whose kernels need no compiling: they do not run.
mlir::OwningOpRef<mlir::ModuleOp> onlyWith(mlir::ModuleOp module, llvm::StringRef name) {
  mlir::OwningOpRef<mlir::ModuleOp> copy = module.clone();
  for (auto function : llvm::make_early_inc_range(copy->getOps<mlir::func::FuncOp>()))
    if (function.getName() != name)
      function.erase();
  return copy;
}

Result<std::vector<Tensor>> runCompiled(Session &session, mlir::func::FuncOp function,
                                        const Function &ports, std::span<const Tensor> arguments) {
  const std::string name = function.getName().str();
  const Function &compiled = *session.program().function(name);
  for (size_t i = 0; i < arguments.size(); ++i)
    if (compiled.port(ports.ports[i].name))
      INGOT_TRY(session.write(name, ports.ports[i].name, arguments[i]));
  INGOT_TRY(session.run(name));
  std::vector<Tensor> results;
  for (unsigned i = 0; i < function.getNumResults(); ++i) {
    INGOT_ASSIGN(Tensor result, session.read(name, storageName(function, i)));
    results.push_back(std::move(result));
  }
  return results;
}

} // namespace

Trial compareResults(mlir::func::FuncOp function, std::span<const Tensor> arguments,
                     const Result<std::vector<Tensor>> &actual,
                     const Result<std::vector<Tensor>> &expected) {
  using Outcome = Trial::Outcome;
  if (!actual && !expected)
    return {Outcome::FailedAlike, actual.error().text()};
  if (!actual)
    return {Outcome::Differs, "an error of the device alone: " + actual.error().message};
  if (!expected)
    return {Outcome::Differs, "an error of the reference alone: " + expected.error().message};
  auto find = [&](const Spread *spread) -> std::optional<std::string> {
    for (size_t i = 0; i < expected->size(); ++i)
      if (auto found = difference((*actual)[i], (*expected)[i], spread, i))
        return fmt::format("{}: {}", storageName(function, unsigned(i)), *found);
    return std::nullopt;
  };
  if (!find(nullptr))
    return {};
  const Spread spread(function, arguments, *expected);
  if (auto found = find(&spread))
    return {Outcome::Differs, *found};
  return {Outcome::Rough, ""};
}

Trial tryGraph(const RandomGraph &graph, const RandomOptions &options,
               const std::function<void(std::string_view)> &ops) {
  using Outcome = Trial::Outcome;
  CompileOptions compile = options.compile;
  compile.training = graph.training;
  auto refused = [](const Error &error) {
    return error.code == Error::Code::Unsupported
               ? Trial{Outcome::Refused, error.message}
               : Trial{Outcome::Differs, "it does not compile: " + error.message};
  };
  Result<mlir::OwningOpRef<mlir::ModuleOp>> module =
      lowerTo(Stage::Train, moduleOf(graph.model), compile);
  if (!module)
    return refused(module.error());
  auto function = (*module)->lookupSymbol<mlir::func::FuncOp>(graph.training ? "step" : "forward");
  if (ops)
    function.walk([&](mlir::Operation *op) { ops(op->getName().stripDialect()); });
  Result<Program> described = describeFunctions(**module);
  if (!described)
    return refused(described.error());
  const Function &ports = *described->function(function.getName().str());
  Result<std::vector<Tensor>> arguments = argumentsOf(ports, function.getNumArguments(), graph);
  if (!arguments)
    return refused(arguments.error());
  compile.target = targetFor(options.device, compile.target);
  const mlir::OwningOpRef<mlir::ModuleOp> alone = onlyWith(**module, function.getName());
  Result<LoadedModel> loaded = ingot::compile(*alone, compile).and_then([&](Program program) {
    return loadProgram(std::move(program), options.device, options.threads);
  });
  if (!loaded)
    return refused(loaded.error());
  const auto actual = runCompiled(*loaded->session, function, ports, *arguments);
  return compareResults(function, *arguments, actual, interpret(function, *arguments));
}

} // namespace ingot
