#include "runtime/emulator/checks/RegisterCheck.h"
#include <algorithm>
#include <set>

namespace ingot::emulator {
namespace {

using Slots = std::set<Slot>;

/// The instructions that may follow `index`.
std::vector<uint32_t> successors(const CompiledFunction &function, uint32_t index) {
  const ptx::Instruction *source = function.details[index].source;
  if (!source)
    return {};
  const bool guarded = source->guard >= 0;
  std::vector<uint32_t> next;
  if (source->opcode == "bra")
    next.push_back(function.code[index].target);
  const bool ends = source->opcode == "bra" || source->opcode == "ret" ||
                    source->opcode == "exit" || source->opcode == "trap";
  if ((!ends || guarded) && index + 1 < function.code.size())
    next.push_back(index + 1);
  return next;
}

/// What only hands values on. Compilers copy what nobody has written, the gaps of structures for
/// one, through registers and local memory.
bool handsOn(const Detail &detail) {
  if (detail.kind == Class::Move)
    return true;
  return detail.source && detail.source->opcode == "st" &&
         std::any_of(detail.source->modifiers.begin(), detail.source->modifiers.end(),
                     [](std::string_view m) { return m == "local" || m.starts_with("param"); });
}

/// Parts of a vector of narrow elements become one register. Compilers leave out those that nobody
/// reads, and take the others out again: the whole counts as written if one part is.
bool packs(const Detail &detail) {
  constexpr int widest = 16; // bits
  int parts = 0;
  for (const Detail::Use &use : detail.uses)
    if (!use.written) {
      if (use.bits > widest)
        return false;
      ++parts;
    }
  return detail.kind == Class::Move && parts > 1;
}

/// What the function's caller has written.
Slots parametersOf(const CompiledFunction &function) {
  Slots slots;
  for (const Place &place : function.parameters)
    if (place.slot != noSlot)
      slots.insert(place.slot);
  return slots;
}

void apply(const CompiledFunction &function, uint32_t index, Slots &written) {
  const Detail &detail = function.details[index];
  if (detail.source && detail.source->guard >= 0)
    return;
  if (handsOn(detail)) {
    const auto isMissing = [&](const Detail::Use &use) {
      return !use.written && !written.contains(use.slot);
    };
    const auto reads = std::ranges::count(detail.uses, false, &Detail::Use::written);
    const auto missing = std::ranges::count_if(detail.uses, isMissing);
    if (packs(detail) ? missing == reads : missing > 0)
      return;
  }
  for (const Detail::Use &use : detail.uses)
    if (use.written)
      written.insert(use.slot);
}

/// Registers that every path to an instruction has written; nothing for what cannot be reached.
std::vector<std::optional<Slots>> writtenBefore(const CompiledFunction &function) {
  std::vector<std::optional<Slots>> before(function.code.size());
  before[0] = parametersOf(function);
  std::vector<uint32_t> work = {0};
  while (!work.empty()) {
    const uint32_t index = work.back();
    work.pop_back();
    Slots after = *before[index];
    apply(function, index, after);
    for (uint32_t next : successors(function, index)) {
      if (!before[next]) {
        before[next] = after;
        work.push_back(next);
      } else if (std::erase_if(*before[next], [&](Slot slot) { return !after.contains(slot); })) {
        work.push_back(next);
      }
    }
  }
  return before;
}

} // namespace

RegisterFacts RegisterFacts::of(const CompiledFunction &function) {
  RegisterFacts facts;
  // Where a branch may go anywhere, everything is watched.
  const bool indirect =
      std::any_of(function.details.begin(), function.details.end(),
                  [](const Detail &d) { return d.source && d.source->opcode == "brx"; });
  std::vector<std::optional<Slots>> before;
  if (indirect)
    before.assign(function.code.size(), parametersOf(function));
  else
    before = writtenBefore(function);
  Slots watched;
  std::vector<Watched> instructions(function.code.size());
  for (size_t i = 0; i < function.code.size(); ++i) {
    const Detail &detail = function.details[i];
    instructions[i].moves = handsOn(detail);
    if (!before[i])
      continue;
    for (const Detail::Use &use : detail.uses)
      if (!use.written && !before[i]->contains(use.slot)) {
        instructions[i].reads.push_back(use);
        watched.insert(use.slot);
      }
  }
  if (watched.empty())
    return facts;
  // A watched register may have got its value from another one.
  for (bool grows = true; grows;) {
    grows = false;
    for (const Detail &detail : function.details) {
      const auto isWatched = [&](const Detail::Use &use) {
        return use.written && watched.contains(use.slot);
      };
      if (handsOn(detail) && std::any_of(detail.uses.begin(), detail.uses.end(), isWatched))
        for (const Detail::Use &use : detail.uses)
          grows |= !use.written && watched.insert(use.slot).second;
    }
  }
  for (size_t i = 0; i < function.code.size(); ++i)
    for (const Detail::Use &use : function.details[i].uses) {
      if (use.written && watched.contains(use.slot))
        instructions[i].writes.push_back(use);
      const auto same = [&](const Detail::Use &read) { return read.slot == use.slot; };
      if (instructions[i].moves && !use.written && watched.contains(use.slot) &&
          std::none_of(instructions[i].reads.begin(), instructions[i].reads.end(), same))
        instructions[i].reads.push_back(use);
    }
  for (size_t i = 0; i < function.code.size(); ++i)
    if (const Detail &detail = function.details[i]; packs(detail)) {
      instructions[i].packs = true;
      if (instructions[i].reads.size() + 1 < detail.uses.size())
        instructions[i].reads.clear(); // a part is written on every path
    }
  facts.instructions = std::move(instructions);
  facts.shadowWords = uint32_t(function.image.size() / 4 + 1);
  return facts;
}

const Detail::Use *followRegisters(const RegisterFacts::Watched &watched, uint32_t *shadow,
                                   uint32_t &mask) {
  uint32_t missing = 0;
  const Detail::Use *first = nullptr;
  for (const Detail::Use &use : watched.reads)
    if (const uint32_t lacking = mask & ~shadow[use.slot / 4]) {
      missing |= lacking;
      if (!first)
        first = &use;
    }
  if (watched.packs)
    for (const Detail::Use &use : watched.reads)
      missing &= ~shadow[use.slot / 4];
  // Reported once, not again by everything that is computed from it.
  const uint32_t written = watched.moves ? mask & ~missing : mask;
  for (const Detail::Use &use : watched.writes)
    shadow[use.slot / 4] = (shadow[use.slot / 4] & ~mask) | written;
  if (watched.moves || !first)
    return nullptr;
  for (const Detail::Use &use : watched.reads)
    shadow[use.slot / 4] |= missing;
  mask = missing;
  return first;
}

} // namespace ingot::emulator
