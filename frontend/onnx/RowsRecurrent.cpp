/// Rows of LSTM, GRU and RNN. A cell is a function of the projected input and the state, and the
/// body of a loop over the steps.
#include "frontend/onnx/Rows.h"
#include <algorithm>

namespace ingot::onnx {
namespace {

/// An activation with its numbers, of those that ONNX names.
struct Activation {
  std::string name;
  double alpha = 0, beta = 0;

  Value operator()(Call &c, Value x) const {
    auto scalar = [&](double value) { return c.scalarLike(x, value); };
    if (name == "Relu")
      return c.b.relu(x);
    if (name == "Tanh")
      return c.b.tanh(x);
    if (name == "Sigmoid")
      return c.b.sigmoid(x);
    if (name == "Softsign")
      return c.b.softsign(x);
    if (name == "Softplus")
      return c.b.softplus(x);
    if (name == "Affine")
      return x * scalar(alpha) + scalar(beta);
    if (name == "LeakyRelu")
      return c.b.leakyRelu(x, alpha);
    if (name == "ThresholdedRelu")
      return c.b.threshold(x, alpha, 0);
    if (name == "ScaledTanh")
      return c.b.tanh(x * scalar(beta)) * scalar(alpha);
    if (name == "HardSigmoid")
      return c.b.clippedLine(x, alpha, beta);
    if (name == "Elu")
      return c.b.elu(x, alpha);
    c.refuse(fmt::format("the activation '{}' is not supported", name));
    return x;
  }
};

/// What the three ops have in common, in the shapes of `layout` 0.
struct Recurrence {
  int64_t gates, steps, batch, hidden, directions;
  Value x, lengths; ///< [steps, batch, in]; [batch, 1] or Value()
  bool isBatchFirst = false;
  double clip = 0;
  std::vector<Activation> activations; ///< those of a direction after those of another
};

Value clipped(Call &c, const Recurrence &r, Value x) {
  return r.clip > 0 ? c.b.hardTanh(x, -r.clip, r.clip) : x;
}

/// One direction's part of a tensor, or the part of gate `gate` where the rest counts gates.
Value part(Call &c, Value x, int64_t index, int64_t size) {
  return c.b.slice(x, 0, index * size, (index + 1) * size);
}

Value directionOf(Call &c, Value x, int64_t direction) {
  if (!x.valid())
    return x;
  const Shape shape(x.shape().begin() + 1, x.shape().end());
  return c.b.reshape(part(c, x, direction, 1), shape);
}

std::optional<Recurrence> recurrenceOf(Call &c, int64_t gates,
                                       const std::vector<std::string> &usual) {
  Recurrence r{};
  r.gates = gates;
  r.x = c.operand(0);
  Value weight = c.operand(1);
  const std::string direction = c.text("direction", "forward");
  r.directions = direction == "bidirectional" ? 2 : 1;
  r.isBatchFirst = c.integer("layout", 0) != 0;
  r.clip = c.number("clip", 0);
  if (rank(r.x) != 3 || rank(weight) != 3 || weight.shape()[1] % gates) {
    c.refuse("its input or weight has not the shape that it needs");
    return std::nullopt;
  }
  if (r.isBatchFirst)
    r.x = c.b.transpose(r.x, {1, 0, 2});
  r.steps = r.x.shape()[0];
  r.batch = r.x.shape()[1];
  r.hidden = weight.shape()[1] / gates;
  const Shape state = r.isBatchFirst ? Shape{r.batch, r.directions, r.hidden}
                                     : Shape{r.directions, r.batch, r.hidden};
  const Shape shapes[] = {r.x.shape(),
                          {r.directions, gates * r.hidden, r.x.shape()[2]},
                          {r.directions, gates * r.hidden, r.hidden},
                          {r.directions, 2 * gates * r.hidden},
                          {r.batch},
                          state,
                          state,
                          {r.directions, 3 * r.hidden}};
  for (size_t i = 1; i < std::min(c.inputs(), std::size(shapes)); ++i)
    if (c.has(i) && c.operand(i).shape() != shapes[i]) {
      c.refuse(fmt::format("its input {} is {}, which has not the shape that it needs, {}", i,
                           toString(c.operand(i).shape()), toString(shapes[i])));
      return std::nullopt;
    }
  if (r.steps < 1) {
    c.refuse("its sequences have no steps");
    return std::nullopt;
  }
  if (c.has(4))
    r.lengths = c.b.reshape(c.operand(4), {r.batch, 1});
  const AttributeProto *named = c.attribute("activations");
  const AttributeProto *alpha = c.attribute("activation_alpha"),
                       *beta = c.attribute("activation_beta");
  for (int64_t i = 0; i < r.directions * int64_t(usual.size()); ++i) {
    Activation activation{usual[size_t(i) % usual.size()]};
    if (named && size_t(i) < named->strings.size())
      activation.name = named->strings[size_t(i)];
    const bool isHard = activation.name == "HardSigmoid";
    activation.alpha = alpha && size_t(i) < alpha->floats.size() ? alpha->floats[size_t(i)]
                       : isHard                                  ? 0.2
                       : activation.name == "LeakyRelu"          ? 0.01
                                                                 : 1;
    activation.beta = beta && size_t(i) < beta->floats.size() ? beta->floats[size_t(i)]
                      : isHard                                ? 0.5
                                                              : 1;
    r.activations.push_back(std::move(activation));
  }
  return r;
}

/// A state [directions, batch, hidden] from the input `index`, or zeros.
Value stateOf(Call &c, const Recurrence &r, size_t index) {
  if (!c.has(index))
    return c.b.broadcast(c.scalarLike(r.x, 0), {r.directions, r.batch, r.hidden});
  Value given = c.operand(index);
  return r.isBatchFirst ? c.b.transpose(given, {1, 0, 2}) : given;
}

/// What a cell sees: the projected input of a step, one direction's weights, its activations.
struct Cell {
  Call &c;
  const Recurrence &r;
  Value recurrent, recurrentBias, peepholes; ///< [gates · hidden, hidden]; absent ones are Value()
  std::vector<Value> recurrentGates;         ///< `recurrent` gate by gate
  const Activation *activations;

