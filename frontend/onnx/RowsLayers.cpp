/// Rows of products, convolutions and pooling.
#include "frontend/onnx/Rows.h"
#include "frontend/onnx/Windows.h"
#include <algorithm>
#include <map>
#include <numeric>

namespace ingot::onnx {
namespace {

//===--------------------------------------------------------------------------------------------===//
// Products
//===--------------------------------------------------------------------------------------------===//

/// NumPy's matmul: a vector is a row on the left, a column on the right, and its dimension goes.
/// Integers are multiplied in f64, where products of 32 bits are exact.
Value matmulOf(Call &c, Value a, Value b) {
  const ElementType type = a.type();
  if (!isFloat(type)) {
    a = c.b.cast(a, ElementType::F64);
    b = c.b.cast(b, ElementType::F64);
  }
  const bool isRow = rank(a) == 1, isColumn = rank(b) == 1;
  if (isRow)
    a = c.b.reshape(a, {1, a.shape()[0]});
  if (isColumn)
    b = c.b.reshape(b, {b.shape()[0], 1});
  Value y = c.b.matmul(a, b);
  if (!y.valid() || (!isRow && !isColumn))
    return c.b.cast(y, type);
  Shape shape = y.shape();
  if (isColumn)
    shape.pop_back();
  if (isRow)
    shape.erase(shape.end() - (isColumn ? 1 : 2));
  return c.b.cast(c.b.reshape(y, shape), type);
}

Items matmul(Call &c) { return {matmulOf(c, c.operand(0), c.operand(1))}; }

/// alpha · A · B + beta · C, A and B possibly transposed.
Items gemm(Call &c) {
  Value a = c.operand(0), b = c.operand(1);
  const ElementType type = a.type();
  const double alpha = c.number("alpha", 1), beta = c.number("beta", 1);
  if (rank(a) != 2 || rank(b) != 2)
    return {c.refuse("it needs matrices")};
  const bool transA = c.integer("transA", 0) != 0, transB = c.integer("transB", 0) != 0;
  if (!isFloat(type)) {
    a = c.b.cast(a, ElementType::F64);
    b = c.b.cast(b, ElementType::F64);
  }
  Value y = c.b.contract(a, b, {}, {}, {transA ? 0 : 1}, {transB ? 1 : 0});
  if (alpha != 1)
    y = y * c.scalarLike(y, alpha);
  if (c.has(2)) {
    Value bias = c.b.cast(c.operand(2), y.type());
    if (c.opset < 7 && c.integer("broadcast", 0) == 0 && bias.shape() != y.shape())
      return {c.refuse("its third input has another shape than the product")};
    y = y + (beta == 1 ? bias : bias * c.scalarLike(bias, beta));
  }
  return {c.b.cast(y, type)};
}

/// The labels of an operand's dimensions. `...` stands for those that have none: they get the
/// labels 0, 1, …, aligned at the last.
struct Labels {
  std::string text; ///< a character a dimension
  bool isFine = true;
};

Labels labelsOf(std::string_view term, int64_t dimensions) {
  std::string text;
  size_t dots = std::string::npos;
  for (size_t i = 0; i < term.size(); ++i) {
    if (term.substr(i).starts_with("...")) {
      dots = text.size();
      i += 2;
    } else if (std::isalpha(static_cast<unsigned char>(term[i]))) {
      text += term[i];
    } else if (term[i] != ' ') {
      return {"", false};
    }
  }
  const int64_t open = dimensions - int64_t(text.size());
  if (open < 0 || (dots == std::string::npos && open != 0) || open > 10)
    return {"", false};
  if (dots != std::string::npos) {
    std::string unnamed;
    for (int64_t i = open; i-- > 0;)
      unnamed += char('0' + i);
    text.insert(dots, unnamed);
  }
  return {text, true};
}

bool holds(const std::string &labels, char label) { return labels.find(label) != labels.npos; }

/// Sums over the dimensions of `x` that neither `kept` names; of two equal labels the diagonal.
void reduceTo(Call &c, Value &x, std::string &labels, const std::string &kept) {
  for (size_t i = 0; i < labels.size(); ++i)
    for (size_t j = labels.size() - 1; j > i; --j)
      if (labels[i] == labels[j]) {
        Value row = c.b.iota(x.shape(), int64_t(i), ElementType::I64),
              column = c.b.iota(x.shape(), int64_t(j), ElementType::I64);
        x = c.b.select(c.b.compare(Comparison::Equal, row, column), x, c.scalarLike(x, 0));
        x = c.b.sum(x, {int64_t(j)});
        labels.erase(j, 1);
      }
  Ints summed;
  std::string rest;
  for (size_t i = 0; i < labels.size(); ++i)
    if (holds(kept, labels[i]))
      rest += labels[i];
    else
      summed.push_back(int64_t(i));
  if (!summed.empty())
    x = c.b.sum(x, summed);
  labels = rest;
}

/// The product of two operands over the labels that `kept` does not have.
void multiply(Call &c, Value &x, std::string &labels, Value y, std::string other,
              const std::string &kept) {
  reduceTo(c, x, labels, kept + other);
  reduceTo(c, y, other, kept + labels);
  Ints batchX, batchY, overX, overY;
  std::string batch, freeX, freeY;
  for (size_t i = 0; i < labels.size(); ++i) {
    const size_t j = other.find(labels[i]);
    // A size of 1 is repeated, so it is no pair.
    const bool isPair = j != other.npos && x.shape()[i] == y.shape()[j];
    if (isPair && holds(kept, labels[i])) {
      batchX.push_back(int64_t(i)), batchY.push_back(int64_t(j));
      batch += labels[i];
    } else if (isPair) {
      overX.push_back(int64_t(i)), overY.push_back(int64_t(j));
    } else {
      freeX += labels[i];
    }
  }
  for (size_t j = 0; j < other.size(); ++j)
    if (std::ranges::find(batchY, int64_t(j)) == batchY.end() &&
        std::ranges::find(overY, int64_t(j)) == overY.end())
      freeY += other[j];
  for (char label : freeX)
    if (holds(freeY, label)) {
      c.refuse("its operands differ in the size of a label");
      return;
    }
  x = c.b.contract(x, y, batchX, batchY, overX, overY);
  labels = batch + freeX + freeY;
}

Items einsum(Call &c) {
  std::string equation = c.text("equation", "");
  std::erase(equation, ' ');
  const size_t arrow = equation.find("->");
  std::string_view terms = std::string_view(equation).substr(0, arrow);
  std::vector<std::string> labels;
  std::vector<Value> xs = c.operands();
  for (size_t i = 0, begin = 0; i < xs.size() && begin <= terms.size(); ++i) {
    const size_t end = std::min(terms.find(',', begin), terms.size());
    const Labels parsed = labelsOf(terms.substr(begin, end - begin), rank(xs[i]));
    if (!parsed.isFine)
      return {c.refuse(fmt::format("its equation '{}' does not fit its operands", equation))};
    labels.push_back(parsed.text);
    begin = end + 1;
  }
  if (labels.size() != xs.size() || xs.empty())
    return {c.refuse(fmt::format("its equation '{}' does not fit its operands", equation))};
  std::string unnamed, once;
  std::map<char, int> counts;
  for (const std::string &term : labels)
    for (char label : term)
      ++counts[label];
  for (auto [label, count] : counts)
    if (std::isdigit(static_cast<unsigned char>(label)))
      unnamed.insert(0, 1, label);
    else if (count == 1)
      once += label;
  std::string wanted = unnamed + once; // NumPy's default: what appears once, by the alphabet
  if (arrow != equation.npos) {
    const std::string right = equation.substr(arrow + 2);
    const bool hasDots = right.find("...") != right.npos;
    const Labels parsed = labelsOf(right, int64_t(right.size()) - (hasDots ? 3 : 0) +
                                              (hasDots ? int64_t(unnamed.size()) : 0));
    if (!parsed.isFine)
      return {c.refuse(fmt::format("its equation '{}' is not one", equation))};
    wanted = parsed.text;
  }
  Value x = xs[0];
  std::string held = labels[0];
  for (size_t i = 1; i < xs.size(); ++i) {
    std::string later = wanted;
    for (size_t j = i + 1; j < xs.size(); ++j)
      later += labels[j];
    multiply(c, x, held, xs[i], labels[i], later);
    if (c.isRefused() || !x.valid())
      return {Item::refused()};
  }
  reduceTo(c, x, held, wanted);
  Ints permutation;
  for (char label : wanted) {
    if (!holds(held, label))
      return {c.refuse(fmt::format("its equation '{}' does not fit its operands", equation))};
    permutation.push_back(int64_t(held.find(label)));
  }
  return {permutation.empty() ? x : c.b.transpose(x, permutation)};
}

//===--------------------------------------------------------------------------------------------===//
// Convolutions
//===--------------------------------------------------------------------------------------------===//

Items conv(Call &c) {
  Value x = c.operand(0), weight = c.operand(1);
  if (rank(x) < 3 || rank(weight) != rank(x))
    return {c.refuse("it needs [batch, channels, …] and a weight of that rank")};
  const Shape kernel(weight.shape().begin() + 2, weight.shape().end());
  const Windows w = windowsOf(c, x, kernel);
  if (c.isRefused())
    return {};
  return {c.b.convolution(x, weight, c.optional(2),
                          {w.strides, w.dilations, w.low, w.high, c.integer("group", 1)})};
}

/// The gradient of a convolution. Pads cut its result; what is negative continues it with zeros.
Items convTranspose(Call &c) {
  Value x = c.operand(0), weight = c.operand(1);
  if (rank(x) < 3 || rank(weight) != rank(x))
    return {c.refuse("it needs [batch, channels, …] and a weight of that rank")};
  const auto spatial = size_t(rank(x)) - 2;
  const Ints strides = c.integers("strides", Ints(spatial, 1)),
             dilations = c.integers("dilations", Ints(spatial, 1)),
             extra = c.integers("output_padding", Ints(spatial, 0)),
             wanted = c.integers("output_shape");
  Ints pads = c.integers("pads", Ints(2 * spatial, 0));
  const std::string automatic = c.text("auto_pad", "NOTSET");
  if (strides.size() != spatial || dilations.size() != spatial || extra.size() != spatial ||
      pads.size() != 2 * spatial || (!wanted.empty() && wanted.size() < spatial))
    return {c.refuse("its attributes do not have a number for each dimension")};
  Convolution how{strides, dilations, {}, {}, c.integer("group", 1)};
  Ints before(size_t(rank(x)), 0), after = before;
  for (size_t i = 0; i < spatial; ++i) {
    const int64_t size = x.shape()[i + 2], kernel = weight.shape()[i + 2];
    const int64_t full = (size - 1) * strides[i] + (kernel - 1) * dilations[i] + 1 + extra[i];
    if (!wanted.empty() || automatic.starts_with("SAME")) {
      const int64_t target =
          wanted.empty() ? size * strides[i] : wanted[wanted.size() - spatial + i];
      const int64_t total = full - target, half = total >> 1; // rounded down, below 0 too
      pads[i] = automatic == "SAME_UPPER" ? half : total - half;
      pads[i + spatial] = total - pads[i];
    }
    how.low.push_back(std::max<int64_t>(pads[i], 0));
    how.high.push_back(pads[i + spatial] - extra[i]);
    before[i + 2] = std::max<int64_t>(-pads[i], 0);
  }
  Value bias = c.optional(2);
  if (before == after)
    return {c.b.transposedConvolution(x, weight, bias, how)};
  Value y = c.b.pad(c.b.transposedConvolution(x, weight, Value(), how), 0, before, after);
  return {bias.valid() ? y + c.alongChannels(y, bias) : y};
}

//===--------------------------------------------------------------------------------------------===//
// Pooling
//===--------------------------------------------------------------------------------------------===//

template <Value (Builder::*method)(Value, std::vector<int64_t>, bool)> Items globalPool(Call &c) {
  Value x = c.operand(0);
  Ints spatial(size_t(std::max<int64_t>(rank(x) - 2, 0)));
  std::iota(spatial.begin(), spatial.end(), 2);
  return {spatial.empty() ? x : (c.b.*method)(x, spatial, true)};
}

/// How an op of `kernel_shape` pools; refused where its attributes do not fit x.
Pooling poolingOf(Call &c, const Value &x) {
  const Windows w = windowsOf(c, x, c.integers("kernel_shape"));
  return {w.sizes,
          w.strides,
          w.dilations,
          w.low,
          w.high,
          c.integer("ceil_mode", 0) != 0,
          c.integer("count_include_pad", 0) != 0};
}

/// Places in all of x from numbers within a channel, which may be wanted column by column.
Value placesOf(Call &c, const Value &x, Value numbers, bool isColumnMajor) {
  const Shape shape = x.shape();
  Value rest = c.b.cast(numbers, ElementType::I64), places = rest;
  const int64_t channel = elementCount(Shape(shape.begin() + 2, shape.end()));
  if (isColumnMajor) {
    places = c.constant({0}, {});
    int64_t below = channel, stride = 1;
    for (int64_t i = 2; i < rank(x); ++i) {
      below /= shape[size_t(i)];
      places = places + rest / c.constant({below}, {}) * c.constant({stride}, {});
      rest = c.b.remainder(rest, c.constant({below}, {}));
      stride *= shape[size_t(i)];
    }
  }
  Value image = c.b.iota(numbers.shape(), 0, ElementType::I64),
        of = c.b.iota(numbers.shape(), 1, ElementType::I64);
  return places + (image * c.constant({shape[1]}, {}) + of) * c.constant({channel}, {});
}

Items maxPool(Call &c) {
  Value x = c.operand(0);
  const Pooling how = poolingOf(c, x);
  if (c.isRefused())
    return {};
  if (!c.wants(1))
    return {c.b.maxPool(x, how)};
  const std::vector<Value> both = c.b.maxPoolWithNumbers(x, how);
  return {both[0], placesOf(c, x, both[1], c.integer("storage_order", 0) != 0)};
}

Items averagePool(Call &c) {
  Value x = c.operand(0);
  const Pooling how = poolingOf(c, x);
  return c.isRefused() ? Items() : Items{c.b.averagePool(x, how)};
}

Items lpPool(Call &c) {
  Value x = c.operand(0);
  const Pooling how = poolingOf(c, x);
  return c.isRefused() ? Items() : Items{c.b.lpPool(x, double(c.integer("p", 2)), how)};
}

Items globalLpPool(Call &c) { return {c.b.lpPool(c.operand(0), double(c.integer("p", 2)), {})}; }

constexpr Row rows[] = {
    {"AveragePool", 1, newestOpset, averagePool},
    {"Conv", 1, newestOpset, conv},
    {"ConvTranspose", 1, newestOpset, convTranspose},
    {"Einsum", 12, newestOpset, einsum},
    {"Gemm", 1, newestOpset, gemm},
    {"GlobalAveragePool", 1, newestOpset, globalPool<&Builder::mean>},
    {"GlobalLpPool", 2, newestOpset, globalLpPool},
    {"GlobalMaxPool", 1, newestOpset, globalPool<&Builder::max>},
    {"LpPool", 2, newestOpset, lpPool},
    {"MatMul", 1, newestOpset, matmul},
    {"MaxPool", 1, newestOpset, maxPool},
};

} // namespace

std::span<const Row> layerRows() { return rows; }

} // namespace ingot::onnx
