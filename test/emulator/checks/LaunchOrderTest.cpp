/// What nothing orders, against a record of every byte.
#include "runtime/emulator/checks/LaunchOrder.h"
#include "test/emulator/Reference.h"
#include <gtest/gtest.h>
#include <map>
#include <random>

namespace ingot::emulator {
namespace {

/// Every byte with its last writer and all readers since.
class Bytes {
public:
  struct Operation {
    OrderPoint point;
    OrderClock before;
    bool comesAfter(const OrderPoint &other) const {
      return other == point || other.count <= before.of(other.line);
    }
  };

  /// Whether something collides.
  bool touch(const Operation &operation, const Footprint &footprint) {
    bool collides = false;
    for (const Touch kind : {Touch::Read, Touch::Write})
      for (const TouchedRange &range : footprint[size_t(kind)])
        for (uint64_t byte = range.begin; byte < range.end; ++byte) {
          Byte &known = bytes[byte];
          collides |= known.writer.count && !operation.comesAfter(known.writer);
          for (const OrderPoint &reader : known.readers)
            collides |= kind == Touch::Write && !operation.comesAfter(reader);
          if (kind == Touch::Write)
            known = {operation.point, {}};
          else
            known.readers.push_back(operation.point);
        }
    return collides;
  }
  void forget(uint64_t address, uint64_t count) {
    bytes.erase(bytes.lower_bound(address), bytes.lower_bound(address + count));
  }

private:
  struct Byte {
    OrderPoint writer; ///< of count 0: nobody
    std::vector<OrderPoint> readers;
  };
  std::map<uint64_t, Byte> bytes;
};

// Streams that hear of each other now and then touch a few bytes on both sides of a million.
TEST(LaunchOrder, findsWhatARecordOfEveryByteFinds) {
  std::mt19937_64 random(test::freshSeed());
  const auto below = [&](uint64_t limit) { return random() % limit; };
  for (int round = 0; round < 200; ++round) {
    LaunchOrder order;
    Bytes bytes;
    std::vector<OrderClock> streams(4);
    int collisions = 0, quiet = 0;
    const uint64_t first = (uint64_t(1) << 20) - 32;
    for (int i = 0; i < 100; ++i) {
      const size_t line = below(streams.size());
      if (below(3))
        streams[line].join(streams[below(streams.size())]);
      Bytes::Operation operation{{}, streams[line]};
      streams[line].advance(line);
      operation.point = {line, streams[line].of(line)};
      Footprint footprint;
      for (const Touch kind : {Touch::Read, Touch::Write})
        for (uint64_t at = first + below(40); below(3) && at < first + 60; at += 1 + below(8)) {
          const uint64_t end = at + 1 + below(12);
          footprint[size_t(kind)].push_back({at, end});
          at = end;
        }
      const bool expected = bytes.touch(operation, footprint);
      const std::vector<Finding> found =
          order.touch(operation.point, operation.before, nullptr, "work", footprint);
      ASSERT_EQ(!found.empty(), expected) << round << ", " << i;
      ++(expected ? collisions : quiet);
      if (below(10) == 0) {
        const uint64_t at = first + below(60), count = below(20);
        order.forget(at, count);
        bytes.forget(at, count);
      }
    }
    EXPECT_GT(collisions, 0);
    EXPECT_GT(quiet, 0);
  }
}

// What memory no longer remembers goes, and the rest stays what it was.
TEST(LaunchOrder, longProgramsTakeNoMoreMemory) {
  LaunchOrder order;
  OrderClock stream;
  const auto touch = [&](Touch kind, uint64_t begin, uint64_t end, size_t line) {
    OrderClock before = line ? OrderClock() : stream;
    if (!line)
      stream.advance(0);
    Footprint footprint;
    footprint[size_t(kind)] = {{begin, end}};
    return order.touch({line, line ? 1 : stream.of(0)}, before, nullptr, "work", footprint);
  };
  EXPECT_TRUE(touch(Touch::Read, 1000, 1004, 0).empty());
  for (int i = 0; i < 20000; ++i)
    ASSERT_TRUE(touch(i % 2 ? Touch::Read : Touch::Write, 16 * (i % 3), 64, 0).empty());
  EXPECT_LT(order.remembered(), 10000u);
  EXPECT_EQ(touch(Touch::Write, 1000, 1004, 1).size(), 1u) << "unordered with the first read";
  EXPECT_EQ(touch(Touch::Read, 40, 41, 2).size(), 1u) << "and with the last write";
}

} // namespace
} // namespace ingot::emulator
