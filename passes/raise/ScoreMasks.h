/// The masks between scores and softmax of an attention that is being matched.
#pragma once
#include "passes/raise/Raise.h"

namespace ingot {

/// What graph.attention takes of masks.
struct AttentionMask {
  mlir::Value value; ///< null: none
  std::optional<int64_t> before, after;
  std::optional<int64_t> offset; ///< none: the last query is at the last key
};

class ScoreMasks {
public:
  explicit ScoreMasks(KnownValues &known) : known(known) {}

  /// For scores of this type; the softmax goes along `keyDim`.
  void start(mlir::RankedTensorType scores, int64_t keyDim);
  /// Takes numbers that are added to scores, which `factor` multiplies later.
  bool add(mlir::Value numbers, double factor);
  /// Takes a selection that hides where its condition is `hidesWhere`; false where it is none.
  bool addSelect(graph::SelectOp select, bool hidesWhere, double factor);
  bool empty() const { return masks.empty(); }

  /// The window that the known masks leave: the keys at distances from a query's own number. What
  /// they hide counts as hidden, whatever other masks add: a query that sees only keys which those
  /// hide keeps to its window. Without a window, or where it leaves a query without a key, they are
  /// added up with all others. The first `batch` dimensions of the scores are a batch.
  AttentionMask build(graph::GraphBuilder &build, int64_t batch);

private:
  struct Mask {
    mlir::Value value;
    double factor = 1; ///< of numbers
    bool isAdded = true;
    bool hidesWhere = false; ///< which condition hides
    double hiddenScore = 0;  ///< what scores become there
    bool isKnown = false;    ///< what it hides is noted
  };
  bool take(Mask mask);
  /// Notes what a mask hides where that is known, the same for all heads, and all that it does.
  bool noteHidden(const Mask &mask);
  bool findWindow(AttentionMask &found);
  mlir::Value numbersOf(graph::GraphBuilder &build, const Mask &mask, mlir::Value value);
  mlir::Value select(graph::GraphBuilder &build, const Mask &mask, mlir::Value condition,
                     mlir::Value shown);
  mlir::Value inHeads(graph::GraphBuilder &build, const Mask &mask, mlir::Value value,
                      int64_t batch);
  mlir::Value sum(graph::GraphBuilder &build, int64_t batch);

  KnownValues &known;
  mlir::RankedTensorType scores;
  bool isByKey = false; ///< the scores' last dimension is that of keys
  int64_t queries = 0, keys = 0;
  llvm::SmallVector<Mask> masks; ///< from the softmax to the product
  std::vector<bool> hidden;      ///< by query and key, of the masks that are known
};

} // namespace ingot
