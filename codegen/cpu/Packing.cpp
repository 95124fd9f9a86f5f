#include "codegen/cpu/Packing.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot {

constexpr int64_t lanes = Code::lanes;

// Transposed blocks are written whole, so depth is rounded up to vectors. Widths that are no whole
// vectors are written with full ones whose last lanes the next depth overwrites: one vector of
// slack.
Panels Panels::interleaved(int64_t width, int64_t depth) {
  int64_t slack = width % lanes ? lanes : 0;
  int64_t stride = llvm::alignTo(width * llvm::alignTo(depth, lanes) + slack, lanes);
  return {{}, width, stride, 1, width};
}

// One vector between rows keeps them apart in caches that map strides of powers of two to one set.
Panels Panels::rows(int64_t width, int64_t depth) {
  int64_t rowStride = llvm::alignTo(depth, Panels::depthStep) + lanes;
  return {{}, width, width * rowStride, rowStride, 1};
}

// A transposed block may fill several narrow panels at once.
int64_t Panels::size(int64_t count) const {
  int64_t atOnce = rowStride == 1 && width < lanes && lanes % width == 0 ? lanes / width : 1;
  return llvm::alignTo(count, atOnce) * stride;
}

//===--------------------------------------------------------------------------------------------===//
// Transposition of 16 x 16
//===--------------------------------------------------------------------------------------------===//

namespace {

/// Lane l of the result is lane pick(l) of a and b laid end to end.
Value shuffle(Code &code, Value a, Value b, function_ref<int64_t(int64_t)> pick) {
  SmallVector<int64_t> lanesPicked;
  for (int64_t l = 0; l < lanes; ++l)
    lanesPicked.push_back(pick(l));
  return code.create<vector::ShuffleOp>(a, b, lanesPicked);
}

/// In every group of four lanes, interleaves units of `unit` lanes of a and b, from the low or the
/// high half of the group (x86's unpack).
Value unpack(Code &code, Value a, Value b, int64_t unit, bool high) {
  return shuffle(code, a, b, [&](int64_t l) {
    int64_t inGroup = l % 4, piece = inGroup / unit, within = inGroup % unit;
    int64_t from = unit == 1 ? piece / 2 + (high ? 2 : 0) : (high ? 2 : 0) + within;
    return (piece % 2) * lanes + l - inGroup + from;
  });
}

/// Groups of four lanes: two even (or odd) ones of a, then of b.
Value pickGroups(Code &code, Value a, Value b, bool odd) {
  return shuffle(code, a, b, [&](int64_t l) {
    int64_t group = l / 4;
    return (group / 2) * lanes + (2 * (group % 2) + odd) * 4 + l % 4;
  });
}

} // namespace

SmallVector<Value> transpose16(Code &code, ArrayRef<Value> rows) {
  SmallVector<Value> pairs(16), quads(16), result(16);
  for (int i = 0; i < 16; i += 2) {
    pairs[i] = unpack(code, rows[i], rows[i + 1], 1, false);
    pairs[i + 1] = unpack(code, rows[i], rows[i + 1], 1, true);
  }
  // quads[4g + c] holds column 4q + c of rows 4g … 4g+3 in its group q of four lanes.
  for (int g = 0; g < 16; g += 4)
    for (int half = 0; half < 2; ++half) {
      quads[g + 2 * half] = unpack(code, pairs[g + half], pairs[g + half + 2], 2, false);
      quads[g + 2 * half + 1] = unpack(code, pairs[g + half], pairs[g + half + 2], 2, true);
    }
  for (int c = 0; c < 4; ++c)
    for (int odd = 0; odd < 2; ++odd) {
      Value low = pickGroups(code, quads[c], quads[4 + c], odd);
      Value high = pickGroups(code, quads[8 + c], quads[12 + c], odd);
      result[4 * odd + c] = pickGroups(code, low, high, false);
      result[8 + 4 * odd + c] = pickGroups(code, low, high, true);
    }
  return result;
}

//===--------------------------------------------------------------------------------------------===//
// Packing
//===--------------------------------------------------------------------------------------------===//

namespace {

class Packer {
public:
  Packer(Code &code, const MatrixSource &source, const Panels &panels, Value row, Value rows,
         Value k, Value depth)
      : code(code), source(source), panels(panels), row(row), rows(rows), k(k), depth(depth),
        element(cast<MemRefType>(panels.buffer.getType()).getElementType()) {}

  void run() {
    if (source.depthStride == 1)
      panels.depthStride == 1 ? copyRows() : transpose();
    else if (source.rowStride == 1 && panels.rowStride == 1)
      copyDepths();
    else
      elementwise();
  }

private:
  using Along = MatrixSource::Along;

  /// Where the panel of a packed row starts.
  Value panelOf(Value packed) {
    Value start = code.mul(code.div(packed, panels.width), panels.stride);
    return panels.base ? code.add(panels.base, start) : start;
  }

