/// The order of launches, copies and fills: what streams, events and the edges of graphs say of it,
/// and accesses to the same memory that nothing orders.
#pragma once
#include "runtime/emulator/checks/Footprint.h"
#include "runtime/emulator/machine/Observer.h"
#include <map>
#include <memory>
#include <optional>

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

private:
  struct Access {
    OrderPoint point;
    std::shared_ptr<const std::string> name;
    bool strong = false; ///< atomic for the whole device: such accesses take turns by themselves
  };
  struct Bytes {
    uint64_t end = 0;
    std::optional<Access> writer;
    std::vector<Access> readers; ///< since then
  };
  using History = std::map<uint64_t, Bytes>; ///< by first byte; stretches do not overlap

  void cutAt(uint64_t address);

  History history;
};

} // namespace ingot::emulator
