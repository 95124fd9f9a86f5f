/// Loops and branches of the builder: what they compute, and what they refuse.
#include "frontend/api/Ingot.h"
#include "frontend/builder/Builder.h"
#include <cmath>
#include <gtest/gtest.h>

namespace ingot {
namespace {

using Value = Builder::Value;
constexpr ElementType f32 = ElementType::F32, i64 = ElementType::I64;

std::string errorOf(Builder &b) {
  Result<Model> model = b.finish();
  return model ? "" : model.error().text();
}

Tensor filled(const Shape &shape, float first, float step) {
  Tensor tensor(f32, shape);
  for (int64_t i = 0; i < tensor.size(); ++i)
    tensor.as<float>()[i] = first + step * float(i);
  return tensor;
}

// A recurrent layer over the first dimension of its input, in both orders.
TEST(BuilderControl, loopsCarryAndStack) {
  for (bool reverse : {false, true}) {
    Builder b;
    Value x = b.input("x", f32, {5, 16}), h = b.input("h", f32, {16});
    auto results = b.loop(5, std::vector<Value>{h},
                          [&](Value number, std::span<const Value> carried) {
                            Value row = b.reshape(b.dynamicSlice(x, number, 0, 1), {16});
                            Value next = b.tanh(row + carried[0]);
                            return std::vector<Value>{next, next * b.scalar(2)};
                          },
                          {.reverse = reverse});
    ASSERT_EQ(results.size(), 2u);
    EXPECT_EQ(results[0].shape(), (Shape{16}));
    EXPECT_EQ(results[1].shape(), (Shape{5, 16}));
    b.output("last", results[0]);
    b.output("all", results[1]);
    Result<Model> model = b.finish();
    ASSERT_TRUE(model) << model.error().text();
    auto program = model->compile();
    ASSERT_TRUE(program) << program.error().text();
    Tensor rows = filled({5, 16}, -1, 0.03f), start = filled({16}, 0.5f, -0.1f);
    auto outputs = program->run({{"x", rows}, {"h", start}});
    ASSERT_TRUE(outputs) << outputs.error().text();
    for (int64_t column = 0; column < 16; ++column) {
      float state = start.as<float>()[column];
      for (int64_t step = 0; step < 5; ++step) {
        const int64_t row = reverse ? 4 - step : step;
        state = std::tanh(rows.as<float>()[row * 16 + column] + state);
        EXPECT_NEAR(outputs->at("all").as<float>()[row * 16 + column], 2 * state, 1e-5);
      }
      EXPECT_NEAR(outputs->at("last").as<float>()[column], state, 1e-5);
    }
  }
}

TEST(BuilderControl, branchesAreChosenAtRunTime) {
  Builder b;
  Value x = b.input("x", f32, {3}), n = b.input("n", i64, {});
  Value isPositive = b.compare(Comparison::Greater, b.sum(x), b.scalar(0));
  auto chosen = b.branch(
      isPositive, [&] { return std::vector<Value>{x + x}; },
      [&] {
        // Runs n times.
        return b.loop(n, std::vector<Value>{x},
                      [&](Value, std::span<const Value> carried) {
                        return std::vector<Value>{carried[0] - b.scalar(1)};
                      },
                      {.atMost = 4});
      });
  b.output("y", chosen.at(0));
  Result<Model> model = b.finish();
  ASSERT_TRUE(model) << model.error().text();
  auto program = model->compile();
  ASSERT_TRUE(program) << program.error().text();
  Tensor count(i64, {});
  *count.as<int64_t>() = 3;
  auto positive = program->run({{"x", filled({3}, 1, 1)}, {"n", count}});
  auto negative = program->run({{"x", filled({3}, -1, -1)}, {"n", count}});
  ASSERT_TRUE(positive && negative);
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(positive->at("y").as<float>()[i], 2 * (1 + float(i)));
    EXPECT_EQ(negative->at("y").as<float>()[i], -1 - float(i) - 3);
  }
}

/// A GRU over the first dimension of x [steps, batch, width], as PyTorch's GRUCell, and a linear
/// layer on its last state.
Model gru(int64_t steps, int64_t batch, int64_t width, int64_t hidden) {
  Builder b;
  Value x = b.input("x", f32, {steps, batch, width});
  auto weight = [&](std::string_view name, Shape shape) {
    return b.parameter(name, shape, Initializer::uniform(0.4));
  };
  Value wx = weight("wx", {3 * hidden, width}), wh = weight("wh", {3 * hidden, hidden}),
        bx = weight("bx", {3 * hidden}), bh = weight("bh", {3 * hidden}),
        out = weight("out", {2, hidden});
  Value start = b.broadcast(b.scalar(0), {batch, hidden});
  auto states = b.loop(steps, std::vector{start}, [&](Value number, auto carried) {
    Value row = b.reshape(b.dynamicSlice(x, number, 0, 1), {batch, width}), h = carried[0];
    Value input = b.linear(row, wx, bx), state = b.linear(h, wh, bh);
    auto part = [&](Value of, int64_t gate) {
      return b.slice(of, 1, gate * hidden, (gate + 1) * hidden);
    };
    Value reset = b.sigmoid(part(input, 0) + part(state, 0));
    Value update = b.sigmoid(part(input, 1) + part(state, 1));
    Value next = b.tanh(part(input, 2) + reset * part(state, 2));
    return std::vector<Value>{next + update * (h - next)};
  });
  b.output("y", b.linear(states[0], out));
  Result<Model> model = b.finish();
  EXPECT_TRUE(model) << model.error().text();
  return std::move(*model);
}

// Compiled training follows the reference; sizes that fill 64 bytes a row, and sizes that do not.
TEST(BuilderControl, aGruTrainsAsTheReferenceDoes) {
  for (Shape sizes : {Shape{5, 4, 3, 8}, Shape{3, 2, 5, 7}, Shape{1, 3, 4, 16}}) {
    SCOPED_TRACE(toString(sizes));
    Model model = gru(sizes[0], sizes[1], sizes[2], sizes[3]);
    std::vector<std::vector<float>> losses;
    for (const char *device : {"cpu", "reference"}) {
      ModelTrainerOptions options;
      options.device = device;
      auto trainer = model.trainer(Loss::Mse, AdamW{.learningRate = 0.05}, options);
      ASSERT_TRUE(trainer) << trainer.error().text();
      std::vector<float> &of = losses.emplace_back();
      for (int step = 0; step < 8; ++step) {
        auto loss = trainer->step({{"x", filled({sizes[0], sizes[1], sizes[2]}, -1, 0.017f)},
                                   {"targets", filled({sizes[1], 2}, 1.5f, -0.1f)}});
        ASSERT_TRUE(loss) << loss.error().text();
        of.push_back(*loss);
      }
    }
    for (size_t step = 0; step < losses[0].size(); ++step)
      EXPECT_NEAR(losses[0][step], losses[1][step], 1e-4 * (1e-3 + losses[1][step])) << step;
    EXPECT_LT(losses[0].back(), 0.9f * losses[0].front());
  }
}

// Whoever looks for the loop that makes a loss sees each value once: this has 2^60 paths.
TEST(BuilderControl, longChainsOfScalarsCompile) {
  Builder b;
  Value x = b.input("x", f32, {});
  for (int step = 0; step < 60; ++step)
    x = b.sin(x * x);
  b.output("loss", x);
  Result<Model> model = b.finish();
  ASSERT_TRUE(model) << model.error().text();
  auto program = model->compile({.cache = false});
  EXPECT_TRUE(program) << program.error().text();
}

TEST(BuilderControl, refusesBodiesThatDoNotFit) {
  struct Case {
    std::string message;
    std::function<void(Builder &, Value)> build;
  };
  const std::vector<Case> cases = {
      {"loop(scalar i64, 4 f32): the body gives 0 values for 1 carried ones",
       [](Builder &b, Value x) {
         b.output("y", b.loop(2, std::vector{x}, [&](Value, std::span<const Value>) {
           return std::vector<Value>();
         })[0]);
       }},
      {"loop(scalar i64, 4 f32): the body gives scalar f32 for carried value 0",
       [](Builder &b, Value x) {
         b.output("y", b.loop(2, std::vector{x}, [&](Value, std::span<const Value> carried) {
           return std::vector<Value>{b.sum(carried[0])};
         })[0]);
       }},
      {"loop(4 f32, 4 f32): the trip count is no i64 or i32 scalar",
       [](Builder &b, Value x) {
         b.output("y", b.loop(x, std::vector{x}, [&](Value, std::span<const Value> carried) {
           return std::vector<Value>{b.sin(carried[0])};
         })[0]);
       }},
      {"loop(scalar i64): it stacks, but neither a constant trip count nor atMost says how many "
       "rows",
       [](Builder &b, Value x) {
         b.output("y", b.loop(b.input("n", i64, {}), {}, [&](Value, std::span<const Value>) {
           return std::vector<Value>{x};
         })[0]);
       }},
      {"loop(scalar i64): it runs at most -1 times",
       [](Builder &b, Value x) {
         b.output("y", b.loop(2, {},
                              [&](Value, std::span<const Value>) { return std::vector<Value>{x}; },
                              {.atMost = -1})[0]);
       }},
      {"loop(scalar i64): the trip count -1 is negative",
       [](Builder &b, Value x) {
         b.output("y", b.loop(-1, {}, [&](Value, std::span<const Value>) {
           return std::vector<Value>{x};
         })[0]);
       }},
      {"loop(scalar i64): the trip count 5 is more than 3",
       [](Builder &b, Value x) {
         b.output("y", b.loop(5, {},
                              [&](Value, std::span<const Value>) { return std::vector<Value>{x}; },
                              {.atMost = 3})[0]);
       }},
      {"if(scalar f32): the condition is no i1 scalar",
       [](Builder &b, Value x) {
         auto side = [&] { return std::vector<Value>{x}; };
         b.output("y", b.branch(b.sum(x), side, side)[0]);
       }},
      {"if(scalar i1): one side gives 4 f32 as value 0, the other scalar f32",
       [](Builder &b, Value x) {
         Value flag = b.compare(Comparison::Less, b.sum(x), b.scalar(0));
         b.output("y", b.branch(
                           flag, [&] { return std::vector<Value>{x}; },
                           [&] { return std::vector<Value>{b.sum(x)}; })[0]);
       }},
      {"add(4 f32, 4 f32): an operand was made in a loop or branch that has ended",
       [](Builder &b, Value x) {
         Value inner;
         b.loop(2, std::vector{x}, [&](Value, std::span<const Value> carried) {
           inner = b.sin(carried[0]);
           return std::vector<Value>{inner};
         });
         b.output("y", x + inner);
       }},
      {"y: the output was made in a loop or branch",
       [](Builder &b, Value x) {
         b.loop(2, std::vector{x}, [&](Value, std::span<const Value> carried) {
           b.output("y", b.sin(carried[0]));
           return std::vector<Value>{carried[0]};
         });
         b.output("z", x);
       }},
      {"dynamic_slice(4 f32, scalar i64): (2) size 5 does not fit the operand's dimension 0 of 4",
       [](Builder &b, Value x) { b.output("y", b.dynamicSlice(x, b.scalar(0, i64), 0, 5)); }},
      {"dynamic_update_slice(4 f32, 4 f32, scalar i64): 'graph.dynamic_update_slice' op (1) "
       "dimension 1 is not one of the base's 1",
       [](Builder &b, Value x) { b.output("y", b.dynamicUpdateSlice(x, x, b.scalar(0, i64), 1)); }},
  };
  for (const Case &one : cases) {
    Builder b;
    one.build(b, b.input("x", f32, {4}));
    const std::string error = errorOf(b);
    EXPECT_EQ(error.substr(0, one.message.size()), one.message) << error;
  }
}

TEST(BuilderControl, aBodyCannotFinishTheModel) {
  Builder b;
  Value x = b.input("x", f32, {4});
  auto results = b.loop(2, std::vector{x}, [&](Value, std::span<const Value> carried) {
    EXPECT_EQ(errorOf(b), "the body of a loop or branch cannot finish the model");
    return std::vector<Value>{carried[0] * carried[0]};
  });
  b.output("y", results[0]);
  EXPECT_EQ(errorOf(b), "");
}

} // namespace
} // namespace ingot
