#include "passes/kernels/OrderedGraph.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVectorExtras.h"

namespace ingot {

unsigned OrderedGraph::add() {
  nodes.emplace_back();
  nodes.back().rank = nodes.size() - 1;
  return nodes.size() - 1;
}

void OrderedGraph::connect(unsigned before, unsigned after) {
  if (before == after || !nodes[after].predecessors.insert(before).second)
    return;
  nodes[before].successors.insert(after);
  if (rank(before) > rank(after))
    reorder(before, after);
}

void OrderedGraph::merge(unsigned into, unsigned from) {
  Nodes before = std::move(nodes[from].predecessors), after = std::move(nodes[from].successors);
  nodes[from].predecessors.clear();
  nodes[from].successors.clear();
  for (unsigned node : before)
    nodes[node].successors.erase(from);
  for (unsigned node : after)
    nodes[node].predecessors.erase(from);
  for (unsigned node : before)
    connect(node, into);
  for (unsigned node : after)
    connect(into, node);
}

//===--------------------------------------------------------------------------------------------===//
// Walks
//===--------------------------------------------------------------------------------------------===//

void OrderedGraph::beginWalk() const {
  visited.resize(nodes.size(), 0);
  ++walk;
}

/// True at the first visit of this walk.
bool OrderedGraph::visit(unsigned node) const {
  bool isNew = visited[node] != walk;
  visited[node] = walk;
  return isNew;
}

bool OrderedGraph::search(unsigned from, unsigned to, bool isDirect) const {
  if (rank(from) < rank(to))
    return false;
  if (isDirect && nodes[from].predecessors.contains(to))
    return true;
  beginWalk();
  std::vector<unsigned> stack{from};
  while (!stack.empty()) {
    unsigned node = stack.back();
    stack.pop_back();
    for (unsigned before : nodes[node].predecessors) {
      if (before == to && node != from)
        return true;
      if (rank(before) > rank(to) && visit(before))
        stack.push_back(before);
    }
  }
  return false;
}

std::vector<unsigned> OrderedGraph::between(unsigned start, Nodes Node::*edges, unsigned low,
                                            unsigned high) const {
  beginWalk();
  visit(start);
  std::vector<unsigned> found{start};
  for (size_t index = 0; index < found.size(); ++index)
    for (unsigned node : nodes[found[index]].*edges)
      if (rank(node) >= low && rank(node) <= high && visit(node))
        found.push_back(node);
  return found;
}

/// What `before` needs and what needs `after`, as far as their ranks are between the two, share out
/// their ranks anew: the former first.
void OrderedGraph::reorder(unsigned before, unsigned after) {
  unsigned low = rank(after), high = rank(before);
  std::vector<unsigned> first = between(before, &Node::predecessors, low, high);
  std::vector<unsigned> second = between(after, &Node::successors, low, high);
  auto byRank = [&](unsigned a, unsigned b) { return rank(a) < rank(b); };
  llvm::sort(first, byRank);
  llvm::sort(second, byRank);
  first.insert(first.end(), second.begin(), second.end());
  auto ranks = llvm::map_to_vector(first, [&](unsigned node) { return rank(node); });
  llvm::sort(ranks);
  for (auto [node, rank] : llvm::zip_equal(first, ranks))
    nodes[node].rank = rank;
}

} // namespace ingot
