#include "runtime/program/PersistentLayout.h"
#include "runtime/program/TaskGraph.h"
#include <algorithm>
#include <set>

namespace ingot {
namespace {

/// Of every tensor in its place; a group starts at a multiple, so its tensors keep theirs.
constexpr int64_t alignment = 64;

void visitCalls(std::span<const Step> steps, int64_t trips,
                const std::function<void(const CallStep &, int64_t)> &visit) {
  for (const Step &step : steps) {
    if (auto *call = std::get_if<CallStep>(&step.node)) {
      visit(*call, trips);
    } else if (auto *loop = std::get_if<LoopStep>(&step.node)) {
      visitCalls(loop->body, std::max<int64_t>(1, loop->trips), visit);
    } else {
      const auto &branch = std::get<IfStep>(step.node);
      visitCalls(branch.thenBody, trips, visit);
      visitCalls(branch.elseBody, trips, visit);
    }
  }
}

/// Scalars by which steps are chosen: visit(first byte, behind the last).
void visitScalars(std::span<const Step> steps, const std::function<void(int64_t, int64_t)> &visit) {
  for (const Step &step : steps) {
    if (auto *loop = std::get_if<LoopStep>(&step.node)) {
      if (loop->count)
        visit(*loop->count, *loop->count + int64_t(sizeof(int64_t)));
      visitScalars(loop->body, visit);
    } else if (auto *branch = std::get_if<IfStep>(&step.node)) {
      visit(branch->condition, branch->condition + 1);
      visitScalars(branch->thenBody, visit);
      visitScalars(branch->elseBody, visit);
    }
  }
}

/// Every stretch of persistent memory that something names or reaches.
std::vector<ByteRange> accesses(const Program &program) {
  std::vector<ByteRange> ranges;
  auto add = [&](int64_t first, int64_t end) {
    if (first < end && first < program.persistentBytes)
      ranges.push_back({first / alignment * alignment, end});
  };
  for (const Constant &constant : program.constants)
    add(constant.offset, constant.offset + int64_t(constant.value.bytes()));
  for (const Function &function : program.functions) {
    for (const Port &port : function.ports)
      add(port.offset, port.offset + port.memoryBytes());
    forEachCall(function.steps, [&](const CallStep &call, int64_t trips) {
      const TaskMemory memory = memoryOf(program.kernels[call.kernel], call, trips);
      for (const std::vector<ByteRange> &part : {memory.reads, memory.writes})
        for (const ByteRange &range : part)
          add(range.first, range.end);
    });
    visitScalars(function.steps, add);
  }
  std::ranges::sort(ranges, {}, &ByteRange::first);
  return ranges;
}

} // namespace

void forEachCall(std::span<const Step> steps,
                 const std::function<void(const CallStep &, int64_t trips)> &visit) {
  visitCalls(steps, 1, visit);
}

Result<std::vector<PersistentGroup>> persistentGroups(const Program &program) {
  std::vector<PersistentGroup> groups;
  for (const ByteRange &range : accesses(program))
    if (groups.empty() || groups.back().end <= range.first)
      groups.push_back({range.first, range.end, {}, {}});
    else
      groups.back().end = std::max(groups.back().end, range.end);

  auto groupAt = [&](int64_t offset) -> PersistentGroup & {
    return *std::prev(std::ranges::upper_bound(groups, offset, {}, &PersistentGroup::first));
  };
  std::set<std::string_view> seen;
  for (const Function &function : program.functions)
    for (const Port &port : function.ports)
      if (isPersistent(port.role) && port.bytes() && seen.insert(port.name).second)
        groupAt(port.offset).tensors.push_back(&port);
  for (const Constant &constant : program.constants)
    if (constant.value.bytes())
      groupAt(constant.offset).constants.push_back(&constant);
  for (PersistentGroup &group : groups) {
    std::ranges::sort(group.tensors, {}, [](const Port *port) { return port->offset; });
    if (!group.tensors.empty() && !group.constants.empty())
      return failure(Error::Code::BadInput, "",
                     "unsound program: something reaches over both '{}' and a constant",
                     group.tensors.front()->name);
  }
  return groups;
}

bool writesPersistent(const Program &program, const Function &function) {
  bool writes = false;
  forEachCall(function.steps, [&](const CallStep &call, int64_t trips) {
    for (const ByteRange &range : memoryOf(program.kernels[call.kernel], call, trips).writes)
      writes |= range.first < program.persistentBytes;
  });
  return writes;
}

} // namespace ingot
