/// Graphs that were captured.
#include "runtime/emulator/cudart/Runtime.h"

using namespace ingot;
using namespace ingot::emulator::cudart;

INGOT_CUDART cudaError cudaGraphInstantiate(cuda::CUgraphExec *executable, cuda::CUgraph graph,
                                            unsigned long long flags) {
  return call(__func__, [&](Runtime &runtime) {
    return runtime.driver.cuGraphInstantiate(executable, graph, flags);
  });
}

INGOT_CUDART cudaError cudaGraphInstantiateWithFlags(cuda::CUgraphExec *executable,
                                                     cuda::CUgraph graph,
                                                     unsigned long long flags) {
  return cudaGraphInstantiate(executable, graph, flags);
}

INGOT_CUDART cudaError cudaGraphLaunch(cuda::CUgraphExec executable, Stream stream) {
  return callThatRuns(__func__, [&](Runtime &runtime) {
    return cudaError(runtime.driver.cuGraphLaunch(executable, stream));
  });
}

INGOT_CUDART cudaError cudaGraphUpload(cuda::CUgraphExec, Stream) {
  return call(__func__, [](Runtime &) { return cudaSuccess; });
}

INGOT_CUDART cudaError cudaGraphGetNodes(cuda::CUgraph graph, cuda::CUgraphNode *nodes,
                                         size_t *count) {
  return call(__func__, [&](Runtime &runtime) {
    return runtime.driver.cuGraphGetNodes(graph, nodes, count);
  });
}

INGOT_CUDART cudaError cudaGraphDestroy(cuda::CUgraph graph) {
  return call(__func__, [&](Runtime &runtime) { return runtime.driver.cuGraphDestroy(graph); });
}

INGOT_CUDART cudaError cudaGraphExecDestroy(cuda::CUgraphExec executable) {
  return call(__func__,
              [&](Runtime &runtime) { return runtime.driver.cuGraphExecDestroy(executable); });
}

INGOT_CUDART_ALIAS(cudaGraphLaunch_ptsz, cudaGraphLaunch);
INGOT_CUDART_ALIAS(cudaGraphUpload_ptsz, cudaGraphUpload);
