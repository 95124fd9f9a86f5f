/// Attention, backward: probabilities are recomputed block by block from the saved log-sum-exp
/// (Dao et al. 2022, algorithm 2). One pair of batch element and key head is one unit of work, so
/// that sums over queries and over keys are added in one fixed order.
///
/// With P = exp(scale·S - lse), D = rowsum(dO ∘ O) and dS = scale · P ∘ (dP - D), dP = dO·Vᵀ:
/// dV = Pᵀ·dO, dK = dSᵀ·Q, dQ = dS·K. Soft caps and masks come between S and P as in the forward
/// kernel; a soft cap's derivative 1 - tanh² is a factor of dS.
#include "codegen/cpu/AttentionBlocks.h"

using namespace mlir;

namespace ingot {
namespace {

constexpr int64_t lanes = Code::lanes;
/// Of a block: the depth of products over queries; more would not leave room in L1.
constexpr int64_t mostQueries = 64;

class BackwardEmitter : AttentionEmitter {
public:
  BackwardEmitter(KernelBuilder &kernel, graph::AttentionBackwardOp op)
      : AttentionEmitter(kernel, AttentionForm(op.getQuery(), op.getKey(), op.getValue()),
                         graph::AttentionRule(op)),
        op(op) {}

  LogicalResult emit();

private:
  void emitUnit(Value unit);
  void emitPair(Value pair);
  void emitQueryBlock(Value pair, Value first, Value count);
  void loadStatistics(Value pair, Value first, Value count);
  void emitKeyBlock(Value pair, Value firstQuery, Value queryCount, Value firstKey, Value count);
  void differentiateScores(Value firstQuery, Value firstKey, Value count,
                           const BlockExtent &extent);