  Value gate(Value all, int64_t index) const {
    return c.b.slice(all, 1, index * r.hidden, (index + 1) * r.hidden);
  }
  Value ofGate(Value perGate, int64_t index) const { return part(c, perGate, index, r.hidden); }
  Value activate(int64_t index, Value x) const { return activations[index](c, clipped(c, r, x)); }
  Value times(Value h, Value weight) const { return c.b.contract(h, weight, {}, {}, {1}, {1}); }
};

/// Hidden state first.
using States = std::vector<Value>;
using Step = States (*)(const Cell &, Value projected, const States &before);

/// Runs a cell over the steps of each direction: Y, and the last of each state.
Items run(Call &c, const Recurrence &r, const std::vector<Value> &initial, Value peepholes,
          Step step) {
  Value weight = c.operand(1), recurrent = c.operand(2), bias = c.optional(3);
  const bool isReverse = c.text("direction", "forward") == "reverse";
  const size_t perDirection = r.activations.size() / size_t(r.directions);
  const int64_t rows = r.gates * r.hidden;
  std::vector<Value> outputs;
  std::vector<std::vector<Value>> last(initial.size());
  for (int64_t d = 0; d < r.directions; ++d) {
    Cell cell{
        c, r, directionOf(c, recurrent, d), {}, {}, {}, &r.activations[size_t(d) * perDirection]};
    for (int64_t gate = 0; gate < r.gates; ++gate)
      cell.recurrentGates.push_back(part(c, cell.recurrent, gate, r.hidden));
    if (c.has(3))
      cell.recurrentBias = part(c, directionOf(c, bias, d), 1, rows);
    if (peepholes.valid())
      cell.peepholes = directionOf(c, peepholes, d);
    Value projected = c.b.contract(r.x, directionOf(c, weight, d), {}, {}, {2}, {1});
    if (c.has(3))
      projected = projected + part(c, directionOf(c, bias, d), 0, rows);
    States start;
    for (Value state : initial)
      start.push_back(directionOf(c, state, d));
    auto body = [&](Value number, std::span<const Value> now) {
      const States before(now.begin(), now.end());
      Value here = c.b.reshape(c.b.dynamicSlice(projected, number, 0, 1), {r.batch, rows});
      States next = step(cell, here, before);
      Value output = next[0];
      if (r.lengths.valid()) { // beyond its length, a sequence stands still and gives zeros
        Value isInside =
            c.b.compare(Comparison::Less, c.b.cast(number, r.lengths.type()), r.lengths);
        for (size_t k = 0; k < next.size(); ++k)
          next[k] = c.b.select(isInside, next[k], before[k]);
        output = c.b.select(isInside, output, c.scalarLike(output, 0));
      }
      if (c.wants(0))
        next.push_back(output);
      return next;
    };
    const std::vector<Value> results =
        c.b.loop(r.steps, start, body, {.reverse = isReverse || d == 1});
    for (size_t k = 0; k < start.size(); ++k)
      last[k].push_back(c.b.reshape(results[k], {1, r.batch, r.hidden}));
    if (c.wants(0))
      outputs.push_back(c.b.reshape(results.back(), {r.steps, 1, r.batch, r.hidden}));
  }
  Items results(1);
  if (c.wants(0)) {
    Value y = c.b.concat(outputs, 1);
    results[0] = r.isBatchFirst ? c.b.transpose(y, {2, 0, 1, 3}) : y;
  }
  for (const std::vector<Value> &of : last) {
    Value state = c.b.concat(of, 0);
    results.emplace_back(r.isBatchFirst ? c.b.transpose(state, {1, 0, 2}) : state);
  }
  return results;
}

/// Gates in the order input, output, forget, cell.
States lstmStep(const Cell &cell, Value projected, const States &before) {
  Value h = before[0], memory = before[1];
  Value all = projected + cell.times(h, cell.recurrent);
  if (cell.recurrentBias.valid())
    all = all + cell.recurrentBias;
  auto gate = [&](int64_t index, int64_t peephole, Value seen) {
    Value x = cell.gate(all, index);
    return cell.peepholes.valid() ? x + seen * cell.ofGate(cell.peepholes, peephole) : x;
  };
  Value in = cell.activate(0, gate(0, 0, memory)), forget = cell.activate(0, gate(2, 2, memory));
  Value candidate = cell.activate(1, cell.gate(all, 3));
  Value next = forget * memory + in * candidate;
  Value out = cell.activate(0, gate(1, 1, next));
  return {out * cell.activations[2](cell.c, next), next};
}

Items lstm(Call &c) {
  std::optional<Recurrence> r = recurrenceOf(c, 4, {"Sigmoid", "Tanh", "Tanh"});
  if (!r)
    return {};
  if (c.integer("input_forget", 0) != 0)
    return {c.refuse("coupled input and forget gates are not supported")};
  return run(c, *r, {stateOf(c, *r, 5), stateOf(c, *r, 6)}, c.optional(7), lstmStep);
}

/// Gates in the order update, reset, candidate.
template <bool resetsAfter>
States gruStep(const Cell &cell, Value projected, const States &before) {
  Value h = before[0];
  Value all = cell.times(h, cell.recurrent);
  if (cell.recurrentBias.valid())
    all = all + cell.recurrentBias;
  Value update = cell.activate(0, cell.gate(projected, 0) + cell.gate(all, 0));
  Value reset = cell.activate(0, cell.gate(projected, 1) + cell.gate(all, 1));
  Value seen;
  if constexpr (resetsAfter) {
    seen = reset * cell.gate(all, 2);
  } else {
    seen = cell.times(reset * h, cell.recurrentGates[2]);
    if (cell.recurrentBias.valid())
      seen = seen + cell.ofGate(cell.recurrentBias, 2);
  }
  Value candidate = cell.activate(1, cell.gate(projected, 2) + seen);
  Value rest = cell.c.scalarLike(update, 1) - update;
  return {rest * candidate + update * h};
}

Items gru(Call &c) {
  std::optional<Recurrence> r = recurrenceOf(c, 3, {"Sigmoid", "Tanh"});
  if (!r)
    return {};
  const bool resetsAfter = c.integer("linear_before_reset", 0) != 0;
  return run(c, *r, {stateOf(c, *r, 5)}, Value(), resetsAfter ? gruStep<true> : gruStep<false>);
}

States rnnStep(const Cell &cell, Value projected, const States &before) {
  Value all = projected + cell.times(before[0], cell.recurrent);
  return {cell.activate(0, cell.recurrentBias.valid() ? all + cell.recurrentBias : all)};
}

Items rnn(Call &c) {
  std::optional<Recurrence> r = recurrenceOf(c, 1, {"Tanh"});
  return r ? run(c, *r, {stateOf(c, *r, 5)}, Value(), rnnStep) : Items();
}

constexpr Row rows[] = {
    {"GRU", 3, newestOpset, gru},
    {"LSTM", 1, newestOpset, lstm},
    {"RNN", 1, newestOpset, rnn},
};

} // namespace

std::span<const Row> recurrentRows() { return rows; }

} // namespace ingot::onnx
