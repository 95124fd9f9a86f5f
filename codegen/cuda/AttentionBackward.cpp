/// Attention, backward: probabilities are recomputed tile by tile from the saved log-sum-exp
/// (Dao et al. 2022). A first launch owns queries and a second one keys, so that every sum is one
/// block's, in one order, and nothing is atomic.
///
/// With P = exp(scale·S - lse), D = rowsum(dO ∘ O) and dS = scale · P ∘ (dP - D), dP = dO·Vᵀ:
/// dQ = dS·K; dV = Pᵀ·dO, dK = dSᵀ·Q. Soft caps and masks come between S and P as in the forward
/// kernel; a soft cap's derivative 1 - tanh² is a factor of dS. The first launch leaves D in launch
/// scratch.
#include "codegen/cuda/AttentionBlock.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace ingot {
namespace {

constexpr StringLiteral ofQueries = "attention_backward_queries",
                        ofKeys = "attention_backward_keys";

SmallVector<Value> matricesOf(graph::AttentionBackwardOp op) {
  return {op.getQuery(), op.getKey(), op.getValue(), op.getOutput(), op.getGradient()};
}

class BackwardEmitter : protected AttentionBlock {
protected:
  BackwardEmitter(CudaKernel &kernel, graph::AttentionBackwardOp op, const AttentionForm &form,
                  const AttentionTiling &tiling)
      : AttentionBlock(kernel, form, graph::AttentionRule(op), tiling), op(op),
        query(matrix(op.getQuery(), 0)), key(matrix(op.getKey(), 1)),
        value(matrix(op.getValue(), 2)), output(matrix(op.getOutput(), 3)),
        gradient(matrix(op.getGradient(), 4)) {
    deltas = kernel.launchScratch(
        MemRefType::get({std::max<int64_t>(1, extents.pairs * extents.queryCount)}, sumType));
  }

  Value placeOfDelta(Value position) {
    return code.create<arith::IndexCastOp>(code.builder.getIndexType(),
                                           code.add(code.mul(pair, extents.queryCount), position));
  }
  /// A query's statistics as the threads need them.
  struct Statistics {
    Value lse, delta;
  };
  Value lseAt(Value position);
  struct ScoreGradient {
    Value share, change; ///< P and dS
  };
  ScoreGradient differentiate(const AttentionSight::Score &score, Value scoreGradient,
                              const Statistics &query, Value seen);

  graph::AttentionBackwardOp op;
  Matrix query, key, value, output, gradient;
  Value deltas; ///< D of every query
};

Value BackwardEmitter::lseAt(Value position) { return sight.lseOf(read(op.getLse(), position)); }

BackwardEmitter::ScoreGradient BackwardEmitter::differentiate(const AttentionSight::Score &score,
                                                              Value scoreGradient,
                                                              const Statistics &query, Value seen) {
  Value share = exp(minus(score.value, query.lse));
  Value change = multiply(multiply(share, constant(rule.scale)), minus(scoreGradient, query.delta));
  if (score.tanh)
    change = multiply(change, minus(constant(1), multiply(score.tanh, score.tanh)));
  return {choose(seen, share, constant(0)), choose(seen, change, constant(0))};
}

//===--------------------------------------------------------------------------------------------===//
// Gradients of queries
//===--------------------------------------------------------------------------------------------===//

class QueryEmitter : BackwardEmitter {
public:
  QueryEmitter(CudaKernel &kernel, graph::AttentionBackwardOp op, const AttentionForm &form,
               const AttentionTiling &tiling)
      : BackwardEmitter(kernel, op, form, tiling), columns(extents.head, tiling.across) {}

  LogicalResult emit();

private:
  Value deltaOf(Value position);
  Values step(Value firstKey, ValueRange sums);

