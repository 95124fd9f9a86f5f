/// What every device does alike.
#include "runtime/program/Device.h"
#include "test/runtime/TestPrograms.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <thread>

namespace ingot {
namespace {

/// A device as `openDevice` takes it, and its threads where it has any.
struct Place {
  std::string name;
  int threads = 0;
};
void PrintTo(const Place &place, std::ostream *stream) {
  *stream << place.name << " " << place.threads;
}
std::string nameOf(const testing::TestParamInfo<Place> &info) {
  std::string name = info.param.name;
  std::ranges::replace(name, ':', '_');
  return info.param.threads ? fmt::format("{}{}", name, info.param.threads) : name;
}

Tensor randomTensor(std::mt19937_64 &random, int64_t elements) {
  Tensor value(ElementType::F32, {elements});
  for (int64_t i = 0; i < elements; ++i)
    value.as<float>()[i] = float(random() % 1000) / 7;
  return value;
}

Tensor boolean(bool value) {
  Tensor tensor(ElementType::I1, {});
  *tensor.as<uint8_t>() = value;
  return tensor;
}

class SessionTest : public testing::TestWithParam<Place> {
protected:
  void SetUp() override {
    auto opened = openDevice(GetParam().name, {.threads = GetParam().threads});
    if (!opened && GetParam().name == "cuda")
      GTEST_SKIP() << opened.error().text();
    ASSERT_TRUE(opened) << opened.error().text();
    device = std::move(*opened);
  }
  Program affineProgram(int64_t elements) const {
    return GetParam().name == "cpu" ? test::affineProgram(elements)
                                    : test::cudaAffineProgram(elements);
  }
  std::unique_ptr<Session> load(const Program &program, std::shared_ptr<Store> store = nullptr) {
    auto session = device->load(std::make_shared<Program>(program), std::move(store));
    EXPECT_TRUE(session) << session.error().text();
    return session ? std::move(*session) : nullptr;
  }
  std::unique_ptr<Device> device;
};
INSTANTIATE_TEST_SUITE_P(Devices, SessionTest,
                         testing::Values(Place{"cpu", 1}, Place{"cpu", 2}, Place{"cpu", 3},
                                         Place{"cpu", 8}, Place{"cuda:emulated"}, Place{"cuda"}),
                         nameOf);

TEST_P(SessionTest, runsLoopsBranchesAndWorkspaces) {
  std::mt19937_64 random(test::freshSeed());
  const int64_t elements = 32 * (1 + int64_t(random() % 500));
  auto session = load(affineProgram(elements));
  ASSERT_TRUE(session);
  std::vector<float> sum(elements, 0);
  for (bool through : {true, false, true}) {
    Tensor x = randomTensor(random, elements);
    ASSERT_TRUE(session->write("step", "x", x));
    ASSERT_TRUE(session->write("step", "condition", boolean(through)));
    ASSERT_TRUE(session->run("step"));
    Result<Tensor> y = session->read("step", "y"), total = session->read("step", "sum");
    ASSERT_TRUE(y && total);
    for (int64_t i = 0; i < elements; ++i) {
      const float expected = 2 * x.as<float>()[i] + 1;
      sum[i] += expected;
      ASSERT_EQ(y->as<float>()[i], expected) << i;
      ASSERT_EQ(total->as<float>()[i], sum[i]) << i;
    }
  }
}

Tensor integer(int64_t value) {
  Tensor tensor(ElementType::I64, {});
  *tensor.as<int64_t>() = value;
  return tensor;
}

/// A program of 32 elements made anew: sum += x[i], y = 2 x[i] + 1 for i below `count`, at most 8,
/// or from the last one to the first.
Program countedLoop(Program program, bool reverse) {
  const int64_t slot = 64, sum = 0, x = program.persistentBytes, y = x + 8 * slot, count = y + slot,
                counter = count + slot;
  program.arenaBytes = counter + slot;
  Function &step = program.functions[0];
  step.arenaBytes = program.arenaBytes;
  step.ports = {{"sum", Role::State, ElementType::F32, {16}, sum},
                {"x", Role::Input, ElementType::F32, {8, 16}, x},
                {"count", Role::Input, ElementType::I64, {}, count},
                {"counter", Role::Output, ElementType::I64, {}, counter},
                {"y", Role::Output, ElementType::F32, {16}, y}};
  step.steps = {Step{LoopStep{.trips = 8,
                              .body = {Step{CallStep{test::AddKernel, {x, sum}, {slot, 0}, "add"}},
                                       Step{CallStep{test::AffineKernel, {x, y}, {slot, 0}, "y"}}},
                              .count = count,
                              .counter = counter,
                              .reverse = reverse,
                              .op = "rows"}}};
  return program;
}

// What calls no kernel does nothing, however often.
TEST_P(SessionTest, loopsWithoutCallsEnd) {
  constexpr int64_t forever = 4'000'000'000'000'000'000;
  const auto loop = [](int64_t trips, std::vector<Step> body) {
    return Step{LoopStep{trips, std::move(body)}};
  };
  Program program = affineProgram(32);
  std::vector<Step> &steps = program.functions[0].steps;
  const Step work = steps[0], call = std::get<LoopStep>(work.node).body[1];
  const int64_t condition = program.functions[0].port("condition")->offset;
  steps = {loop(forever, {}), loop(forever, {loop(forever, {})}), loop(forever, {loop(0, {call})}),
           loop(forever, {Step{IfStep{condition, {loop(forever, {})}, {}}}}), work};
  auto session = load(program);
  ASSERT_TRUE(session);
  ASSERT_TRUE(session->write("step", "condition", boolean(true)));
  ASSERT_TRUE(session->run("step"));
  EXPECT_EQ(session->read("step", "sum")->as<float>()[31], 1.0f);
}

// A trip count is checked even so.
TEST_P(SessionTest, tripCountsOfLoopsWithoutCallsAreChecked) {
  Program program = affineProgram(32);
  program.arenaBytes += 64;
  Function &step = program.functions[0];
  step.arenaBytes = program.arenaBytes;
  const int64_t count = program.arenaBytes - 64;
  step.ports.push_back({"count", Role::Input, ElementType::I64, {}, count});
  step.steps = {Step{LoopStep{.trips = 8, .body = {}, .count = count, .op = "rows"}}};
  auto session = load(program);
  ASSERT_TRUE(session);
  ASSERT_TRUE(session->write("step", "count", integer(8)));
  EXPECT_TRUE(session->run("step"));
  ASSERT_TRUE(session->write("step", "count", integer(9)));
  const Status status = session->run("step");
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().text().find("@step: rows: the trip count 9 is more than 8"),
            std::string::npos)
      << status.error().text();
}

TEST_P(SessionTest, countsIterationsAtRunTime) {
  std::mt19937_64 random(test::freshSeed());
  Tensor x(ElementType::F32, {8, 16});
  for (int64_t i = 0; i < 8 * 16; ++i)
    x.as<float>()[i] = float(random() % 1000);
  for (bool reverse : {false, true})
    for (int64_t count : {int64_t(0), int64_t(1), int64_t(random() % 9), int64_t(8)}) {
      SCOPED_TRACE(testing::Message() << count << (reverse ? " in reverse" : ""));
      auto session = load(countedLoop(affineProgram(32), reverse));
      ASSERT_TRUE(session);
      auto ticket =
          session->enqueue("step", std::vector<NamedTensor>{{"x", x}, {"count", integer(count)}},
                           std::vector<std::string>{"y", "counter"});
      ASSERT_TRUE(ticket);
      auto outputs = session->wait(*ticket);
      ASSERT_TRUE(outputs) << outputs.error().text();
      const int64_t last = reverse ? 0 : count - 1;
      EXPECT_EQ(*(*outputs)[1].value.as<int64_t>(), count ? last : 0);
      Result<Tensor> sum = session->read("step", "sum");
      for (int64_t i = 0; i < 16; ++i) {
        float expected = 0;
        for (int64_t row = 0; row < count; ++row)
          expected += x.as<float>()[row * 16 + i];
        EXPECT_EQ(sum->as<float>()[i], expected);
        EXPECT_EQ((*outputs)[0].value.as<float>()[i],
                  count ? 2 * x.as<float>()[last * 16 + i] + 1 : 0);
      }
    }
}

TEST_P(SessionTest, refusesTripCountsThatTheLoopWasNotMadeFor) {
  auto session = load(countedLoop(affineProgram(32), false));
  ASSERT_TRUE(session);
  for (auto [count, why] : {std::pair(int64_t(-3), "the trip count -3 is negative"),
                            std::pair(int64_t(9), "the trip count 9 is more than 8")}) {
    ASSERT_TRUE(session->write("step", "count", integer(count)));
    Status run = session->run("step");
    ASSERT_FALSE(run);
    EXPECT_EQ(run.error().text(), std::string("@step: rows: ") + why);
    auto ticket = session->enqueue("step", std::vector<NamedTensor>{}, std::vector<std::string>{});
    ASSERT_TRUE(ticket);
    auto outputs = session->wait(*ticket);
    ASSERT_FALSE(outputs);
    EXPECT_EQ(outputs.error().text(), run.error().text());
  }
  EXPECT_TRUE(session->write("step", "count", integer(8)));
  EXPECT_TRUE(session->run("step"));
}

// Runs follow each other in the order of their tickets, each on its own inputs; nothing that was
// enqueued before is disturbed by what is written or waited for meanwhile.
TEST_P(SessionTest, enqueuedRunsEqualRunsOneByOne) {
  std::mt19937_64 random(test::freshSeed());
  const int64_t elements = 32 * (1 + int64_t(random() % 500));
  auto ahead = load(affineProgram(elements)), inStep = load(affineProgram(elements));
  ASSERT_TRUE(ahead && inStep);
  std::vector<Ticket> tickets;
  std::vector<Tensor> expected;
  for (int run = 0; run < 20; ++run) {
    std::vector<NamedTensor> inputs = {{"x", randomTensor(random, elements)},
                                       {"condition", boolean(random() % 2)}};
    for (const NamedTensor &input : inputs)
      ASSERT_TRUE(inStep->write("step", input.name, input.value));
    ASSERT_TRUE(inStep->run("step"));
    expected.push_back(*inStep->read("step", "y"));
    Result<Ticket> ticket = ahead->enqueue("step", inputs, {"y", "sum"});
    ASSERT_TRUE(ticket) << ticket.error().text();
    tickets.push_back(*ticket);
    std::memset(inputs[0].value.data(), 0x7f, inputs[0].value.bytes()); // the batch is used again
  }
  for (size_t run : {size_t(3), size_t(0), size_t(19), size_t(7)}) {
    auto outputs = ahead->wait(tickets[run]);
    ASSERT_TRUE(outputs);
    ASSERT_EQ(outputs->size(), 2u);
    EXPECT_EQ((*outputs)[0].name, "y");
    EXPECT_EQ(std::memcmp((*outputs)[0].value.data(), expected[run].data(), expected[run].bytes()),
              0);
  }
  EXPECT_FALSE(ahead->wait(tickets[3])) << "a ticket is good for once";
  EXPECT_EQ(std::memcmp(ahead->read("step", "sum")->data(), inStep->read("step", "sum")->data(),
                        size_t(elements) * 4),
            0);
}

// What is enqueued and never waited for is run, too, before the session goes.
TEST_P(SessionTest, mayGoWithRunsInFlight) {
  std::shared_ptr<Store> store = device->makeStore();
  {
    auto session = load(affineProgram(64), store);
    ASSERT_TRUE(session);
    for (int run = 0; run < 10; ++run)
      ASSERT_TRUE(session->enqueue("step", {}, {}));
  }
  EXPECT_EQ(store->read("sum")->as<float>()[63], 10); // x is zero
}

// Sessions of one device, called by threads of their own, take turns.
TEST_P(SessionTest, sessionsOfADeviceTakeTurns) {
  std::shared_ptr<Store> store = device->makeStore();
  auto work = [&] {
    auto session = load(affineProgram(640), store);
    for (int run = 0; run < 50; ++run)
      if (run % 2)
        EXPECT_TRUE(session->run("step"));
      else
        EXPECT_TRUE(session->enqueue("step", {}, {}));
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT_EQ(store->read("sum")->as<float>()[639], 100);
}

TEST_P(SessionTest, enqueueNamesWhatIsWrong) {
  auto session = load(affineProgram(64));
  auto message = [](const Result<Ticket> &ticket) { return ticket ? "" : ticket.error().text(); };
  EXPECT_EQ(message(session->enqueue("train", {}, {})),
            "the program has no function 'train', only: step");
  EXPECT_EQ(message(session->enqueue("step", {}, {"z"})),
            "function 'step' has no port 'z', only: sum, x, condition, y");
  EXPECT_EQ(message(session->enqueue("step", std::vector<NamedTensor>{{"x", boolean(true)}}, {})),
            "'x' of function 'step' takes 64 of f32, not scalar of i1");
}

TEST_P(SessionTest, fillsConstantsIn) {
  Program program = affineProgram(64);
  std::mt19937_64 random(test::freshSeed());
  Tensor value = randomTensor(random, 16);
  program.functions[0].steps.clear();
  program.functions[0].ports[0].offset = 64; // `sum` makes room
  program.persistentBytes += 64;
  program.arenaBytes += 64;
  program.functions[0].arenaBytes += 64;
  for (size_t i = 1; i < program.functions[0].ports.size(); ++i)
    program.functions[0].ports[i].offset += 64;
  program.constants = {{0, value}};
  program.functions[0].ports.push_back({"constant", Role::Constant, ElementType::F32, {16}, 0});
  auto session = load(program);
  ASSERT_TRUE(session);
  Result<Tensor> seen = session->read("step", "constant");
  ASSERT_TRUE(seen);
  EXPECT_EQ(std::memcmp(seen->data(), value.data(), value.bytes()), 0);
}

TEST_P(SessionTest, profilesEveryCall) {
  auto session = load(affineProgram(6400));
  std::map<std::string, int64_t> grains;
  double lastStart = 0, lastEnd[8] = {};
  int spans = 0;
  session->profile([&](const ProfileSpan &span) {
    ++spans;
    grains[span.kernel->name] += span.grains;
    EXPECT_EQ(span.call->op, span.kernel->name);
    EXPECT_LE(lastStart, span.start);
    EXPECT_LE(lastEnd[span.worker], span.start); // a thread does one thing at a time
    EXPECT_LE(span.start, span.end);
    lastStart = span.start;
    lastEnd[span.worker] = span.end;
  });
  ASSERT_TRUE(session->run("step"));
  EXPECT_EQ(grains, (std::map<std::string, int64_t>{{"scratch", 400}, {"add", 400}}));
  EXPECT_GE(spans, 4);
  session->profile(nullptr);
  grains.clear();
  ASSERT_TRUE(session->run("step"));
  EXPECT_TRUE(grains.empty());
}

TEST_P(SessionTest, namesWhatIsWrong) {
  auto session = load(affineProgram(64));
  auto message = [](const Status &status) { return status ? "" : status.error().text(); };
  EXPECT_EQ(message(session->run("train")), "the program has no function 'train', only: step");
  EXPECT_EQ(message(session->write("step", "z", boolean(true))),
            "function 'step' has no port 'z', only: sum, x, condition, y");
  EXPECT_EQ(message(session->write("step", "x", boolean(true))),
            "'x' of function 'step' takes 64 of f32, not scalar of i1");
  EXPECT_FALSE(session->read("step", "z"));
  EXPECT_FALSE(session->read("train", "x"));
}

} // namespace
} // namespace ingot
