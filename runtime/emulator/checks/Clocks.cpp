#include "runtime/emulator/checks/Clocks.h"
#include <algorithm>
#include <bit>

namespace ingot::emulator {

const Clocks::Detail *Clocks::detailOf(Slot16 slot) const {
  for (const Detail &detail : details)
    if (detail.first == slot)
      return &detail;
  return nullptr;
}

bool Clocks::knowsDetail(Slot16 slot, int lane, uint32_t clock) const {
  const Detail *detail = detailOf(slot);
  return detail && detail->second[size_t(lane)] >= clock;
}

Clocks::Detail &Clocks::makeDetail(Slot16 slot) {
  if (const Detail *detail = detailOf(slot))
    return const_cast<Detail &>(*detail);
  return details.emplace_back(slot, std::array<uint32_t, lanes>());
}

void Clocks::settle() {
  std::erase_if(details, [&](const Detail &detail) {
    raise(detail.first, std::ranges::min(detail.second));
    return std::ranges::max(detail.second) <= base(detail.first);
  });
}

void Clocks::raise(Slot16 slot, uint32_t mask, uint32_t clock) {
  if (base(slot) >= clock)
    return;
  Detail &detail = makeDetail(slot);
  for (; mask; mask &= mask - 1) {
    uint32_t &time = detail.second[size_t(std::countr_zero(mask))];
    time = std::max(time, clock);
  }
  settle();
}

void Clocks::absorb(const Clocks &other) {
  if (times.size() < other.times.size())
    times.resize(other.times.size());
  for (size_t i = 0; i < other.times.size(); ++i)
    times[i] = std::max(times[i], other.times[i]);
  if (details.empty() && other.details.empty())
    return;
  for (const Detail &theirs : other.details) {
    Detail &detail = makeDetail(theirs.first);
    for (size_t lane = 0; lane < lanes; ++lane)
      detail.second[lane] = std::max(detail.second[lane], theirs.second[lane]);
  }
  settle();
}

bool Clocks::covers(const Clocks &other) const {
  for (size_t i = times.size(); i < other.times.size(); ++i)
    if (other.times[i] && (details.empty() || !detailOf(Slot16(i))))
      return false;
  bool covered = true;
  for (size_t i = 0; i < std::min(times.size(), other.times.size()); ++i)
    covered &= times[i] >= other.times[i];
  if (!covered)
    return false; // lanes of their own may reach as far, but that is rare
  for (const Detail &theirs : other.details)
    for (int lane = 0; lane < lanes; ++lane)
      if (!knows(theirs.first, lane, theirs.second[size_t(lane)]))
        return false;
  return true;
}

std::shared_ptr<const Clocks> joined(const std::shared_ptr<const Clocks> &a,
                                     const std::shared_ptr<const Clocks> &b) {
  if (!b || a == b)
    return a;
  if (!a)
    return b;
  if (a->covers(*b))
    return a;
  if (b->covers(*a))
    return b;
  auto both = std::make_shared<Clocks>(*a);
  both->absorb(*b);
  return both;
}

std::shared_ptr<const Foreign> Foreign::joined(const std::shared_ptr<const Foreign> &a,
                                               const std::shared_ptr<const Foreign> &b) {
  if (!b || a == b)
    return a;
  if (!a)
    return b;
  auto both = std::make_shared<Foreign>();
  both->entries.reserve(std::max(a->entries.size(), b->entries.size()));
  bool isA = true, isB = true;
  for (auto left = a->entries.begin(), right = b->entries.begin();
       left != a->entries.end() || right != b->entries.end();) {
    if (right == b->entries.end() || (left != a->entries.end() && left->first < right->first)) {
      both->entries.push_back(*left++);
      isB = false;
    } else if (left == a->entries.end() || right->first < left->first) {
      both->entries.push_back(*right++);
      isA = false;
    } else {
      both->entries.emplace_back(left->first, emulator::joined(left->second, right->second));
      isA &= both->entries.back().second == left->second;
      isB &= both->entries.back().second == right->second;
      ++left, ++right;
    }
  }
  return isA ? a : isB ? b : both;
}

void Knowledge::join(const Knowledge &other) {
  local = joined(local, other.local);
  foreign = Foreign::joined(foreign, other.foreign);
}

const Clocks *Foreign::of(uint32_t cluster) const {
  const auto found = std::ranges::lower_bound(entries, cluster, {}, &Entry::first);
  return found != entries.end() && found->first == cluster ? found->second.get() : nullptr;
}

void Foreign::hear(Knowledge &known, uint32_t self, uint32_t cluster, const Knowledge &heard) {
  if (cluster == self)
    return known.join(heard);
  const auto find = [&](uint32_t number) -> std::shared_ptr<const Clocks> {
    if (!heard.foreign)
      return nullptr;
    const auto &entries = heard.foreign->entries;
    const auto found = std::ranges::lower_bound(entries, number, {}, &Entry::first);
    return found != entries.end() && found->first == number ? found->second : nullptr;
  };
  known.local = emulator::joined(known.local, find(self));
  known.foreign = joined(known.foreign, heard.foreign);
  if (!heard.local)
    return;
  if (known.foreign) {
    if (const Clocks *old = known.foreign->of(cluster); old && old->covers(*heard.local))
      return;
  }
  auto single = std::make_shared<Foreign>();
  single->entries.emplace_back(cluster, heard.local);
  known.foreign = joined(known.foreign, single);
}

} // namespace ingot::emulator