  const HeadColumns columns;
  Tile queryTile, gradientTile, keyTile, valueTile, scores;
  SmallVector<Statistics> statistics; ///< by row of the thread
};

/// The products of output and gradient, summed over the threads that share the row.
Value QueryEmitter::deltaOf(Value position) {
  const int64_t lanes = std::min(output.lanes, gradient.lanes);
  auto start = code.mul(column(0), lanes);
  Values sums = code.loop(start, code.index(extents.valueHead), tiling.across * lanes,
                          ValueRange{constant(0)}, [&](Value column, ValueRange carried) {
                            Value sum = carried[0];
                            Value left = read(output, position, column, lanes),
                                  right = read(gradient, position, column, lanes);
                            for (int64_t lane = 0; lane < lanes; ++lane) {
                              auto scalar = [&](Value all) -> Value {
                                return lanes == 1
                                           ? all
                                           : code.create<vector::ExtractOp>(all, lane).getResult();
                              };
                              sum = code.create<math::FmaOp>(scalar(left), scalar(right), sum);
                            }
                            return Values{sum};
                          });
  return sumAcross(sums[0]);
}

SmallVector<Value> QueryEmitter::step(Value firstKey, ValueRange sums) {
  kernel.synchronise(); // until the keys and values of before are used
  load(key, firstKey, keyTile);
  load(value, firstKey, valueTile);
  kernel.synchronise();
  Values found = products(queryTile, keyTile), gradients = products(gradientTile, valueTile);
  const int64_t keys = columnsOfThread();
  for (int64_t i = 0; i < rowsOfThread; ++i)
    for (int64_t j = 0; j < keys; ++j) {
      Value position = code.add(firstKey, column(j)), query = code.add(first, row(i));
      Value &score = found[i * keys + j];
      score = differentiate(scoreOf(score, query, position), gradients[i * keys + j], statistics[i],
                            seen(query, position))
                  .change;
    }
  store(scores, found);
  return accumulateSeen(scores, keyTile, columns, sums,
                        allSee(first, tiling.rows, firstKey, tiling.columns),
                        [&](Value row, Value key) {
                          return sight.sees(code.add(first, row), code.add(firstKey, key));
                        });
}

LogicalResult QueryEmitter::emit() {
  auto places = resultViews(op, 0);
  if (!places)
    return failure();
  if (extents.pairs * extents.queryCount == 0)
    return success();
  queryTile = tile(tiling.rows, query);
  gradientTile = tile(tiling.rows, gradient);
  keyTile = tile(tiling.columns, key);
  valueTile = tile(tiling.columns, value);
  scores = scoreTile();

  place(extents.queryCount, /*lastFirst=*/rule.after.has_value());
  sight.enter(kernel.points(1), pair);
  load(query, first, queryTile);
  load(gradient, first, gradientTile);
  for (int64_t number = 0; number < rowsOfThread; ++number) {
    Value position = clamped(code.add(first, row(number)), extents.queryCount);
    statistics.push_back({lseAt(position), deltaOf(position)});
  }
  forRowsOnce(extents.queryCount, [&](int64_t number, Value position) {
    code.create<memref::StoreOp>(statistics[number].delta, deltas,
                                 ValueRange{placeOfDelta(position)});
  });
  Values sums = noSums(columns);
  if (!sums.empty())
    sums = code.loop(keysFrom(first), sight.keysBefore(code.add(first, tiling.rows)),
                     tiling.columns, sums,
                     [&](Value firstKey, ValueRange carried) { return step(firstKey, carried); });
  storeRows(*places, extents.queryCount, columns, sums);
  return success(!broken);
}

//===--------------------------------------------------------------------------------------------===//
// Gradients of keys and values
//===--------------------------------------------------------------------------------------------===//

class KeyEmitter : BackwardEmitter {
public:
  KeyEmitter(CudaKernel &kernel, graph::AttentionBackwardOp op, const AttentionForm &form,
             const AttentionTiling &tiling)
      : BackwardEmitter(kernel, op, form, tiling), columns(extents.head, tiling.across),
        valueColumns(extents.valueHead, tiling.across) {}

  LogicalResult emit();

private:
  Value firstQuerySeeing(Value key);
  Value queriesSeeing(Value endKey);
  Values step(Value firstQuery, ValueRange sums);

