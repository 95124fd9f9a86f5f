/// Attention, forward: one pass over the keys for each block of queries, with a running maximum and
/// sum (Milakov & Gimelshein 2018; Dao et al. 2022), so that no more than a block of scores exists.
///
/// Scores are kept as [key, query]: queries are the lanes, so that maxima and sums run down the
/// block, keys and values are read where they lie, and only the queries are transposed.
#include "codegen/cpu/AttentionBlocks.h"
#include "ir/dialect/Graph.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <limits>

using namespace mlir;

namespace ingot {
namespace {

constexpr int64_t lanes = Code::lanes;
constexpr int64_t mostQueries = 128; ///< of a block: as many repay the copy of a block of values

int64_t unitsOf(const AttentionShape &shape) { return shape.pairs * shape.queryBlocks(); }

class ForwardEmitter : AttentionEmitter {
public:
  ForwardEmitter(KernelBuilder &kernel, graph::AttentionOp op)
      : AttentionEmitter(kernel, AttentionForm(op.getQuery(), op.getKey(), op.getValue()),
                         graph::AttentionRule(op)),
        op(op) {}

  LogicalResult emit();

private:
  void emitQueryBlock(Value unit);
  void emitKeyBlock(Value pair, Value firstQuery, const BlockRhs &queries, Value firstKey,
                    Value count);
  void updateStatistics(Value firstQuery, Value firstKey, Value count);
  void storeLse(Value pair, Value firstQuery, Value count);

