/// What an attention's rule says, as code: which keys the queries of one pair see under causality,
/// windows, offsets and lengths, and what the softmax sees of their scores.
#pragma once
#include "codegen/kernel/AttentionForm.h"
#include "codegen/kernel/IndexCode.h"
#include "codegen/kernel/PointEmitter.h"

namespace ingot {

class AttentionSight {
public:
  AttentionSight(IndexCode &code, const AttentionForm &form, const graph::AttentionRule &rule)
      : rule(rule), code(code), extents(form.extents) {}

  /// Reads the offset and the length of a pair; what follows is of that pair.
  void enter(PointEmitter points, mlir::Value pair);

  /// What is added to a query's position to find its place among the keys, and `by` more.
  mlir::Value shift(int64_t by);
  /// How many keys there are.
  mlir::Value keyCount() { return length ? length : code.index(extents.keyCount); }
  /// One past the last key that a query before `end` sees, where that is one.
  mlir::Value keysBefore(mlir::Value end);
  /// The first key that queries from `query` on see.
  mlir::Value keysFrom(mlir::Value query);
  /// Whether all of the queries [query, lastQuery] see all of the keys [key, lastKey]; null if
  /// all see all.
  mlir::Value allSee(mlir::Value query, mlir::Value lastQuery, mlir::Value key,
                     mlir::Value lastKey);
  /// Whether a query sees a key; null if all see all.
  mlir::Value sees(mlir::Value query, mlir::Value key);

  /// Whether what queries see ends before the last key, or starts after the first.
  bool hasEnd() const { return rule.after || rule.length; }
  bool hasStart() const { return rule.before.has_value(); }

  /// A mask's element at places of the pair, as what is added to a score, in the type of sums.
  /// Dimensions of size 1 stand for all.
  mlir::Value maskAt(PointEmitter &points, mlir::Value pair, const PointIndex &query,
                     const PointIndex &key, mlir::Type sumType, mlir::Value lanes = {});

  /// What the softmax sees of products of queries and keys. A mask's elements are `added`, -inf
  /// where it hides; null without.
  struct Score {
    mlir::Value value;
    mlir::Value tanh; ///< of the soft cap; null without
  };
  Score scoreOf(mlir::Value products, mlir::Value added);
  /// Log-sum-exps such that probabilities of a query that saw no key are 0.
  mlir::Value lseOf(mlir::Value lse);

  const graph::AttentionRule rule;

private:
  mlir::Value number(mlir::Type type, double value);
  mlir::Value integerOf(PointEmitter &points, mlir::Value tensor, mlir::Value pair, int64_t least,
                        int64_t most);

  IndexCode &code;
  const AttentionExtents extents;
  mlir::Value offset, length; ///< of the pair; null without
};

} // namespace ingot
