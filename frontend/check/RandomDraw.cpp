#include "frontend/check/RandomDraw.h"
#include "ir/dialect/Elements.h"
#include <algorithm>
#include <cmath>

namespace ingot {

using graph::ElementKind;
using graph::kindOf;

Draw::Draw(uint64_t seed) : random(seed * 0x9e3779b97f4a7c15u + 1) {
  trains = chance(0.4);
  hasEdges = !trains && chance(0.15);
  const double kind = std::uniform_real_distribution<double>()(random);
  if (kind > 0.7)
    real = trains
               ? oneOf<ElementType>({ElementType::F64, ElementType::BF16, ElementType::F16})
               : oneOf<ElementType>({ElementType::F64, ElementType::F64, ElementType::BF16,
                                     ElementType::F16, ElementType::F8E4M3FN, ElementType::F8E5M2});
}

//===--------------------------------------------------------------------------------------------===//
// Sizes, types, elements
//===--------------------------------------------------------------------------------------------===//

int64_t Draw::size() {
  if (chance(0.03))
    return 0;
  if (chance(0.15))
    return 1;
  return chance(0.08) ? oneOf<int64_t>({16, 17, 33, 64, 65}) : between(2, 9);
}

Shape Draw::shape(int64_t lowestRank, int64_t highestRank) {
  constexpr int64_t mostElements = 3000;
  Shape sizes(size_t(between(lowestRank, highestRank)));
  for (int64_t &each : sizes)
    each = size();
  while (elementCount(sizes) > mostElements)
    *std::ranges::max_element(sizes) = between(1, 3);
  return sizes;
}

ElementType Draw::type(Elements elements) {
  static const std::vector<ElementType> integers = {
      ElementType::I64, ElementType::I32, ElementType::I32, ElementType::I16,
      ElementType::I8,  ElementType::I4,  ElementType::U64, ElementType::U32,
      ElementType::U16, ElementType::U8,  ElementType::U4};
  static const std::vector<ElementType> floats = {ElementType::F32, ElementType::F64,
                                                  ElementType::F16, ElementType::BF16};
  switch (elements) {
  case Elements::Floats:
    break;
  case Elements::Bool:
    return ElementType::I1;
  case Elements::Bits:
    return chance(0.4) ? ElementType::I1 : oneOf(integers);
  case Elements::Integers:
    return oneOf(integers);
  case Elements::Numbers:
    if (chance(0.2))
      return oneOf(integers);
    break;
  case Elements::Any:
    if (chance(0.3))
      return chance(0.3) ? ElementType::I1 : oneOf(integers);
  }
  return chance(0.9) ? real : oneOf(floats);
}

Tensor Draw::values(ElementType type, const Shape &shape) {
  if (kindOf(type) == ElementKind::Float) {
    static const std::vector<double> edges = {0,         -0.0, 1,    -1,    0.5,  INFINITY,
                                              -INFINITY, NAN,  1e30, -3e38, 1e-40};
    std::normal_distribution<double> normal;
    std::vector<double> elements(size_t(elementCount(shape)));
    const double factor = chance(0.1) ? 10 : 1;
    for (double &element : elements)
      element = hasEdges && chance(0.1) ? oneOf(edges) : normal(random) * factor;
    return graph::store(type, shape, elements);
  }
  const int width = graph::bitWidth(type);
  const uint64_t top = uint64_t(1) << (width - 1);
  const std::vector<uint64_t> edges = {0, 1, ~uint64_t(0), top, top - 1, uint64_t(width)};
  std::vector<uint64_t> elements(size_t(elementCount(shape)));
  const bool small = chance(0.7);
  for (uint64_t &element : elements)
    element = small ? uint64_t(between(-5, 9)) : chance(0.3) ? oneOf(edges) : random();
  return graph::store(type, shape, elements);
}

//===--------------------------------------------------------------------------------------------===//
// Values
//===--------------------------------------------------------------------------------------------===//

void Draw::give(Value x) {
  if (x.valid())
    visible.push_back(x);
}

Value Draw::fresh(ElementType type, const Shape &shape) {
  const std::string name = "v" + std::to_string(given.size());
  given[name] = values(type, shape);
  const bool isTrained = trains && kindOf(type) == ElementKind::Float && chance(0.6);
  Value x = isTrained ? b.parameter(name, shape, Initializer::constant(0), type)
                      : b.input(name, type, shape);
  give(x);
  return x;
}

Value Draw::indices(const Shape &shape, int64_t limit) {
  const ElementType type = chance(0.5) ? ElementType::I32 : ElementType::I64;
  const std::string name = "v" + std::to_string(given.size());
  std::vector<int64_t> elements(size_t(elementCount(shape)));
  const bool isWrong = !trains && chance(0.02);
  for (int64_t &element : elements)
    element = isWrong && chance(0.2) ? oneOf<int64_t>({-1, limit, limit + 7})
                                     : between(0, std::max<int64_t>(limit - 1, 0));
  given[name] = graph::store(type, shape, elements);
  return b.input(name, type, shape);
}

bool Draw::fits(Value x, Elements elements) const {
  const bool isFloat = kindOf(x.type()) == ElementKind::Float, isBool = x.type() == ElementType::I1;
  switch (elements) {
  case Elements::Numbers:
    return !isBool;
  case Elements::Floats:
    return isFloat;
  case Elements::Integers:
    return !isFloat && !isBool;
  case Elements::Bits:
    return !isFloat;
  case Elements::Bool:
    return isBool;
  case Elements::Any:
    return true;
  }
  return true;
}

Value Draw::pick(Elements elements, int64_t lowestRank, int64_t highestRank, Range range) {
  Values fitting;
  for (Value x : visible)
    if (const int64_t rank = int64_t(x.shape().size());
        rank >= lowestRank && rank <= highestRank && fits(x, elements))
      fitting.push_back(x);
  // What was made last is read more often: chains, not bushes.
  if (fitting.size() > 3 && chance(0.6))
    fitting.erase(fitting.begin(), fitting.end() - 3);
  Value x = fitting.empty() || chance(0.1) ? fresh(type(elements), shape(lowestRank, highestRank))
                                           : oneOf(fitting);
  return into(x, range);
}

Value Draw::like(ElementType type, const Shape &shape) {
  Values fitting;
  for (Value x : visible)
    if (x.type() == type && x.shape() == shape)
      fitting.push_back(x);
  return fitting.empty() || chance(0.1) ? fresh(type, shape) : oneOf(fitting);
}

Value Draw::mate(Value x, Range range) {
  Values fitting;
  for (Value y : visible)
    if (y.type() == x.type() && y.shape() == x.shape())
      fitting.push_back(y);
  if (!fitting.empty() && chance(0.6))
    return into(oneOf(fitting), range);
  Shape shape = x.shape();
  if (chance(0.5))
    shape.erase(shape.begin(), shape.begin() + between(0, int64_t(shape.size())));
  for (int64_t &each : shape)
    if (chance(0.2))
      each = 1;
  return into(fresh(x.type(), shape), range);
}

Value Draw::into(Value x, Range range) {
  const ElementType type = x.type();
  if (kindOf(type) != ElementKind::Float)
    return x;
  if (range == Range::Any)
    return chance(0.15) ? b.tanh(x) : x;
  if (chance(0.1))
    return x;
  auto number = [&](double value) { return b.scalar(value, type); };
  switch (range) {
  case Range::Any:
  case Range::Unit:
    return chance(0.7) ? b.tanh(x) : b.sin(x);
  case Range::Share:
    return b.sigmoid(x) * number(0.875) + number(0.0625);
  case Range::Positive:
    return chance(0.7) ? b.abs(x) + number(0.125) : b.exp(b.tanh(x));
  case Range::AboveOne:
    return b.abs(x) + number(1.125);
  case Range::Nonzero:
    return b.select(b.compare(Comparison::Less, x, number(0)), x - number(0.125),
                    x + number(0.125));
  }
  return x;
}

std::vector<int64_t> Draw::dimensionsOf(Value x) {
  std::vector<int64_t> dimensions;
  for (int64_t d = 0; d < int64_t(x.shape().size()); ++d)
    if (chance(0.5))
      dimensions.push_back(d);
  return dimensions; // None means all.
}

//===--------------------------------------------------------------------------------------------===//
// Loops and branches
//===--------------------------------------------------------------------------------------------===//

Value Draw::result(ElementType type, const Shape &shape) {
  Values fitting;
  for (Value x : visible)
    if (x.type() == type && x.shape() == shape)
      fitting.push_back(x);
  if (fitting.empty() || chance(0.05))
    return fresh(type, shape);
  return chance(0.7) ? fitting.back() : oneOf(fitting);
}

void Draw::loop() {
  if (depth >= 2)
    return;
  Values carried;
  for (int64_t count = between(0, 2); count > 0; --count)
    carried.push_back(pick(chance(0.8) ? Elements::Floats : Elements::Any, 0, 3, Range::Unit));
  Trips how{.reverse = chance(0.3)};
  const int64_t trips = between(0, 4);
  Value count;
  if (chance(0.6)) {
    count = b.scalar(double(trips), ElementType::I64);
  } else {
    const ElementType type = chance(0.7) ? ElementType::I64 : ElementType::I32;
    const std::string name = "v" + std::to_string(given.size());
    given[name] = graph::store<int64_t>(type, {}, {trips});
    count = b.input(name, type, {});
    if (trains || chance(0.8))
      how.atMost = trips + (!trains && chance(0.05) ? -1 : between(0, 3));
    if (how.atMost && *how.atMost < 0)
      how.atMost = 0;
  }
  const bool stacks = carried.empty() || chance(0.4);
  const Values outside = visible;
  ++depth;
  Values results = b.loop(
      count, carried,
      [&](Value number, std::span<const Value> inside) {
        give(number);
        give(Values(inside.begin(), inside.end()));
        for (int64_t steps = between(1, 3); steps > 0; --steps)
          step();
        Values yielded;
        for (Value x : carried) {
          Value next = result(x.type(), x.shape());
          yielded.push_back(kindOf(x.type()) == ElementKind::Float ? b.tanh(next) : next);
        }
        if (stacks && (how.atMost || b.constantOf(count)))
          yielded.push_back(pick(Elements::Any, 0, 2));
        return yielded;
      },
      how);
  --depth;
  visible = outside;
  give(results);
}

void Draw::branch() {
  if (depth >= 2)
    return;
  Value condition;
  if (chance(0.5)) {
    condition = fresh(ElementType::I1, {});
  } else {
    Value x = b.reshape(b.sum(pick(Elements::Floats, 0, 3, Range::Unit)), {});
    condition = b.compare(Comparison::Greater, x, b.scalar(0, x.type()));
  }
  const Values outside = visible;
  std::vector<std::pair<ElementType, Shape>> types;
  ++depth;
  Values results = b.branch(
      condition,
      [&] {
        for (int64_t steps = between(1, 2); steps > 0; --steps)
          step();
        Values yielded;
        for (int64_t count = between(1, 2); count > 0; --count)
          yielded.push_back(pick(chance(0.8) ? Elements::Floats : Elements::Any));
        for (Value x : yielded)
          types.emplace_back(x.type(), x.shape());
        visible = outside;
        return yielded;
      },
      [&] {
        for (int64_t steps = between(0, 2); steps > 0; --steps)
          step();
        Values yielded;
        for (const auto &[type, shape] : types)
          yielded.push_back(result(type, shape));
        return yielded;
      });
  --depth;
  visible = outside;
  give(results);
}

//===--------------------------------------------------------------------------------------------===//
// The graph
//===--------------------------------------------------------------------------------------------===//

void Draw::step() {
  static const std::vector<const RandomRow *> weighted = [] {
    std::vector<const RandomRow *> list;
    for (const auto *rows : {&smallRows(), &layerRows()})
      for (const RandomRow &row : *rows)
        list.insert(list.end(), size_t(row.weight), &row);
    return list;
  }();
  // What a row makes of unfit operands is an error of the builder's, and is dropped.
  const Values before = visible;
  if (!b.attempt([&] {
        const size_t count = visible.size();
        oneOf(weighted)->draw(*this);
        return Values(visible.begin() + int64_t(std::min(count, visible.size())), visible.end());
      }))
    visible = before;
}

/// Small or all of a value: enough to tell, little to compare.
void Draw::output() {
  const size_t count = std::min<size_t>(visible.size(), size_t(between(1, 3)));
  for (size_t i = 0; i < count; ++i)
    b.output("r" + std::to_string(i), visible[visible.size() - 1 - i]);
}

void Draw::lossOutput() {
  const ElementType type = real == ElementType::F64 ? ElementType::F64 : ElementType::F32;
  Value loss;
  int terms = 0;
  for (auto x = visible.rbegin(); x != visible.rend() && terms < 3; ++x) {
    if (kindOf(x->type()) != ElementKind::Float || elementCount(x->shape()) == 0)
      continue;
    Value wide = b.cast(*x, type);
    Value share = chance(0.5) ? b.mean(b.tanh(wide)) : b.sum(b.sin(wide * b.scalar(0.5, type)));
    loss = loss.valid() ? loss + share * b.scalar(0.75, type) : share;
    ++terms;
  }
  Value weight = b.parameter("weight", {3}, Initializer::constant(0), type);
  given["weight"] = values(type, {3});
  Value own = b.sum(weight * weight);
  b.output("loss", loss.valid() ? loss + own : own);
}

TrainingOptions Draw::trainingOptions() {
  TrainingOptions options;
  options.loss = TrainingOptions::Loss::None;
  options.optimizer = TrainingOptions::Optimizer(
      between(0, int64_t(enumNames(TrainingOptions::Optimizer()).size()) - 1));
  options.gradients = true;
  options.clip = chance(0.2) ? 0.5 : 0;
  options.onNonFinite = chance(0.3) ? OnNonFinite::Skip : OnNonFinite::Continue;
  return options;
}

Result<RandomGraph> Draw::run() {
  fresh(type(Elements::Floats), shape(1, 3));
  if (chance(0.5))
    fresh(type(Elements::Any), shape(0, 3));
  for (int64_t steps = between(1, 8); steps > 0; --steps)
    step();
  trains ? lossOutput() : output();
  INGOT_ASSIGN(Model model, b.finish());
  RandomGraph drawn{std::move(model), std::move(given), std::nullopt};
  if (trains)
    drawn.training = trainingOptions();
  return drawn;
}

Result<RandomGraph> drawGraph(uint64_t seed) { return Draw(seed).run(); }

} // namespace ingot
