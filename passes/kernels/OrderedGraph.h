/// A directed acyclic graph that grows and stays in topological order.
#pragma once
#include "llvm/ADT/DenseSet.h"
#include <vector>

namespace ingot {

/// Nodes need others to run before them. Every edge and every join keeps the nodes in topological
/// order (Pearce & Kelly 2006, "A dynamic topological sort algorithm"), so that whether one needs
/// another is a search among the nodes between them, and mostly none.
class OrderedGraph {
public:
  using Nodes = llvm::DenseSet<unsigned>;

  /// A new node, last in order so far.
  unsigned add();
  /// `after` needs `before`. Must not close a cycle; an edge to itself is left out.
  void connect(unsigned before, unsigned after);
  /// `into` takes over the edges of `from`, which is left without any. Neither may need the other
  /// through a third node.
  void merge(unsigned into, unsigned from);

  /// True if `from` needs `to`, directly or not.
  bool reaches(unsigned from, unsigned to) const { return search(from, to, /*isDirect=*/true); }
  /// True if `from` needs `to` through a third node.
  bool reachesIndirectly(unsigned from, unsigned to) const {
    return search(from, to, /*isDirect=*/false);
  }
  /// Every node comes after those it needs.
  unsigned rank(unsigned node) const { return nodes[node].rank; }
  const Nodes &predecessors(unsigned node) const { return nodes[node].predecessors; }
  const Nodes &successors(unsigned node) const { return nodes[node].successors; }

private:
  struct Node {
    Nodes predecessors, successors;
    unsigned rank = 0;
  };
  bool search(unsigned from, unsigned to, bool isDirect) const;
  void reorder(unsigned before, unsigned after);
  /// Nodes that a walk from `start` meets while their ranks are inside [low, high].
  std::vector<unsigned> between(unsigned start, Nodes Node::*edges, unsigned low,
                                unsigned high) const;
  bool visit(unsigned node) const;
  void beginWalk() const;

  std::vector<Node> nodes;
  mutable std::vector<unsigned> visited; ///< number of the walk that met a node last
  mutable unsigned walk = 0;
};

} // namespace ingot
