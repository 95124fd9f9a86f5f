#include "passes/kernels/MinimumCut.h"
#include <algorithm>
#include <queue>

namespace ingot {

void CutNetwork::connect(int from, int to, int64_t capacity) {
  edges[from].push_back({to, capacity, edges[to].size()});
  edges[to].push_back({from, 0, edges[from].size() - 1});
}

/// Pushes as much as fits along one shortest path; 0 if there is none.
int64_t CutNetwork::augment() {
  std::vector<std::pair<int, size_t>> cameFrom(edges.size(), {-1, 0});
  std::queue<int> queue;
  queue.push(source);
  cameFrom[source] = {source, 0};
  while (!queue.empty() && cameFrom[sink].first < 0) {
    int node = queue.front();
    queue.pop();
    for (size_t index = 0; index < edges[node].size(); ++index) {
      const Edge &edge = edges[node][index];
      if (edge.capacity > 0 && cameFrom[edge.to].first < 0) {
        cameFrom[edge.to] = {node, index};
        queue.push(edge.to);
      }
    }
  }
  if (cameFrom[sink].first < 0)
    return 0;
  int64_t amount = unlimited;
  for (int node = sink; node != source; node = cameFrom[node].first)
    amount = std::min(amount, edges[cameFrom[node].first][cameFrom[node].second].capacity);
  for (int node = sink; node != source; node = cameFrom[node].first) {
    Edge &edge = edges[cameFrom[node].first][cameFrom[node].second];
    edge.capacity -= amount;
    edges[node][edge.reverse].capacity += amount;
  }
  return amount;
}

void CutNetwork::solve() {
  while (augment() > 0) {
  }
  // Nodes from which the sink can still be reached.
  sinkSide.assign(edges.size(), false);
  sinkSide[sink] = true;
  std::queue<int> queue;
  queue.push(sink);
  while (!queue.empty()) {
    int node = queue.front();
    queue.pop();
    for (const Edge &edge : edges[node])
      if (edges[edge.to][edge.reverse].capacity > 0 && !sinkSide[edge.to]) {
        sinkSide[edge.to] = true;
        queue.push(edge.to);
      }
  }
}

} // namespace ingot
