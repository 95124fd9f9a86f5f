#include "runtime/emulator/checks/AsyncChecks.h"
#include "runtime/emulator/machine/AsyncMemory.h"
#include "runtime/emulator/machine/MemoryAccess.h"
#include <algorithm>

namespace ingot::emulator {

namespace {

bool isAsync(Access::Kind kind) {
  return kind == Access::Kind::AsyncRead || kind == Access::Kind::AsyncWrite ||
         kind == Access::Kind::AsyncReduce;
}

int lineOf(const Warp &warp, const Instruction &instruction) {
  const ptx::Instruction *source = warp.frame->function->details[instruction.index].source;
  return source ? source->line : 0;
}

size_t warpsPerBlock(const LaunchRequest &request) {
  return (request.block.count() + lanes - 1) / lanes;
}

} // namespace

AsyncChecks::AsyncChecks(Cluster &cluster, const ThreadClocks &clocks, bool multiplies)
    : clocks(clocks), operations(1) {
  const LaunchRequest &request = cluster.launch->request;
  const size_t bytes =
      static_cast<size_t>(request.kernel->dynamicSharedOffset + request.dynamicSharedBytes);
  const size_t count = (bytes + granule - 1) / granule;
  shared.resize(request.cluster.count());
  for (SharedState &state : shared) {
    state.writers.assign(count, 0);
    state.readers.assign(count, 0);
    state.readCount.assign(count, 0);
  }
  if (multiplies)
    warps.resize(shared.size() * warpsPerBlock(request));
  for (WarpState &state : warps)
    state.used.assign(request.kernel->functions[0]->image.size() / 64 + 1, 0);
}

AsyncChecks::WarpState &AsyncChecks::stateOf(const Warp &warp) {
  return warps[warp.block->rank * warpsPerBlock(warp.launch->request) +
               static_cast<size_t>(warp.index)];
}

AsyncChecks::Operation &AsyncChecks::operationOf(Warp &warp, const Instruction &instruction,
                                                 uint64_t id) {
  const auto [place, fresh] = numbers.try_emplace(id, 0);
  if (fresh) {
    if (freeNumbers.empty()) {
      place->second = static_cast<uint32_t>(operations.size());
      operations.emplace_back();
    } else {
      place->second = freeNumbers.back();
      freeNumbers.pop_back();
    }
    Operation &operation = operations[place->second];
    operation.id = id;
    operation.line = lineOf(warp, instruction);
    operation.instruction = &instruction;
    operation.warp = &warp;
    operation.issue = clocks.entryOf(warp);
    operation.executed = warp.executed;
  }
  return operations[place->second];
}

void AsyncChecks::report(Warp &warp, const Instruction &instruction, int lane, bool writes,
                         const std::string &where, uint64_t address, const Met &met) const {
  const auto &[operation, range] = met;
  const uint32_t mask = uint32_t(1) << std::max(lane, 0);
  const std::string what =
      fmt::format("{} {}, which the operation of line {} still {}", writes ? "writes" : "reads",
                  where, operation->line, range->writes() ? "writes" : "reads");
  if (clocks.knowsIssue(warp, lane, operation->issue, range->lane))
    warp.report(instruction, mask, "async", what + ": it has not been waited for", address);
  else
    warp.report(instruction, mask,
                range->space == Space::Shared ? CheckName("shared-race") : CheckName("global-race"),
                what + ", with nothing to order the two", address);
}

AsyncChecks::Met AsyncChecks::meets(const Operation *self, Access::Kind kind, uint64_t begin,
                                    uint64_t end) const {
  const bool writes = kind != Access::Kind::Read && kind != Access::Kind::AsyncRead;
  for (const uint32_t number : globalOwners) {
    const Operation &operation = operations[number];
    if (&operation == self || begin >= operation.globalEnd || end <= operation.globalBegin)
      continue;
    for (const Range &range : operation.ranges) {
      if (range.space != Space::Global || begin >= range.end || range.begin >= end)
        continue;
      if (!writes && !range.writes())
        continue;
      if (kind == Access::Kind::AsyncReduce && range.kind == kind)
        continue;
      // Lanes of one instruction: the check of races knows whether they write the same.
      if (self && self->instruction == operation.instruction && self->warp == operation.warp &&
          self->executed == operation.executed)
        continue;
      return {&operation, &range};
    }
  }
  return {};
}

AsyncChecks::Met AsyncChecks::meetsAt(uint32_t rank, uint64_t place, bool writes) const {
  const SharedState &state = shared[rank];
  const uint32_t writer = state.writers[place];
  if (!writer && !(writes && state.readCount[place]))
    return {};
  const Operation &operation = operations[writer ? writer : state.readers[place]];
  const auto range = std::ranges::find_if(operation.ranges, [&](const Range &each) {
    return each.space == Space::Shared && each.block == rank && each.writes() == (writer != 0) &&
           each.begin <= place && place < each.end;
  });
  return range == operation.ranges.end() ? Met() : Met{&operation, &*range};
}

bool AsyncChecks::asyncRange(Warp &warp, const Instruction &instruction, int lane, uint64_t id,
                             Access::Kind kind, Space space, uint64_t address, uint64_t bytes) {
  Operation &operation = operationOf(warp, instruction, id);
  const auto number = static_cast<uint32_t>(&operation - operations.data());
  const bool writes = kind != Access::Kind::AsyncRead;
  if (space != Space::Shared) {
    const Met met = writes ? meets(&operation, kind, address, address + bytes) : Met();
    if (met.operation)
      report(warp, instruction, lane, writes,
             fmt::format("{:#x}{}", address, warp.launch->memory.describe(address)), address, met);
    operation.ranges.push_back({Space::Global, kind, lane, 0, address, address + bytes});
    operation.globalBegin = std::min(operation.globalBegin, address);
    operation.globalEnd = std::max(operation.globalEnd, address + bytes);
    if (globalOwners.empty() || globalOwners.back() != number)
      globalOwners.push_back(number);
    return met.operation;
  }
  const auto low = static_cast<uint32_t>(address);
  const uint32_t rank = low >> clusterRankShift;
  SharedState &state = shared[rank];
  const uint64_t begin = sharedOffset(low) / granule,
                 end = (sharedOffset(low) + bytes + granule - 1) / granule;
  Met met;
  for (uint64_t i = begin; i < end; ++i) {
    if (const Met other = meetsAt(rank, i, writes);
        other.operation && other.operation != &operation)
      met = other;
    if (writes) {
      state.writers[i] = number;
    } else {
      state.readers[i] = number;
      ++state.readCount[i];
    }
  }
  const auto reduces = [&](const Range &range) { return range.kind == Access::Kind::AsyncReduce; };
  if (met.operation && kind == Access::Kind::AsyncReduce &&
      std::ranges::all_of(met.operation->ranges, reduces))
    met = {};
  if (met.operation)
    report(warp, instruction, lane, writes,
           placeShared(*warp.block->cluster->blocks[rank], sharedOffset(low)), address, met);
  operation.ranges.push_back({Space::Shared, kind, lane, rank, begin, end});
  return met.operation;
}

void AsyncChecks::asyncRegisters(Warp &warp, const Instruction &instruction, uint64_t id,
                                 std::span<const Slot> read, std::span<const Slot> written) {
  Operation &operation = operationOf(warp, instruction, id);
  const auto number = static_cast<uint32_t>(&operation - operations.data());
  operation.registers.push_back(
      {&warp, warp.frame, {read.begin(), read.end()}, {written.begin(), written.end()}});
  if (std::find(registerOwners.begin(), registerOwners.end(), number) == registerOwners.end())
    registerOwners.push_back(number);
  if (warps.empty() || warp.frame->caller)
    return;
  const WarpState &state = stateOf(warp);
  for (const std::span<const Slot> slots : {read, written})
    for (const Slot slot : slots)
      if (!state.fenced || state.used[slot / 64] > state.fenced)
        return warp.report(instruction, 1, "wgmma-fence",
                           "the program has used a register of this product since the last "
                           "wgmma.fence");
}

void AsyncChecks::release(Operation &operation, uint32_t mask, bool readingAlone) {
  const auto number = static_cast<uint32_t>(&operation - operations.data());
  const auto isOver = [&](const Range &range) {
    return (range.lanes() & mask) && !(readingAlone && range.writes());
  };
  for (const Range &range : operation.ranges) {
    if (range.space != Space::Shared || !isOver(range))
      continue;
    SharedState &state = shared[range.block];
    for (uint64_t i = range.begin; i < range.end; ++i) {
      if (!range.writes())
        --state.readCount[i];
      else if (state.writers[i] == number)
        state.writers[i] = 0;
    }
  }
  std::erase_if(operation.ranges, isOver);
}

void AsyncChecks::asyncDone(uint64_t id, uint32_t mask, bool readingAlone) {
  const auto found = numbers.find(id);
  if (found == numbers.end())
    return;
  const uint32_t number = found->second;
  Operation &operation = operations[number];
  release(operation, mask, readingAlone);
  if (readingAlone || !operation.ranges.empty())
    return;
  std::erase(globalOwners, number);
  std::erase(registerOwners, number);
  operation = {};
  freeNumbers.push_back(number);
  numbers.erase(found);
}

void AsyncChecks::registerFence(Warp &warp) {
  if (!warps.empty())
    stateOf(warp).fenced = warp.executed;
}

void AsyncChecks::instruction(Warp &warp, const Instruction &instruction, uint32_t mask) {
  if (!mask)
    return;
  const Detail &detail = warp.frame->function->details[instruction.index];
  if (detail.kind == Class::Tensor) // products of one accumulator follow each other
    return;
  // A mov is no use: compilers put copies behind the fence, and the assembler makes them vanish.
  if (!warps.empty() && !warp.frame->caller && detail.kind != Class::Move) {
    WarpState &state = stateOf(warp);
    for (const Detail::Use &use : detail.uses)
      state.used[use.slot / 64] = warp.executed;
  }
  if (!registerOwners.empty())
    checkRegistersInUse(warp, instruction, mask);
}

void AsyncChecks::checkRegistersInUse(Warp &warp, const Instruction &instruction, uint32_t mask) {
  const Detail &detail = warp.frame->function->details[instruction.index];
  for (const uint32_t number : registerOwners)
    for (const Registers &registers : operations[number].registers) {
      if (registers.warp != &warp || registers.frame != warp.frame)
        continue;
      for (const Detail::Use &use : detail.uses) {
        const auto holds = [&](const std::vector<Slot> &slots) {
          return std::find(slots.begin(), slots.end(), use.slot) != slots.end();
        };
        const bool owned = holds(registers.written);
        if (!owned && !(use.written && holds(registers.read)))
          continue;
        warp.report(instruction, mask, "async",
                    fmt::format("{} a register that the wgmma of line {} still {}: it has not been "
                                "waited for",
                                use.written ? "writes" : "reads", operations[number].line,
                                owned ? "writes" : "reads"));
        return;
      }
    }
}

bool AsyncChecks::accessShared(Warp &warp, const Instruction &instruction, const Access &access,
                               const Runs &runs) {
  if (numbers.empty())
    return false;
  const bool writes = access.kind != Access::Kind::Read;
  const auto isFree = [&](const Run &run) {
    const auto low = static_cast<uint32_t>(run.address);
    const SharedState &state = shared[low >> clusterRankShift];
    uint32_t users = 0;
    for (uint32_t i = sharedOffset(low) / granule; i * granule < sharedOffset(low) + run.bytes; ++i)
      users |= state.writers[i] | (writes ? state.readCount[i] : 0u);
    return !users;
  };
  if (std::ranges::all_of(runs, isFree))
    return false;
  bool found = false;
  forLanes(access.mask, [&](int lane) {
    const auto low = static_cast<uint32_t>(access.addresses[lane]);
    const uint32_t begin = sharedOffset(low) / granule,
                   end = (sharedOffset(low) + access.bytes + granule - 1) / granule;
    const uint32_t rank = low >> clusterRankShift;
    for (uint32_t i = begin; i < end; ++i) {
      const Met met = meetsAt(rank, i, writes);
      if (!met.operation)
        continue;
      found = true;
      return report(warp, instruction, lane, writes,
                    placeShared(*warp.block->cluster->blocks[rank], i * granule),
                    access.addressOf(lane), met);
    }
  });
  return found;
}

bool AsyncChecks::accessGlobal(Warp &warp, const Instruction &instruction, const Access &access) {
  if (globalOwners.empty())
    return false;
  bool found = false;
  forLanes(access.mask, [&](int lane) {
    const uint64_t begin = access.addresses[lane];
    const Met met = meets(nullptr, access.kind, begin, begin + access.bytes);
    if (!met.operation)
      return;
    found = true;
    report(warp, instruction, lane, access.kind != Access::Kind::Read,
           fmt::format("{:#x}{}", begin, warp.launch->memory.describe(begin)), begin, met);
  });
  return found;
}

bool AsyncChecks::access(Warp &warp, const Instruction &instruction, const Access &access,
                         const Runs &runs) {
  if (isAsync(access.kind)) // asyncRange says more
    return false;
  if (access.space == Space::Shared)
    return accessShared(warp, instruction, access, runs);
  return access.space == Space::Global && accessGlobal(warp, instruction, access);
}

} // namespace ingot::emulator
