#include "runtime/cuda/StepGraph.h"
#include "runtime/program/Loops.h"
#include "runtime/program/TaskGraph.h"
#include <algorithm>

namespace ingot::cuda {
namespace {

/// Whether a step calls no kernel and checks no trip count.
bool isIdle(const Step &step) {
  const auto *loop = std::get_if<LoopStep>(&step.node);
  return !(loop && loop->count) && !callsKernels(std::span(&step, 1));
}

/// Calls of the steps with all loops unrolled; nothing where the host must walk them, or where
/// there are too many.
std::optional<int64_t> unrolledCalls(std::span<const Step> steps) {
  int64_t total = 0;
  for (const Step &step : steps) {
    if (std::holds_alternative<CallStep>(step.node)) {
      ++total;
    } else if (isIdle(step)) {
      continue;
    } else if (const auto *loop = std::get_if<LoopStep>(&step.node)) {
      const std::optional<int64_t> body = unrolledCalls(loop->body);
      if (!body || loop->count || loop->counter ||
          (*body > 0 && loop->trips > mostUnrolled / *body))
        return std::nullopt;
      total += *body * loop->trips;
    } else {
      return std::nullopt;
    }
    if (total > mostUnrolled)
      return std::nullopt;
  }
  return total;
}

class Planner {
public:
  GpuSteps plan(std::span<const Step> steps, int64_t iteration) {
    Planner inner;
    inner.add(steps, iteration);
    return std::move(inner.planned);
  }

  void add(std::span<const Step> steps, int64_t iteration) {
    for (const Step &step : steps) {
      if (const auto *call = std::get_if<CallStep>(&step.node)) {
        add(*call, iteration);
      } else if (isIdle(step)) {
        continue;
      } else if (const auto *loop = std::get_if<LoopStep>(&step.node)) {
        if (!callsKernels(loop->body))
          planned.push_back({WalkedLoop{loop, {}}});
        else if (unrolledCalls(std::span(&step, 1)))
          for (int64_t trip = 0; trip < loop->trips; ++trip)
            add(loop->body, numberOf(*loop, trip, loop->trips));
        else
          planned.push_back({WalkedLoop{loop, plan(loop->body, UnrolledCall::walked)}});
      } else {
        const auto &branch = std::get<IfStep>(step.node);
        planned.push_back({WalkedBranch{branch.condition, plan(branch.thenBody, iteration),
                                        plan(branch.elseBody, iteration)}});
      }
    }
  }

  GpuSteps planned;

private:
  void add(const CallStep &call, int64_t iteration) {
    auto *last = planned.empty() ? nullptr : std::get_if<CallSequence>(&planned.back().node);
    if (!last || last->calls.size() >= size_t(mostNodes))
      last = &std::get<CallSequence>(planned.emplace_back().node);
    last->calls.push_back({&call, iteration});
    last->moves |= iteration == UnrolledCall::walked && !call.strides.empty();
  }
};

/// The call in one iteration of the loop around it: its arguments have moved.
CallStep inIteration(const CallStep &call, int64_t iteration) {
  CallStep moved{.kernel = call.kernel, .arguments = call.arguments, .strides = {}, .op = {}};
  for (size_t i = 0; i < call.strides.size(); ++i)
    moved.arguments[i] += iteration * call.strides[i];
  return moved;
}

ByteRange rangeOf(const Port &port) { return {port.offset, port.offset + int64_t(port.bytes())}; }

Result<CUgraphNode> addCopy(const Gpu &gpu, const LaunchContext &context, CUgraph graph,
                            const InputCopy &copy, std::span<const CUgraphNode> after) {
  CUDA_MEMCPY3D box = {};
  box.srcMemoryType = box.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  box.srcDevice = copy.from;
  box.dstDevice = reinterpret_cast<CUdeviceptr>(context.addresses.at(copy.port->offset));
  box.WidthInBytes = box.srcPitch = box.dstPitch = copy.port->bytes();
  box.Height = box.Depth = box.srcHeight = box.dstHeight = 1;
  CUcontext current = nullptr;
  CUgraphNode made = nullptr;
  CUresult result = gpu.driver.cuCtxGetCurrent(&current);
  if (result == CUDA_SUCCESS)
    result =
        gpu.driver.cuGraphAddMemcpyNode(&made, graph, after.data(), after.size(), &box, current);
  INGOT_TRY(gpu.check(result, fmt::format("copying the input '{}'", copy.port->name)));
  return made;
}

} // namespace

GpuSteps planSteps(std::span<const Step> steps) {
  Planner planner;
  planner.planned.push_back({CallSequence{}});
  planner.add(steps, /*iteration=*/0);
  return std::move(planner.planned);
}

Result<GraphExecutable> makeGraph(const std::shared_ptr<Gpu> &gpu, const LaunchContext &context,
                                  std::span<const InputCopy> copies,
                                  std::span<const UnrolledCall> calls) {
  // Copies come first; calls that share the scratch memory, which follows the arena, may not run
  // beside each other.
  std::vector<TaskMemory> memory;
  for (const InputCopy &copy : copies)
    memory.push_back({.reads = {}, .writes = {rangeOf(*copy.port)}});
  std::vector<KernelLaunch> launches;
  for (const UnrolledCall &unrolled : calls) {
    const int64_t iteration = std::max<int64_t>(0, unrolled.iteration);
    const Kernel &kernel = context.program.kernels[unrolled.step->kernel];
    INGOT_ASSIGN(KernelLaunch launch, KernelLaunch::make(context, *unrolled.step, iteration));
    launches.push_back(std::move(launch));
    TaskMemory &touched =
        memory.emplace_back(memoryOf(kernel, inIteration(*unrolled.step, iteration), /*trips=*/1));
    if (const int64_t scratch = kernel.scratchBytes())
      touched.writes.push_back({context.program.arenaBytes, context.program.arenaBytes + scratch});
  }
  const TaskGraph tasks = buildTaskGraph(memory);

  CUgraph made = nullptr;
  INGOT_TRY(gpu->check(gpu->driver.cuGraphCreate(&made, 0), "making a graph"));
  const Graph graph(gpu, made,
                    [](const Driver &driver, CUgraph old) { driver.cuGraphDestroy(old); });
  std::vector<CUgraphNode> nodes, after;
  for (size_t task = 0; task < tasks.size(); ++task) {
    after.clear();
    for (uint32_t predecessor : tasks.predecessors[task])
      after.push_back(nodes[predecessor]);
    INGOT_ASSIGN(CUgraphNode node, task < copies.size()
                                       ? addCopy(*gpu, context, graph.get(), copies[task], after)
                                       : launches[task - copies.size()].addTo(graph.get(), after));
    nodes.push_back(node);
  }
  CUgraphExec executable = nullptr;
  INGOT_TRY(gpu->check(gpu->driver.cuGraphInstantiate(&executable, graph.get(), 0),
                       fmt::format("preparing a graph of {} nodes", nodes.size())));
  return GraphExecutable(gpu, executable, [](const Driver &driver, CUgraphExec old) {
    driver.cuGraphExecDestroy(old);
  });
}

} // namespace ingot::cuda
