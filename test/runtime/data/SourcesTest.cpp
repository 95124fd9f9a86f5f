#include "runtime/data/ArraySource.h"
#include "runtime/data/Prefetch.h"
#include "runtime/data/Random.h"
#include "runtime/data/RandomSource.h"
#include "runtime/data/TextSource.h"
#include "runtime/support/Philox.h"
#include "test/runtime/Support.h"
#include <algorithm>
#include <set>

namespace ingot {
namespace {

using test::freshSeed;

const std::vector<BatchPort> textPorts = {{"tokens", ElementType::I32, {3, 4}, 100},
                                          {"targets", ElementType::I32, {3, 4}, 100}};

/// The tokens 0, 1, 2, …, so that a window shows where it was taken.
TokenRange countingText(int32_t size) {
  Tokens tokens(size);
  for (int32_t i = 0; i < size; ++i)
    tokens[i] = i;
  return {std::make_shared<Tokens>(tokens), 0, size_t(size), "text"};
}

std::vector<std::string> batchBytes(const BatchSource &source, int64_t step) {
  Batch batch = source.makeBatch();
  auto status = source.fill(step, batch);
  EXPECT_TRUE(status) << status.error().text();
  std::vector<std::string> bytes;
  for (NamedTensor &tensor : batch)
    bytes.emplace_back(tensor.value.as<char>(), tensor.value.bytes());
  return bytes;
}

TEST(Philox, GivesThePublishedNumbers) {
  // Known answers of the Random123 distribution.
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(random::philox({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(random::philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(
      random::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
      (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Permutation, VisitsEveryPlaceOnce) {
  for (uint64_t size : {1, 2, 3, 4, 5, 63, 64, 65, 1000}) {
    Permutation permutation(size, freshSeed(), 2, 0);
    std::set<uint64_t> places;
    for (uint64_t i = 0; i < size; ++i)
      places.insert(permutation(i));
    EXPECT_EQ(places.size(), size);
    EXPECT_LT(*places.rbegin(), size);
  }
  Permutation first(1000, 1, 2, 0), second(1000, 1, 2, 1);
  int fixed = 0, same = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    fixed += first(i) == i;
    same += first(i) == second(i);
  }
  EXPECT_LT(fixed, 15);
  EXPECT_LT(same, 15);
}

TEST(TextSource, TargetsAreTheNextTokens) {
  auto source = TextSource::create(countingText(50), textPorts, {.seed = freshSeed()}).value();
  std::set<int32_t> starts;
  Batch batch = source->makeBatch();
  for (int64_t step = 0; step < 300; ++step) {
    ASSERT_TRUE(source->fill(step, batch));
    for (int64_t row = 0; row < 3; ++row) {
      const int32_t *tokens = batch[0].value.as<int32_t>() + row * 4,
                    *targets = batch[1].value.as<int32_t>() + row * 4;
      for (int i = 0; i < 4; ++i) {
        EXPECT_EQ(tokens[i], tokens[0] + i);
        EXPECT_EQ(targets[i], tokens[i] + 1);
      }
      starts.insert(tokens[0]);
    }
  }
  EXPECT_EQ(starts.size(), 46u); // every place where a window of 5 fits
}

TEST(TextSource, IsAFunctionOfSeedAndStep) {
  auto one = TextSource::create(countingText(90), textPorts, {.seed = 5}).value();
  auto two = TextSource::create(countingText(90), textPorts, {.seed = 5}).value();
  auto other = TextSource::create(countingText(90), textPorts, {.seed = 6}).value();
  EXPECT_EQ(batchBytes(*one, 7), batchBytes(*one, 7));
  EXPECT_EQ(batchBytes(*one, 7), batchBytes(*two, 7));
  EXPECT_NE(batchBytes(*one, 7), batchBytes(*one, 8));
  EXPECT_NE(batchBytes(*one, 7), batchBytes(*other, 7));
}

TEST(TextSource, SpreadBatchesCoverTheTextEvenly) {
  auto source = TextSource::create(countingText(50), textPorts, {.spread = 2}).value();
  Batch batch = source->makeBatch();
  std::vector<int32_t> starts;
  for (int64_t step = 0; step < 2; ++step) {
    ASSERT_TRUE(source->fill(step, batch));
    for (int64_t row = 0; row < 3; ++row)
      starts.push_back(batch[0].value.as<int32_t>()[row * 4]);
  }
  EXPECT_EQ(starts, (std::vector<int32_t>{0, 9, 18, 27, 36, 45}));
  EXPECT_EQ(batchBytes(*source, 0), batchBytes(*source, 2));
}

TEST(TextSource, SplitKeepsTheEndForValidation) {
  auto split = splitText(countingText(100), 0.25).value();
  EXPECT_EQ(split.training.begin, 0u);
  EXPECT_EQ(split.training.end, 75u);
  EXPECT_EQ(split.validation.begin, 75u);
  EXPECT_EQ(split.validation.end, 100u);
  auto source = TextSource::create(split.validation, textPorts, {.seed = 1}).value();
  Batch batch = source->makeBatch();
  ASSERT_TRUE(source->fill(0, batch));
  EXPECT_GE(*std::min_element(batch[0].value.as<int32_t>(), batch[0].value.as<int32_t>() + 12), 75);
  EXPECT_FALSE(splitText(countingText(100), 1.0));
  EXPECT_FALSE(splitText(countingText(100), -0.1));
}

TEST(TextSource, RefusesWhatDoesNotFit) {
  EXPECT_TRUE(TextSource::create(countingText(5), textPorts, {}));
  EXPECT_FALSE(TextSource::create(countingText(4), textPorts, {}));
  auto outside = TextSource::create(countingText(101), textPorts, {});
  ASSERT_FALSE(outside);
  EXPECT_EQ(outside.error().text(), "text: token 100 is outside the model's vocabulary of 100");
  EXPECT_FALSE(TextSource::create(countingText(50), {textPorts[0]}, {}));
  auto floats = textPorts;
  floats[1].type = ElementType::F32;
  EXPECT_FALSE(TextSource::create(countingText(50), floats, {}));
}

/// Ten rows of x = (10 i, 10 i + 1) and labels i.
std::vector<NamedArray> tenRows() {
  Tensor x(ElementType::U8, {10, 1, 2}), labels(ElementType::I64, {10});
  for (int i = 0; i < 10; ++i) {
    x.as<uint8_t>()[2 * i] = uint8_t(10 * i);
    x.as<uint8_t>()[2 * i + 1] = uint8_t(10 * i + 1);
    labels.as<int64_t>()[i] = i;
  }
  return {{"x.npy", x}, {"labels.npy", labels}};
}

std::vector<BatchPort> rowPorts(int64_t rows) {
  return {{"x", ElementType::F32, {rows, 2}}, {"targets", ElementType::I32, {rows}, 10}};
}

TEST(ArraySource, EpochsVisitEveryRowOnceInANewOrder) {
  auto source = ArraySource::create(tenRows(), rowPorts(2), {.seed = freshSeed()}).value();
  EXPECT_EQ(source->batchesPerEpoch(), 5);
  Batch batch = source->makeBatch();
  std::vector<std::vector<int32_t>> orders;
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<int32_t> order;
    for (int64_t step = 0; step < 5; ++step) {
      ASSERT_TRUE(source->fill(epoch * 5 + step, batch));
      for (int row = 0; row < 2; ++row) {
        int32_t label = batch[1].value.as<int32_t>()[row];
        EXPECT_EQ(batch[0].value.as<float>()[2 * row], 10.0f * label);
        EXPECT_EQ(batch[0].value.as<float>()[2 * row + 1], 10.0f * label + 1);
        order.push_back(label);
      }
    }
    EXPECT_EQ(std::set(order.begin(), order.end()).size(), 10u);
    orders.push_back(order);
  }
  EXPECT_FALSE(orders[0] == orders[1] && orders[1] == orders[2]);
}

TEST(ArraySource, KeepsTheFilesOrderAndScalesInputs) {
  auto source =
      ArraySource::create(tenRows(), rowPorts(10), {.order = RowOrder::File, .scale = 0.5}).value();
  Batch batch = source->makeBatch();
  ASSERT_TRUE(source->fill(4, batch));
  for (int row = 0; row < 10; ++row) {
    EXPECT_EQ(batch[1].value.as<int32_t>()[row], row);
    EXPECT_EQ(batch[0].value.as<float>()[2 * row], 5.0f * row);
  }
}

TEST(ArraySource, LeavesTheIncompleteBatchOut) {
  auto source = ArraySource::create(tenRows(), rowPorts(4), {.seed = 3}).value();
  EXPECT_EQ(source->batchesPerEpoch(), 2);
  EXPECT_NE(batchBytes(*source, 0), batchBytes(*source, 2)); // step 2 begins the next epoch
  auto part =
      ArraySource::create(tenRows(), rowPorts(4), {.order = RowOrder::File, .firstRow = 6}).value();
  Batch batch = part->makeBatch();
  ASSERT_TRUE(part->fill(0, batch));
  EXPECT_EQ(batch[1].value.as<int32_t>()[0], 6);
}

TEST(ArraySource, FillsTheLastBatchWithRowsOfNoWeight) {
  const ArrayOptions options{.seed = freshSeed(), .scale = 2, .fillsLastBatch = true};
  std::vector<BatchPort> ports = rowPorts(4);
  ports.push_back({"weights", ElementType::F32, {4}});
  std::vector<NamedArray> arrays = tenRows();
  for (bool isGiven : {false, true}) {
    if (isGiven) {
      Tensor weights(ElementType::F32, {10});
      std::fill_n(weights.as<float>(), 10, 3.0f);
      arrays.push_back({"weights.npy", weights});
    }
    auto source = ArraySource::create(arrays, ports, options).value();
    EXPECT_EQ(source->batchesPerEpoch(), 3);
    Batch batch = source->makeBatch();
    for (int64_t epoch = 0; epoch < 2; ++epoch) {
      std::multiset<int32_t> seen;
      for (int64_t step = 3 * epoch; step < 3 * epoch + 3; ++step) {
        ASSERT_TRUE(source->fill(step, batch));
        EXPECT_EQ(source->rowsOf(step), step % 3 == 2 ? 2 : 4);
        for (int64_t row = 0; row < 4; ++row) {
          const bool counts = row < source->rowsOf(step);
          EXPECT_EQ(batch[2].value.as<float>()[row], counts ? (isGiven ? 3 : 1) : 0);
          EXPECT_EQ(batch[0].value.as<float>()[2 * row], 20.0f * batch[1].value.as<int32_t>()[row]);
          if (counts)
            seen.insert(batch[1].value.as<int32_t>()[row]);
        }
      }
      EXPECT_EQ(seen, (std::multiset<int32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
    }
  }
  auto large = ArraySource::create(tenRows(), rowPorts(16), options).value();
  EXPECT_EQ(large->batchesPerEpoch(), 1);
  EXPECT_EQ(large->rowsOf(5), 10);
}

TEST(ArraySource, RefusesWhatDoesNotFit) {
  auto refusal = [](std::vector<NamedArray> arrays, std::vector<BatchPort> ports,
                    ArrayOptions options = {}) {
    auto source = ArraySource::create(std::move(arrays), std::move(ports), options);
    return source ? std::string("accepted") : source.error().text();
  };
  EXPECT_EQ(refusal(tenRows(), {rowPorts(2)[0]}), "there are 2 arrays for 1 ports (x)");
  EXPECT_EQ(refusal(tenRows(), rowPorts(11)),
            "x.npy: rows 0 … 10 of 10 do not fill one batch of 11");
  EXPECT_NE(refusal(tenRows(), rowPorts(2), {.firstRow = 9}), "accepted");
  auto ports = rowPorts(2);
  ports[1].limit = 9;
  EXPECT_EQ(refusal(tenRows(), ports),
            "labels.npy: element 9 is 9, outside the 9 values that 'targets' takes");
  ports = rowPorts(2);
  ports[0].shape = {2, 3};
  EXPECT_EQ(refusal(tenRows(), ports),
            "x.npy: rows of the array 10x1x2 do not fit 'x' 2x3: 2 elements a row, not 3");
  auto arrays = tenRows(); // before the training, not in the middle of it
  arrays[0].value = Tensor(ElementType::F64, {10, 1, 2});
  arrays[0].value.as<double>()[17] = 1e300;
  EXPECT_EQ(refusal(arrays, rowPorts(2)),
            "x.npy: the value 1e+300 of element 17 does not fit into f32");
  EXPECT_EQ(refusal(arrays, rowPorts(2), {.scale = 1e-270}), "accepted");
}

TEST(RandomSource, StaysBelowTheLimit) {
  std::vector<BatchPort> ports = {{"tokens", ElementType::I32, {8, 16}, 7},
                                  {"x", ElementType::F32, {64}}};
  auto source = RandomSource::create(ports, freshSeed()).value();
  Batch batch = source->makeBatch();
  ASSERT_TRUE(source->fill(3, batch));
  std::set<int32_t> seen(batch[0].value.as<int32_t>(), batch[0].value.as<int32_t>() + 128);
  EXPECT_EQ(seen, (std::set<int32_t>{0, 1, 2, 3, 4, 5, 6}));
  const float *floats = batch[1].value.as<float>();
  auto [low, high] = std::minmax_element(floats, floats + 64);
  EXPECT_GE(*low, -1.0f);
  EXPECT_LT(*high, 1.0f);
  EXPECT_LT(*low, -0.5f);
  EXPECT_GT(*high, 0.5f);
  EXPECT_EQ(batchBytes(*source, 3), batchBytes(*source, 3));
  EXPECT_NE(batchBytes(*source, 3), batchBytes(*source, 4));
  EXPECT_FALSE(RandomSource::create({{"x", ElementType::BF16, {1}}}, 0));
}

TEST(Prefetch, HandsOutTheSourcesBatches) {
  auto source = TextSource::create(countingText(90), textPorts, {.seed = freshSeed()}).value();
  Prefetch prefetch(*source, 30, 60);
  for (int64_t step = 30; step < 60; ++step) {
    const Batch *batch = prefetch.next().value();
    auto expected = batchBytes(*source, step);
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_EQ(std::string((*batch)[i].value.as<char>(), (*batch)[i].value.bytes()), expected[i]);
  }
}

TEST(Prefetch, StopsAtAnyMoment) {
  auto source = TextSource::create(countingText(90), textPorts, {}).value();
  for (int taken = 0; taken < 5; ++taken) {
    Prefetch prefetch(*source, 0, 1000000);
    for (int i = 0; i < taken; ++i)
      ASSERT_TRUE(prefetch.next());
  }
}

/// Fails at step 2.
struct FailingSource final : BatchSource {
  FailingSource() : BatchSource({{"x", ElementType::F32, {1}}}) {}
  Status fill(int64_t step, Batch &) const override {
    if (step == 2)
      return failure(Error::Code::BadInput, "data", "step 2 is broken");
    return {};
  }
  int64_t batchesPerEpoch() const override { return 0; }
};

TEST(Prefetch, ReportsAnErrorAtItsStep) {
  FailingSource source;
  Prefetch prefetch(source, 0, 10);
  EXPECT_TRUE(prefetch.next());
  EXPECT_TRUE(prefetch.next());
  auto third = prefetch.next();
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().text(), "data: step 2 is broken");
}

TEST(BatchPorts, AreTheInputsWithoutTheTrainersScalars) {
  Function function;
  function.ports = {{"w", Role::Parameter, ElementType::F32, {2}, 0},
                    {"tokens", Role::Input, ElementType::I32, {2, 4}, 64},
                    {"learning_rate", Role::Scalar, ElementType::F32, {}, 128},
                    {"x", Role::Input, ElementType::F32, {2}, 192},
                    {"loss", Role::Output, ElementType::F32, {}, 256}};
  auto ports = batchPorts(function, 65);
  ASSERT_EQ(ports.size(), 2u);
  EXPECT_EQ(ports[0].name, "tokens");
  EXPECT_EQ(ports[0].limit, 65);
  EXPECT_EQ(ports[1].name, "x");
  EXPECT_EQ(ports[1].limit, 0);
}

} // namespace
} // namespace ingot
