/// Rows of normalisations.
#include "frontend/onnx/Rows.h"
#include <algorithm>
#include <numeric>

namespace ingot::onnx {
namespace {

Ints from(int64_t first, int64_t end) {
  Ints dimensions(size_t(std::max<int64_t>(end - first, 0)));
  std::iota(dimensions.begin(), dimensions.end(), first);
  return dimensions;
}

/// In the type that statistics are computed in.
Value widen(Call &c, Value x) {
  return c.b.cast(x, x.type() == ElementType::F64 ? ElementType::F64 : ElementType::F32);
}

/// 0, or NaN where a sum has overflowed: a division by it would make zeros of large elements.
Value nanIfInfinite(Value sum) { return sum - sum; }

struct Moments {
  Value mean, variance;
};

/// Both in one pass, without the difference of large squares.
Moments momentsOf(Call &c, Value x, const Ints &axes, bool keeps) {
  const std::vector<Value> parts = c.b.welford(x, axes, keeps);
  return {parts[0], parts[1] / parts[2]};
}

struct Normalized {
  Value result, mean, rstd;
};

/// (x - mean) / √(variance + ε) over some dimensions.
Normalized normalize(Call &c, Value x, const Ints &axes, double epsilon) {
  const Moments moments = momentsOf(c, x, axes, true);
  Value rstd = c.b.rsqrt(moments.variance + c.scalarLike(x, epsilon));
  return {(x - moments.mean) * rstd, moments.mean, rstd};
}

Items layerNormalization(Call &c) {
  Value x = c.operand(0), scale = c.operand(1);
  const int64_t axis = c.axis(x, c.integer("axis", -1));
  const double epsilon = c.number("epsilon", 1e-5);
  if (c.isRefused())
    return {};
  const bool isComposite = axis == rank(x) - 1 && c.has(2) && !c.wants(1) && !c.wants(2) &&
                           scale.shape() == Shape{x.shape().back()} &&
                           c.operand(2).shape() == scale.shape();
  if (isComposite)
    return {c.b.layerNorm(x, scale, c.operand(2), epsilon)};
  Normalized n = normalize(c, widen(c, x), from(axis, rank(x)), epsilon);
  Value y = c.b.cast(n.result, x.type()) * scale;
  if (c.has(2))
    y = y + c.operand(2);
  return {y, n.mean, n.rstd};
}

Items rmsNormalization(Call &c) {
  Value x = c.operand(0);
  const int64_t axis = c.axis(x, c.integer("axis", -1));
  Value wide = widen(c, x);
  Value square = c.b.mean(wide * wide, from(axis, rank(x)), true);
  Value rstd = c.b.rsqrt(square + c.scalarLike(wide, c.number("epsilon", 1e-5)));
  Value y = wide * (rstd + nanIfInfinite(square));
  return {c.b.cast(y, x.type()) * c.operand(1)};
}

Items groupNormalization(Call &c) {
  Value x = c.operand(0), scale = c.operand(1), bias = c.operand(2);
  const int64_t groups = c.integer("num_groups", 1);
  if (rank(x) < 2 || groups < 1 || x.shape()[1] % groups)
    return {c.refuse("its groups do not divide the channels")};
  Value wide = widen(c, x);
  Value n =
      normalize(c, c.b.reshape(wide, {x.shape()[0], groups, -1}), {2}, c.number("epsilon", 1e-5))
          .result;
  // Before opset 21 there was a scale for each group.
  if (scale.shape() == Shape{groups} && groups != x.shape()[1]) {
    Value y =
        c.b.cast(n, x.type()) * c.b.reshape(scale, {groups, 1}) + c.b.reshape(bias, {groups, 1});
    return {c.b.reshape(y, x.shape())};
  }
  return {c.b.cast(c.b.reshape(n, x.shape()), x.type()) * c.alongChannels(x, scale) +
          c.alongChannels(x, bias)};
}

Items instanceNormalization(Call &c) {
  Value x = c.operand(0);
  if (rank(x) < 3)
    return {c.refuse("it needs [batch, channels, …]")};
  Value n = normalize(c, widen(c, x), from(2, rank(x)), c.number("epsilon", 1e-5)).result;
  return {c.b.cast(n, x.type()) * c.alongChannels(x, c.operand(1)) +
          c.alongChannels(x, c.operand(2))};
}

/// With stored statistics, or with the batch's, which then change the stored ones.
Items batchNormalization(Call &c) {
  Value x = c.operand(0), scale = c.operand(1), bias = c.operand(2), mean = c.operand(3),
        variance = c.operand(4);
  if (rank(x) < 2)
    return {c.refuse("it needs [batch, channels, …]")};
  c.b.freeze(mean);
  c.b.freeze(variance);
  const double epsilon = c.number("epsilon", 1e-5), momentum = c.number("momentum", 0.9);
  const bool trains = c.opset >= 14 ? c.integer("training_mode", 0) != 0
                                    : c.opset < 7 && c.integer("is_test", 0) == 0 && c.wants(1);
  Items results;
  if (trains) {
    Ints axes = from(2, rank(x));
    axes.insert(axes.begin(), 0);
    const auto [now, spread] = momentsOf(c, widen(c, x), axes, false);
    auto moved = [&](Value stored, Value batch) {
      return stored * c.scalarLike(stored, momentum) +
             c.b.cast(batch, stored.type()) * c.scalarLike(stored, 1 - momentum);
    };
    results = {moved(mean, now), moved(variance, spread)};
    mean = c.b.cast(now, mean.type());
    variance = c.b.cast(spread, variance.type());
  }
  Value rstd = c.b.rsqrt(variance + c.scalarLike(variance, epsilon));
  Value centered = x - c.alongChannels(x, c.b.cast(mean, x.type()));
  Value y = centered * c.alongChannels(x, c.b.cast(rstd, x.type())) * c.alongChannels(x, scale) +
            c.alongChannels(x, bias);
  results.insert(results.begin(), y);
  return results;
}

Items meanVarianceNormalization(Call &c) {
  Value x = c.operand(0);
  const Ints axes = c.axes(x, c.integers("axes", {0, 2, 3}));
  const auto [mean, variance] = momentsOf(c, x, axes, true);
  return {(x - mean) / (c.b.sqrt(variance) + c.scalarLike(x, 1e-9))};
}

Items lpNormalization(Call &c) {
  Value x = c.operand(0);
  const int64_t axis = c.axis(x, c.integer("axis", -1));
  const bool isAbsolute = c.integer("p", 2) == 1;
  Value sum = c.b.sum(isAbsolute ? c.b.abs(x) : x * x, {axis}, true);
  return {x / ((isAbsolute ? sum : c.b.sqrt(sum)) + nanIfInfinite(sum))};
}

/// x / (bias + alpha / size · Σ x² over neighbouring channels)^beta.
Items localResponse(Call &c) {
  Value x = c.operand(0);
  const int64_t size = c.integer("size", 1), before = (size - 1) / 2, after = size - 1 - before;
  if (rank(x) < 2 || size < 1)
    return {c.refuse("it needs [batch, channels, …]")};
  Ints low(size_t(rank(x)), 0), high = low;
  low[1] = before, high[1] = after;
  Value windows = c.b.window(c.b.pad(x * x, 0, low, high), {1}, {size});
  Value total = c.b.sum(windows, {rank(x)});
  Value base = total * c.scalarLike(x, c.number("alpha", 1e-4) / double(size)) +
               c.scalarLike(x, c.number("bias", 1));
  return {x / c.b.pow(base, c.scalarLike(x, c.number("beta", 0.75)))};
}

constexpr Row rows[] = {
    {"BatchNormalization", 1, newestOpset, batchNormalization},
    {"GroupNormalization", 18, newestOpset, groupNormalization},
    {"InstanceNormalization", 1, newestOpset, instanceNormalization},
    {"LRN", 1, newestOpset, localResponse},
    {"LayerNormalization", 17, newestOpset, layerNormalization},
    {"LpNormalization", 1, newestOpset, lpNormalization},
    {"MeanVarianceNormalization", 9, newestOpset, meanVarianceNormalization},
    {"RMSNormalization", 23, newestOpset, rmsNormalization},
};

} // namespace

std::span<const Row> normalizationRows() { return rows; }

} // namespace ingot::onnx
