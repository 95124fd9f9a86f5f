#include "runtime/emulator/checks/LaunchOrder.h"
#include <algorithm>
#include <span>
#include <unordered_map>
#include <unordered_set>

namespace ingot::emulator {

void OrderClock::advance(size_t line) {
  counts.resize(std::max(counts.size(), line + 1));
  ++counts[line];
}

void OrderClock::join(const OrderClock &other) {
  counts.resize(std::max(counts.size(), other.counts.size()));
  for (size_t line = 0; line < other.counts.size(); ++line)
    counts[line] = std::max(counts[line], other.counts[line]);
}

NodeOrder::NodeOrder(const std::vector<std::vector<size_t>> &after)
    : ancestors(after.size(), std::vector<uint64_t>((after.size() + 63) / 64)) {
  // An edge that was added later may lead to a node that was made earlier.
  std::vector<size_t> waiting(after.size()), ready;
  std::vector<std::vector<size_t>> next(after.size());
  for (size_t node = 0; node < after.size(); ++node) {
    waiting[node] = after[node].size();
    for (size_t before : after[node])
      next[before].push_back(node);
    if (!waiting[node])
      ready.push_back(node);
  }
  while (!ready.empty()) {
    const size_t node = ready.back();
    ready.pop_back();
    for (size_t before : after[node]) {
      for (size_t word = 0; word < ancestors[node].size(); ++word)
        ancestors[node][word] |= ancestors[before][word];
      ancestors[node][before / 64] |= uint64_t(1) << before % 64;
    }
    for (size_t later : next[node])
      if (--waiting[later] == 0)
        ready.push_back(later);
  }
}

/// One operation's touches, of one kind after the other.
class LaunchOrder::Toucher {
public:
  Toucher(LaunchOrder &order, const OrderPoint &point, const OrderClock &clock,
          const NodeOrder *nodes)
      : order(order), point(point), clock(clock), nodes(nodes),
        self(uint32_t(order.operations.size() - 1)) {}

  void touch(Touch kind, std::span<const TouchedRange> ranges) {
    writes = kind >= Touch::StrongWrite;
    strong = kind == Touch::StrongRead || kind == Touch::StrongWrite;
    checkedWriters.clear();
    checkedSets.clear();
    setsWithThis.clear();
    std::vector<TouchedRange> pieces; // of one segment
    uint64_t segment = 0;
    const auto finish = [&] {
      if (!pieces.empty())
        touch(order.history[segment], pieces);
      pieces.clear();
    };
    for (auto [begin, end] : ranges)
      while (begin < end) {
        if (begin / segmentBytes != segment)
          finish();
        segment = begin / segmentBytes;
        const uint64_t stop = std::min(end, (segment + 1) * segmentBytes);
        pieces.push_back({begin, stop});
        begin = stop;
      }
    finish();
  }

  std::vector<Finding> findings;

private:
  void touch(Stretches &known, std::span<const TouchedRange> pieces) {
    Stretches made;
    made.reserve(known.size() + pieces.size());
    const auto add = [&](const Stretch &next) {
      if (next.begin >= next.end)
        return;
      if (!made.empty() && made.back().end == next.begin && made.back().writer == next.writer &&
          made.back().readers == next.readers)
        made.back().end = next.end;
      else
        made.push_back(next);
    };
    size_t at = 0;
    uint64_t done = 0;
    const auto copyUntil = [&](uint64_t end) {
      for (; at < known.size() && known[at].begin < end; ++at) {
        Stretch kept = known[at];
        kept.begin = std::max(kept.begin, done);
        kept.end = std::min(kept.end, end);
        add(kept);
        if (known[at].end > end)
          break;
      }
      done = end;
    };
    for (const TouchedRange &piece : pieces) {
      copyUntil(piece.begin);
      for (; done < piece.end; done = made.back().end) {
        while (at < known.size() && known[at].end <= done)
          ++at;
        Stretch past{.begin = done, .end = piece.end};
        if (at < known.size() && known[at].begin < piece.end) {
          if (known[at].begin > done) {
            past.end = known[at].begin;
          } else {
            past = known[at];
            past.begin = done;
            past.end = std::min(past.end, piece.end);
          }
        }
        add(touched(past));
      }
    }
    copyUntil(~uint64_t(0));
    known = std::move(made);
  }

  Stretch touched(Stretch past) {
    if (past.writer != nobody && checkedWriters.insert(past.writer).second)
      collide(past.writer, true, past.begin);
    if (writes) {
      if (checkedSets.insert(past.readers).second)
        for (const Access reader : order.readerSets[past.readers])
          collide(reader, false, past.begin);
      past.writer = 2 * self + strong;
      past.readers = 0;
    } else {
      const auto [found, isNew] = setsWithThis.try_emplace(past.readers);
      if (isNew)
        found->second = withThis(past.readers);
      past.readers = found->second;
    }
    return past;
  }

