/// The emulated driver's graphs: built node by node, or captured from streams.
#include "runtime/emulator/driver/DriverState.h"
#include <algorithm>
#include <random>

namespace ingot::emulator {

using namespace cuda;

size_t GraphHandle::add(AnyWork work, std::set<size_t> after) {
  nodes.push_back(std::make_unique<GraphNode>(GraphNode{std::move(work), std::move(after)}));
  indices[reinterpret_cast<CUgraphNode>(nodes.back().get())] = nodes.size() - 1;
  return nodes.size() - 1;
}

std::optional<size_t> GraphHandle::find(CUgraphNode node) const {
  const auto found = indices.find(node);
  return found == indices.end() ? std::nullopt : std::optional(found->second);
}

std::shared_ptr<GraphHandle> GraphHandle::executable() const {
  auto made = std::make_shared<GraphHandle>();
  // Each node becomes one, or those of the graph that it is; `ends` are those that what comes after
  // it waits for.
  std::vector<size_t> first;
  std::vector<std::set<size_t>> ends(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    first.push_back(made->nodes.size());
    const auto *within = std::get_if<GraphWork>(&nodes[i]->work);
    if (!within || within->graph->nodes.empty()) {
      ends[i] = {made->add(within ? AnyWork(Work{}) : nodes[i]->work, {})};
      continue;
    }
    for (const std::unique_ptr<GraphNode> &inner : within->graph->nodes) {
      std::set<size_t> after;
      for (size_t before : inner->after)
        after.insert(first[i] + before);
      ends[i].insert(made->add(inner->work, std::move(after)));
    }
    for (const std::unique_ptr<GraphNode> &inner : within->graph->nodes)
      for (size_t before : inner->after)
        ends[i].erase(first[i] + before);
  }
  first.push_back(made->nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i)
    for (size_t node = first[i]; node < first[i + 1]; ++node)
      if (made->nodes[node]->after.empty())
        for (size_t before : nodes[i]->after)
          made->nodes[node]->after.insert(ends[before].begin(), ends[before].end());
  std::vector<std::vector<size_t>> edges;
  for (const std::unique_ptr<GraphNode> &node : made->nodes)
    edges.emplace_back(node->after.begin(), node->after.end());
  made->order.emplace(edges);
  return made;
}

CUresult GraphHandle::run(const OrderPlace &place) const {
  DriverState &state = driverState();
  std::vector<size_t> waiting(nodes.size()), ready;
  std::vector<std::vector<size_t>> next(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    waiting[i] = nodes[i]->after.size();
    for (size_t before : nodes[i]->after)
      next[before].push_back(i);
    if (!waiting[i])
      ready.push_back(i);
  }
  std::mt19937_64 random(state.options.launch.seed + state.graphLaunches++);
  CUresult result = CUDA_SUCCESS;
  std::string why;
  bool isRace = false; // the reason: a missing edge, which explains what else was found
  while (!ready.empty()) {
    std::swap(ready[random() % ready.size()], ready.back());
    const size_t chosen = ready.back();
    ready.pop_back();
    OrderPlace inside = place;
    inside.point.node = chosen;
    inside.nodes = &*order;
    const CUresult ended = execute(nodes[chosen]->work, inside);
    if (ended != CUDA_SUCCESS && ended != CUDA_ERROR_LAUNCH_FAILED)
      return ended;
    const bool endedInRace = ended && state.findings.back().check == "launch-race";
    if (ended && (!result || (endedInRace && !isRace))) {
      result = ended;
      why = lastEmulatedError();
      isRace = endedInRace;
    }
    for (size_t after : next[chosen])
      if (--waiting[after] == 0)
        ready.push_back(after);
  }
  return result ? driverError(result, why) : result;
}

namespace {

CUresult noSuchGraph() { return driverError(CUDA_ERROR_INVALID_HANDLE, "no such graph"); }

GraphHandle *findGraph(CUgraph graph) {
  const auto found = driverState().graphs.find(graph);
  return found == driverState().graphs.end() ? nullptr : found->second.get();
}

CUresult beginCapture(CUstream handle, CUstreamCaptureMode mode) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  StreamHandle *stream = state.stream(handle);
  if (!stream || stream == &state.defaultStream)
    return driverError(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
                       "only a stream that was created can capture");
  if (stream->capture)
    return driverError(CUDA_ERROR_INVALID_VALUE, "the stream is capturing already");
  stream->capture = std::make_shared<GraphHandle>();
  stream->last.clear();
  stream->captureOrigin = true;
  return CUDA_SUCCESS;
}

CUresult endCapture(CUstream handle, CUgraph *graph) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  StreamHandle *stream = state.stream(handle);
  if (!stream || !graph || !stream->capture)
    return driverError(CUDA_ERROR_INVALID_VALUE, "the stream is not capturing");
  if (!stream->captureOrigin)
    return driverError(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "the capture began in another stream");
  const std::shared_ptr<GraphHandle> captured = std::move(stream->capture);
  stream->captureOrigin = false;
  for (const auto &[address, other] : state.streams)
    if (other->capture == captured)
      other->capture = nullptr;
  for (const auto &[address, event] : state.events)
    if (event->capture == captured)
      event->capture = nullptr;
  *graph = reinterpret_cast<CUgraph>(captured.get());
  state.graphs[captured.get()] = captured;
  return CUDA_SUCCESS;
}

