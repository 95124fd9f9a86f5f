/// Draws the ops of a random graph: what the rows of RandomRows.cpp and RandomLayers.cpp are
/// written with.
#pragma once
#include "frontend/builder/Builder.h"
#include "frontend/check/RandomGraphs.h"
#include <random>
#include <string_view>

namespace ingot {

using Value = Builder::Value;
using Values = std::vector<Value>;

/// Which element types an op is defined on.
enum class Elements : uint8_t { Numbers, Floats, Integers, Bits, Bool, Any };

/// Where an op's float operands mostly are, so that not all results are NaN.
enum class Range : uint8_t {
  Any,
  Unit,     ///< (-1, 1)
  Share,    ///< (0, 1)
  Positive, ///< at least 0.1
  AboveOne,
  Nonzero, ///< magnitudes from 0.1 on
};

class Draw {
public:
  explicit Draw(uint64_t seed);
  Result<RandomGraph> run();

  bool chance(double share) { return std::uniform_real_distribution<double>()(random) < share; }
  int64_t between(int64_t low, int64_t high) { // both included
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  }
  template <typename T> const T &oneOf(const std::vector<T> &list) {
    return list[size_t(between(0, int64_t(list.size()) - 1))];
  }

  /// A size of a dimension: small, odd, at times 1 or 0.
  int64_t size();
  Shape shape(int64_t lowestRank, int64_t highestRank);
  ElementType type(Elements elements);

  /// A new input or parameter.
  Value fresh(ElementType type, const Shape &shape);
  /// Integers in [0, limit), seldom beyond: i32 or i64.
  Value indices(const Shape &shape, int64_t limit);
  /// A value that is there, or a new one: of these elements, with at least and at most so many
  /// dimensions.
  Value pick(Elements elements, int64_t lowestRank = 0, int64_t highestRank = 4,
             Range range = Range::Any);
  /// A value of exactly this type and shape.
  Value like(ElementType type, const Shape &shape);
  /// A value of x's type that broadcasts with it.
  Value mate(Value x, Range range = Range::Any);
  /// x, mostly moved into a range.
  Value into(Value x, Range range);
  int64_t dimensionOf(Value x) { return between(0, int64_t(x.shape().size()) - 1); }
  std::vector<int64_t> dimensionsOf(Value x);

  /// Makes a value part of what later ops may read.
  void give(Value x);
  void give(const Values &xs) {
    for (Value x : xs)
      give(x);
  }

  void loop();
  void branch();
  bool isInRegion() const { return depth > 0; } ///< of a loop or a branch

  Builder b;

private:
  void step();
  void output();
  void lossOutput();
  Tensor values(ElementType type, const Shape &shape);
  TrainingOptions trainingOptions();
  bool fits(Value x, Elements elements) const;
  /// What regions give of a type and shape.
  Value result(ElementType type, const Shape &shape);

  std::mt19937_64 random;
  Values visible; ///< what ops may read here
  std::map<std::string, Tensor> given;
  ElementType real = ElementType::F32; ///< of most floats of this graph
  bool trains = false, hasEdges = false;
  int depth = 0; ///< of loops and branches
};

/// How an op is drawn.
struct RandomRow {
  std::string_view name;
  void (*draw)(Draw &);
  int weight = 1;
};

/// Functions of elements, movements, reductions, loops and branches: RandomRows.cpp.
const std::vector<RandomRow> &smallRows();
/// Products, windows, norms, losses: RandomLayers.cpp.
const std::vector<RandomRow> &layerRows();

} // namespace ingot
