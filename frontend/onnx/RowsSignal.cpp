/// Rows of windows and Fourier transforms: products with matrices that are known when the model is
/// compiled.
#include "frontend/onnx/Rows.h"
#include <algorithm>
#include <cmath>
#include <numbers>

namespace ingot::onnx {
namespace {

constexpr double pi = std::numbers::pi;

Value tensorOf(Call &c, const std::vector<double> &values, Shape shape, ElementType type) {
  Tensor tensor(ElementType::F64, std::move(shape));
  std::copy(values.begin(), values.end(), tensor.as<double>());
  return c.b.cast(c.b.constant(tensor), type);
}

/// a0 - a1 cos(2πn/N) + a2 cos(4πn/N).
Items cosineWindow(Call &c, double a0, double a1, double a2) {
  const int64_t size = c.integerAt(0, 0);
  if (c.isRefused() || size < 0)
    return {c.refuse("its size is negative")};
  if (!c.constantFits(size))
    return {};
  const double period = double(c.integer("periodic", 1) ? size : size - 1);
  std::vector<double> values;
  for (int64_t n = 0; n < size; ++n)
    values.push_back(a0 - a1 * std::cos(2 * pi * double(n) / period) +
                     a2 * std::cos(4 * pi * double(n) / period));
  return {tensorOf(c, values, {size}, c.elementType("output_datatype", ElementType::F32))};
}

Items hann(Call &c) { return cosineWindow(c, 0.5, 0.5, 0); }
Items hamming(Call &c) { return cosineWindow(c, 25.0 / 46, 1 - 25.0 / 46, 0); }
Items blackman(Call &c) { return cosineWindow(c, 0.42, 0.5, 0.08); }

/// The transform of the dimension before the last of x [rows, length, 1 or 2]: [rows, bins, 2].
Value transform(Call &c, Value x, int64_t bins, bool isInverse) {
  const int64_t length = x.shape()[1];
  std::vector<double> cosines, sines;
  for (int64_t k = 0; k < bins; ++k)
    for (int64_t n = 0; n < length; ++n) {
      const double angle = 2 * pi * double(k * n % length) / double(length);
      const double scale = isInverse ? 1 / double(length) : 1;
      cosines.push_back(scale * std::cos(angle));
      sines.push_back(scale * (isInverse ? std::sin(angle) : -std::sin(angle)));
    }
  Value real = tensorOf(c, cosines, {bins, length}, x.type()),
        imaginary = tensorOf(c, sines, {bins, length}, x.type());
  auto times = [&](int64_t part, Value matrix) {
    Value plane = c.b.reshape(c.b.slice(x, 2, part, part + 1), {x.shape()[0], length});
    return c.b.contract(plane, matrix, {}, {}, {1}, {1});
  };
  Value first = times(0, real), second = times(0, imaginary);
  if (x.shape()[2] == 2) {
    first = first - times(1, imaginary);
    second = second + times(1, real);
  }
  const Shape plane = {x.shape()[0], bins, 1};
  const Value planes[] = {c.b.reshape(first, plane), c.b.reshape(second, plane)};
  return c.b.concat(planes, 2);
}

/// The first `length` elements of a dimension, continued by zeros.
Value fitted(Call &c, Value x, int64_t axis, int64_t length) {
  const int64_t size = x.shape()[size_t(axis)];
  if (size >= length)
    return c.b.slice(x, axis, 0, length);
  Ints low(size_t(rank(x)), 0), high = low;
  high[size_t(axis)] = length - size;
  return c.b.pad(x, 0, low, high);
}

Items dft(Call &c) {
  Value x = c.operand(0);
  const bool isInverse = c.integer("inverse", 0) != 0, isHalf = c.integer("onesided", 0) != 0;
  const int64_t axis =
      c.axis(x, c.opset >= 20 && c.has(2) ? c.integerAt(2, -2)
                                          : c.integer("axis", c.opset >= 20 ? -2 : 1));
  if (c.isRefused() || rank(x) < 2 || x.shape().back() > 2 || axis == rank(x) - 1)
    return {c.refuse("it needs a last dimension of real and imaginary parts")};
  const int64_t length = c.integerAt(1, x.shape()[size_t(axis)]),
                bins = isHalf ? length / 2 + 1 : length;
  if (c.isRefused() || length < 1)
    return {c.refuse(fmt::format("its length is {}", length))};
  if (!c.constantFits(bins, length))
    return {};
  x = fitted(c, x, axis, length);
  Ints order, back;
  for (int64_t i = 0; i + 1 < rank(x); ++i)
    if (i != axis)
      order.push_back(i);
  order.insert(order.end(), {axis, rank(x) - 1});
  Value turned = c.b.transpose(x, order);
  Value y = transform(c, c.b.reshape(turned, {-1, length, x.shape().back()}), bins, isInverse);
  Shape shape = turned.shape();
  shape[shape.size() - 2] = bins;
  shape.back() = 2;
  for (int64_t i = 0; i < rank(x); ++i)
    back.push_back(std::ranges::find(order, i) - order.begin());
  return {c.b.transpose(c.b.reshape(y, shape), back)};
}

/// Frames of the signal [batch, samples, 1], each times the window, each transformed.
Items stft(Call &c) {
  Value x = c.operand(0);
  const int64_t step = c.integerAt(1, 1);
  int64_t length = c.integerAt(3, 0);
  if (c.has(2) && length == 0)
    length = c.operand(2).shape().empty() ? 0 : c.operand(2).shape()[0];
  if (c.isRefused() || rank(x) < 2 || length < 1 || step < 1 || x.shape()[1] < length)
    return {c.refuse("its frames do not fit its signal")};
  const int64_t bins = c.integer("onesided", 1) ? length / 2 + 1 : length;
  if (!c.constantFits(bins, length))
    return {};
  const int64_t parts = rank(x) == 3 ? x.shape()[2] : 1, batch = x.shape()[0];
  Value frames = c.b.window(c.b.reshape(x, {batch, x.shape()[1], parts}), {1}, {length}, {step});
  const int64_t count = frames.shape()[1]; // [batch, frames, parts, length]
  if (c.has(2))
    frames = frames * c.operand(2);
  Value rows = c.b.reshape(c.b.transpose(frames, {0, 1, 3, 2}), {-1, length, parts});
  return {c.b.reshape(transform(c, rows, bins, false), {batch, count, bins, 2})};
}

/// Triangles that sum the bins of a spectrum to bands that are even on the mel scale.
Items melWeightMatrix(Call &c) {
  const int64_t bands = c.integerAt(0, 0), length = c.integerAt(1, 0), rate = c.integerAt(2, 0),
                bins = length / 2 + 1;
  const double lowest = c.numberAt(3, 0), highest = c.numberAt(4, 0);
  if (c.isRefused() || bands < 1 || length < 1 || rate < 1)
    return {c.refuse("it has no bands")};
  if (!c.constantFits(bins, bands))
    return {};
  auto mel = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  const double low = mel(lowest), step = (mel(highest) - low) / double(bands + 2);
  std::vector<int64_t> edges;
  for (int64_t i = 0; i < bands + 2; ++i) {
    const double hertz = 700 * (std::pow(10, (double(i) * step + low) / 2595) - 1);
    edges.push_back(
        int64_t(std::min(std::floor(double(length + 1) * hertz / double(rate)), 0x1p62)));
  }
  std::vector<double> weights(size_t(bins * bands), 0);
  for (int64_t band = 0; band < bands; ++band) {
    const int64_t first = edges[size_t(band)], centre = edges[size_t(band) + 1],
                  last = edges[size_t(band) + 2];
    auto set = [&](int64_t bin, double weight) {
      if (bin >= 0 && bin < bins)
        weights[size_t(bin * bands + band)] = weight;
    };
    if (centre == first)
      set(centre, 1);
    for (int64_t bin = std::max<int64_t>(first, 0);
         bin <= std::min(centre, bins - 1) && centre != first; ++bin)
      set(bin, double(bin - first) / double(centre - first));
    for (int64_t bin = std::max<int64_t>(centre, 0); bin < std::min(last, bins); ++bin)
      set(bin, double(last - bin) / double(last - centre));
  }
  return {tensorOf(c, weights, {bins, bands}, c.elementType("output_datatype", ElementType::F32))};
}

constexpr Row rows[] = {
    {"BlackmanWindow", 17, newestOpset, blackman},         {"DFT", 17, newestOpset, dft},
    {"HammingWindow", 17, newestOpset, hamming},           {"HannWindow", 17, newestOpset, hann},
    {"MelWeightMatrix", 17, newestOpset, melWeightMatrix}, {"STFT", 17, newestOpset, stft},
};

} // namespace

std::span<const Row> signalRows() { return rows; }

} // namespace ingot::onnx
