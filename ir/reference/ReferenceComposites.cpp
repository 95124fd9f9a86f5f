/// Composites by their own formulas in double, independent of Decompose.cpp: tests compare the two.
#include "ir/formulas/Formulas.h"
#include "ir/reference/ReferenceMath.h"
#include "ir/reference/ReferenceOps.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "runtime/program/Bucket.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;

namespace ingot::graph {
namespace {

using Doubles = std::vector<double>;

Tensors evaluateFormula(FormulaOp op, Operands operands) {
  const Formula &formula = *findFormula(op.getName());
  std::vector<Doubles> loaded(operands.size());
  llvm::transform(operands, loaded.begin(), [](const Tensor &x) { return load<double>(x); });
  Doubles result, point(operands.size());
  for (size_t i = 0; i < loaded.front().size(); ++i) {
    for (size_t operand = 0; operand < loaded.size(); ++operand)
      point[operand] = loaded[operand][i];
    result.push_back(formula.reference(point, op.getParameters()));
  }
  return {storeResult(op, result)};
}

Tensors evaluateSoftmax(SoftmaxOp op, const Tensor &operand) {
  Doubles x = load<double>(operand);
  int64_t count = operand.shape()[op.getDimension()];
  int64_t inner = stridesOf(operand.shape())[op.getDimension()];
  for (int64_t line = 0; line < (x.empty() ? 0 : operand.size() / count); ++line) {
    double *first = x.data() + line / inner * inner * count + line % inner;
    Exponentials e(first, count, inner);
    for (int64_t i = 0; i < count; ++i)
      first[i * inner] = e.share(first[i * inner]);
  }
  return {storeResult(op, x)};
}

Tensors evaluateLogSoftmax(LogSoftmaxOp op, const Tensor &operand) {
  Doubles x = load<double>(operand);
  const int64_t count = operand.shape()[op.getDimension()],
                inner = stridesOf(operand.shape())[op.getDimension()];
  for (int64_t line = 0; line * count < int64_t(x.size()); ++line) {
    double *first = x.data() + line / inner * inner * count + line % inner;
    const Exponentials e(first, count, inner);
    for (int64_t i = 0; i < count; ++i) // a large maximum would swallow the logarithm
      first[i * inner] = first[i * inner] - e.max - std::log(e.sum);
  }
  return {storeResult(op, x)};
}

Result<Tensors> evaluatePick(PickOp op, Operands operands) {
  const Doubles x = load<double>(operands[0]);
  const int64_t size = operands[0].shape()[op.getDimension()],
                inner = stridesOf(operands[0].shape())[op.getDimension()];
  Doubles result;
  for (auto [line, index] : llvm::enumerate(load<int64_t>(operands[1]))) {
    if (index < 0 || index >= size)
      return errorAt(op, Error::Code::BadInput, "index {} at position {} is outside [0, {})", index,
                     line, size);
    const auto before = int64_t(line);
    result.push_back(x[(before / inner * size + index) * inner + before % inner]);
  }
  return Tensors{storeResult(op, result)};
}

Tensors evaluateLayerNorm(LayerNormOp op, Operands operands) {
  Doubles x = load<double>(operands[0]), scale = load<double>(operands[1]);
  Doubles bias = load<double>(operands[2]), means, rstds;
  int64_t width = operands[0].shape().back(), rows = elementCount(resultShape(op, 1));
  const bool isWide = cast<RankedTensorType>(op.getRstd().getType()).getElementType().isF64();
  const double largest =
      isWide ? std::numeric_limits<double>::max() : double(std::numeric_limits<float>::max());
  for (int64_t row = 0; row < rows; ++row) {
    double *values = x.data() + row * width;
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < width; ++i)
      mean += values[i] / double(width);
    for (int64_t i = 0; i < width; ++i)
      variance += (values[i] - mean) * (values[i] - mean) / double(width);
    const double square = variance + op.getEpsilon().convertToDouble();
    // A sum or variance that overflows in the type of the statistics makes the row NaN, not 0.
    const bool isHeld = std::abs(mean * double(width)) <= largest && square <= largest;
    const double rstd = isHeld ? 1 / std::sqrt(square) : NAN;
    for (int64_t i = 0; i < width; ++i)
      values[i] = (values[i] - mean) * rstd * scale[i] + bias[i];
    means.push_back(width ? mean : NAN);
    rstds.push_back(width ? rstd : NAN);
  }
  return {storeResult(op, x), storeResult(op, means, 1), storeResult(op, rstds, 2)};
}

Tensors evaluateBatchNorm(BatchNormOp op, Operands operands) {
  Doubles x = load<double>(operands[0]), scale = load<double>(operands[1]),
          bias = load<double>(operands[2]), running = load<double>(operands[3]),
          runningVariance = load<double>(operands[4]), means = running, rstds(running.size());
  const Shape &shape = operands[0].shape();
  const int64_t inner = elementCount(Shape(shape.begin() + 2, shape.end()));
  const double momentum = op.getMomentum().convertToDouble();
  const double count = double(shape[0] * inner);
  for (int64_t channel = 0; channel < shape[1]; ++channel) {
    auto forEach = [&](auto &&visit) {
      for (int64_t batch = 0; batch < shape[0]; ++batch)
        for (int64_t place = 0; place < inner; ++place)
          visit(x[(batch * shape[1] + channel) * inner + place]);
    };
    double mean = running[channel], variance = runningVariance[channel];
    if (op.getTraining()) {
      mean = variance = 0;
      forEach([&](double value) { mean += value / count; });
      forEach([&](double value) { variance += (value - mean) * (value - mean) / count; });
      running[channel] = (1 - momentum) * running[channel] + momentum * mean;
      runningVariance[channel] =
          (1 - momentum) * runningVariance[channel] + momentum * variance * count / (count - 1);
    }
    const double rstd = 1 / std::sqrt(variance + op.getEpsilon().convertToDouble());
    forEach([&](double &value) { value = (value - mean) * rstd * scale[channel] + bias[channel]; });
    means[channel] = mean;
    rstds[channel] = rstd;
  }
  return {storeResult(op, x), storeResult(op, means, 1), storeResult(op, rstds, 2),
          storeResult(op, running, 3), storeResult(op, runningVariance, 4)};
}

Tensors evaluateLinear(LinearOp op, Operands operands) {
  Doubles x = load<double>(operands[0]), weight = load<double>(operands[1]);
  int64_t outputs = operands[1].shape()[0], inputs = operands[1].shape()[1];
  int64_t rows = elementCount(resultShape(op)) / std::max<int64_t>(outputs, 1);
  Doubles transposed(weight.size()), result(rows * outputs, 0.0);
  for (int64_t o = 0; o < outputs; ++o)
    for (int64_t i = 0; i < inputs; ++i)
      transposed[i * outputs + o] = weight[o * inputs + i];
  if (op.getBias()) {
    Doubles bias = load<double>(operands[2]);
    for (size_t i = 0; i < result.size(); ++i)
      result[i] = bias[i % outputs];
  }
  multiplyAdd(rows, outputs, inputs, x.data(), transposed.data(), result.data());
  return {storeResult(op, result)};
}

/// By its definition, one product after the other.
Tensors evaluateConvolution(ConvolutionOp op, Operands operands) {
  const Doubles x = load<double>(operands[0]), weight = load<double>(operands[1]);
  const Shape &from = operands[0].shape(), &kernel = operands[1].shape(), to = resultShape(op);
  const size_t rank = to.size();
  const std::vector<int64_t> strides = stridesOf(from);
  const int64_t perGroup = to[1] / op.getGroups();
  Doubles result;
  Shape window(kernel.begin() + 1, kernel.end());
  const Shape one(rank, 1), oneInside(window.size(), 1);
  for (SmallVector<int64_t> point : StaticTileOffsetRange(to, one)) {
    double sum = 0;
    int64_t next = point[1] * elementCount(window);
    for (SmallVector<int64_t> inside : StaticTileOffsetRange(window, oneInside)) {
      int64_t at =
          point[0] * strides[0] + (point[1] / perGroup * kernel[1] + inside[0]) * strides[1];
      bool isOutside = false;
      for (size_t dim = 2; dim < rank; ++dim) {
        const int64_t position = point[dim] * op.getStrides()[dim - 2] +
                                 inside[dim - 1] * op.getDilations()[dim - 2] -
                                 op.getLow()[dim - 2];
        isOutside |= position < 0 || position >= from[dim];
        at += position * strides[dim];
      }
      const double factor = weight[next++];
      if (!isOutside)
        sum += factor * x[at];
    }
    result.push_back(sum);
  }
  return {storeResult(op, result)};
}

Result<Tensors> evaluateEmbedding(EmbeddingOp op, Operands operands) {
  int64_t vocabulary = operands[0].shape()[0];
  size_t bytes = operands[0].shape()[1] * byteSize(operands[0].type());
  Tensor result(operands[0].type(), resultShape(op));
  char *target = result.as<char>();
  for (auto [position, index] : llvm::enumerate(load<int64_t>(operands[1]))) {
    if (index < 0 || index >= vocabulary)
      return errorAt(op, Error::Code::BadInput, "index {} at position {} is outside [0, {})", index,
                     position, vocabulary);
    std::memcpy(target, operands[0].as<char>() + index * bytes, bytes);
    target += bytes;
  }
  return Tensors{result};
}

//===--------------------------------------------------------------------------------------------===//
// Losses and optimizers
//===--------------------------------------------------------------------------------------------===//

Result<Tensors> evaluateCrossEntropy(CrossEntropyOp op, Operands operands) {
  Doubles logits = load<double>(operands[0]), lse;
  std::vector<int64_t> targets = load<int64_t>(operands[1]);
  int64_t classes = operands[0].shape().back();
  double sum = 0;
  for (auto [position, target] : llvm::enumerate(targets)) {
    if (target < 0 || target >= classes)
      return errorAt(op, Error::Code::BadInput, "target {} at position {} is outside [0, {})",
                     target, position, classes);
    const double *row = logits.data() + position * classes;
    lse.push_back(Exponentials(row, classes).logarithm());
    sum += lse.back() - row[target];
  }
  return Tensors{storeResult(op, Doubles{sum / double(targets.size())}), storeResult(op, lse, 1)};
}

Tensors evaluateMse(MseOp op, Operands operands) {
  Doubles prediction = load<double>(operands[0]), target = load<double>(operands[1]);
  double sum = 0;
  for (size_t i = 0; i < prediction.size(); ++i)
    sum += (prediction[i] - target[i]) * (prediction[i] - target[i]);
  return {storeResult(op, Doubles{sum / double(prediction.size())})};
}

/// `beyond` of an update, its last result.
void addBeyond(UpdateOp op, Operands gradients, Tensors &results) {
  if (!op.getBeyond())
    return;
  const double limit = op.getLimit()->convertToDouble();
  Doubles flat;
  for (const Tensor &gradient : gradients) {
    const Doubles values = load<double>(gradient);
    flat.insert(flat.end(), values.begin(), values.end());
    flat.resize(elementsInBucket(int64_t(flat.size()), int64_t(byteSize(gradient.type()))));
  }
  const size_t rows = shapeOf(op.getBeyond())[0], length = flat.size() / rows;
  std::vector<int64_t> places;
  for (size_t row = 0; row < rows; ++row) {
    size_t place = 0; // NaN is not below
    while (place < length && std::abs(flat[row * length + place]) < limit)
      ++place;
    places.push_back(int64_t(place));
  }
  results.back() = storeResult(op, places, results.size() - 1);
}

/// The formula on all elements of one tensor at a time; scalars have one element.
Result<Tensors> evaluateUpdate(UpdateOp op, Operands operands) {
  const size_t count = op.getParameters().size(), groups = op.getOperandGroups().size();
  Tensors results(op->getNumResults());
  for (size_t index = 0; index < count; ++index) {
    DenseMap<Value, Doubles> values;
    Block &formula = op.getFormula().front();
    for (auto [number, argument] : llvm::enumerate(formula.getArguments())) {
      bool isScalar = number >= groups;
      const size_t operand = isScalar ? groups * count + number - groups : number * count + index;
      values[argument] = load<double>(operands[operand]);
    }
    for (Operation &inner : formula.without_terminator()) {
      SmallVector<Doubles> arguments;
      for (Value value : inner.getOperands())
        arguments.push_back(values[value]);
      INGOT_ASSIGN(values[inner.getResult(0)], evaluateOnDoubles(&inner, arguments));
    }
    for (auto [group, value] : llvm::enumerate(formula.getTerminator()->getOperands())) {
      Doubles elements = values[value];
      if (const size_t size = operands[index].size(); elements.size() != size)
        elements.assign(size, elements.front());
      results[group * count + index] = storeResult(op, elements, group * count + index);
    }
  }
  for (size_t index = 0; index < op.getRounded().size(); ++index) { // twice: as it is stored, then
    const size_t result = op.getUpdated().size() + index;
    results[result] = storeResult(op, load<double>(results[index]), result);
  }
  addBeyond(op, operands.subspan(count, count), results);
  return results;
}

} // namespace

