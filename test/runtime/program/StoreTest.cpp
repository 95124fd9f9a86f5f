/// Parameters and state that several programs share.
#include "runtime/program/Store.h"
#include "runtime/program/Device.h"
#include "test/runtime/HostMemory.h"
#include "test/runtime/TestPrograms.h"
#include <gtest/gtest.h>

namespace ingot {
namespace {

Port parameter(std::string name, int64_t elements, int64_t offset) {
  return {std::move(name), Role::Parameter, ElementType::F32, {elements}, offset};
}

/// Programs without kernels whose function reaches over stretches of their persistent memory.
struct Layout {
  std::vector<Port> ports;
  std::vector<std::pair<int64_t, int64_t>> reached; ///< offset, bytes

  Program program() const {
    Program program;
    program.persistentBytes = program.arenaBytes = 4096;
    Function function{.name = "f", .ports = ports, .steps = {}, .buffers = {}, .arenaBytes = 4096};
    for (const auto &[offset, bytes] : reached) {
      Kernel kernel{.name = "k" + std::to_string(program.kernels.size()),
                    .parameters = {KernelParameter::buffer(bytes, Access::Update)}};
      function.steps.push_back({CallStep{uint32_t(program.kernels.size()), {offset}, {}, ""}});
      program.kernels.push_back(std::move(kernel));
    }
    program.functions.push_back(std::move(function));
    return program;
  }
};

std::string problem(Store &store, const Layout &layout) {
  const Program program = layout.program();
  auto groups = persistentGroups(program);
  EXPECT_TRUE(groups) << groups.error().text();
  auto places = store.admit(*groups);
  return places ? "" : places.error().text();
}

TEST(PersistentLayout, TensorsStayTogetherWhereSomethingReachesOverThem) {
  const Layout layout{{parameter("a", 16, 0), parameter("b", 8, 64), parameter("c", 16, 128),
                       parameter("d", 4, 192), parameter("e", 4, 256)},
                      {{64, 128}, {192, 16}}};
  const Program program = layout.program();
  auto groups = persistentGroups(program);
  ASSERT_TRUE(groups);
  ASSERT_EQ(groups->size(), 4u); // a | b c | d | e
  EXPECT_EQ((*groups)[1].first, 64);
  EXPECT_EQ((*groups)[1].end, 192);
  ASSERT_EQ((*groups)[1].tensors.size(), 2u);
  EXPECT_EQ((*groups)[1].tensors[1]->name, "c");
}

TEST(PersistentLayout, ConstantsBelongToTheProgram) {
  Layout layout{{parameter("a", 16, 0)}, {}};
  Program program = layout.program();
  program.constants = {{128, Tensor(ElementType::F32, {8})}};
  auto groups = persistentGroups(program);
  ASSERT_TRUE(groups);
  ASSERT_EQ(groups->size(), 2u);
  EXPECT_EQ((*groups)[1].constants.size(), 1u);
  layout.reached = {{0, 160}};
  program = layout.program();
  program.constants = {{128, Tensor(ElementType::F32, {8})}};
  auto mixed = persistentGroups(program);
  ASSERT_FALSE(mixed);
  EXPECT_NE(mixed.error().text().find("reaches over both 'a' and a constant"), std::string::npos);
}

// What a later program derives from parameters is computed, though an earlier one's is in
// agreement.
TEST(Store, NewTensorsAreStale) {
  Store store(std::make_unique<HostMemory>());
  const Layout first{{parameter("a", 16, 0)}, {}};
  EXPECT_EQ(problem(store, first), "");
  store.setStale(false);
  EXPECT_EQ(problem(store, first), "");
  EXPECT_FALSE(store.isStale());
  EXPECT_EQ(problem(store, {{parameter("a", 16, 0), parameter("b", 8, 64)}, {}}), "");
  EXPECT_TRUE(store.isStale());
}

TEST(Store, TheFirstProgramFixesTheLayout) {
  Store store(std::make_unique<HostMemory>());
  // A bucket of a and b, and c for itself.
  const Layout step{{parameter("a", 16, 0), parameter("b", 8, 64), parameter("c", 16, 128)},
                    {{0, 96}}};
  EXPECT_EQ(problem(store, step), "");
  EXPECT_EQ(store.bytes(), 128 + 64);
  // One by one they may lie anywhere; so may a part of the bucket in the same order.
  EXPECT_EQ(problem(store, {{parameter("c", 16, 0), parameter("b", 8, 64)}, {}}), "");
  EXPECT_EQ(problem(store, {{parameter("a", 16, 640), parameter("b", 8, 704)}, {{640, 96}}}), "");
  EXPECT_EQ(store.bytes(), 128 + 64) << "known tensors need no memory";
  // New tensors find a place of their own.
  EXPECT_EQ(problem(store, {{parameter("c", 16, 0), parameter("m", 16, 64)}, {}}), "");
  EXPECT_EQ(store.bytes(), 128 + 64 + 64);
  EXPECT_EQ(store.names(), (std::vector<std::string>{"a", "b", "c", "m"}));
}

TEST(Store, SaysWhatDoesNotFit) {
  Store store(std::make_unique<HostMemory>());
  ASSERT_EQ(problem(store, {{parameter("a", 16, 0), parameter("b", 8, 64)}, {{0, 128}}}), "");
  const std::string start = "the program does not fit the store: ";
  EXPECT_EQ(problem(store, {{parameter("a", 15, 0)}, {}}),
            start + "it has 'a' as 15 f32, the store as 16 f32");
  EXPECT_EQ(problem(store, {{parameter("b", 8, 0), parameter("a", 16, 64)}, {{0, 128}}}),
            start + "it wants 'b' and 'a' side by side, as one bucket, and the store has them "
                    "elsewhere");
  EXPECT_EQ(problem(store, {{parameter("b", 8, 0), parameter("n", 8, 64)}, {{0, 96}}}),
            start + "it wants 'n' beside 'b', where the store has no room");
  EXPECT_EQ(problem(store, {{parameter("b", 8, 0)}, {{0, 96}}}),
            start + "it reaches over more around 'b' than the store has there");
  EXPECT_EQ(store.bytes(), 128);
  EXPECT_EQ(store.names().size(), 2u) << "who is refused leaves nothing";
}

TEST(Store, ReadsAndWritesByName) {
  Store store(std::make_unique<HostMemory>());
  ASSERT_EQ(problem(store, {{parameter("a", 16, 0), parameter("b", 8, 64)}, {{0, 128}}}), "");
  Tensor value(ElementType::F32, {8});
  for (int i = 0; i < 8; ++i)
    value.as<float>()[i] = float(i);
  ASSERT_TRUE(store.write("b", value));
  EXPECT_EQ(store.read("b")->as<float>()[7], 7);
  EXPECT_EQ(store.read("a")->as<float>()[15], 0);
  EXPECT_EQ(store.write("a", value).error().text(), "a: takes 16 f32, not 8 f32");
  EXPECT_EQ(store.read("z").error().text(), "z: the store has no parameter or state of this name");
}

/// The program of `affineProgram` over another number of elements: `sum` is another tensor then.
std::unique_ptr<Session> load(Device &device, const Program &program,
                              std::shared_ptr<Store> store) {
  auto session = device.load(std::make_shared<Program>(program), std::move(store));
  EXPECT_TRUE(session) << session.error().text();
  return session ? std::move(*session) : nullptr;
}

// Two programs over one store: what one writes the other reads, and memory is there once.
TEST(Store, SessionsShareParameters) {
  constexpr int64_t elements = 6400;
  auto device = openDevice("cpu", {.threads = 2}), another = openDevice("cpu", {.threads = 1});
  std::shared_ptr<Store> store = (*device)->makeStore();
  auto train = load(**device, test::affineProgram(elements), store);
  EXPECT_EQ(store->bytes(), elements * 4);
  // The same state elsewhere in a larger address space, and without the kernels that write it.
  Program reading = test::affineProgram(elements);
  reading.persistentBytes += 6400;
  reading.arenaBytes += 6400;
  Function &function = reading.functions[0];
  function.arenaBytes += 6400;
  function.steps.clear();
  function.ports[0].offset = 6400;
  for (size_t i = 1; i < function.ports.size(); ++i)
    function.ports[i].offset += 6400;
  auto evaluate = load(**another, reading, store);
  EXPECT_EQ(store->bytes(), elements * 4) << "no second copy";
  EXPECT_EQ(train->store(), evaluate->store());

  Tensor x(ElementType::F32, {elements}), condition(ElementType::I1, {});
  std::fill_n(x.as<float>(), elements, 1.0f);
  for (int step = 1; step <= 3; ++step) {
    auto ticket =
        train->enqueue("step", std::vector<NamedTensor>{{"x", x}, {"condition", condition}}, {"y"});
    ASSERT_TRUE(ticket);
    ASSERT_TRUE(train->wait(*ticket));
    EXPECT_EQ(evaluate->read("step", "sum")->as<float>()[elements - 1], 3 * step);
    EXPECT_EQ(store->read("sum")->as<float>()[0], 3 * step);
  }
  // A session of its own begins with zeros, and other shapes are refused.
  auto alone = load(**device, test::affineProgram(elements), nullptr);
  EXPECT_EQ(alone->read("step", "sum")->as<float>()[0], 0);
  auto refused = (*device)->load(std::make_shared<Program>(test::affineProgram(64)), store);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text().find("it has 'sum' as 64 f32, the store as 6400 f32"),
            std::string::npos);
}

} // namespace
} // namespace ingot
