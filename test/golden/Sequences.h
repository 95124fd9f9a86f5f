/// The models of sequences that `record` trains with PyTorch, built with this project's builder.
#pragma once
#include "frontend/builder/Builder.h"
#include <limits>

namespace ingot::testing {

/// x [batch, positions, width] → logits of 5 classes.
class SequenceModel {
public:
  using Value = Builder::Value;

  Result<Model> build(const std::string &name, int64_t batch, const Shape &sequence) {
    positions = sequence[0], width = sequence[1];
    Value x = b.input("x", ElementType::F32, {batch, positions, width});
    x = name == "gru" ? gru(x) : name == "grouped" ? grouped(x) : experts(x);
    b.output("logits", linear(x, "fc", 5));
    return b.finish();
  }

private:
  /// Tests write the values.
  Value parameter(const std::string &name, const Shape &shape) {
    return b.parameter(name, shape, Initializer::constant(0));
  }
  Value linear(Value x, const std::string &name, int64_t out) {
    return b.linear(x, parameter(name + ".weight", {out, x.shape().back()}),
                    parameter(name + ".bias", {out}));
  }

  /// A cell in a loop; the last state and the mean of all.
  Value gru(Value x) {
    const int64_t batch = x.shape()[0], hidden = 12;
    Value inner = parameter("weight_ih", {3 * hidden, width}),
          outer = parameter("weight_hh", {3 * hidden, hidden}),
          innerBias = parameter("bias_ih", {3 * hidden}),
          outerBias = parameter("bias_hh", {3 * hidden});
    Value start = b.broadcast(b.scalar(0, ElementType::F32), {batch, hidden});
    const Value carried[] = {start};
    auto cell = [&](Value number, std::span<const Value> state) {
      Value now = b.reshape(b.dynamicSlice(x, number, 1, 1), {batch, width});
      Value input = b.linear(now, inner, innerBias), last = b.linear(state[0], outer, outerBias);
      auto gate = [&](Value all, int64_t index) {
        return b.slice(all, 1, index * hidden, (index + 1) * hidden);
      };
      Value reset = b.sigmoid(gate(input, 0) + gate(last, 0)),
            update = b.sigmoid(gate(input, 1) + gate(last, 1)),
            proposed = b.tanh(gate(input, 2) + reset * gate(last, 2));
      Value next = proposed + update * (state[0] - proposed);
      return std::vector<Value>{next, next};
    };
    const std::vector<Value> results = b.loop(positions, carried, cell);
    return results[0] + b.mean(results[1], {0});
  }

  Value heads(Value x, const std::string &name, int64_t count) {
    constexpr int64_t head = 6;
    Value all = linear(x, name, count * head);
    return b.transpose(b.reshape(all, {x.shape()[0], positions, count, head}), {0, 2, 1, 3});
  }
  Value join(Value x) {
    return b.reshape(b.transpose(x, {0, 2, 1, 3}), {x.shape()[0], positions, -1});
  }

  /// Two attentions of 4 heads with 2 of keys: a trained bias of scores with a soft cap, then a
  /// boolean mask and a window.
  Value grouped(Value x) {
    Value bias = parameter("bias", {4, positions, positions});
    x = x + linear(join(b.attention(heads(x, "q0", 4), heads(x, "k0", 2), heads(x, "v0", 2),
                                    {.causal = true, .mask = bias, .softCap = 2})),
                   "out0", width);
    Value row = b.iota({positions, positions}, 0, ElementType::I32),
          column = b.iota({positions, positions}, 1, ElementType::I32);
    Value seen =
        b.compare(Comparison::NotEqual, b.remainder(row + column, b.scalar(3, ElementType::I32)),
                  b.scalar(0, ElementType::I32));
    x = x + linear(join(b.attention(heads(x, "q1", 4), heads(x, "k1", 2), heads(x, "v1", 2),
                                    {.mask = seen, .window = 4})),
                   "out1", width);
    return b.mean(x, {1});
  }

  /// All experts of every position, weighed by the two that its gate likes best.
  Value experts(Value x) {
    const int64_t count = 4, hidden = 10;
    Value gate = linear(x, "gate", count);
    Value second = b.slice(b.topK(gate, 2, 2)[0], 2, 1, 2);
    Value none = b.scalar(-std::numeric_limits<double>::infinity(), ElementType::F32);
    Value chosen =
        b.softmax(b.select(b.compare(Comparison::GreaterEqual, gate, second), gate, none), 2);
    Value up = parameter("up", {count, hidden, width}),
          down = parameter("down", {count, width, hidden});
    Value inside = b.gelu(b.contract(x, up, {}, {}, {2}, {2})); // [batch, position, expert, hidden]
    Value outside =
        b.contract(inside, down, {2}, {0}, {3}, {2}); // [expert, batch, position, width]
    Value weight = b.reshape(b.transpose(chosen, {2, 0, 1}), {count, x.shape()[0], positions, 1});
    return b.mean(x + b.sum(outside * weight, {0}), {1});
  }

  Builder b;
  int64_t positions = 0, width = 0;
};

inline Result<Model> buildSequenceModel(const std::string &name, int64_t batch,
                                        const Shape &sequence) {
  return SequenceModel().build(name, batch, sequence);
}

} // namespace ingot::testing
