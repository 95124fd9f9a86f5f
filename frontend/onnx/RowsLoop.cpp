/// Rows of loops. A body that can be imported for an iteration whose number is known at run time
/// only is the body of a loop of the model, compiled once. Where it cannot (sequences, shapes that
/// grow, slices by the iteration's number), iterations follow each other in the graph.
#include "frontend/onnx/Rows.h"
#include "runtime/support/HalfFloat.h"
#include <algorithm>
#include <limits>

namespace ingot::onnx {
namespace {

using Values = std::vector<Value>;

/// Iterations of a loop of the model whose number is a constant: more never end.
constexpr int64_t mostTrips = int64_t(1) << 31;

/// Tensors of the model for items that are that; nothing where one is something else.
std::optional<Values> tensorsOf(Call &c, const Items &items) {
  Values values;
  for (const Item &item : items) {
    const bool isTensor = item.kind == Item::Kind::Tensor && !item.isCounted();
    if (!isTensor && item.kind != Item::Kind::Initializer)
      return std::nullopt;
    values.push_back(c.tensorOf(item));
  }
  return values;
}

Items itemsOf(std::span<const Value> values) { return {values.begin(), values.end()}; }

bool isSet(const Tensor &condition) {
  return loadElement(condition.type(), condition.data(), 0) != 0;
}

//===--------------------------------------------------------------------------------------------===//
// Loop
//===--------------------------------------------------------------------------------------------===//

/// What the node says: the largest number of iterations, whether the first one runs, carried
/// values. The body takes the iteration's number, its condition and the carried values, and gives
/// the next condition, the carried values and what is stacked.
struct LoopNode {
  Call &c;
  Items carried;
  size_t stacked; ///< results that are
  /// Whether the condition turned out to be known at run time only.
  bool isConditional = false;

  explicit LoopNode(Call &c) : c(c) {
    for (size_t i = 2; i < c.inputs(); ++i)
      carried.push_back(c.item(i));
    stacked = c.outputs() > carried.size() ? c.outputs() - carried.size() : 0;
  }

  /// An iteration in which the condition holds; fewer results than there must be after a refusal.
  Items iterate(Value number, const Items &now) const {
    Items arguments = {number, c.b.scalar(1, ElementType::I1)};
    arguments.insert(arguments.end(), now.begin(), now.end());
    Items results = c.graph("body", std::move(arguments));
    if (!c.isRefused() && results.size() < 1 + carried.size() + stacked)
      c.refuse("its body gives less than it must");
    return results;
  }