  /// A row of the matrix from the packed depths on.
  struct Row {
    Value row, start; ///< `start` in the buffer, if there is one
  };
  Row rowAt(Value current) {
    return {current,
            source.buffer ? code.add(source.rowOffset(current), source.depthOffset(k)) : Value()};
  }
  /// Elements of the row from packed depth `inner` on; prefetches what is `ahead` rows after them.
  Value depths(const Row &of, Value inner, Value mask, int64_t ahead) {
    if (!source.buffer)
      return widened(source.vector(code.add(k, inner), PointIndex::uniform(of.row, source.rows),
                                   Along::Depth, mask));
    Value at = code.add(of.start, inner);
    prefetch(at, source.rowStride, ahead);
    return widened(code.loadVector(source.buffer, at, mask));
  }

  /// Memory runs along the depth: blocks of up to 16 rows by 16 depths turn around in registers.
  void transpose() {
    int64_t width = panels.width;
    // A block covers part of a panel, one panel, or several.
    bool partial = width % lanes == 0, several = lanes % width == 0;
    int64_t blockRows = partial || several ? lanes : width;
    code.loop(code.index(0), rows, blockRows, [&](Value block) {
      Value first = code.add(row, block);
      SmallVector<Row> matrixRows;
      for (int64_t r = 0; r < blockRows; ++r) {
        // Rows beyond the matrix, which the last panel may have, repeat its last one.
        Value current = code.add(first, r);
        if (source.rows % std::max(blockRows, width))
          current = code.min(current, code.index(source.rows - 1));
        matrixRows.push_back(rowAt(current));
      }
      Value panel = panelOf(block);
      Value target = partial ? code.add(panel, code.remainder(block, width)) : panel;
      code.loop(code.index(0), depth, lanes, [&](Value inner) {
        Value mask = source.depth % lanes ? code.maskBelow(code.sub(depth, inner)) : Value();
        SmallVector<Value> vectors;
        for (const Row &of : matrixRows)
          vectors.push_back(depths(of, inner, mask, blockRows));
        vectors.resize(lanes, code.zero(lanesOf(element)));
        Value base = code.add(target, code.mul(inner, width));
        storeTransposed(transpose16(code, vectors), base, several ? lanes / width : 1);
      });
    });
  }

  void storeTransposed(ArrayRef<Value> columns, Value base, int64_t panelCount) {
    for (auto [depthIndex, column] : llvm::enumerate(columns)) {
      Value at = code.add(base, depthIndex * panels.width);
      if (panelCount == 1) {
        // Lanes beyond the width are overwritten by the next depth.
        code.storeVector(column, panels.buffer, at);
        continue;
      }
      for (int64_t p = 0; p < panelCount; ++p) {
        Value part = code.create<vector::ExtractStridedSliceOp>(
            column, ArrayRef<int64_t>{p * panels.width}, ArrayRef<int64_t>{panels.width},
            ArrayRef<int64_t>{1});
        code.storeVector(part, panels.buffer, code.add(at, p * panels.stride));
      }
    }
  }

  /// Memory and panels run along the depth.
  void copyRows() {
    code.loop(code.index(0), rows, 1, [&](Value current) {
      Row of = rowAt(code.add(row, current));
      Value target = code.add(panelOf(current),
                              code.mul(code.remainder(current, panels.width), panels.rowStride));
      code.loop(code.index(0), depth, Panels::depthStep, [&](Value inner) {
        for (int64_t v = 0; v < Panels::depthStep; v += lanes) {
          Value at = code.add(inner, v);
          Value mask =
              source.depth % Panels::depthStep ? code.maskBelow(code.sub(depth, at)) : Value();
          code.storeVector(depths(of, at, mask, 1), panels.buffer, code.add(target, at));
        }
      });
    });
  }

  static constexpr int64_t depthsAtOnce = 8;

  /// Memory and panels run along the rows: each depth is a run of every panel. A few depths at a
  /// time, so that both sides are read and written in runs of some length.
  void copyDepths() {
    const int64_t atOnce = source.buffer ? depthsAtOnce : depthsAtOnce * source.depthGroup;
    code.loop(code.index(0), depth, atOnce, [&](Value firstDepth) {
      Value endDepth = code.min(code.add(firstDepth, atOnce), depth);
      source.buffer ? copyDepths(firstDepth, endDepth) : computeDepths(firstDepth, endDepth);
    });
  }

  /// Calls `each` with the panel, the first row and the masks of every block of rows. Narrow panels
  /// are filled several at once.
  void rowBlocks(function_ref<void(Value panel, Value block, ArrayRef<Value> masks)> each) {
    code.loop(code.index(0), rows, severalPanels() ? lanes : panels.width, [&](Value block) {
      each(panelOf(block), block,
           severalPanels() ? SmallVector<Value>{wholeMask(block)} : edgeMasks(block));
    });
  }

