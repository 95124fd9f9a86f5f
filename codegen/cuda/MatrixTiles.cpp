#include "codegen/cuda/MatrixTiles.h"

using namespace mlir;

namespace ingot {

TilePlace MatrixTiles::place(IndexCode &code, const ContractionProduct &product,
                             Value number) const {
  const int64_t across = llvm::divideCeilSigned(product.columns, columns),
                down = llvm::divideCeilSigned(product.rows, rows);
  int64_t group = 8;
  while (down % group)
    group /= 2;
  TilePlace place;
  Value inGroup = code.remainder(number, group);
  number = code.div(number, group);
  place.firstColumn = code.mul(code.remainder(number, across), columns);
  number = code.div(number, across);
  Value row = code.add(code.mul(code.remainder(number, down / group), group), inGroup);
  place.firstRow = code.mul(row, rows);
  number = code.div(number, down / group);
  place.batch = code.remainder(number, product.batch);
  place.split = code.div(number, product.batch);

  const int64_t all = steps(product), ofSplit = std::max<int64_t>(stepsOfSplit(product), 1);
  Value firstStep = code.mul(place.split, ofSplit);
  place.from = code.mul(firstStep, depth);
  place.count = all % ofSplit == 0
                    ? code.index(ofSplit)
                    : code.min(code.index(ofSplit), code.sub(code.index(all), firstStep));
  return place;
}

int64_t splitsOf(int64_t steps, int64_t wanted) {
  return steps ? llvm::divideCeilSigned(steps, llvm::divideCeilSigned(steps, wanted)) : 1;
}

int64_t storedLanes(func::FuncOp kernel, const ContractionProduct &product) {
  int64_t lanes = 8;
  for (Type type : kernel.getResultTypes())
    if (getElementTypeOrSelf(type).getIntOrFloatBitWidth() > 16)
      lanes = 4;
  while (product.columns % lanes)
    lanes /= 2;
  return lanes;
}

} // namespace ingot
