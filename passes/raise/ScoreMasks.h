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
  bool empty() const { return windows.empty() && others.empty(); }

  /// The window that the known masks leave: the keys at distances from a query's own number. What
  /// is no window, or leaves a query without a key, is added up with all others. The first `batch`
  /// dimensions of the scores are a batch.
  AttentionMask build(graph::GraphBuilder &build, int64_t batch);

private:
  struct Mask {
    mlir::Value value;
    double factor = 1; ///< of numbers
    bool isAdded = true;
    bool hidesWhere = false; ///< which condition hides
    double hiddenScore = 0;  ///< what scores become there
  };
  bool take(const Mask &mask);
  /// Notes what a mask hides where that is known, the same for all heads, and all that it does.
  bool noteHidden(const Mask &mask);
  bool findWindow(AttentionMask &found);
  mlir::Value valueOf(graph::GraphBuilder &build, const Mask &mask, int64_t batch);
  mlir::Value sum(graph::GraphBuilder &build, int64_t batch);

  KnownValues &known;
  mlir::RankedTensorType scores;
  bool isByKey = false; ///< the scores' last dimension is that of keys
  int64_t queries = 0, keys = 0;
  llvm::SmallVector<Mask> windows, others;
  std::vector<bool> hidden; ///< by query and key, of the masks that are known
};

} // namespace ingot