  std::optional<Items> asLoop();
  std::optional<Values> counted(Value trips, const Values &start);
  std::optional<Values> conditional(Value trips, const Values &start);
  Items writtenOut();
};

/// The condition holds throughout.
std::optional<Values> LoopNode::counted(Value trips, const Values &start) {
  return c.attempt("body", [&] {
    return c.b.loop(trips, start, [&](Value number, std::span<const Value> now) -> Values {
      const Items results = iterate(number, itemsOf(now));
      const std::optional<Tensor> goesOn =
          results.empty() ? std::nullopt : c.valueOf(results.front());
      isConditional = isConditional || (!c.isRefused() && !goesOn);
      if (c.isRefused() || !goesOn || goesOn->size() != 1 || !isSet(*goesOn))
        return {Value()};
      return tensorsOf(c, Items(results.begin() + 1, results.end())).value_or(Values{Value()});
    });
  });
}

/// A flag is carried: where it is not set any more, an iteration does nothing.
std::optional<Values> LoopNode::conditional(Value trips, const Values &start) {
  Values first = {c.has(1) ? c.b.reshape(c.operand(1), {}) : c.b.scalar(1, ElementType::I1),
                  c.constant({0}, {})};
  first.insert(first.end(), start.begin(), start.end());
  return c.attempt("body", [&] {
    return c.b.loop(trips, first, [&](Value number, std::span<const Value> now) {
      Values idle = {c.b.scalar(0, ElementType::I1)};
      auto run = [&]() -> Values {
        Items results = iterate(number, itemsOf(now.subspan(2)));
        Values made =
            c.isRefused() ? Values{Value()} : tensorsOf(c, results).value_or(Values{Value()});
        if (made[0].valid())
          made[0] = c.b.reshape(made[0], {});
        idle.insert(idle.end(), now.begin() + 2, now.end());
        for (size_t i = 1 + start.size(); i < made.size(); ++i)
          idle.push_back(made[i]);
        return made;
      };
      auto rest = [&] {
        for (size_t i = 1 + start.size(); i < idle.size(); ++i)
          idle[i] = c.b.broadcast(c.scalarLike(idle[i], 0), idle[i].shape());
        return idle;
      };
      Values next = c.b.branch(now[0], run, rest);
      next.insert(next.begin() + 1, now[1] + c.b.cast(now[0], ElementType::I64));
      return next;
    });
  });
}

std::optional<Items> LoopNode::asLoop() {
  const std::optional<Values> start = tensorsOf(c, carried);
  if (!start || !c.has(0))
    return std::nullopt;
  Value trips;
  if (std::optional<Tensor> most = c.ifKnown(0)) {
    const int64_t count = c.integerAt(0, 0);
    if (count < 2 || count > mostTrips)
      return std::nullopt;
    trips = c.constant({count}, {});
  } else if (stacked == 0) {
    trips =
        c.b.maximum(c.b.reshape(c.b.cast(c.operand(0), ElementType::I64), {}), c.constant({0}, {}));
  } else {
    return std::nullopt; // nothing says how large a result is
  }
  const std::optional<Tensor> runs = c.has(1) ? c.ifKnown(1) : std::nullopt;
  if (runs && (runs->size() != 1 || !isSet(*runs)))
    return std::nullopt;
  if (runs || !c.has(1))
    if (std::optional<Values> results = counted(trips, *start))
      return itemsOf(*results);
  if (!isConditional && (runs || !c.has(1)))
    return std::nullopt;
  const std::optional<Values> results = conditional(trips, *start);
  if (!results)
    return std::nullopt;
  Items items;
  for (size_t i = 2; i < results->size(); ++i)
    items.push_back(i < 2 + start->size() ? Item((*results)[i])
                                          : Item((*results)[i], (*results)[1], 0));
  return items;
}

Items LoopNode::writtenOut() {
  const int64_t most = c.integerAt(0, std::numeric_limits<int64_t>::max());
  bool runs = !c.has(1) || c.numberAt(1, 1) != 0;
  if (c.isRefused())
    return {};
  std::vector<Values> parts(stacked);
  for (int64_t iteration = 0; runs && iteration < most; ++iteration) {
    if (iteration >= mostIterations)
      return {c.refuse(fmt::format("it has more than {} iterations", mostIterations))};
    Items results = iterate(c.constant({iteration}, {}), carried);
    if (c.isRefused())
      return {};
    const std::optional<Tensor> next = c.valueOf(results[0]);
    if (!next || next->size() != 1)
      return {c.refuse("whether it goes on is known at run time only")};
    runs = isSet(*next);
    for (size_t k = 0; k < stacked; ++k)
      parts[k].push_back(c.tensorOf(results[1 + carried.size() + k]));
    carried = Items(results.begin() + 1, results.begin() + 1 + ptrdiff_t(carried.size()));
  }
  Items results = carried;
  for (Values &part : parts) {
    if (part.empty())
      return {c.refuse("it stacks the results of no iteration")};
    results.emplace_back(c.stack(std::move(part), 0));
  }
  return results;
}

Items loop(Call &c) {
  LoopNode node(c);
  if (std::optional<Items> results = node.asLoop())
    return *results;
  return c.isRefused() ? Items() : node.writtenOut();
}

//===--------------------------------------------------------------------------------------------===//
// Scan
//===--------------------------------------------------------------------------------------------===//

/// Sequences that a body runs over, by their first dimension, with states that it carries.
struct ScanNode {
  Call &c;
  Items states;
  Values over;
  size_t stacked;
  int64_t steps = 0;

  /// The body on the parts of the sequences at a step.
  std::optional<Values> iterate(const Items &now, const std::function<Value(Value)> &at) const {
    Items arguments = now;
    for (const Value &sequence : over) {
      const Shape shape(sequence.shape().begin() + 1, sequence.shape().end());
      arguments.emplace_back(c.b.reshape(at(sequence), shape));
    }
    const Items results = c.graph("body", std::move(arguments));
    if (c.isRefused())
      return std::nullopt;
    std::optional<Values> values = tensorsOf(c, results);
    if (!values || values->size() < states.size() + stacked) {
      c.refuse("its body gives less than it must");
      return std::nullopt;
    }
    values->resize(states.size() + stacked);
    return values;
  }

  /// The states after all steps, then what is stacked along a first dimension.
  Values run() const {
    const std::optional<Values> start = tensorsOf(c, states);
    if (!start) {
      c.refuse("its states are not tensors");
      return {};
    }
    if (steps > 1) {
      std::optional<Values> results = c.attempt("body", [&] {
        return c.b.loop(steps, *start, [&](Value number, std::span<const Value> now) {
          return iterate(itemsOf(now),
                         [&](Value sequence) { return c.b.dynamicSlice(sequence, number, 0, 1); })
              .value_or(Values{Value()});
        });
      });
      if (results || c.isRefused())
        return results.value_or(Values());
    }
    return writtenOut(*start);
  }

