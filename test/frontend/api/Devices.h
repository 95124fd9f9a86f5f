/// What the tests of the C++ interface share: devices, a small model and its batches.
#pragma once
#include "frontend/api/Ingot.h"
#include <cstring>
#include <gtest/gtest.h>
#include <random>

namespace ingot {

constexpr ElementType f32 = ElementType::F32;

struct Devices : testing::TestWithParam<const char *> {
  Options options() const { return {.device = GetParam(), .threads = 1, .cache = false}; }
  ModelTrainerOptions trainOptions() const {
    ModelTrainerOptions result;
    static_cast<Options &>(result) = options();
    result.seed = 5;
    return result;
  }
};

inline Tensors randomBatch(uint32_t seed) {
  std::mt19937 random(seed);
  Tensor x(f32, {4, 6}), targets(ElementType::I32, {4});
  for (int i = 0; i < 24; ++i)
    x.as<float>()[i] = std::normal_distribution<float>()(random);
  for (int i = 0; i < 4; ++i)
    targets.as<int32_t>()[i] = int32_t(random() % 3);
  return {{"x", x}, {"targets", targets}};
}

inline Model smallMlp() { return Model::mlp({.layers = {6, 5, 3}, .batch = 4}).value(); }

inline bool sameBytes(const Tensor &a, const Tensor &b) {
  return a.bytes() == b.bytes() && std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

template <typename T> std::vector<T> elements(const Tensor &tensor) {
  return {tensor.as<T>(), tensor.as<T>() + tensor.size()};
}

} // namespace ingot
