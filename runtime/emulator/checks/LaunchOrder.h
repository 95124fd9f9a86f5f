/// The order of launches, copies and fills: what streams, events and the edges of graphs say of it,
/// and accesses to the same memory that nothing orders.
#pragma once
#include "runtime/emulator/checks/Footprint.h"
#include "runtime/emulator/machine/Observer.h"
#include <map>
#include <string>
#include <vector>

namespace ingot::emulator {

/// How much of each line of work is done: operations by the line's number.
class OrderClock {
public:
  uint64_t of(size_t line) const { return line < counts.size() ? counts[line] : 0; }
  void advance(size_t line);
  void join(const OrderClock &other);

private:
  std::vector<uint64_t> counts;
};

/// What each node of a graph comes after, by index.
class NodeOrder {
public:
  /// `after[i]`: the nodes that node i waits for.
  explicit NodeOrder(const std::vector<std::vector<size_t>> &after);
  bool comesAfter(size_t later, size_t earlier) const {
    return ancestors[later][earlier / 64] >> earlier % 64 & 1;
  }

private:
  std::vector<std::vector<uint64_t>> ancestors;
};

/// Something that was done: an operation of a line (a stream, or the host), or one of the nodes of
/// a graph that is such an operation.
struct OrderPoint {
  size_t line = 0;
  uint64_t count = 0;
  size_t node = 0;
  bool operator==(const OrderPoint &) const = default;
};

/// Who has touched which memory last. An access must come after the last write to its bytes, and a
/// write after the reads since then, whatever order they happened to run in.
class LaunchOrder {
public:
  /// Finds what the operation collides with, and remembers it. `clock` is what was done before its
  /// line's operation, `nodes` the order within that. At most one finding a pair of operations.
  std::vector<Finding> touch(const OrderPoint &point, const OrderClock &clock,
                             const NodeOrder *nodes, const std::string &name,
                             const Footprint &footprint);
  /// The memory is given back: what comes to lie there later is another's.
  void forget(uint64_t address, uint64_t bytes);
  /// Operations that take memory.
  size_t remembered() const { return operations.size(); }

private:
  struct Operation {
    OrderPoint point;
    std::string name;
  };
  /// An operation by its number, and whether it is strong here: 2 * number + strong.
  using Access = uint32_t;
  static constexpr Access nobody = ~Access(0);
  /// Bytes with one past. A kernel that touches every fourth word makes many of them, so they are
  /// small, lie side by side, and sets of readers are numbered.
  struct Stretch {
    uint64_t begin = 0, end = 0;
    Access writer = nobody;
    uint32_t readers = 0; ///< since then: their set
  };
  using Stretches = std::vector<Stretch>; ///< in order
  static constexpr uint64_t segmentBytes = 1 << 20;

  class Toucher;

  uint32_t numberOf(std::vector<Access> readers);
  /// Drops operations and sets that no memory remembers.
  void tidy();

  std::vector<Operation> operations;
  std::vector<std::vector<Access>> readerSets = {{}};
  std::map<std::vector<Access>, uint32_t> setNumbers = {{{}, 0}};
  std::map<uint64_t, Stretches> history; ///< by address / segmentBytes
  size_t tidyAt = 4096;                  ///< operations
};

} // namespace ingot::emulator
