/// Which scores of a block are computed, which count, and what of them the softmax sees.
#include "codegen/cpu/AttentionBlocks.h"

using namespace mlir;

namespace ingot {

constexpr int64_t lanes = Code::lanes;

//===--------------------------------------------------------------------------------------------===//
// Keys and queries that see each other
//===--------------------------------------------------------------------------------------------===//

Value AttentionEmitter::keysSeen(Value firstQuery, Value queryCount) {
  Value end = sight.keysBefore(code.add(firstQuery, queryCount));
  return rule.after ? code.max(end, code.index(0)) : end;
}

Value AttentionEmitter::firstBlockSeen(Value firstQuery) {
  if (!sight.hasStart())
    return code.index(0);
  return code.mul(code.div(sight.keysFrom(firstQuery), shape.keys), shape.keys);
}

Value AttentionEmitter::keysSeen(Value query, int64_t queryCount, Value firstKey, Value count) {
  if (!rule.after)
    return count;
  return code.min(code.subClamped(keysSeen(query, code.index(queryCount)), firstKey), count);
}

void AttentionEmitter::forKeysSeen(Value query, Value firstKey, Value seenByAll, Value end,
                                   bool endIsMasked, KeySteps steps) {
  Value from = code.index(0);
  if (sight.hasStart()) {
    Value first = code.min(keysBeforeSight(query, firstKey), end);
    from = code.min(keysBeforeSight(code.add(query, lanes - 1), firstKey), end);
    steps(first, from, /*isMasked=*/true);
    seenByAll = code.max(from, code.min(seenByAll, end));
  }
  steps(from, seenByAll, /*isMasked=*/false);
  if (endIsMasked)
    steps(seenByAll, end, /*isMasked=*/true);
}

BlockExtent AttentionEmitter::scoreExtent(Value firstQuery, Value firstKey, Value count,
                                          int64_t head, bool whole) {
  BlockExtent extent(code, count, code.index(head));
  extent.rows = [=, this](Value column) {
    Value query = code.add(firstQuery, column);
    Value seen = keysSeen(query, shape.scoreTile.columns(), firstKey, count);
    if (whole)
      seen = code.min(code.mul(code.ceilDiv(seen, lanes), lanes), code.index(shape.keys));
    if (!sight.hasStart())
      return seen;
    Value isBehind = code.isBelow(code.add(firstKey, count), code.add(sight.keysFrom(query), 1));
    return code.create<arith::SelectOp>(isBehind, code.index(0), seen).getResult();
  };
  return extent;
}

BlockExtent AttentionEmitter::queryExtent(Tile tile, Value firstQuery, Value firstKey,
                                          Value count) {
  BlockExtent extent(code, code.index(shape.queries), count);
  auto before = [=, this](Value row) {
    return keysBeforeSight(code.add(firstQuery, row), firstKey);
  };
  extent.depth = [=, this](Value row) {
    Value end = keysSeen(code.add(firstQuery, row), tile.rows, firstKey, count);
    return std::pair(sight.hasStart() ? code.min(before(row), end) : code.index(0), end);
  };
  if (!rule.isBanded())
    return extent;
  auto seenByAll = [=, this](Value row) {
    return keysSeenByAll(code.add(firstQuery, row), firstKey, count);
  };
  extent.whole = [=, this](Value row) {
    if (!sight.hasStart())
      return std::pair(code.index(0), seenByAll(row));
    Value first = code.min(before(code.add(row, tile.rows - 1)), extent.depth(row).second);
    return std::pair(first, code.max(first, seenByAll(row)));
  };
  extent.counts = [=, this](Value row, Value key) {
    Value isBelow = code.isBelow(key, seenByAll(row));
    if (!sight.hasStart())
      return isBelow;
    Value isInSight = code.isBelow(before(row), code.add(key, 1));
    return code.create<arith::AndIOp>(isBelow, isInSight).getResult();
  };
  return extent;
}

BlockExtent AttentionEmitter::keyExtent(Tile tile, Value firstQuery, Value queryCount,
                                        Value firstKey, Value count) {
  BlockExtent extent(code, count, queryCount);
  if (!rule.isBanded() && !rule.length)
    return extent;
  auto firstThatSees = [=, this](Value key) {
    Value query = code.index(0);
    if (rule.after)
      query = code.min(
          code.subClamped(code.add(firstKey, key), code.add(firstQuery, sight.shift(*rule.after))),
          queryCount);
    if (!rule.length)
      return query;
    Value exists = code.isBelow(code.add(firstKey, key), sight.keyCount());
    return code.create<arith::SelectOp>(exists, query, queryCount).getResult();
  };
  // One past the last one.
  auto endThatSees = [=, this](Value key) {
    if (!sight.hasStart())
      return queryCount;
    return code.min(code.subClamped(code.add(firstKey, key),
                                    code.add(firstQuery, sight.shift(-*rule.before - 1))),
                    queryCount);
  };
  auto depth = [=, this](Value row) {
    Value first = firstThatSees(row), end = endThatSees(code.add(row, tile.rows - 1));
    return std::pair(first, sight.hasStart() ? code.max(first, end) : end);
  };
  extent.depth = depth;
  extent.whole = [=, this](Value row) {
    Value first = firstThatSees(code.add(row, tile.rows - 1));
    if (!sight.hasStart())
      return std::pair(first, queryCount);
    first = code.min(first, depth(row).second);
    return std::pair(first, code.max(first, endThatSees(row)));
  };
  extent.counts = [=, this](Value row, Value query) {
    Value isAfter = code.isBelow(firstThatSees(row), code.add(query, 1));
    if (!sight.hasStart())
      return isAfter;
    Value isBefore = code.isBelow(query, endThatSees(row));
    return code.create<arith::AndIOp>(isAfter, isBefore).getResult();
  };
  return extent;
}

Value AttentionEmitter::visible(Value query, Value key) {
  Value seen;
  auto demand = [&](Value condition) {
    seen = seen ? code.create<arith::AndIOp>(seen, condition).getResult() : condition;
  };
  if (rule.after) {
    Value first = code.sub(key, code.add(query, sight.shift(*rule.after)));
    Value hidden = code.maskBelow(first);
    Value all = code.create<arith::ConstantOp>(
        DenseElementsAttr::get(lanesOf(code.builder.getI1Type()), true));
    demand(code.create<arith::XOrIOp>(hidden, all));
  }
  if (rule.before)
    demand(code.maskBelow(code.sub(key, code.add(query, sight.shift(-*rule.before - 1)))));
  if (rule.length)
    demand(code.splat(code.isBelow(key, sight.keyCount())));
  return seen;
}

//===--------------------------------------------------------------------------------------------===//
// Masks and soft caps
//===--------------------------------------------------------------------------------------------===//

bool differsByQuery(const graph::AttentionRule &rule) { return graph::shapeOf(rule.mask)[2] != 1; }

Panels maskPanels(const graph::AttentionRule &rule, const AttentionShape &shape) {
  return Panels::interleaved(differsByQuery(rule) ? shape.queries : 1, shape.keys);
}

/// A block of queries is packed, transposed; one line of keys is copied as it is.
int64_t maskBlockSize(const graph::AttentionRule &rule, const AttentionShape &shape) {
  const Panels panels = maskPanels(rule, shape);
  return differsByQuery(rule) ? panels.size(1) : panels.stride;
}

void AttentionEmitter::allocateMask() {
  if (!rule.mask)
    return;
  maskBlock = maskPanels(rule, shape);
  maskBlock.buffer = scratch(maskBlockSize(rule, shape));
}

void AttentionEmitter::packMask(Value pair, Value firstQuery, Value queryCount, Value firstKey,
                                Value count) {
  if (!rule.mask)
    return;
  auto valuesAt = [&](Value key, const PointIndex &query, Value mask) {
    PointEmitter points = kernel.points();
    Value values = sight.maskAt(points, pair, query,
                                PointIndex::consecutive(key, shape.keyCount, /*aligned=*/false),
                                sumType, mask);
    return points.vectorised(values);
  };
  if (!differsByQuery(rule))
    return code.loop(code.index(0), count, lanes, [&](Value key) {
      Value exists = code.maskBelow(code.sub(count, key));
      code.storeVector(valuesAt(code.add(firstKey, key), PointIndex::constant(0), exists),
                       maskBlock.buffer, key);
    });
  MatrixSource source;
  source.rows = shape.queryCount;
  source.depth = shape.keyCount;
  source.depthStride = 1;
  source.vector = [&](Value start, const PointIndex &query, MatrixSource::Along, Value mask) {
    return valuesAt(start, query, mask);
  };
  emitPack(code, source, maskBlock, firstQuery, queryCount, firstKey, count);
}

AttentionSight::Score AttentionEmitter::scoreOf(Value products, Value lane, Value key) {
  Value added;
  if (rule.mask) {
    Value at = code.mul(key, maskBlock.depthStride);
    added = differsByQuery(rule) ? code.loadVector(maskBlock.buffer, code.add(at, lane))
                                 : code.splat(code.load(maskBlock.buffer, at));
  }
  return sight.scoreOf(products, added);
}

} // namespace ingot