CUresult createGraph(CUgraph *graph, unsigned flags) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  if (!graph || flags)
    return driverError(CUDA_ERROR_INVALID_VALUE, "a graph is created with flags 0");
  auto made = std::make_shared<GraphHandle>();
  *graph = reinterpret_cast<CUgraph>(made.get());
  state.graphs[made.get()] = std::move(made);
  return CUDA_SUCCESS;
}

CUresult addNode(CUgraphNode *node, CUgraph handle, const CUgraphNode *after, size_t count,
                 AnyWork work) {
  GraphHandle *graph = findGraph(handle);
  if (!graph)
    return noSuchGraph();
  if (!node || (count && !after))
    return driverError(CUDA_ERROR_INVALID_VALUE, "no place for the node, or no dependencies");
  std::set<size_t> indices;
  for (size_t i = 0; i < count; ++i) {
    const std::optional<size_t> index = graph->find(after[i]);
    if (!index || !indices.insert(*index).second)
      return driverError(CUDA_ERROR_INVALID_VALUE,
                         fmt::format("dependency {} is no node of the graph, or there twice", i));
  }
  const size_t index = graph->add(std::move(work), std::move(indices));
  *node = reinterpret_cast<CUgraphNode>(graph->nodes[index].get());
  return CUDA_SUCCESS;
}

CUresult addKernelNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *after, size_t count,
                       const CUDA_KERNEL_NODE_PARAMS *given) {
  std::lock_guard lock(driverState().mutex);
  if (!given)
    return driverError(CUDA_ERROR_INVALID_VALUE, "no launch configuration");
  const CUlaunchConfig config = {
      given->gridDimX,  given->gridDimY,       given->gridDimZ, given->blockDimX, given->blockDimY,
      given->blockDimZ, given->sharedMemBytes, nullptr,         nullptr,          0};
  const CUfunction function = given->func ? given->func : reinterpret_cast<CUfunction>(given->kern);
  KernelWork work;
  if (const CUresult result =
          prepareLaunch(config, function, given->kernelParams, given->extra, work))
    return result;
  return addNode(node, graph, after, count, std::move(work));
}

CUresult setKernelAttribute(CUgraphNode handle, CUlaunchAttributeID attribute,
                            const CUlaunchAttributeValue *value) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  KernelWork *found = nullptr;
  for (const auto &[address, graph] : state.graphs)
    if (const std::optional<size_t> index = graph->find(handle))
      found = std::get_if<KernelWork>(&graph->nodes[*index]->work);
  if (!found || !value)
    return driverError(CUDA_ERROR_INVALID_HANDLE, "no such kernel node");
  if (attribute != CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
    return driverError(CUDA_ERROR_NOT_SUPPORTED,
                       fmt::format("launch attribute {} is not supported", int(attribute)));
  KernelWork changed = *found;
  changed.request.cluster = {value->clusterDim.x, value->clusterDim.y, value->clusterDim.z};
  for (const auto &[address, module] : state.modules)
    for (const auto &[name, function] : module->functions)
      if (function->kernel == changed.request.kernel)
        if (const CUresult result = checkLaunch(*function, changed))
          return result;
  *found = std::move(changed);
  return CUDA_SUCCESS;
}

CUresult addCopyNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *after, size_t count,
                     const CUDA_MEMCPY3D *copy, CUcontext context) {
  std::lock_guard lock(driverState().mutex);
  if (!copy || copy->Height != 1 || copy->Depth != 1)
    return driverError(CUDA_ERROR_NOT_SUPPORTED, "copies of graphs are of one row here");
  const auto address = [](CUmemorytype type, CUdeviceptr device, const void *host, size_t offset) {
    return (type == CU_MEMORYTYPE_HOST ? reinterpret_cast<CUdeviceptr>(host) : device) + offset;
  };
  const CUdeviceptr from =
      address(copy->srcMemoryType, copy->srcDevice, copy->srcHost, copy->srcXInBytes);
  const CUdeviceptr to =
      address(copy->dstMemoryType, copy->dstDevice, copy->dstHost, copy->dstXInBytes);
  return addNode(node, graph, after, count, copyWork(to, from, copy->WidthInBytes));
}

