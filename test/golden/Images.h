/// The classifiers of images that `record` trains with PyTorch, built with this project's builder.
#pragma once
#include "frontend/builder/Builder.h"

namespace ingot::testing {

class ImageModel {
public:
  using Value = Builder::Value;

  Result<Model> build(const std::string &name, int64_t batch, Shape image) {
    image.insert(image.begin(), batch);
    Value x = b.input("x", ElementType::F32, image);
    x = name == "cnn" ? cnn(x) : name == "separable" ? separable(x) : transposed(x);
    const int64_t width = elementCount(x.shape()) / batch;
    b.output("logits", b.linear(b.reshape(x, {batch, width}), parameter("fc.weight", {5, width}),
                                parameter("fc.bias", {5})));
    return b.finish();
  }

private:
  /// Tests write the values.
  Value parameter(const std::string &name, const Shape &shape) {
    return b.parameter(name, shape, Initializer::constant(0));
  }
  Value convolution(Value x, const std::string &name, const Shape &weight,
                    const Convolution &how = {}) {
    return b.convolution(x, parameter(name + ".weight", weight),
                         parameter(name + ".bias", {weight[0]}), how);
  }
  Value norm(Value x, const std::string &name) {
    const Shape channels = {x.shape()[1]};
    auto scope = b.scope(name);
    return b.batchNorm(x, parameter("weight", channels), parameter("bias", channels),
                       b.state("running_mean", channels, Initializer::constant(0)),
                       b.state("running_var", channels, Initializer::constant(1)));
  }

  Value cnn(Value x) {
    x = b.convolution(x, parameter("conv1.weight", {8, 3, 3, 3}), Value(),
                      {.low = {1, 1}, .high = {1, 1}});
    x = b.relu(norm(x, "bn1"));
    x = b.averagePool(x, {.sizes = {3, 3},
                          .strides = {2, 2},
                          .low = {1, 1},
                          .high = {1, 1},
                          .countsPadding = false});
    x = b.convolution(x, parameter("conv2.weight", {12, 8, 3, 3}), Value(), {.strides = {2, 2}});
    x = b.relu(norm(x, "bn2"));
    x = b.maxPool(x, {.sizes = {2, 2}, .strides = {1, 1}, .low = {0, 1}, .high = {0, 1}});
    return b.averagePool(x, {.sizes = {1, 2}, .ceil = true});
  }

  Value separable(Value x) {
    for (int64_t layer : {0, 1}) {
      const std::string number = std::to_string(layer);
      const int64_t channels = x.shape()[1], out = layer ? 12 : 8;
      x = b.convolution(
          x, parameter("depthwise" + number + ".weight", {channels, 1, 3, 3}), Value(),
          {.strides = {layer + 1, layer + 1}, .low = {1, 1}, .high = {1, 1}, .groups = channels});
      x = b.relu6(norm(x, "bn" + number));
      x = convolution(x, "pointwise" + number, {out, channels, 1, 1});
    }
    return b.averagePool(x, {});
  }

  Value transposed(Value x) {
    x = b.transposedConvolution(x, parameter("up1.weight", {4, 6, 3, 3}),
                                parameter("up1.bias", {6}),
                                {.strides = {2, 2}, .low = {1, 1}, .high = {0, 0}});
    x = b.transposedConvolution(b.tanh(x), parameter("up2.weight", {6, 4, 2, 3}),
                                parameter("up2.bias", {8}),
                                {.strides = {3, 2}, .dilations = {1, 2}, .groups = 2});
    return b.mean(b.tanh(x), {2, 3});
  }

  Builder b;
};

inline Result<Model> buildImageModel(const std::string &name, int64_t batch, const Shape &image) {
  return ImageModel().build(name, batch, image);
}

} // namespace ingot::testing
