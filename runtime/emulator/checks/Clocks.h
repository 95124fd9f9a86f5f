/// Vector clocks: which accesses of which threads are known to be done.
///
/// A cluster numbers its slots: its warps, and what acts for them (their cp.async, their
/// mbarrier.init, products of a warpgroup, phases of mbarriers). Each slot counts its own time.
/// Clocks hold one time for all lanes of a slot; only where lanes differ, one for each.
#pragma once
#include "runtime/emulator/machine/Machine.h"
#include <memory>
#include <utility>
#include <vector>

namespace ingot::emulator {

using Slot16 = uint16_t;

/// What is known of one cluster's slots.
class Clocks {
public:
  uint32_t base(Slot16 slot) const { return slot < times.size() ? times[slot] : 0; }
  /// Accesses of `lane` at time `clock` are done.
  bool knows(Slot16 slot, int lane, uint32_t clock) const {
    return base(slot) >= clock || (!details.empty() && knowsDetail(slot, lane, clock));
  }
  bool hasDetails() const { return !details.empty(); }
  bool isEmpty() const { return times.empty() && details.empty(); }

  void raise(Slot16 slot, uint32_t clock) {
    if (slot >= times.size())
      times.resize(slot + 1u);
    times[slot] = std::max(times[slot], clock);
  }
  void raise(Slot16 slot, uint32_t lanes, uint32_t clock);
  void absorb(const Clocks &other);
  /// Knows all that `other` knows.
  bool covers(const Clocks &other) const;

private:
  using Detail = std::pair<Slot16, std::array<uint32_t, lanes>>;
  const Detail *detailOf(Slot16 slot) const;
  Detail &makeDetail(Slot16 slot);
  /// Drops details that say no more than their slot's time: all lanes are at least as far.
  void settle();
  bool knowsDetail(Slot16 slot, int lane, uint32_t clock) const;
  std::vector<uint32_t> times;
  std::vector<Detail> details; ///< of lanes that are beyond their slot's time
};

class Foreign;

/// Immutable and shared: what is known of the own cluster and of others.
struct Knowledge {
  std::shared_ptr<const Clocks> local;
  std::shared_ptr<const Foreign> foreign;

  bool isEmpty() const { return !local && !foreign; }
  void join(const Knowledge &other);
};

/// What is known of other clusters, by their number.
class Foreign {
public:
  const Clocks *of(uint32_t cluster) const;
  /// Joins what a thread of `cluster` knew, as seen by one of cluster `self`: what that knew of
  /// `self` goes to `local`.
  static void hear(Knowledge &known, uint32_t self, uint32_t cluster, const Knowledge &heard);
  static std::shared_ptr<const Foreign> joined(const std::shared_ptr<const Foreign> &a,
                                               const std::shared_ptr<const Foreign> &b);

private:
  using Entry = std::pair<uint32_t, std::shared_ptr<const Clocks>>;
  std::vector<Entry> entries; ///< by number
};

std::shared_ptr<const Clocks> joined(const std::shared_ptr<const Clocks> &a,
                                     const std::shared_ptr<const Clocks> &b);

} // namespace ingot::emulator