  graph::AttentionOp op;
  SmallVector<KernelView> resultPlaces, lsePlaces;
  Matrix query, key, value;
  Value valueBlock;
  Panels panels;
  SumBlock scores, sums;
  Value maxima, totals, rescale; ///< by query of the block
};

LogicalResult ForwardEmitter::emit() {
  auto result = resultViews(op, 0), lse = resultViews(op, 1);
  if (!result || !lse)
    return failure();
  resultPlaces = *result;
  lsePlaces = *lse;
  if (failed(readPlan(unitsOf)))
    return failure();
  const int64_t units = unitsOf(shape);
  if (units == 0)
    return success();

  query = matrix(op.getQuery());
  key = matrix(op.getKey(), shape.group);
  value = matrix(op.getValue(), shape.group);
  valueBlock = rowBlock(value, shape.keys);
  panels = queryPanels(shape.head);
  scores = scoreBlock();
  sums = sumBlock(shape.queries, shape.queryValueTile, shape.valueHead);
  maxima = scratch(shape.queries + lanes);
  totals = scratch(shape.queries + lanes);
  rescale = scratch(shape.queries + lanes);
  allocateMask();
  forUnits(units, [&](Value unit) { emitQueryBlock(unit); });
  return success();
}

void ForwardEmitter::emitQueryBlock(Value unit) {
  Value pair = code.div(unit, shape.queryBlocks());
  Value first = code.mul(code.remainder(unit, shape.queryBlocks()), shape.queries);
  Value count = code.min(code.index(shape.queries), code.sub(code.index(shape.queryCount), first));
  for (Matrix *matrix : {&query, &key, &value})
    enter(*matrix, pair);
  sight.enter(kernel.points(1), pair);
  BlockRhs queries = packQueries(query, panels, first, count);
  // The start is finite, so that a block without a visible key adds nothing instead of NaN.
  double lowest = sumType.isF64() ? std::numeric_limits<double>::lowest()
                                  : std::numeric_limits<float>::lowest();
  code.loop(code.index(0), code.index(shape.queries), lanes, [&](Value lane) {
    code.storeVector(code.constant(lanesOf(sumType), lowest), maxima, lane);
    code.storeVector(code.zero(lanesOf(sumType)), totals, lane);
  });
  fillZero(sums, shape.queries);
  Value end = keysSeen(first, count);
  code.loop(firstBlockSeen(first), end, shape.keys, [&](Value firstKey) {
    Value keys = code.min(code.index(shape.keys), code.sub(end, firstKey));
    packMask(pair, first, count, firstKey, keys);
    emitKeyBlock(pair, first, queries, firstKey, keys);
  });
  storeRows(resultPlaces, pair, first, count, sums, shape.valueHead, [&](Value row) -> Value {
    Value total = code.load(totals, row), zero = code.zero(sumType);
    Value factor = code.create<arith::DivFOp>(code.constant(sumType, 1), total);
    if (!rule.mayHideAll())
      return factor;
    Value seesNone = code.create<arith::CmpFOp>(arith::CmpFPredicate::OEQ, total, zero);
    return code.create<arith::SelectOp>(seesNone, zero, factor);
  });
  storeLse(pair, first, count);
}

void ForwardEmitter::emitKeyBlock(Value pair, Value firstQuery, const BlockRhs &queries,
                                  Value firstKey, Value count) {
  emitBlockProduct(code, shape.scoreTile,
                   scoreExtent(firstQuery, firstKey, count, shape.head, /*whole=*/false),
                   rowsOf(key, firstKey, shape.scoreTile), queries, scores, {},
                   prefetchBeside({nextOf(query, pair), nextOf(key, pair)}, shape.scoreTile,
                                  firstKey, queries.columns));
  updateStatistics(firstQuery, firstKey, count);
  const Matrix values = blockOf(value, valueBlock, firstKey, shape.keys);
  const Tile tile = shape.queryValueTile;
  InitialSums previous = accumulateIn(code, tile, sums);
  BesideTile beside =
      prefetchBeside({nextOf(value, pair), resultOf(resultPlaces, pair, shape.valueHead)}, tile,
                     firstQuery, shape.valueHead);
  emitBlockProduct(
      code, tile, queryExtent(tile, firstQuery, firstKey, count), queriesOf(scores),
      columnsOf(values, firstKey), sums,
      [&](Value row, Value column) {
        SmallVector<Value> tileSums = previous(row, column);
        for (int64_t r = 0; r < tile.rows; ++r) {
          Value factor = code.splat(code.load(rescale, code.add(row, r)));
          for (int64_t v = 0; v < tile.vectors; ++v) {
            Value &sum = tileSums[r * tile.vectors + v];
            sum = multiply(sum, factor);
          }
        }
        return tileSums;
      },
      beside);
}

/// Turns scores into probabilities relative to the new maximum, and sums them up.
void ForwardEmitter::updateStatistics(Value firstQuery, Value firstKey, Value count) {
  auto vector = lanesOf(sumType);
  Value zero = code.zero(vector);
  Value hidden = code.constant(vector, -std::numeric_limits<double>::infinity());
  code.loop(code.index(0), code.index(shape.queries), lanes, [&](Value lane) {
    Value query = code.add(firstQuery, lane), oldMaximum = code.loadVector(maxima, lane);
    Value seen = keysSeen(query, lanes, firstKey, count);
    Value seenByAll = keysSeenByAll(query, firstKey, count);
    auto scoreAt = [&](Value key) { return code.add(code.mul(key, scores.rowStride), lane); };
    auto reduce = [&](Value sum, llvm::function_ref<Value(Value, Value, Value)> step) {
      forKeysSeen(query, firstKey, seenByAll, seen, /*endIsMasked=*/rule.after.has_value(),
                  [&](Value from, Value to, bool isMasked) {
                    sum =
                        code.loop(from, to, 1, ValueRange{sum}, [&](Value key, ValueRange carried) {
                          Value shown =
                              isMasked ? visible(query, code.add(firstKey, key)) : Value();
                          return SmallVector<Value>{step(key, shown, carried[0])};
                        })[0];
                  });
      return sum;
    };
    auto stored = [&](Value key) { return code.loadVector(scores.buffer, scoreAt(key)); };
    auto scoreOf = [&](Value key) { return this->scoreOf(stored(key), lane, key).value; };
    auto where = [&](Value shown, Value value, Value other) -> Value {
      return shown ? code.create<arith::SelectOp>(shown, value, other) : value;
    };
    Value maximum = reduce(oldMaximum, [&](Value key, Value shown, Value highest) -> Value {
      Value whole = scoreOf(key), score = where(shown, whole, hidden);
      if (bendsScores()) // once is enough
        code.storeVector(whole, scores.buffer, scoreAt(key));
      // A NaN is not greater, but it survives in the score.
      Value greater = code.create<arith::CmpFOp>(arith::CmpFPredicate::OGT, score, highest);
      return code.create<arith::SelectOp>(greater, score, highest);
    });
    Value total = reduce(zero, [&](Value key, Value shown, Value sum) {
      Value score = bendsScores() ? stored(key) : scoreOf(key);
      Value share = where(shown, exp(minus(score, maximum)), zero);
      code.storeVector(share, scores.buffer, scoreAt(key));
      return plus(sum, share);
    });
    Value factor = exp(minus(oldMaximum, maximum));
    code.storeVector(factor, rescale, lane);
    code.storeVector(maximum, maxima, lane);
    code.storeVector(plus(multiply(code.loadVector(totals, lane), factor), total), totals, lane);
  });
}

void ForwardEmitter::storeLse(Value pair, Value firstQuery, Value count) {
  if (lsePlaces.empty())
    return;
  code.loop(code.index(0), code.index(shape.queries), lanes, [&](Value lane) {
    Value logarithm = code.create<math::LogOp>(code.loadVector(totals, lane));
    code.storeVector(plus(code.loadVector(maxima, lane), logarithm), maxima, lane);
  });
  for (const KernelView &view : lsePlaces) {
    Value buffer = code.flat(kernel.resultMemory(view.memory));
    Type element = cast<MemRefType>(buffer.getType()).getElementType();
    code.loop(code.index(0), count, 1, [&](Value row) {
      Value at = rowScalar(view, pair, code.add(firstQuery, row));
      code.store(code.convert(code.load(maxima, row), element), buffer, at);
    });
  }
}

} // namespace

LogicalResult scheduleAttention(KernelScheduler &kernel) {
  graph::AttentionOp op = attentionOf(kernel.kernel);
  if (!op || !resultViews(op, 0) || !resultViews(op, 1))
    return failure();
  const AttentionForm form(op.getQuery(), op.getKey(), op.getValue());
  const graph::AttentionRule rule(op);
  const AttentionShape shape = chooseBlocks(form, rule, mostQueries, kernel.machine, kernel.choice);
  const int64_t units = unitsOf(shape);
  if (units) {
    AttentionScratch scratch(kernel, form, shape);
    for (Value tensor : {op.getQuery(), op.getKey(), op.getValue()})
      scratch.matrix(tensor);
    scratch.rowBlock(op.getValue(), shape.keys);
    scratch.queryPanels(shape.head);
    scratch.scoreBlock();
    scratch.sumBlock(shape.queries, shape.queryValueTile, shape.valueHead);
    for (int statistic = 0; statistic < 3; ++statistic)
      scratch.elements(shape.queries + lanes);
    scratch.mask(rule);
  }
  launchAttention(kernel, "attention", shape, units,
                  2.0 * rule.share() * shape.queries * shape.keyCount *
                      (shape.head + shape.valueHead),
                  fitsNextPair(kernel, form, shape, {op.getQuery(), op.getKey(), op.getValue()}));
  return success();
}

LogicalResult emitAttention(KernelBuilder &kernel) {
  graph::AttentionOp op = attentionOf(kernel.kernel);
  return op ? ForwardEmitter(kernel, op).emit() : failure();
}

} // namespace ingot