/// Whether `later` is `earlier` or comes after it by the graph's edges.
bool comesAfter(const GraphHandle &graph, size_t later, size_t earlier) {
  std::vector<size_t> open = {later};
  std::set<size_t> seen = {later};
  while (!open.empty()) {
    const size_t node = open.back();
    open.pop_back();
    if (node == earlier)
      return true;
    for (size_t before : graph.nodes[node]->after)
      if (seen.insert(before).second)
        open.push_back(before);
  }
  return false;
}

CUresult addDependencies(CUgraph handle, const CUgraphNode *from, const CUgraphNode *to,
                         size_t count) {
  std::lock_guard lock(driverState().mutex);
  GraphHandle *graph = findGraph(handle);
  if (!graph)
    return noSuchGraph();
  if (count && (!from || !to))
    return driverError(CUDA_ERROR_INVALID_VALUE, "no dependencies");
  for (size_t i = 0; i < count; ++i) {
    const std::optional<size_t> earlier = graph->find(from[i]), later = graph->find(to[i]);
    if (!earlier || !later)
      return driverError(CUDA_ERROR_INVALID_VALUE,
                         fmt::format("dependency {} is of no node of the graph", i));
    if (comesAfter(*graph, *earlier, *later))
      return driverError(CUDA_ERROR_INVALID_VALUE, fmt::format("dependency {} makes a cycle", i));
    if (!graph->nodes[*later]->after.insert(*earlier).second)
      return driverError(CUDA_ERROR_INVALID_VALUE,
                         fmt::format("dependency {} is there already", i));
  }
  return CUDA_SUCCESS;
}

CUresult getNodes(CUgraph handle, CUgraphNode *nodes, size_t *count) {
  std::lock_guard lock(driverState().mutex);
  const GraphHandle *graph = findGraph(handle);
  if (!graph || !count)
    return noSuchGraph();
  const size_t total = graph->nodes.size();
  for (size_t i = 0; nodes && i < std::min(*count, total); ++i)
    nodes[i] = reinterpret_cast<CUgraphNode>(graph->nodes[i].get());
  *count = nodes ? std::min(*count, total) : total;
  return CUDA_SUCCESS;
}

CUresult instantiate(CUgraphExec *executable, CUgraph graph, unsigned long long flags) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  const GraphHandle *original = findGraph(graph);
  if (!original || !executable)
    return noSuchGraph();
  auto made = original->executable();
  *executable = reinterpret_cast<CUgraphExec>(made.get());
  state.executables[made.get()] = std::move(made);
  return CUDA_SUCCESS;
}

CUresult launchGraph(CUgraphExec executable, CUstream stream) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  const auto found = state.executables.find(executable);
  if (found == state.executables.end())
    return noSuchGraph();
  GraphHandle &graph = *found->second;
  StreamHandle *known = state.stream(stream);
  if (!known || known->capture)
    return submit(stream, GraphWork{found->second});
  known->clock.join(graph.launched);
  const CUresult result = submit(stream, GraphWork{found->second});
  graph.launched = known->clock;
  return result;
}

} // namespace

void fillGraphFunctions(Driver &driver) {
  driver.cuStreamBeginCapture = beginCapture;
  driver.cuStreamEndCapture = endCapture;
  driver.cuStreamIsCapturing = [](CUstream stream, CUstreamCaptureStatus *status) {
    std::lock_guard lock(driverState().mutex);
    const StreamHandle *known = driverState().stream(stream);
    if (!known)
      return driverError(CUDA_ERROR_INVALID_HANDLE, "no such stream");
    *status = known->capture ? CU_STREAM_CAPTURE_STATUS_ACTIVE : CU_STREAM_CAPTURE_STATUS_NONE;
    return CUDA_SUCCESS;
  };
  driver.cuGraphCreate = createGraph;
  driver.cuGraphAddKernelNode = addKernelNode;
  driver.cuGraphKernelNodeSetAttribute = setKernelAttribute;
  driver.cuGraphAddMemcpyNode = addCopyNode;
  driver.cuGraphAddDependencies = addDependencies;
  driver.cuGraphInstantiate = instantiate;
  driver.cuGraphGetNodes = getNodes;
  driver.cuGraphLaunch = launchGraph;
  driver.cuGraphDestroy = [](CUgraph graph) {
    return destroy(driverState().graphs, graph, "graph");
  };
  driver.cuGraphExecDestroy = [](CUgraphExec executable) {
    return destroy(driverState().executables, executable, "graph");
  };
}

} // namespace ingot::emulator
