/// A function in the making whose gradients are compared with differences.
#pragma once
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"
#include "passes/Signature.h"
#include "test/ir/Testing.h"
#include <algorithm>
#include <numeric>

namespace ingot::testing {

using namespace mlir;
using namespace graph;

/// A function @evaluate in the making, with values for its arguments. The loss is a random
/// combination of all elements of all outputs.
class Trial {
public:
  Trial(MLIRContext &context, std::mt19937_64 &generator)
      : generator(generator), module(ModuleOp::create(UnknownLoc::get(&context))),
        builder(&context), g(builder, UnknownLoc::get(&context)) {
    builder.setInsertionPointToStart(module->getBody());
    evaluate =
        func::FuncOp::create(builder, g.location, "evaluate", builder.getFunctionType({}, {}));
    builder.setInsertionPointToStart(evaluate.addEntryBlock());
  }

  int64_t between(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(generator);
  }
  /// A size, 1 every now and then.
  int64_t size() { return between(1, 4); }
  Shape shape(int64_t rank) {
    Shape sizes(rank);
    std::generate(sizes.begin(), sizes.end(), [&] { return size(); });
    return sizes;
  }

  /// A parameter with values in (low, high). No two of them are equal, none is equal to one of the
  /// 14 parameters of that range and size before it, none is 0: rules with kinks can be
  /// differenced.
  Value parameter(const Shape &shape, double low = -1, double high = 1) {
    std::vector<double> values(elementCount(shape));
    std::iota(values.begin(), values.end(), 0.53 + 0.03 * double(arguments.size() % 15));
    std::shuffle(values.begin(), values.end(), generator);
    for (double &value : values)
      value = low + (high - low) * value / double(values.size() + 1);
    return argument(Role::Parameter, builder.getF64Type(), store(ElementType::F64, shape, values));
  }

  Value indices(const Shape &shape, int64_t limit) {
    std::vector<uint64_t> values(elementCount(shape));
    for (uint64_t &value : values)
      value = generator() % limit;
    return argument(Role::Input, builder.getI32Type(), store(ElementType::I32, shape, values));
  }

  /// Made from an input; about half of the elements are true.
  Value condition(const Shape &shape) {
    Value bits = indices(shape, 2);
    return g.compare(Comparison::Ne, bits, g.zerosLike(bits));
  }

  void output(Value value) {
    std::vector<double> weights(tensorType(value).getNumElements());
    std::normal_distribution<double> normal;
    for (double &weight : weights)
      weight = normal(generator);
    Shape shape = tensorType(value).getShape().vec();
    Value weight =
        argument(Role::Input, builder.getF64Type(), store(ElementType::F64, shape, weights));
    Value share = g.sumAll(g.mul(value, weight));
    loss = loss ? g.add(loss, share) : share;
  }

  /// Compares all gradients with differences of the loss.
  void check() {
    func::ReturnOp::create(builder, g.location);
    setResults(evaluate, {{loss, "loss"}});
    PassManager passes(module->getContext());
    passes.addPass(createDifferentiate());
    ASSERT_TRUE(succeeded(passes.run(*module)));
    auto gradients = interpret(module->lookupSymbol<func::FuncOp>("gradients"), arguments);
    ASSERT_TRUE(gradients) << gradients.error().text();
    ASSERT_NEAR((*gradients)[0].as<double>()[0], lossOf(), 1e-12);

    size_t result = 1;
    for (BlockArgument parameter : argumentsOf(evaluate, Role::Parameter))
      compare(parameter.getArgNumber(), (*gradients)[result++]);
  }

  /// Ops of that name anywhere in @evaluate.
  bool contains(StringRef op) {
    return evaluate
        .walk([&](Operation *found) {
          return found->getName().getStringRef() == op ? WalkResult::interrupt()
                                                       : WalkResult::advance();
        })
        .wasInterrupted();
  }

private:
  Value argument(Role role, Type element, Tensor value) {
    std::string name = (role == Role::Parameter ? "p" : "x") + std::to_string(arguments.size());
    auto type = RankedTensorType::get(value.shape(), element);
    // Parameters stand before inputs: values are kept in the same order.
    BlockArgument argument = insertArgument(evaluate, role, name, type, g.location);
    arguments.insert(arguments.begin() + argument.getArgNumber(), std::move(value));
    return argument;
  }

  double lossOf() {
    auto results = interpret(evaluate, arguments);
    EXPECT_TRUE(results) << (results ? "" : results.error().text());
    return results ? (*results)[0].as<double>()[0] : std::nan("");
  }

  void compare(unsigned index, const Tensor &gradient) {
    constexpr double step = 1e-5;
    double *values = arguments[index].as<double>();
    for (int64_t i = 0; i < arguments[index].size(); ++i) {
      double value = values[i];
      values[i] = value + step;
      double above = lossOf();
      values[i] = value - step;
      double below = lossOf();
      values[i] = value;
      double expected = (above - below) / (2 * step);
      ASSERT_NEAR(gradient.as<double>()[i], expected, 1e-6 * (1 + std::fabs(expected)))
          << "parameter " << index << ", element " << i;
    }
  }

  std::mt19937_64 &generator;
  OwningOpRef<ModuleOp> module;
  func::FuncOp evaluate;
  Tensors arguments;
  Value loss;

public:
  OpBuilder builder;
  GraphBuilder g;
};

} // namespace ingot::testing
