#include "passes/kernels/MinimumCut.h"
#include <algorithm>
#include <queue>

namespace ingot {

void CutNetwork::connect(int from, int to, int64_t capacity) {
  edges[from].push_back({to, capacity, edges[to].size()});
  edges[to].push_back({from, 0, edges[from].size() - 1});
}

/// Distances from the source over edges with capacity left; false if the sink is cut off.
bool CutNetwork::measure() {
  distance.assign(edges.size(), -1);
  distance[source] = 0;
  std::queue<int> queue;
  queue.push(source);
  while (!queue.empty()) {
    int node = queue.front();
    queue.pop();
    for (const Edge &edge : edges[node])
      if (edge.capacity > 0 && distance[edge.to] < 0) {
        distance[edge.to] = distance[node] + 1;
        queue.push(edge.to);
      }
  }
  return distance[sink] >= 0;
}

/// Fills all shortest paths, one after the other, with what fits. `next` is the first edge of each
/// node that may still lead to the sink.
void CutNetwork::fillShortestPaths() {
  std::vector<size_t> next(edges.size(), 0);
  std::vector<Edge *> path;
  for (int node = source;;) {
    if (node == sink) {
      int64_t amount = unlimited;
      for (const Edge *edge : path)
        amount = std::min(amount, edge->capacity);
      for (Edge *edge : path) {
        edge->capacity -= amount;
        edges[edge->to][edge->reverse].capacity += amount;
      }
      path.clear();
      node = source;
    }
    std::vector<Edge> &out = edges[node];
    size_t &at = next[node];
    while (at < out.size() && (out[at].capacity == 0 || distance[out[at].to] != distance[node] + 1))
      ++at;
    if (at < out.size()) {
      path.push_back(&out[at]);
      node = out[at].to;
    } else if (node == source) {
      return;
    } else { // a dead end: nothing goes here again
      Edge &into = *path.back();
      path.pop_back();
      node = edges[into.to][into.reverse].to;
      ++next[node];
    }
  }
}

void CutNetwork::solve() {
  while (measure())
    fillShortestPaths();
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
