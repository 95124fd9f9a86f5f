#include "runtime/program/DLPack.h"
#include "test/runtime/Support.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <random>

namespace ingot {
namespace {

TEST(TensorTools, VectorsGoInAndOut) {
  const Tensor matrix = tensorOf<float>({2, 3}, {1, 2, 3, 4, 5, 6.5}).value();
  EXPECT_EQ(matrix.type(), ElementType::F32);
  EXPECT_EQ(elementsOf<float>(matrix).value(), (std::vector<float>{1, 2, 3, 4, 5, 6.5}));
  EXPECT_EQ(tensorOf(std::vector<uint8_t>{7, 255}).type(), ElementType::U8);
  EXPECT_EQ(tensorOf(std::vector<int64_t>{-1}).type(), ElementType::I64);
  EXPECT_EQ(tensorOf(std::vector<bool>{true, false}).as<uint8_t>()[0], 1);
  EXPECT_EQ(tensorOf<float>({2, 2}, {1}).error().text(), "tensorOf: 1 elements do not fill 2x2");
  EXPECT_EQ(elementsOf<double>(matrix).error().text(), "elementsOf: the tensor holds f32, not f64");
}

TEST(TensorTools, TextIsWhatTheCommandLineTakes) {
  EXPECT_EQ(toString(tensorOf<float>({2, 2}, {1, 0.1f, -3, 1e30f}).value()),
            "2x2xf32=[1 0.1][-3 1e+30]");
  EXPECT_EQ(toString(tensorOf(std::vector<int32_t>{1, -2})), "2xi32=[1 -2]");
  EXPECT_EQ(toString(tensorOf<int64_t>({}, {int64_t(1) << 62}).value()), "i64=4611686018427387904");
  EXPECT_EQ(toString(tensorOf<double>({2, 1, 2}, {1, 2, 3, 4}).value()),
            "2x1x2xf64=[[1 2]][[3 4]]");
  EXPECT_EQ(toString(Tensor(ElementType::BF16, {3})), "3xbf16=[0 0 0]");
  EXPECT_EQ(toString(Tensor(ElementType::F32, {64, 64}), 10), "64x64xf32=… 4096 elements");
}

/// Element [i, j, k] of a dense tensor is 100·i + 10·j + k.
Tensor numbered(Shape shape) {
  Tensor tensor(ElementType::I32, shape);
  for (int64_t i = 0; i < tensor.size(); ++i)
    tensor.as<int32_t>()[i] =
        int32_t(i / (shape[1] * shape[2]) * 100 + i / shape[2] % shape[1] * 10 + i % shape[2]);
  return tensor;
}

TEST(StridedView, SlicesAndTransposes) {
  std::mt19937 random(test::freshSeed());
  auto below = [&](int64_t most) { return int64_t(random() % uint64_t(most)); };
  for (int trial = 0; trial < 200; ++trial) {
    const Shape shape = {1 + below(5), 1 + below(5), 1 + below(5)};
    const Tensor dense = numbered(shape);
    std::vector<int64_t> order = {0, 1, 2}, first(3), step(3);
    std::ranges::shuffle(order, random);
    StridedView view = StridedView::of(dense).transposed(order);
    for (size_t d = 0; d < 3; ++d) {
      first[d] = below(view.shape[d]);
      step[d] = 1 + below(2);
      view = view.sliced(d, first[d], view.shape[d], step[d]);
    }
    const Tensor result = view.tensor();
    ASSERT_EQ(result.shape(), view.shape);
    const bool isShared = result.size() > 0 && result.data() == view.memory.get();
    EXPECT_EQ(isShared, view.isDense());
    int64_t at = 0;
    for (int64_t i = 0; i < view.shape[0]; ++i)
      for (int64_t j = 0; j < view.shape[1]; ++j)
        for (int64_t k = 0; k < view.shape[2]; ++k) {
          const int64_t picked[3] = {first[0] + i * step[0], first[1] + j * step[1],
                                     first[2] + k * step[2]};
          int64_t index[3];
          for (size_t d = 0; d < 3; ++d)
            index[order[d]] = picked[d];
          ASSERT_EQ(result.as<int32_t>()[at++], index[0] * 100 + index[1] * 10 + index[2]);
        }
  }
}

TEST(StridedView, SlicesStayInside) {
  const Tensor x = tensorOf<int32_t>({0, 1, 2, 3});
  auto slice = [&](int64_t first, int64_t end, int64_t step) {
    return toString(StridedView::of(x).sliced(0, first, end, step).tensor());
  };
  EXPECT_EQ(slice(3, -1, -1), "4xi32=[3 2 1 0]");
  EXPECT_EQ(slice(3, 0, -2), "2xi32=[3 1]");
  EXPECT_EQ(slice(9, -9, -3), "2xi32=[3 0]");
  EXPECT_EQ(slice(1, 100, 1), "3xi32=[1 2 3]");
  EXPECT_EQ(slice(-5, 3, 2), "2xi32=[0 2]");
  for (auto [first, end, step] : {std::array{2, 1, 1}, {1, 2, -1}, {7, 9, 1}, {0, 4, 0}})
    EXPECT_EQ(StridedView::of(x).sliced(0, first, end, step).tensor().size(), 0);
}

TEST(DLPack, SharesMemoryBothWays) {
  Tensor tensor = numbered({2, 3, 4});
  DLManagedTensor *lent = toDLPack(tensor).value();
  EXPECT_EQ(lent->dl_tensor.data, tensor.data());
  EXPECT_EQ(lent->dl_tensor.ndim, 3);
  EXPECT_EQ(lent->dl_tensor.strides[0], 12);
  EXPECT_EQ(lent->dl_tensor.dtype.bits, 32);
  const StridedView view = fromDLPack(lent).value(); // takes it over
  const Tensor back = view.tensor();
  EXPECT_EQ(back.data(), tensor.data());
  EXPECT_EQ(back.shape(), tensor.shape());
  back.clone();
  tensor.as<int32_t>()[5] = 77;
  EXPECT_EQ(back.as<int32_t>()[5], 77);
  EXPECT_EQ(toDLPack(Tensor(ElementType::F8E5M2, {1})).error().code, Error::Code::Unsupported);
}

/// Another library's tensor, transposed, at an offset; counts how often it is released.
struct Foreign {
  float memory[8] = {9, 9, 0, 1, 2, 3, 4, 5};
  int64_t shape[2] = {3, 2}, strides[2] = {1, 3};
  int released = 0;
  DLManagedTensor managed{};