  /// Who comes after this read comes after those before it, too; but a strong read takes the place
  /// of no weak one.
  uint32_t withThis(uint32_t set) {
    std::vector<Access> readers;
    for (const Access reader : order.readerSets[set])
      if (reader / 2 == self || !comesBefore(reader) || (strong && reader % 2 == 0))
        readers.push_back(reader);
    const Access own = 2 * self + strong;
    if (std::ranges::find(readers, own) == readers.end())
      readers.push_back(own);
    return order.numberOf(std::move(readers));
  }

  bool comesBefore(Access access) const {
    const OrderPoint &other = order.operations[access / 2].point;
    if (other.line == point.line && other.count == point.count)
      return other.node == point.node || (nodes && nodes->comesAfter(point.node, other.node));
    return other.count <= clock.of(other.line);
  }

  void collide(Access other, bool otherWrites, uint64_t address) {
    if (comesBefore(other) || (other % 2 && strong) || !found.insert(other / 2).second)
      return;
    Finding finding;
    finding.check = "launch-race";
    finding.message =
        fmt::format("{} {} {:#x}, which {} {}: no stream, event or edge of a graph orders the two",
                    order.operations[self].name, writes ? "writes" : "reads", address,
                    order.operations[other / 2].name, otherWrites ? "writes" : "reads");
    finding.address = address;
    findings.push_back(std::move(finding));
  }

  LaunchOrder &order;
  const OrderPoint &point;
  const OrderClock &clock;
  const NodeOrder *nodes;
  const uint32_t self;
  std::unordered_set<uint32_t> found; ///< operations
  // Of the kind at hand:
  bool writes = false, strong = false;
  std::unordered_set<Access> checkedWriters;
  std::unordered_set<uint32_t> checkedSets;
  std::unordered_map<uint32_t, uint32_t> setsWithThis;
};

uint32_t LaunchOrder::numberOf(std::vector<Access> readers) {
  const auto [known, isNew] = setNumbers.try_emplace(std::move(readers), readerSets.size());
  if (isNew)
    readerSets.push_back(known->first);
  return known->second;
}

void LaunchOrder::tidy() {
  LaunchOrder fresh;
  std::unordered_map<uint32_t, uint32_t> numbers, sets;
  const auto renumbered = [&](Access access) {
    const auto [known, isNew] = numbers.try_emplace(access / 2, fresh.operations.size());
    if (isNew)
      fresh.operations.push_back(std::move(operations[access / 2]));
    return 2 * known->second + access % 2;
  };
  for (auto &[segment, stretches] : history)
    for (Stretch &stretch : stretches) {
      if (stretch.writer != nobody)
        stretch.writer = renumbered(stretch.writer);
      const auto [known, isNew] = sets.try_emplace(stretch.readers);
      if (isNew) {
        std::vector<Access> readers;
        for (const Access reader : readerSets[stretch.readers])
          readers.push_back(renumbered(reader));
        known->second = fresh.numberOf(std::move(readers));
      }
      stretch.readers = known->second;
    }
  fresh.history = std::move(history);
  fresh.tidyAt = std::max(tidyAt, 2 * fresh.operations.size());
  *this = std::move(fresh);
}

void LaunchOrder::forget(uint64_t address, uint64_t bytes) {
  const uint64_t end = address + bytes;
  for (auto at = history.lower_bound(address / segmentBytes);
       at != history.end() && at->first * segmentBytes < end;) {
    Stretches kept;
    for (const Stretch &stretch : at->second) {
      if (stretch.begin < address)
        kept.push_back(
            {stretch.begin, std::min(stretch.end, address), stretch.writer, stretch.readers});
      if (stretch.end > end)
        kept.push_back(
            {std::max(stretch.begin, end), stretch.end, stretch.writer, stretch.readers});
    }
    at->second = std::move(kept);
    at = at->second.empty() ? history.erase(at) : std::next(at);
  }
}

std::vector<Finding> LaunchOrder::touch(const OrderPoint &point, const OrderClock &clock,
                                        const NodeOrder *nodes, const std::string &name,
                                        const Footprint &footprint) {
  if (std::ranges::all_of(footprint, [](const auto &ranges) { return ranges.empty(); }))
    return {};
  if (operations.size() >= tidyAt)
    tidy();
  operations.push_back({point, name});
  Toucher toucher(*this, point, clock, nodes);
  for (size_t kind = 0; kind < touchKinds; ++kind)
    toucher.touch(Touch(kind), footprint[kind]);
  return std::move(toucher.findings);
}

} // namespace ingot::emulator
