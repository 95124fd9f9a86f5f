/// Attention, forward: a block keeps some queries and passes over the keys once, with a running
/// maximum and sum for each query (Milakov & Gimelshein 2018; Dao et al. 2022).
#include "codegen/cuda/AttentionBlock.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/APFloat.h"
#include <limits>

using namespace mlir;

namespace ingot {
namespace {

class ForwardEmitter : AttentionBlock {
public:
  ForwardEmitter(CudaKernel &kernel, graph::AttentionOp op, const AttentionForm &form,
                 const AttentionTiling &tiling)
      : AttentionBlock(kernel, form, graph::AttentionRule(op), tiling), op(op),
        columns(extents.valueHead, tiling.across) {}

  LogicalResult emit();

private:
  /// What a thread carries from tile to tile of keys. Of `totals` it has the part of its columns.
  struct State {
    Values maxima, totals, sums;
  };
  State start();
  State step(State state, Value firstKey);
  void finish(const State &state);

  graph::AttentionOp op;
  const HeadColumns columns;
  SmallVector<KernelView> resultPlaces, lsePlaces;
  Matrix query, key, value;
  Tile queryTile, keyTile, valueTile, scores;
};

/// The maximum is finite, so that a tile without a visible key adds nothing instead of NaN.
ForwardEmitter::State ForwardEmitter::start() {
  const llvm::fltSemantics &semantics = cast<FloatType>(sumType).getFloatSemantics();
  Value lowest =
      constant(llvm::APFloat::getLargest(semantics, /*Negative=*/true).convertToDouble());
  return {Values(rowsOfThread, lowest), Values(rowsOfThread, constant(0)), noSums(columns)};
}

ForwardEmitter::State ForwardEmitter::step(State state, Value firstKey) {
  kernel.synchronise(); // until the keys and values of before are used
  load(key, firstKey, keyTile);
  load(value, firstKey, valueTile);
  kernel.synchronise();
  Values shares = products(queryTile, keyTile);
  const int64_t keys = columnsOfThread();
  Value hidden = constant(-std::numeric_limits<double>::infinity());
  for (int64_t i = 0; i < rowsOfThread; ++i) {
    Value maximum = state.maxima[i];
    for (int64_t j = 0; j < keys; ++j) {
      Value &score = shares[i * keys + j], position = code.add(firstKey, column(j));
      Value query = code.add(first, row(i));
      score = choose(seen(query, position), scoreOf(score, query, position).value, hidden);
      maximum = greater(maximum, score);
    }
    maximum = maximumAcross(maximum);
    Value factor = exp(minus(state.maxima[i], maximum));
    Value &total = state.totals[i];
    total = multiply(total, factor);
    for (int64_t j = 0; j < keys; ++j) {
      Value &share = shares[i * keys + j];
      share = exp(minus(share, maximum));
      total = plus(total, share);
    }
    state.maxima[i] = maximum;
    for (int64_t group = 0; group < columns.groups; ++group) {
      Value &sum = state.sums[i * columns.groups + group];
      sum = multiply(sum, factor);
    }
  }
  store(scores, shares);
  state.sums = accumulateSeen(scores, valueTile, columns, state.sums,
                              allSee(first, tiling.rows, firstKey, tiling.columns),
                              [&](Value row, Value key) {
                                return sight.sees(code.add(first, row), code.add(firstKey, key));
                              });
  return state;
}

void ForwardEmitter::finish(const State &state) {
  Values sums, totals;
  for (int64_t i = 0; i < rowsOfThread; ++i) {
    totals.push_back(sumAcross(state.totals[i]));
    Value factor = code.create<arith::DivFOp>(constant(1), totals.back());
    if (rule.mayHideAll()) {
      Value seesSome =
          code.create<arith::CmpFOp>(arith::CmpFPredicate::UNE, totals.back(), constant(0));
      factor = choose(seesSome, factor, constant(0));
    }
    for (int64_t group = 0; group < columns.groups; ++group)
      sums.push_back(multiply(state.sums[i * columns.groups + group], factor));
  }
  storeRows(resultPlaces, extents.queryCount, columns, sums);
  forRowsOnce(extents.queryCount, [&](int64_t number, Value position) {
    Value logarithm = code.create<math::LogOp>(totals[number]);
    storeElement(lsePlaces, position, plus(state.maxima[number], logarithm));
  });
}

LogicalResult ForwardEmitter::emit() {
  auto results = resultViews(op, 0), lse = resultViews(op, 1);
  if (!results || !lse)
    return failure();
  resultPlaces = *results;
  lsePlaces = *lse;
  if (extents.pairs * extents.queryCount == 0)
    return success();
  query = matrix(op.getQuery(), 0);
  key = matrix(op.getKey(), 1);
  value = matrix(op.getValue(), 2);
  queryTile = tile(tiling.rows, query);
  keyTile = tile(tiling.columns, key);
  valueTile = tile(tiling.columns, value);
  scores = scoreTile();

  place(extents.queryCount, /*lastFirst=*/rule.after.has_value());
  sight.enter(kernel.points(1), pair);
  load(query, first, queryTile);
  State initial = start();
  Values carried;
  for (const Values *part : {&initial.maxima, &initial.totals, &initial.sums})
    llvm::append_range(carried, *part);
  auto stateOf = [&](ValueRange all) {
    return State{Values(all.take_front(rowsOfThread)),
                 Values(all.slice(rowsOfThread, rowsOfThread)),
                 Values(all.drop_front(2 * rowsOfThread))};
  };
  Values last = code.loop(keysFrom(first), sight.keysBefore(code.add(first, tiling.rows)),
                          tiling.columns, carried, [&](Value firstKey, ValueRange all) {
                            State next = step(stateOf(all), firstKey);
                            Values values = next.maxima;
                            llvm::append_range(values, next.totals);
                            llvm::append_range(values, next.sums);
                            return values;
                          });
  finish(stateOf(last));
  return success(!broken);
}

} // namespace

LogicalResult scheduleAttention(CudaScheduler &kernel) {
  graph::AttentionOp op = attentionOf(kernel.kernel);
  if (!op || !resultViews(op, 0) || !resultViews(op, 1))
    return failure();
  const AttentionForm form(op.getQuery(), op.getKey(), op.getValue());
  const AttentionExtents &extents = form.extents;
  auto bytes = [&](const AttentionTiling &tiling) {
    AttentionMemory memory(form, tiling);
    memory.tile(tiling.rows, extents.head);
    memory.tile(tiling.columns, extents.head);
    memory.tile(tiling.columns, extents.valueHead);
    memory.scores();
    return memory.bytes();
  };
  AttentionTiling tiling = chooseTiling(kernel, extents.pairs, extents.queryCount, extents.keyCount,
                                        extents.valueHead, bytes);
  auto lanes = readingLanes(kernel.kernel, {op.getQuery(), op.getKey(), op.getValue()});
  if (!lanes)
    return failure();
  tiling.lanes = *lanes;
  kernel.addScratch(bytes(tiling));
  kernel.launch("attention", tiling.blocks(extents.pairs, extents.queryCount), tiling,
                op.getFlops());
  return success();
}

LogicalResult emitAttention(CudaKernel &kernel) {
  graph::AttentionOp op = attentionOf(kernel.kernel);
  if (!op)
    return failure();
  const AttentionForm form(op.getQuery(), op.getKey(), op.getValue());
  AttentionTiling tiling;
  if (failed(readTiling(kernel, form.extents.pairs, form.extents.queryCount,
                        {op.getQuery(), op.getKey(), op.getValue()}, tiling)))
    return failure();
  return ForwardEmitter(kernel, op, form, tiling).emit();
}

} // namespace ingot
