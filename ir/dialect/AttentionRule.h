/// What of an attention's keys its queries see, and what becomes of scores before the softmax: the
/// options that graph.attention and graph.attention_backward have in common.
#pragma once
#include "ir/dialect/GraphBuilder.h"

namespace ingot::graph {

struct AttentionRule {
  template <typename Op>
  explicit AttentionRule(Op op)
      : mask(op.getMask()), offset(op.getOffset()), length(op.getLength()),
        scale(op.getScale().convertToDouble()),
        softCap(op.getSoftCap() ? op.getSoftCap()->convertToDouble() : 0), before(op.getBefore()),
        after(op.getAfter()), queries(shapeOf(op.getQuery())[2]), keys(shapeOf(op.getKey())[2]) {
    if (op.getCausal()) // then `after` is not given
      after = 0;
  }

  mlir::Value mask, offset, length; ///< null: not there
  double scale = 1;
  double softCap = 0; ///< 0: none
  /// A query at place p sees the keys in [p - before, p + after]; none: no limit.
  std::optional<int64_t> before, after;
  int64_t queries = 0, keys = 0;

  /// The place of query 0 where no offset is given: the last query is at the last key.
  int64_t place() const { return keys - queries; }
  /// Offsets beyond these hide and show no more than these do.
  int64_t leastOffset() const { return -(queries + after.value_or(0)); }
  int64_t mostOffset() const { return keys + before.value_or(0); }
  bool isBooleanMask() const { return mask && tensorType(mask).getElementType().isInteger(1); }
  /// Whether which keys a query sees depends on where it is.
  bool isBanded() const { return before || after; }
  /// Whether some query may see no key.
  bool mayHideAll() const { return mask || offset || length || (isBanded() && queries > keys); }
  /// About what part of the scores are computed: tiles that nobody sees are not.
  double share() const;
};

/// What the definition of attention's gradients computes on its way, [batch, heads, queries, keys]:
/// probabilities, and the gradients of the scores that the softmax sees and of scale·q·kᵀ.
struct AttentionScoreGradients {
  mlir::Value probabilities, masked, raw;
};
/// Of operands that are as wide as sums.
AttentionScoreGradients attentionScoreGradients(GraphBuilder &build, const AttentionRule &rule,
                                                mlir::Value query, mlir::Value key,
                                                mlir::Value value, mlir::Value output,
                                                mlir::Value lse, mlir::Value gradient);

} // namespace ingot::graph