  Values writtenOut(const Values &start) const {
    if (steps > mostIterations) {
      c.refuse(fmt::format("it has more than {} steps", mostIterations));
      return {};
    }
    Values now = start;
    std::vector<Values> parts(stacked);
    for (int64_t step = 0; step < steps; ++step) {
      const std::optional<Values> results = iterate(
          itemsOf(now), [&](Value sequence) { return c.b.slice(sequence, 0, step, step + 1); });
      if (!results)
        return {};
      now.assign(results->begin(), results->begin() + ptrdiff_t(states.size()));
      for (size_t k = 0; k < stacked; ++k)
        parts[k].push_back((*results)[states.size() + k]);
    }
    for (Values &part : parts)
      now.push_back(c.stack(std::move(part), 0));
    return now;
  }
};

/// x with one of its dimensions at another place.
Value moved(Call &c, const Value &x, int64_t from, int64_t to) {
  Ints order;
  for (int64_t i = 0; i < rank(x); ++i)
    if (i != from)
      order.push_back(i);
  order.insert(order.begin() + to, from);
  return from == to ? x : c.b.transpose(x, order);
}

int64_t entry(Call &c, const char *name, size_t index) {
  const Ints given = c.integers(name);
  return index < given.size() ? given[index] : 0;
}

/// The states, then the sequences that the body runs over.
Items scan(Call &c) {
  const auto sequences = size_t(c.integer("num_scan_inputs", 1));
  if (sequences == 0 || sequences > c.inputs())
    return {c.refuse("it has more sequences than inputs")};
  ScanNode node{c, {}, {}, 0};
  const size_t states = c.inputs() - sequences;
  for (size_t i = 0; i < states; ++i)
    node.states.push_back(c.item(i));
  for (size_t i = 0; i < sequences; ++i) {
    Value x = c.operand(states + i);
    const int64_t axis = c.axis(x, entry(c, "scan_input_axes", i));
    const int64_t size = rank(x) ? x.shape()[size_t(axis)] : 0;
    if (c.isRefused() || (i && size != node.steps) || size < 1)
      return {c.refuse("its sequences have not one length that is supported")};
    node.steps = size;
    x = moved(c, x, axis, 0);
    node.over.push_back(entry(c, "scan_input_directions", i) ? c.b.reverse(x, {0}) : x);
  }
  node.stacked = c.outputs() > states ? c.outputs() - states : 0;
  const Values made = node.run();
  if (c.isRefused())
    return {};
  Items results = itemsOf(std::span(made).first(states));
  for (size_t k = 0; k < node.stacked; ++k) {
    Value all = made[states + k];
    if (entry(c, "scan_output_directions", k) != 0)
      all = c.b.reverse(all, {0});
    results.emplace_back(moved(c, all, 0, c.axis(all, entry(c, "scan_output_axes", k))));
  }
  return results;
}

/// Of opset 8: all have a batch first, whose elements run by themselves, each as far as it is long.
Items batchedScan(Call &c) {
  const auto sequences = size_t(c.integer("num_scan_inputs", 1));
  if (sequences == 0 || sequences >= c.inputs())
    return {c.refuse("it has more sequences than inputs")};
  const size_t states = c.inputs() - 1 - sequences;
  const Values all = [&] {
    Values values;
    for (size_t i = 1; i < c.inputs(); ++i)
      values.push_back(c.operand(i));
    return values;
  }();
  const Shape whole = all[states].shape();
  const int64_t batch = whole.empty() ? 0 : whole[0];
  if (whole.size() < 2 || whole[1] < 1 || batch < 1 || batch > mostIterations)
    return {c.refuse("its sequences have no batch, or no steps")};
  for (size_t i = 0; i < all.size(); ++i)
    if (all[i].shape().empty() || all[i].shape()[0] != batch ||
        (i >= states && (rank(all[i]) < 2 || all[i].shape()[1] != whole[1])))
      return {c.refuse("its inputs differ in batch or length")};
  const Ints lengths = c.has(0) ? c.ints(0) : Ints(size_t(batch), whole[1]);
  if (c.isRefused() || int64_t(lengths.size()) != batch)
    return {c.refuse("it needs a length for each sequence")};
  std::vector<Values> parts(c.outputs());
  for (int64_t element = 0; element < batch; ++element) {
    const int64_t steps = lengths[size_t(element)];
    if (steps < 1 || steps > whole[1])
      return {c.refuse(fmt::format("a length of {} is not supported", steps))};
    ScanNode node{c, {}, {}, c.outputs() > states ? c.outputs() - states : 0, steps};
    for (size_t i = 0; i < all.size(); ++i) {
      const Shape shape(all[i].shape().begin() + 1, all[i].shape().end());
      Value own = c.b.reshape(c.b.slice(all[i], 0, element, element + 1), shape);
      if (i < states) {
        node.states.emplace_back(own);
        continue;
      }
      own = c.b.slice(own, 0, 0, steps);
      node.over.push_back(entry(c, "directions", i - states) ? c.b.reverse(own, {0}) : own);
    }
    const Values made = node.run();
    if (c.isRefused())
      return {};
    for (size_t k = 0; k < parts.size() && k < made.size(); ++k) {
      Ints low(size_t(rank(made[k])), 0), high = low;
      if (k >= states)
        high[0] = whole[1] - steps;
      parts[k].push_back(c.b.pad(made[k], 0, low, high));
    }
  }
  Items results;
  for (Values &part : parts)
    results.emplace_back(c.stack(std::move(part), 0));
  return results;
}

constexpr Row rows[] = {
    {"Loop", 1, newestOpset, loop},
    {"Scan", 8, 8, batchedScan},
    {"Scan", 9, newestOpset, scan},
};

} // namespace

std::span<const Row> loopRows() { return rows; }

} // namespace ingot::onnx