std::optional<Result<Tensors>> evaluateComposite(Operation *op, Operands operands) {
  return TypeSwitch<Operation *, std::optional<Result<Tensors>>>(op)
      .Case([&](FormulaOp op) { return evaluateFormula(op, operands); })
      .Case([&](SoftmaxOp op) { return evaluateSoftmax(op, operands[0]); })
      .Case([&](LogSoftmaxOp op) { return evaluateLogSoftmax(op, operands[0]); })
      .Case([&](PickOp op) { return evaluatePick(op, operands); })
      .Case([&](LayerNormOp op) { return evaluateLayerNorm(op, operands); })
      .Case([&](BatchNormOp op) { return evaluateBatchNorm(op, operands); })
      .Case([&](ConvolutionOp op) { return evaluateConvolution(op, operands); })
      .Case([&](LinearOp op) { return evaluateLinear(op, operands); })
      .Case([&](EmbeddingOp op) { return evaluateEmbedding(op, operands); })
      .Case([&](AttentionOp op) { return evaluateAttention(op, operands); })
      .Case([&](AttentionBackwardOp op) { return evaluateAttentionBackward(op, operands); })
      .Case([&](CrossEntropyOp op) { return evaluateCrossEntropy(op, operands); })
      .Case([&](MseOp op) { return evaluateMse(op, operands); })
      .Case([&](UpdateOp op) { return evaluateUpdate(op, operands); })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace ingot::graph