  void copyDepths(Value firstDepth, Value endDepth) {
    rowBlocks([&](Value panel, Value block, ArrayRef<Value> masks) {
      Value first = code.add(source.rowOffset(row), block);
      code.loop(firstDepth, endDepth, 1, [&](Value inner) {
        Value start = code.add(source.depthOffset(code.add(k, inner)), first);
        for (auto [v, mask] : llvm::enumerate(masks)) {
          Value at = code.add(start, v * lanes);
          prefetch(at, source.depthStride, depthsAtOnce);
          storeDepth(code.loadVector(source.buffer, at, mask), panel, inner, v);
        }
      });
    });
  }

  /// What depends on rows and the place in a group alone, such as where a window leaves the image,
  /// is the same for all groups: the optimizer takes it out of the loop.
  void computeDepths(Value firstDepth, Value endDepth) {
    const int64_t group = source.depthGroup;
    rowBlocks([&](Value panel, Value block, ArrayRef<Value> masks) {
      Value first = code.add(row, block);
      code.loop(firstDepth, endDepth, group, [&](Value inner) {
        const PointIndex groups =
            PointIndex::uniform(code.div(code.add(k, inner), group), source.depth / group) * group;
        for (int64_t member = 0; member < group; ++member)
          for (auto [v, mask] : llvm::enumerate(masks))
            storeDepth(source.vector(code.add(first, v * lanes),
                                     groups + PointIndex::constant(member), Along::Rows, mask),
                       panel, code.add(inner, member), v);
        // The panel after this one: its rows are new to the group's last member alone, since the
        // windows of the others reached them before.
        for (size_t v = 0; v < masks.size(); ++v)
          source.prefetch(code.add(first, panels.width + v * lanes),
                          groups + PointIndex::constant(group - 1));
      });
    });
  }

  /// Stores vector `v` of the rows of a depth.
  void storeDepth(Value vector, Value panel, Value inner, int64_t v) {
    Value target = code.add(panel, code.mul(inner, panels.width));
    if (severalPanels())
      storeTransposed(widened(vector), target, lanes / panels.width);
    else
      code.storeVector(widened(vector), panels.buffer, code.add(target, v * lanes));
  }

  bool severalPanels() const { return lanes % panels.width == 0; }

  /// The lanes of a vector from row `block` on that belong to the matrix; null if all do.
  Value wholeMask(Value block) {
    if (source.rows % lanes == 0)
      return {};
    return code.maskBelow(code.sub(code.index(source.rows), code.add(row, block)));
  }

  /// For each vector of a panel that starts at row `block`, the lanes that belong to it and to the
  /// matrix; null if all do.
  SmallVector<Value> edgeMasks(Value block) {
    SmallVector<Value> masks(llvm::divideCeil(panels.width, lanes));
    if (panels.width % lanes == 0 && source.rows % panels.width == 0)
      return masks;
    Value left = code.sub(code.index(source.rows), code.add(row, block));
    Value valid = code.min(left, code.index(panels.width));
    for (auto [v, mask] : llvm::enumerate(masks))
      mask = code.maskBelow(code.sub(valid, code.index(v * lanes)));
    return masks;
  }

  /// Anything else, one element at a time.
  void elementwise() {
    int64_t width = panels.width;
    code.loop(code.index(0), rows, width, [&](Value block) {
      Value panel = panelOf(block);
      code.loop(code.index(0), code.index(width), 1, [&](Value w) {
        Value current = code.min(code.add(code.add(row, block), w), code.index(source.rows - 1));
        code.loop(code.index(0), depth, 1, [&](Value inner) {
          Value value = elementAt(current, code.add(k, inner));
          Value at = code.add(code.mul(w, panels.rowStride), code.mul(inner, panels.depthStride));
          code.store(code.convert(value, element), panels.buffer, code.add(panel, at));
        });
      });
    });
  }

  Value elementAt(Value current, Value at) {
    if (!source.buffer)
      return source.element(current, at);
    return code.load(source.buffer, code.add(source.rowOffset(current), source.depthOffset(at)));
  }

  /// Prefetches what is `count` strides after an element: the next blocks start on pages that the
  /// hardware does not foresee.
  void prefetch(Value at, std::optional<int64_t> stride, int64_t count) {
    if (stride)
      code.prefetch(source.buffer, code.add(at, *stride * count));
  }

  Value widened(Value vector) { return code.convert(vector, element); }

  Code &code;
  const MatrixSource &source;
  const Panels &panels;
  Value row, rows, k, depth;
  Type element;
};

} // namespace

void emitPack(Code &code, const MatrixSource &source, const Panels &panels, Value row, Value rows,
              Value k, Value depth) {
  Packer(code, source, panels, row, rows, k, depth).run();
}

} // namespace ingot