  const HeadColumns columns, valueColumns;
  Tile keyTile, valueTile, queryTile, gradientTile, scores;
};

/// In whole tiles of queries.
Value KeyEmitter::firstQuerySeeing(Value key) {
  if (!rule.after)
    return code.index(0);
  Value query = code.subClamped(key, sight.shift(*rule.after));
  return code.mul(code.div(query, tiling.columns), tiling.columns);
}

/// One past the last query that sees a key before this one; none where there is no key.
Value KeyEmitter::queriesSeeing(Value endKey) {
  Value count = code.index(extents.queryCount);
  if (rule.before)
    count = code.min(code.subClamped(endKey, sight.shift(-*rule.before)), count);
  if (!rule.length)
    return count;
  return choose(code.isBelow(first, sight.keyCount()), count, code.index(0));
}

/// Rows are keys: scores are those of the queries, transposed.
SmallVector<Value> KeyEmitter::step(Value firstQuery, ValueRange sums) {
  kernel.synchronise(); // until the queries of before are used
  load(query, firstQuery, queryTile);
  load(gradient, firstQuery, gradientTile);
  kernel.synchronise();
  const int64_t queries = columnsOfThread();
  Values shares = products(keyTile, queryTile), changes = products(valueTile, gradientTile);
  for (int64_t j = 0; j < queries; ++j) {
    Value position = code.add(firstQuery, column(j));
    Value exists = inside(position, extents.queryCount, tiling.columns),
          real = clamped(position, extents.queryCount);
    Value delta = code.create<memref::LoadOp>(deltas, ValueRange{placeOfDelta(real)});
    const Statistics statistics{lseAt(real), delta};
    for (int64_t i = 0; i < rowsOfThread; ++i) {
      Value key = code.add(first, row(i));
      Value seen = both(sight.sees(position, key), exists);
      Value &share = shares[i * queries + j], &change = changes[i * queries + j];
      const ScoreGradient score =
          differentiate(scoreOf(share, position, key), change, statistics, seen);
      share = score.share;
      change = score.change;
    }
  }
  const size_t ofValues = rowsOfThread * valueColumns.groups;
  store(scores, shares);
  Value all = allSee(firstQuery, tiling.columns, first, tiling.rows);
  auto sees = [&](Value row, Value query) {
    return sight.sees(code.add(firstQuery, query), code.add(first, row));
  };
  Values next =
      accumulateSeen(scores, gradientTile, valueColumns, sums.take_front(ofValues), all, sees);
  kernel.synchroniseWarp(); // until the scores are used
  store(scores, changes);
  llvm::append_range(
      next, accumulateSeen(scores, queryTile, columns, sums.drop_front(ofValues), all, sees));
  return next;
}

LogicalResult KeyEmitter::emit() {
  auto keyPlaces = resultViews(op, 1), valuePlaces = resultViews(op, 2);
  if (!keyPlaces || !valuePlaces)
    return failure();
  if (extents.keyPairs() * extents.keyCount == 0)
    return success();
  keyTile = tile(tiling.rows, key);
  valueTile = tile(tiling.rows, value);
  queryTile = tile(tiling.columns, query);
  gradientTile = tile(tiling.columns, gradient);
  scores = scoreTile();

  place(extents.keyCount, /*lastFirst=*/false);
  const Value firstPair = extents.group == 1 ? pair : code.mul(pair, extents.group);
  pair = firstPair;
  sight.enter(kernel.points(1), pair);
  load(key, first, keyTile);
  load(value, first, valueTile);
  Values sums = noSums(valueColumns);
  const size_t ofValues = sums.size();
  llvm::append_range(sums, noSums(columns));
  auto addQueries = [&](ValueRange before) -> Values {
    return code.loop(
        firstQuerySeeing(first), queriesSeeing(code.add(first, tiling.rows)), tiling.columns,
        before, [&](Value firstQuery, ValueRange carried) { return step(firstQuery, carried); });
  };
  if (extents.queryCount && !sums.empty()) {
    if (extents.group == 1)
      sums = addQueries(sums);
    else
      sums = code.loop(code.index(0), code.index(extents.group), 1, sums,
                       [&](Value member, ValueRange carried) {
                         pair = code.add(firstPair, member);
                         return addQueries(carried);
                       });
    pair = firstPair;
  }
  storeRows(*valuePlaces, extents.keyCount, valueColumns, ArrayRef(sums).take_front(ofValues));
  storeRows(*keyPlaces, extents.keyCount, columns, ArrayRef(sums).drop_front(ofValues));
  return success(!broken);
}

} // namespace

LogicalResult scheduleAttentionBackward(CudaScheduler &kernel) {
  graph::AttentionBackwardOp op = attentionBackwardOf(kernel.kernel);
  if (!op || !resultViews(op, 0) || !resultViews(op, 1) || !resultViews(op, 2))
    return failure();
  const AttentionForm form(op.getQuery(), op.getKey(), op.getValue());
  const AttentionExtents &extents = form.extents;
  auto bytes = [&](const AttentionTiling &tiling) {
    AttentionMemory memory(form, tiling);
    for (int64_t rows : {tiling.rows, tiling.columns})
      for (int64_t columns : {extents.head, extents.valueHead})
        memory.tile(rows, columns);
    memory.scores();
    return memory.bytes();
  };
  auto lanes = readingLanes(kernel.kernel, matricesOf(op));
  if (!lanes)
    return failure();
  AttentionTiling queries = chooseTiling(kernel, extents.pairs, extents.queryCount,
                                         extents.keyCount, extents.head, bytes),
                  keys = chooseTiling(kernel, extents.keyPairs(), extents.keyCount,
                                      extents.queryCount, extents.head + extents.valueHead, bytes);
  queries.lanes = keys.lanes = *lanes;
  // One launch after the other has it for itself.
  kernel.addScratch(std::max(bytes(queries), bytes(keys)));
  kernel.addLaunchScratch(std::max<int64_t>(1, extents.pairs * extents.queryCount) *
                          form.sumBytes());
  const double product = 2.0 * double(extents.pairs) * double(extents.queryCount) *
                         double(extents.keyCount) * graph::AttentionRule(op).share();
  const auto head = double(extents.head), valueHead = double(extents.valueHead);
  kernel.launch(ofQueries, queries.blocks(extents.pairs, extents.queryCount), queries,
                product * (2 * head + valueHead));
  kernel.launch(ofKeys, keys.blocks(extents.keyPairs(), extents.keyCount), keys,
                product * 2 * (head + valueHead));
  return success();
}

LogicalResult emitAttentionBackward(CudaKernel &kernel) {
  graph::AttentionBackwardOp op = attentionBackwardOf(kernel.kernel);
  if (!op)
    return failure();
  const AttentionForm form(op.getQuery(), op.getKey(), op.getValue());
  const AttentionExtents &extents = form.extents;
  const bool isOfKeys = kernel.launch.getKind() == ofKeys;
  AttentionTiling tiling;
  if (failed(readTiling(kernel, isOfKeys ? extents.keyPairs() : extents.pairs,
                        isOfKeys ? extents.keyCount : extents.queryCount, matricesOf(op), tiling)))
    return failure();
  return isOfKeys ? KeyEmitter(kernel, op, form, tiling).emit()
                  : QueryEmitter(kernel, op, form, tiling).emit();
}

} // namespace ingot
