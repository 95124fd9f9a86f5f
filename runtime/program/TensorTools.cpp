#include "runtime/program/TensorTools.h"
#include "runtime/support/HalfFloat.h"
#include <algorithm>
#include <span>

namespace ingot {
namespace {

/// Copies one dimension after the other; `to` moves on.
void copyStrided(const StridedView &view, size_t dimension, const uint8_t *from, uint8_t *&to) {
  const auto bytes = int64_t(byteSize(view.type));
  const size_t rank = view.shape.size();
  if (dimension == rank || (dimension + 1 == rank && view.strides[dimension] == 1)) {
    const int64_t row = dimension == rank ? bytes : view.shape[dimension] * bytes;
    std::memcpy(to, from, size_t(row));
    to += row;
    return;
  }
  for (int64_t i = 0; i < view.shape[dimension]; ++i)
    copyStrided(view, dimension + 1, from + i * view.strides[dimension] * bytes, to);
}

/// Floats narrower than f64 print as the shortest number of an f32.
std::string elementText(const Tensor &tensor, int64_t i) {
  switch (tensor.type()) {
  case ElementType::F64:
    return fmt::format("{}", tensor.as<double>()[i]);
  case ElementType::I64:
    return fmt::format("{}", tensor.as<int64_t>()[i]);
  case ElementType::U64:
    return fmt::format("{}", tensor.as<uint64_t>()[i]);
  case ElementType::F32:
  case ElementType::F16:
  case ElementType::BF16:
  case ElementType::F8E4M3FN:
  case ElementType::F8E5M2:
    return fmt::format("{}", float(loadElement(tensor.type(), tensor.data(), i)));
  default:
    return fmt::format("{}", int64_t(loadElement(tensor.type(), tensor.data(), i)));
  }
}

/// Brackets around every dimension but the first, and around a vector.
std::string elementsText(const Tensor &tensor) {
  const Shape &shape = tensor.shape();
  std::string text = shape.size() == 1 ? "[" : "";
  for (int64_t i = 0; i < tensor.size(); ++i) {
    size_t opened = 0, closed = 0;
    int64_t stride = 1;
    for (size_t dimension = shape.size(); dimension-- > 1;) {
      stride *= shape[dimension];
      opened += i % stride == 0;
      closed += (i + 1) % stride == 0;
    }
    text += opened ? std::string(opened, '[') : std::string(i ? " " : "");
    text += elementText(tensor, i) + std::string(closed, ']');
  }
  return text + (shape.size() == 1 ? "]" : "");
}

} // namespace

StridedView StridedView::of(const Tensor &tensor) {
  StridedView view{tensor.type(), tensor.shape(), Shape(tensor.shape().size(), 1), {}};
  for (size_t dimension = view.shape.size(); dimension-- > 1;)
    view.strides[dimension - 1] = view.strides[dimension] * view.shape[dimension];
  auto owner = std::make_shared<Tensor>(tensor); // copies share storage
  view.memory = {owner, owner->data()};
  return view;
}

StridedView StridedView::transposed(const std::vector<int64_t> &permutation) const {
  StridedView view = *this;
  for (size_t i = 0; i < permutation.size(); ++i) {
    view.shape[i] = shape.at(size_t(permutation[i]));
    view.strides[i] = strides.at(size_t(permutation[i]));
  }
  return view;
}

StridedView StridedView::sliced(size_t dimension, int64_t first, int64_t end, int64_t step) const {
  StridedView view = *this;
  const int64_t size = shape.at(dimension), last = size - 1;
  int64_t distance = 0; // from the first element to the end, along the step
  if (step > 0) {
    first = std::clamp<int64_t>(first, 0, size);
    distance = std::min(end, size) - first;
  } else if (step < 0) {
    first = std::clamp<int64_t>(first, -1, last);
    distance = first - std::max<int64_t>(end, -1);
  }
  view.shape[dimension] =
      distance > 0 ? (distance - 1) / (step > 0 ? step : -step) + 1 : 0; // none where step is 0
  if (distance > 0)
    view.memory = {memory, static_cast<uint8_t *>(memory.get()) +
                               first * strides[dimension] * int64_t(byteSize(type))};
  view.strides[dimension] *= step;
  return view;
}

bool StridedView::isDense() const {
  int64_t expected = 1;
  for (size_t dimension = shape.size(); dimension-- > 0;) {
    if (shape[dimension] != 1 && strides[dimension] != expected)
      return elementCount(shape) == 0;
    expected *= shape[dimension];
  }
  return true;
}

Tensor StridedView::tensor() const {
  if (isDense())
    return Tensor(type, shape, memory);
  Tensor copy(type, shape);
  auto *to = copy.as<uint8_t>();
  copyStrided(*this, 0, static_cast<const uint8_t *>(memory.get()), to);
  return copy;
}

std::string toString(const Tensor &tensor, int64_t limit) {
  std::string text;
  for (int64_t size : tensor.shape())
    text += fmt::format("{}x", size);
  text += fmt::format("{}=", name(tensor.type()));
  if (tensor.size() > limit)
    return text + fmt::format("… {} elements", tensor.size());
  return text + elementsText(tensor);
}

} // namespace ingot
