#include "runtime/emulator/checks/LaunchOrder.h"
#include <algorithm>
#include <tuple>

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

void normaliseFootprint(Footprint &footprint) {
  const auto kind = [](const TouchedRange &range) { return std::pair(range.writes, range.strong); };
  std::ranges::sort(footprint, [&](const TouchedRange &a, const TouchedRange &b) {
    return std::tuple(kind(a), a.address) < std::tuple(kind(b), b.address);
  });
  size_t kept = 0;
  for (const TouchedRange &range : footprint)
    if (kept && kind(footprint[kept - 1]) == kind(range) &&
        range.address <= footprint[kept - 1].end)
      footprint[kept - 1].end = std::max(footprint[kept - 1].end, range.end);
    else
      footprint[kept++] = range;
  footprint.resize(kept);
}

void LaunchOrder::cutAt(uint64_t address) {
  auto at = history.upper_bound(address);
  if (at == history.begin())
    return;
  --at;
  if (at->first == address || at->second.end <= address)
    return;
  Bytes rest = at->second;
  at->second.end = address;
  history.emplace_hint(std::next(at), address, std::move(rest));
}

void LaunchOrder::forget(uint64_t address, uint64_t bytes) {
  cutAt(address);
  cutAt(address + bytes);
  history.erase(history.lower_bound(address), history.lower_bound(address + bytes));
}

std::vector<Finding> LaunchOrder::touch(const OrderPoint &point, const OrderClock &clock,
                                        const NodeOrder *nodes, const std::string &name,
                                        const Footprint &footprint) {
  const auto comesBefore = [&](const OrderPoint &other) {
    if (other.line == point.line && other.count == point.count)
      return other.node == point.node || (nodes && nodes->comesAfter(point.node, other.node));
    return other.count <= clock.of(other.line);
  };
  std::vector<Finding> findings;
  std::vector<OrderPoint> found;
  const auto collide = [&](const Access &other, bool otherWrites, const TouchedRange &range,
                           uint64_t address) {
    if (comesBefore(other.point) || (other.strong && range.strong) ||
        std::ranges::find(found, other.point) != found.end())
      return;
    found.push_back(other.point);
    Finding finding;
    finding.check = "launch-race";
    finding.message = fmt::format(
        "{} {} {:#x}, which {} {}: no stream, event or edge of a graph orders the two", name,
        range.writes ? "writes" : "reads", address, *other.name, otherWrites ? "writes" : "reads");
    finding.address = address;
    findings.push_back(std::move(finding));
  };
  const auto shared = std::make_shared<const std::string>(name);
  for (const TouchedRange &range : footprint) {
    if (range.address >= range.end)
      continue;
    cutAt(range.address);
    cutAt(range.end);
    const auto first = history.lower_bound(range.address), last = history.lower_bound(range.end);
    const Access access{point, shared, range.strong};
    for (auto at = first; at != last; ++at) {
      if (at->second.writer)
        collide(*at->second.writer, true, range, at->first);
      if (range.writes)
        for (const Access &reader : at->second.readers)
          collide(reader, false, range, at->first);
    }
    if (range.writes) {
      history.erase(first, last);
      history.emplace(range.address, Bytes{range.end, access, {}});
      continue;
    }
    uint64_t covered = range.address;
    for (auto at = first; at != last; ++at) {
      if (covered < at->first)
        history.emplace_hint(at, covered, Bytes{at->first, std::nullopt, {access}});
      covered = at->second.end;
      // Who comes after this read comes after those before it, too.
      std::vector<Access> &readers = at->second.readers;
      std::erase_if(readers, [&](const Access &reader) { return comesBefore(reader.point); });
      readers.push_back(access);
    }
    if (covered < range.end)
      history.emplace(covered, Bytes{range.end, std::nullopt, {access}});
  }
  return findings;
}

} // namespace ingot::emulator
