/// Tensors that lie in memory in panels: element by element, in a session, a store and a file.
#include "runtime/program/PackedTensor.h"
#include "runtime/program/Device.h"
#include "test/runtime/TestPrograms.h"
#include <gtest/gtest.h>

namespace ingot {
namespace {

Tensor numbered(ElementType type, const Shape &shape, std::mt19937_64 &random) {
  Tensor tensor(type, shape);
  for (size_t i = 0; i < tensor.bytes(); ++i)
    tensor.as<uint8_t>()[i] = static_cast<uint8_t>(random());
  return tensor;
}

/// A function that keeps `w`, and does nothing.
Program keeper(const Layout &layout, const Shape &shape) {
  Port port{"w", Role::Parameter, ElementType::F32, shape, 0, layout};
  Program program;
  program.persistentBytes = program.arenaBytes = (port.memoryBytes() + 63) / 64 * 64;
  program.functions = {
      {.name = "f", .ports = {port}, .steps = {}, .buffers = {}, .arenaBytes = program.arenaBytes}};
  return program;
}

TEST(PackedTensor, everyElementIsWhereTheLayoutSays) {
  std::mt19937_64 random(test::freshSeed());
  auto below = [&](uint64_t limit) { return int64_t(random() % limit); };
  for (int round = 0; round < 100; ++round) {
    const Layout layout{1 + below(3), 1 + below(40), 1 + below(40), below(2) == 1};
    const Shape shape = layout.depthLast ? Shape{layout.matrices, layout.rows, layout.depth}
                                         : Shape{layout.matrices, layout.depth, layout.rows};
    const auto type = static_cast<ElementType>(below(17));
    const size_t size = byteSize(type);
    const Tensor tensor = numbered(type, shape, random);
    ASSERT_TRUE(layout.fits(tensor.size()));
    std::vector<uint8_t> memory(size_t(layout.elements(tensor.size())) * size);
    copyToLayout(layout, tensor, memory.data());
    for (int64_t m = 0; m < layout.matrices; ++m)
      for (int64_t row = 0; row < layout.rows; ++row)
        for (int64_t k = 0; k < layout.depth; ++k) {
          const int64_t inMatrix =
              layout.depthLast ? row * layout.depth + k : k * layout.rows + row;
          const int64_t from = m * layout.rows * layout.depth + inMatrix;
          const int64_t to =
              m * layout.matrixStride() + row / 16 * layout.panelStride() + 16 * k + row % 16;
          ASSERT_EQ(std::memcmp(memory.data() + size_t(to) * size,
                                tensor.as<uint8_t>() + size_t(from) * size, size),
                    0);
        }
    size_t told = 0;
    copyToLayout(layout, tensor, memory.data(), [&](const void *start, size_t bytes) {
      EXPECT_EQ(start, tensor.as<uint8_t>() + told) << "in order";
      told += bytes;
    });
    EXPECT_EQ(told, tensor.bytes()) << "each byte once";
    Tensor back(type, shape);
    copyFromLayout(layout, memory.data(), back);
    EXPECT_EQ(std::memcmp(back.data(), tensor.data(), tensor.bytes()), 0);
  }
}

TEST(PackedTensor, aLayoutIsOfAllElements) {
  EXPECT_TRUE(Layout().fits(7));
  EXPECT_TRUE((Layout{1, 3, 5, true}.fits(15)));
  EXPECT_FALSE((Layout{1, 3, 5, true}.fits(16)));
  EXPECT_FALSE((Layout{-1, -3, 5, true}.fits(15)));
  EXPECT_FALSE((Layout{1, int64_t(1) << 40, int64_t(1) << 40, true}.fits(0)));
  EXPECT_FALSE((Layout{0, 3, 5, false}.fits(15))) << "plain ones say nothing";
  Program program = keeper({1, 20, 33, true}, {20, 33});
  EXPECT_TRUE(program.validate());
  program.functions[0].ports[0].layout.rows = 21;
  EXPECT_NE(program.validate().error().message.find("cannot lie in memory as panels 1x21x33"),
            std::string::npos);
  program = keeper({1, 20, 33, true}, {20, 33});
  program.functions[0].ports[0].role = Role::Input;
  program.persistentBytes = 0;
  EXPECT_FALSE(program.validate()) << "batches are plain";
}

TEST(PackedTensor, callersSeeTheTensor) {
  std::mt19937_64 random(test::freshSeed());
  const Shape shape = {4, 5, 33};
  const Program program = keeper({1, 20, 33, true}, shape);
  const Tensor value = numbered(ElementType::F32, shape, random);
  auto isValue = [&](const Result<Tensor> &read) {
    return read && read->shape() == shape &&
           std::memcmp(read->data(), value.data(), value.bytes()) == 0;
  };
  test::TemporaryFolder folder;
  ASSERT_TRUE(program.save(folder / "w.ingot"));
  Result<Program> loaded = Program::load(folder / "w.ingot");
  ASSERT_TRUE(loaded) << loaded.error().text();
  EXPECT_EQ(loaded->functions[0].ports[0].layout, program.functions[0].ports[0].layout);

  auto device = openDevice("cpu", {.threads = 1});
  ASSERT_TRUE(device);
  auto store = (*device)->makeStore();
  auto session = (*device)->load(std::make_shared<Program>(*loaded), store);
  ASSERT_TRUE(session) << session.error().text();
  ASSERT_TRUE((*session)->write("f", "w", value));
  EXPECT_TRUE(isValue((*session)->read("f", "w")));
  EXPECT_TRUE(isValue(store->read("w")));
  ASSERT_TRUE(store->write("w", Tensor(ElementType::F32, shape)));
  EXPECT_FALSE(isValue((*session)->read("f", "w")));
  ASSERT_TRUE(store->write("w", value));
  EXPECT_TRUE(isValue((*session)->read("f", "w")));
  const NamedTensor input{"w", Tensor(ElementType::F32, shape)};
  const std::string output = "w";
  auto ticket = (*session)->enqueue("f", std::span(&input, 1), std::span(&output, 1));
  ASSERT_TRUE(ticket) << ticket.error().text();
  auto outputs = (*session)->wait(*ticket);
  ASSERT_TRUE(outputs) << outputs.error().text();
  EXPECT_EQ(outputs->front().value.as<float>()[7], 0);

  auto plain = (*device)->load(std::make_shared<Program>(keeper({}, shape)), store);
  ASSERT_FALSE(plain);
  EXPECT_NE(plain.error().text().find("it reads 'w' as plain, and the store holds it as panels "
                                      "1x20x33"),
            std::string::npos)
      << plain.error().text();
}

} // namespace
} // namespace ingot
