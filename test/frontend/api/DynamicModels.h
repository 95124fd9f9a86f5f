/// Models of ONNX text for the tests of DynamicModel.
#pragma once
#include "frontend/api/Ingot.h"
#include "runtime/support/File.h"
#include "test/frontend/onnx/OnnxBytes.h"
#include <gtest/gtest.h>

namespace ingot::test {

using onnx::test::Bytes;

inline DynamicOptions quick(Buckets buckets = Buckets::Off, int64_t most = 16) {
  DynamicOptions options;
  options.threads = 1;
  options.cache = options.tuned = false;
  options.buckets = buckets;
  options.mostPrograms = most;
  return options;
}

inline std::string written(const std::string &name, const std::string &bytes) {
  const std::string path = testing::TempDir() + name;
  EXPECT_TRUE(writeFile(path, bytes));
  return path;
}

inline DynamicModel opened(const Bytes &graph, const DynamicOptions &options = quick()) {
  static int number = 0;
  Result<DynamicModel> dynamic = DynamicModel::open(
      written(fmt::format("dynamic{}.onnx", number++), onnx::test::model(graph)), options);
  EXPECT_TRUE(dynamic) << dynamic.error().text();
  return *dynamic;
}

inline Tensor numbers(const Shape &shape, int seed = 1) {
  Tensor tensor(ElementType::F32, shape);
  for (int64_t i = 0; i < tensor.size(); ++i)
    tensor.as<float>()[i] = float((i * 37 + seed * 11) % 23 - 11) / 7;
  return tensor;
}

inline std::vector<float> valuesOf(const Tensor &tensor) {
  return {tensor.as<float>(), tensor.as<float>() + tensor.size()};
}

} // namespace ingot::test
