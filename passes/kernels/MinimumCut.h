/// Minimum cuts of small directed networks.
#pragma once
#include <cstdint>
#include <vector>

namespace ingot {

/// A network between a source and a sink; capacities are not negative.
class CutNetwork {
public:
  static constexpr int64_t unlimited = int64_t(1) << 52;
  static constexpr int source = 0, sink = 1;

  /// A new node.
  int add() {
    edges.emplace_back();
    return int(edges.size()) - 1;
  }
  void connect(int from, int to, int64_t capacity);

  /// After this, `isSinkSide` tells the sides of the minimum cut that is closest to the sink
  /// (Dinic 1970).
  void solve();
  bool isSinkSide(int node) const { return sinkSide[node]; }

private:
  struct Edge {
    int to;
    int64_t capacity;
    size_t reverse; ///< index of the opposite edge at `to`
  };
  bool measure();
  void fillShortestPaths();

  std::vector<std::vector<Edge>> edges{2};
  std::vector<int> distance; ///< from the source
  std::vector<bool> sinkSide;
};

} // namespace ingot