  DLManagedTensor *lend(DLDeviceType device = kDLCPU, DLDataType type = {kDLFloat, 32, 1}) {
    managed.dl_tensor = {memory, {device, 0}, 2, type, shape, strides, 2 * sizeof(float)};
    managed.manager_ctx = this;
    managed.deleter = [](DLManagedTensor *self) {
      ++static_cast<Foreign *>(self->manager_ctx)->released;
    };
    return &managed;
  }
};

TEST(DLPack, TakesStridedTensorsAndReleasesThemOnce) {
  Foreign foreign;
  {
    const StridedView view = fromDLPack(foreign.lend()).value();
    EXPECT_FALSE(view.isDense());
    EXPECT_EQ(elementsOf<float>(view.tensor()).value(), (std::vector<float>{0, 3, 1, 4, 2, 5}));
    const Tensor shared = view.transposed({1, 0}).tensor();
    EXPECT_EQ(shared.data(), foreign.memory + 2);
    EXPECT_EQ(foreign.released, 0);
  }
  EXPECT_EQ(foreign.released, 1);
  EXPECT_NE(fromDLPack(foreign.lend(kDLCUDA)).error().text().find("device of DLPack's type 2"),
            std::string::npos);
  EXPECT_EQ(foreign.released, 2);
  EXPECT_FALSE(fromDLPack(foreign.lend(kDLCPU, {kDLFloat, 32, 4})));
  EXPECT_FALSE(fromDLPack(foreign.lend(kDLCPU, {5, 64, 1})));
  EXPECT_EQ(foreign.released, 4);
  EXPECT_FALSE(fromDLPack(nullptr));
  for (auto damage :
       {+[](DLTensor &t) { t.data = nullptr; }, +[](DLTensor &t) { t.ndim = -1; },
        +[](DLTensor &t) { t.shape = nullptr; }, +[](DLTensor &t) { t.shape[0] = -2; }}) {
    DLManagedTensor *damaged = foreign.lend();
    damage(damaged->dl_tensor);
    EXPECT_EQ(fromDLPack(damaged).error().code, Error::Code::Usage);
  }
  EXPECT_EQ(foreign.released, 8);
}

} // namespace
} // namespace ingot