  graph::AttentionBackwardOp op;
  SmallVector<KernelView> queryPlaces, keyPlaces, valuePlaces;
  Matrix query, key, value, output, gradient;
  Value queryBlock, keyBlock, valueBlock, gradientBlock;
  Matrix nearKeys, nearValues;       ///< side by side
  Matrix nearQueries, nearGradients; ///< the rows of the block of queries side by side
  Panels queryColumns, gradientColumns;
  BlockRhs packedQueries, packedGradients;
  SumBlock scores, scoreGradients, queryGradient, keyGradient, valueGradient;
  Value lse, products; ///< by query of the block: log-sum-exp, and D
};

LogicalResult BackwardEmitter::emit() {
  auto queryViews = resultViews(op, 0), keyViews = resultViews(op, 1),
       valueViews = resultViews(op, 2);
  if (!queryViews || !keyViews || !valueViews)
    return failure();
  queryPlaces = *queryViews;
  keyPlaces = *keyViews;
  valuePlaces = *valueViews;
  if (failed(readPlan([](const AttentionShape &shape) { return shape.keyPairs(); })))
    return failure();
  if (shape.pairs == 0)
    return success();

  query = matrix(op.getQuery());
  key = matrix(op.getKey(), shape.group);
  value = matrix(op.getValue(), shape.group);
  output = matrix(op.getOutput());
  gradient = matrix(op.getGradient());
  queryBlock = rowBlock(query, shape.queries);
  keyBlock = rowBlock(key, shape.keyCount);
  valueBlock = rowBlock(value, shape.keyCount);
  gradientBlock = rowBlock(gradient, shape.queries);
  queryColumns = queryPanels(shape.head);
  gradientColumns = queryPanels(shape.valueHead);
  scores = scoreBlock();
  scoreGradients = scoreBlock();
  queryGradient = sumBlock(shape.queries, shape.queryTile, shape.head);
  keyGradient = sumBlock(shape.keyCount, shape.keyTile, shape.head);
  valueGradient = sumBlock(shape.keyCount, shape.keyValueTile, shape.valueHead);
  lse = scratch(shape.queries);
  products = scratch(shape.queries);
  allocateMask();
  forUnits(shape.keyPairs(), [&](Value unit) { emitUnit(unit); });
  return success();
}

/// The pairs that share keys and values, one after the other.
void BackwardEmitter::emitUnit(Value unit) {
  Value first = shape.group == 1 ? unit : code.mul(unit, shape.group);
  enter(key, first);
  enter(value, first);
  sight.enter(kernel.points(1), first);
  nearKeys = blockOf(key, keyBlock, code.index(0), shape.keyCount);
  nearValues = blockOf(value, valueBlock, code.index(0), shape.keyCount);
  fillZero(keyGradient, shape.keyCount);
  fillZero(valueGradient, shape.keyCount);
  if (shape.group == 1)
    emitPair(first);
  else
    code.loop(first, code.add(first, shape.group), 1, [&](Value pair) { emitPair(pair); });
  Value start = code.index(0), keys = code.index(shape.keyCount);
  storeRows(keyPlaces, unit, start, keys, keyGradient, shape.head);
  storeRows(valuePlaces, unit, start, keys, valueGradient, shape.valueHead);
}

void BackwardEmitter::emitPair(Value pair) {
  for (Matrix *matrix : {&query, &output, &gradient})
    enter(*matrix, pair);
  code.loop(code.index(0), code.index(shape.queryCount), shape.queries, [&](Value first) {
    Value count =
        code.min(code.index(shape.queries), code.sub(code.index(shape.queryCount), first));
    emitQueryBlock(pair, first, count);
  });
}

void BackwardEmitter::emitQueryBlock(Value pair, Value first, Value count) {
  nearQueries = blockOf(query, queryBlock, first, shape.queries);
  nearGradients = blockOf(gradient, gradientBlock, first, shape.queries);
  packedQueries = packQueries(nearQueries, queryColumns, first, count);
  packedGradients = packQueries(nearGradients, gradientColumns, first, count);
  loadStatistics(pair, first, count);
  fillZero(queryGradient, shape.queries);
  Value end = keysSeen(first, count);
  code.loop(firstBlockSeen(first), end, shape.keys, [&](Value firstKey) {
    Value keys = code.min(code.index(shape.keys), code.sub(end, firstKey));
    packMask(pair, first, count, firstKey, keys);
    emitKeyBlock(pair, first, count, firstKey, keys);
  });
  storeRows(queryPlaces, pair, first, count, queryGradient, shape.head);
}

/// lse and D = rowsum(dO ∘ O) of the block's queries.
void BackwardEmitter::loadStatistics(Value pair, Value first, Value count) {
  code.loop(code.index(0), count, 1, [&](Value row) {
    PointEmitter points = kernel.points(1);
    auto type = cast<RankedTensorType>(op.getLse().getType());
    SmallVector<PointIndex> indices =
        points.split(PointIndex::uniform(pair, shape.pairs), type.getShape().take_front(2));
    Value position = code.add(first, row);
    indices.push_back(PointIndex::uniform(position, shape.queryCount));
    Value logSum = code.convert(points.at(op.getLse(), ArrayRef<PointIndex>(indices)), sumType);
    code.store(sight.lseOf(logSum), lse, row);

    auto rowStart = [&](const Matrix &matrix) {
      return code.add(matrix.base, code.mul(position, matrix.rowStride));
    };
    Value zero = code.zero(lanesOf(sumType));
    Value sum = code.loop(
        code.index(0), code.index(shape.valueHead), lanes, ValueRange{zero},
        [&](Value column, ValueRange carried) {
          Value mask = shape.valueHead % lanes
                           ? code.maskBelow(code.sub(code.index(shape.valueHead), column))
                           : Value();
          auto load = [&](const Matrix &matrix) {
            return code.loadVector(matrix.buffer, code.add(rowStart(matrix), column), mask);
          };
          return SmallVector<Value>{
              code.create<vector::FMAOp>(load(output), load(gradient), carried[0])};
        })[0];
    code.store(code.sumOfLanes(sum), products, row);
  });
}

void BackwardEmitter::emitKeyBlock(Value pair, Value firstQuery, Value queryCount, Value firstKey,
                                   Value count) {
  Value keyPair = shape.group == 1 ? pair : code.div(pair, shape.group);
  // Tiles overhang the last key that is seen: their other keys must come out as zeros.
  auto scoresOver = [&](int64_t head) {
    return scoreExtent(firstQuery, firstKey, count, head, /*whole=*/true);
  };
  emitBlockProduct(code, shape.scoreTile, scoresOver(shape.head),
                   rowsOf(nearKeys, firstKey, shape.scoreTile), packedQueries, scores, {},
                   prefetchBeside({nextOf(query, pair), nextOf(key, pair)}, shape.scoreTile,
                                  firstKey, packedQueries.columns));
  emitBlockProduct(code, shape.scoreTile, scoresOver(shape.valueHead),
                   rowsOf(nearValues, firstKey, shape.scoreTile), packedGradients, scoreGradients,
                   {},
                   prefetchBeside({nextOf(value, pair), nextOf(gradient, pair)}, shape.scoreTile,
                                  firstKey, packedGradients.columns));
  differentiateScores(firstQuery, firstKey, count, scoresOver(shape.head));

  auto from = [&](const SumBlock &block) {
    return SumBlock{block.buffer, code.mul(firstKey, block.rowStride), block.rowStride};
  };
  SumBlock values = from(valueGradient), keys = from(keyGradient);
  auto byKey = [&](Tile tile) { return keyExtent(tile, firstQuery, queryCount, firstKey, count); };
  emitBlockProduct(code, shape.keyValueTile, byKey(shape.keyValueTile), keysOf(scores),
                   columnsOf(nearGradients, firstQuery), values,
                   accumulateIn(code, shape.keyValueTile, values),
                   prefetchBeside({resultOf(valuePlaces, keyPair, shape.valueHead)},
                                  shape.keyValueTile, firstKey, shape.valueHead));
  emitBlockProduct(code, shape.keyTile, byKey(shape.keyTile), keysOf(scoreGradients),
                   columnsOf(nearQueries, firstQuery), keys,
                   accumulateIn(code, shape.keyTile, keys),
                   prefetchBeside({resultOf(keyPlaces, keyPair, shape.head)}, shape.keyTile,
                                  firstKey, shape.head));
  emitBlockProduct(code, shape.queryTile, queryExtent(shape.queryTile, firstQuery, firstKey, count),
                   queriesOf(scoreGradients), columnsOf(nearKeys, firstKey), queryGradient,
                   accumulateIn(code, shape.queryTile, queryGradient),
                   prefetchBeside({resultOf(queryPlaces, pair, shape.head), nextOf(output, pair)},
                                  shape.queryTile, firstQuery, shape.head));
}

/// Scores become probabilities, gradients of probabilities become gradients of scores.
void BackwardEmitter::differentiateScores(Value firstQuery, Value firstKey, Value count,
                                          const BlockExtent &extent) {
  auto vector = lanesOf(sumType);
  Value scaling = code.constant(vector, rule.scale), zero = code.zero(vector);
  code.loop(code.index(0), code.index(shape.queries), lanes, [&](Value lane) {
    Value logSum = code.loadVector(lse, lane), product = code.loadVector(products, lane);
    // The lanes of one tile of queries have the same keys.
    int64_t step = shape.scoreTile.columns();
    Value end = extent.rows(code.mul(code.div(lane, step), step));
    Value query = code.add(firstQuery, lane);
    auto differentiate = [&](Value from, Value to, bool masked) {
      code.loop(from, to, 1, [&](Value key) {
        Value at = code.add(code.mul(key, scores.rowStride), lane);
        AttentionSight::Score score = scoreOf(code.loadVector(scores.buffer, at), lane, key);
        Value share = exp(minus(score.value, logSum));
        if (masked)
          share =
              code.create<arith::SelectOp>(visible(query, code.add(firstKey, key)), share, zero);
        Value change = minus(code.loadVector(scoreGradients.buffer, at), product);
        code.storeVector(share, scores.buffer, at);
        change = multiply(multiply(share, scaling), change);
        if (score.tanh)
          change =
              multiply(change, minus(code.constant(vector, 1), multiply(score.tanh, score.tanh)));
        code.storeVector(change, scoreGradients.buffer, at);
      });
    };
    // Tiles overhang: what is beyond the last key that is seen counts as hidden.
    Value seenByAll = sight.hasEnd() ? keysSeenByAll(query, firstKey, count) : end;
    forKeysSeen(query, firstKey, seenByAll, end, /*endIsMasked=*/sight.hasEnd(), differentiate);
  });
}

} // namespace

LogicalResult scheduleAttentionBackward(KernelScheduler &kernel) {
  graph::AttentionBackwardOp op = attentionBackwardOf(kernel.kernel);
  if (!op || !resultViews(op, 0) || !resultViews(op, 1) || !resultViews(op, 2))
    return failure();
  const AttentionForm form(op.getQuery(), op.getKey(), op.getValue());
  const graph::AttentionRule rule(op);
  const AttentionShape shape = chooseBlocks(form, rule, mostQueries, kernel.machine, kernel.choice);
  const Value tensors[] = {op.getQuery(), op.getKey(), op.getValue(), op.getOutput(),
                           op.getGradient()};
  if (shape.pairs) {
    AttentionScratch scratch(kernel, form, shape);
    for (Value tensor : tensors)
      scratch.matrix(tensor);
    scratch.rowBlock(op.getQuery(), shape.queries);
    scratch.rowBlock(op.getKey(), shape.keyCount);
    scratch.rowBlock(op.getValue(), shape.keyCount);
    scratch.rowBlock(op.getGradient(), shape.queries);
    scratch.queryPanels(shape.head);
    scratch.queryPanels(shape.valueHead);
    scratch.scoreBlock();
    scratch.scoreBlock();
    scratch.sumBlock(shape.queries, shape.queryTile, shape.head);
    scratch.sumBlock(shape.keyCount, shape.keyTile, shape.head);
    scratch.sumBlock(shape.keyCount, shape.keyValueTile, shape.valueHead);
    scratch.elements(shape.queries); // log-sum-exp
    scratch.elements(shape.queries); // D
    scratch.mask(rule);
  }
  launchAttention(kernel, "attention_backward", shape, shape.keyPairs(),
                  2.0 * rule.share() * shape.group * shape.queryCount * shape.keyCount *
                      (3 * shape.head + 2 * shape.valueHead),
                  fitsNextPair(kernel, form, shape, tensors));
  return success();
}

LogicalResult emitAttentionBackward(KernelBuilder &kernel) {
  graph::AttentionBackwardOp op = attentionBackwardOf(kernel.kernel);
  return op ? BackwardEmitter(kernel, op).emit() : failure();
}

} // namespace ingot
