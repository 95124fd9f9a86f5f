#include "passes/kernels/OrderedGraph.h"
#include <gtest/gtest.h>
#include <random>
#include <set>

namespace ingot {
namespace {

/// The same graph without any order: searches walk everything.
struct PlainGraph {
  std::vector<std::set<unsigned>> predecessors;
  bool reaches(unsigned from, unsigned to, bool isDirect) const {
    std::set<unsigned> seen;
    std::vector<unsigned> stack{from};
    while (!stack.empty()) {
      unsigned node = stack.back();
      stack.pop_back();
      for (unsigned before : predecessors[node]) {
        if (before == to && (isDirect || node != from))
          return true;
        if (before != to && seen.insert(before).second)
          stack.push_back(before);
      }
    }
    return false;
  }
};

void expectOrder(const OrderedGraph &graph, const PlainGraph &plain) {
  for (unsigned node = 0; node < plain.predecessors.size(); ++node) {
    ASSERT_EQ(graph.predecessors(node).size(), plain.predecessors[node].size());
    for (unsigned before : plain.predecessors[node]) {
      ASSERT_TRUE(graph.predecessors(node).contains(before));
      ASSERT_TRUE(graph.successors(before).contains(node));
      ASSERT_LT(graph.rank(before), graph.rank(node));
    }
  }
}

TEST(OrderedGraph, AgreesWithPlainSearchesAsItGrowsAndJoins) {
  uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  auto pick = [&](size_t count) { return unsigned(random() % count); };
  for (int round = 0; round < 30; ++round) {
    OrderedGraph graph;
    PlainGraph plain;
    std::set<unsigned> alive;
    for (int step = 0; step < 150; ++step) {
      unsigned kind = pick(8);
      if (kind < 3 || alive.size() < 3) {
        alive.insert(graph.add());
        plain.predecessors.emplace_back();
        continue;
      }
      unsigned a = *std::next(alive.begin(), pick(alive.size()));
      unsigned b = *std::next(alive.begin(), pick(alive.size()));
      for (bool isDirect : {true, false})
        if (a != b)
          ASSERT_EQ(isDirect ? graph.reaches(a, b) : graph.reachesIndirectly(a, b),
                    plain.reaches(a, b, isDirect));
      if (kind < 7) {
        if (a != b && !plain.reaches(a, b, true)) {
          graph.connect(/*before=*/a, /*after=*/b);
          plain.predecessors[b].insert(a);
        }
      } else if (a != b && !plain.reaches(a, b, false) && !plain.reaches(b, a, false)) {
        graph.merge(a, b);
        for (unsigned before : plain.predecessors[b])
          if (before != a)
            plain.predecessors[a].insert(before);
        plain.predecessors[b].clear();
        for (unsigned node = 0; node < plain.predecessors.size(); ++node)
          if (plain.predecessors[node].erase(b) && node != a)
            plain.predecessors[node].insert(a);
        alive.erase(b);
      }
      expectOrder(graph, plain);
    }
  }
}

} // namespace
} // namespace ingot
