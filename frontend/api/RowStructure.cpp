#include "frontend/api/RowStructure.h"
#include "ir/dialect/Diagnostics.h"
#include "ir/dialect/Elements.h"
#include "ir/dialect/GraphBuilder.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cstring>

using namespace mlir;
using namespace ingot::graph;

namespace ingot {
namespace {

/// Where a value's rows are: row r is at the indices r · inner … of a dimension; -1: it has none,
/// and is the same for any number of them.
struct Rows {
  int64_t dimension = -1, inner = 1;
  bool operator==(const Rows &) const = default;
  explicit operator bool() const { return dimension >= 0; }
};

std::string text(Attribute attribute) {
  std::string result;
  llvm::raw_string_ostream stream(result);
  attribute.print(stream);
  return result;
}

int64_t productOf(Value value, ArrayRef<int64_t> dims) {
  int64_t result = 1;
  for (int64_t dim : dims)
    result *= shapeOf(value)[dim];
  return result;
}

/// Sizes of a side of a product that kernels may treat alike: few rows or columns become dot
/// products, whose sums run along the depth (codegen/cpu/ContractionBlocks.cpp).
int sideClass(int64_t size) { return size <= 1 ? 0 : size <= 2 ? 1 : size <= 8 ? 2 : 3; }

/// From so many rows on lanes may go across them (codegen/cpu/RowWalk.cpp).
constexpr int64_t lanes = 16;

/// Whether all elements of a constant are the same.
bool isSplat(ConstantOp op) {
  auto dense = dyn_cast<DenseElementsAttr>(op.getValue());
  return dense && dense.isSplat();
}

class Walk {
public:
  explicit Walk(const RowGraphs &given) : graphs(given) {}

  Result<RowStructure> run() {
    auto exact = graphs.exact.lookupSymbol<func::FuncOp>("forward"),
         padded = graphs.padded.lookupSymbol<func::FuncOp>("forward");
    if (exact.getNumArguments() != padded.getNumArguments())
      return refuse(exact, "its inputs are others for another number of them");
    for (auto [a, b] : llvm::zip(exact.getArguments(), padded.getArguments())) {
      INGOT_TRY(learn(exact, a, b));
      pairs[a] = b;
    }
    Block &few = exact.front(), &many = padded.front();
    auto other = many.begin();
    for (Operation &op : few) {
      if (other == many.end())
        return refuse(&op, "the graph is another one for another number of rows");
      INGOT_TRY(visit(&op, &*other++));
    }
    return std::move(structure);
  }

private:
  tl::unexpected<Error> refuse(Operation *op, std::string_view reason) {
    return failure(Error::Code::Unsupported, placeOf(op->getLoc()), "{} ({})", reason,
                   op->getName().getStringRef().str());
  }

  /// Where sizes of a value differ is where its rows are.
  Status learn(Operation *op, Value exact, Value padded) {
    auto a = dyn_cast<RankedTensorType>(exact.getType()),
         b = dyn_cast<RankedTensorType>(padded.getType());
    if (!a || !b || a.getRank() != b.getRank())
      return refuse(op, "a value is of another rank for another number of rows");
    Rows found;
    for (int64_t dim = 0; dim < a.getRank(); ++dim) {
      const int64_t here = a.getDimSize(dim), there = b.getDimSize(dim);
      if (here == there)
        continue;
      const int64_t inner = here / graphs.rows;
      if (found || inner * graphs.rows != here || inner * graphs.bucket != there)
        return refuse(op, "a size of it is no multiple of the number of rows");
      found = {dim, inner};
    }
    rows[exact] = found;
    return {};
  }

  Status visit(Operation *exact, Operation *padded) {
    if (exact->getName().getStringRef() != padded->getName().getStringRef() ||
        exact->getNumOperands() != padded->getNumOperands() ||
        exact->getNumResults() != padded->getNumResults())
      return refuse(exact, "the graph is another one for another number of rows");
    for (auto [a, b] : llvm::zip(exact->getOperands(), padded->getOperands()))
      if (pairs.lookup(a) != b)
        return refuse(exact, "the graph is another one for another number of rows");
    bool readsRows = false, givesRows = false;
    for (Value operand : exact->getOperands())
      readsRows |= bool(rows.lookup(operand));
    for (auto [a, b] : llvm::zip(exact->getResults(), padded->getResults())) {
      INGOT_TRY(learn(exact, a, b));
      pairs[a] = b;
      givesRows |= bool(rows.lookup(a));
    }
    if (auto constant = dyn_cast<ConstantOp>(exact))
      return visitConstant(constant, cast<ConstantOp>(padded));
    if (auto slice = dyn_cast<SliceOp>(exact); !slice || !readsRows)
      INGOT_TRY(compareAttributes(exact, padded));
    if (auto result = dyn_cast<func::ReturnOp>(exact))
      return visitReturn(result);
    if (exact->getNumRegions() > 0)
      return refuse(exact, "rows are not followed into loops and branches");
    if (!readsRows && !givesRows)
      return {};
    if (!keepsRows(exact, padded))
      return refuse(exact, "rows depend on each other, or may");
    return {};
  }

  Status compareAttributes(Operation *exact, Operation *padded) {
    auto a = exact->getAttrDictionary(), b = padded->getAttrDictionary();
    if (a.size() != b.size())
      return refuse(exact, "it depends on the number of rows");
    for (auto [x, y] : llvm::zip(a, b))
      if (x.getName().getValue() != y.getName().getValue() ||
          text(x.getValue()) != text(y.getValue()))
        return refuse(exact, "it depends on the number of rows");
    return {};
  }

  Status visitConstant(ConstantOp exact, ConstantOp padded) {
    if (rows.lookup(exact.getResult()) && !(isSplat(exact) && isSplat(padded)))
      return refuse(exact, "a constant differs from row to row");
    Result<Tensor> a = tensorOf(exact.getValue()), b = tensorOf(padded.getValue());
    const size_t bytes = a && b ? std::min(a->bytes(), b->bytes()) : 0;
    if (!a || !b || a->type() != b->type() || std::memcmp(a->data(), b->data(), bytes) != 0)
      return refuse(exact, "a constant depends on the number of rows");
    return {};
  }

  Status visitReturn(func::ReturnOp op) {
    auto function = op->getParentOfType<func::FuncOp>();
    for (auto [index, value] : llvm::enumerate(op.getOperands())) {
      if (function.getResultAttr(unsigned(index), "graph.count"))
        return refuse(op, "the size of an output depends on data");
      auto name = function.getResultAttrOfType<StringAttr>(unsigned(index), "graph.name");
      if (const Rows found = rows.lookup(value); found && name)
        structure.outputs[name.str()] = found.dimension;
    }
    return {};
  }

  //===------------------------------------------------------------------------------------------===//
  // Ops
  //===------------------------------------------------------------------------------------------===//

  Rows of(Value value) const { return rows.lookup(value); }
  bool isShared(Value value) const { return !value || !of(value); }

  /// The rows stay in their dimension, which is not among those that the op works along.
  bool staysApart(Value operand, Value result, ArrayRef<int64_t> along) {
    return of(operand) && of(operand) == of(result) &&
           !llvm::is_contained(along, of(operand).dimension);
  }

  /// Whether a kernel that reads this value may read an operand of its through something that moves
  /// elements.
  bool isMoved(Value value) const {
    llvm::SmallPtrSet<Operation *, 8> seen;
    SmallVector<Value> open = {value};
    while (!open.empty()) {
      Operation *op = open.pop_back_val().getDefiningOp();
      if (!op || !seen.insert(op).second)
        continue;
      if (op->hasTrait<MovesElements>())
        return true;
      if (op->hasTrait<mlir::OpTrait::Elementwise>())
        llvm::append_range(open, op->getOperands());
    }
    return false;
  }

  /// A sum for each of so many results: whether lanes may go across them must not change. They do
  /// so only where elements of a sum do not lie side by side.
  void noteSums(Operation *exact, Operation *padded, ArrayRef<int64_t> along) {
    const int64_t rank = int64_t(shapeOf(exact->getOperand(0)).size());
    const bool areInner =
        llvm::all_of(along, [&](int64_t dim) { return dim >= rank - int64_t(along.size()); });
    if (areInner &&
        llvm::none_of(exact->getOperands(), [&](Value operand) { return isMoved(operand); }))
      return;
    auto kept = [&](Operation *op) {
      return computeProduct(shapeOf(op->getOperand(0))) /
             std::max<int64_t>(1, productOf(op->getOperand(0), along));
    };
    structure.mayRoundOtherwise |= (kept(exact) >= lanes) != (kept(padded) >= lanes);
  }
  /// What several sums read, such as a factor that all rows have, is read once for those that lie
  /// side by side, if these are few.
  void noteSumsAtOnce(Value result, int64_t dimension) {
    structure.mayRoundOtherwise |= computeProduct(shapeOf(result).drop_front(dimension)) <= lanes;
  }
  void noteSides(int64_t exact, int64_t padded) {
    structure.mayRoundOtherwise |= sideClass(exact) != sideClass(padded);
  }

  bool keepsRows(Operation *exact, Operation *padded) {
    Value result = exact->getResult(0);
    const Rows to = of(result);
    if (exact->hasTrait<mlir::OpTrait::Elementwise>())
      return llvm::all_of(exact->getOperands(), [&](Value operand) {
        return of(operand) == to || (!of(operand) && shapeOf(operand).empty());
      });
    return TypeSwitch<Operation *, bool>(exact)
        .Case([&](IotaOp op) { return int64_t(op.getDimension()) != to.dimension; })
        .Case([&](ReshapeOp op) { return reshape(op); })
        .Case([&](TransposeOp op) {
          return to && of(op.getOperand()) == Rows{op.getPermutation()[to.dimension], to.inner};
        })
        .Case([&](BroadcastOp op) { return broadcast(op); })
        .Case([&](SliceOp op) { return slice(op, cast<SliceOp>(padded)); })
        .Case([&](PadOp op) {
          const Rows from = of(op.getOperand());
          return isShared(op.getValue()) && from && from == to &&
                 op.getLow()[from.dimension] == 0 && op.getHigh()[from.dimension] == 0 &&
                 op.getInterior()[from.dimension] == 0;
        })
        .Case([&](ReverseOp op) { return staysApart(op.getOperand(), result, op.getDimensions()); })
        .Case([&](WindowOp op) { return staysApart(op.getOperand(), result, op.getDimensions()); })
        .Case([&](ConcatOp op) {
          return llvm::all_of(op.getOperands(), [&](Value operand) {
            return staysApart(operand, result, int64_t(op.getDimension()));
          });
        })
        .Case([&](ScanOp op) {
          return staysApart(op.getOperand(), result, int64_t(op.getDimension()));
        })
        .Case([&](SortOp op) {
          return staysApart(op.getOperand(), result, int64_t(op.getDimension())) &&
                 of(op.getPlaces()) == to;
        })
        .Case<SoftmaxOp, LogSoftmaxOp>([&](auto op) {
          const int64_t along = int64_t(op.getDimension());
          noteSums(exact, padded, along);
          return staysApart(op.getOperand(), result, along);
        })
        .Case<ReduceOp, ReduceTuplesOp>(
            [&](auto op) { return reduce(op, padded, op.getDimensions()); })
        .Case([&](LayerNormOp op) {
          const int64_t last = int64_t(shapeOf(result).size()) - 1;
          noteSums(exact, padded, last);
          return isShared(op.getScale()) && isShared(op.getBias()) &&
                 staysApart(op.getOperand(), result, last) && of(op.getMean()) == to &&
                 of(op.getRstd()) == to;
        })
        .Case([&](GatherOp op) { return gather(op); })
        .Case([&](PickOp op) {
          const Rows from = of(op.getOperand());
          const int64_t along = int64_t(op.getDimension());
          return from && from.dimension != along && of(op.getIndices()) == to &&
                 to == Rows{from.dimension - (from.dimension > along), from.inner};
        })
        .Case([&](EmbeddingOp op) { return isShared(op.getTable()) && of(op.getIndices()) == to; })
        .Case([&](DynamicSliceOp op) {
          return isShared(op.getStart()) &&
                 staysApart(op.getOperand(), result, int64_t(op.getDimension()));
        })
        .Case([&](DynamicUpdateSliceOp op) {
          const int64_t along = int64_t(op.getDimension());
          return isShared(op.getStart()) && staysApart(op.getBase(), result, along) &&
                 staysApart(op.getUpdate(), result, along);
        })
        .Case([&](ContractOp op) { return contract(op, cast<ContractOp>(padded)); })
        .Case([&](LinearOp op) {
          const int64_t last = int64_t(shapeOf(op.getOperand()).size()) - 1;
          noteSides(computeProduct(shapeOf(op.getOperand()).drop_back()),
                    computeProduct(shapeOf(padded->getOperand(0)).drop_back()));
          return isShared(op.getWeight()) && isShared(op.getBias()) &&
                 staysApart(op.getOperand(), result, last);
        })
        .Case([&](ConvolutionOp op) {
          // A channel by itself is no product of matrices, but a sum of windows times factors.
          if (shapeOf(op.getWeight())[0] == shapeOf(op.getOperand())[1] &&
              shapeOf(op.getWeight())[1] == 1)
            noteSumsAtOnce(result, 0);
          return isShared(op.getWeight()) && of(op.getOperand()).dimension == 0 &&
                 of(op.getOperand()) == to;
        })
        .Case([&](AttentionOp op) {
          const Rows from = of(op.getQuery());
          return from.dimension == 0 && from == of(op.getKey()) && from == of(op.getValue()) &&
                 from == to && from == of(op.getLse());
        })
        .Default([](Operation *) { return false; });
  }

  /// Before the dimension of the rows there are as many elements as before.
  bool reshape(ReshapeOp op) {
    const Rows from = of(op.getOperand()), to = of(op.getResult());
    return from && to &&
           computeProduct(shapeOf(op.getOperand()).take_front(from.dimension)) ==
               computeProduct(shapeOf(op.getResult()).take_front(to.dimension));
  }

  bool broadcast(BroadcastOp op) {
    const Rows from = of(op.getOperand()), to = of(op.getResult());
    return from ? to == Rows{op.getDimensions()[from.dimension], from.inner} : bool(to);
  }

  /// All rows, and the same part of each.
  bool slice(SliceOp exact, SliceOp padded) {
    const Rows from = of(exact.getOperand());
    if (!from || from != of(exact.getResult()))
      return false;
    for (int64_t dim = 0; dim < int64_t(exact.getOffsets().size()); ++dim) {
      if (dim == from.dimension) {
        if (exact.getOffsets()[dim] != 0 || padded.getOffsets()[dim] != 0 ||
            exact.getStrides()[dim] != 1 || padded.getStrides()[dim] != 1)
          return false; // sizes then say that it is all of them
      } else if (exact.getOffsets()[dim] != padded.getOffsets()[dim] ||
                 exact.getLimits()[dim] != padded.getLimits()[dim] ||
                 exact.getStrides()[dim] != padded.getStrides()[dim]) {
        return false;
      }
    }
    return true;
  }

  bool reduce(Operation *exact, Operation *padded, ArrayRef<int64_t> along) {
    const Rows from = of(exact->getOperand(0));
    if (!from || llvm::is_contained(along, from.dimension) ||
        llvm::any_of(exact->getOperands(), [&](Value operand) { return of(operand) != from; }))
      return false;
    Rows expected = from;
    for (int64_t dim : along)
      expected.dimension -= dim < from.dimension;
    noteSums(exact, padded, along);
    if (llvm::any_of(exact->getOperands(), [&](Value operand) { return isMoved(operand); }))
      noteSumsAtOnce(exact->getResult(0), expected.dimension);
    return llvm::all_of(exact->getResults(), [&](Value result) { return of(result) == expected; });
  }

  bool gather(GatherOp op) {
    const Rows from = of(op.getOperand()), picked = of(op.getIndices()), to = of(op.getResult());
    const int64_t along = int64_t(op.getDimension()),
                  more = int64_t(shapeOf(op.getIndices()).size()) - 1;
    if (from && picked)
      return false;
    if (picked)
      return to == Rows{along + picked.dimension, picked.inner};
    return from && from.dimension != along &&
           to == Rows{from.dimension + (from.dimension > along ? more : 0), from.inner};
  }

  bool contract(ContractOp op, ContractOp padded) {
    const Rows left = of(op.getLhs()), right = of(op.getRhs()), to = of(op.getResult());
    if ((left && llvm::is_contained(op.getLhsContract(), left.dimension)) ||
        (right && llvm::is_contained(op.getRhsContract(), right.dimension)))
      return false;
    const auto *batch = llvm::find(op.getLhsBatch(), left.dimension);
    if (left && batch != op.getLhsBatch().end()) {
      const int64_t place = batch - op.getLhsBatch().begin();
      return right == Rows{op.getRhsBatch()[place], left.inner} && to == Rows{place, left.inner};
    }
    if (left && right)
      return false;
    const bool onLeft = bool(left);
    const Rows from = onLeft ? left : right;
    if (!onLeft && llvm::is_contained(op.getRhsBatch(), right.dimension))
      return false;
    auto free = [](Value value, ArrayRef<int64_t> batch, ArrayRef<int64_t> summed) {
      SmallVector<int64_t> dims;
      for (int64_t dim = 0; dim < int64_t(shapeOf(value).size()); ++dim)
        if (!llvm::is_contained(batch, dim) && !llvm::is_contained(summed, dim))
          dims.push_back(dim);
      return dims;
    };
    const auto rowsOf = [&](ContractOp any) {
      return onLeft ? productOf(any.getLhs(),
                                free(any.getLhs(), any.getLhsBatch(), any.getLhsContract()))
                    : productOf(any.getRhs(),
                                free(any.getRhs(), any.getRhsBatch(), any.getRhsContract()));
    };
    noteSides(rowsOf(op), rowsOf(padded));
    const auto leftFree = free(op.getLhs(), op.getLhsBatch(), op.getLhsContract()),
               ownFree =
                   onLeft ? leftFree : free(op.getRhs(), op.getRhsBatch(), op.getRhsContract());
    const int64_t place = llvm::find(ownFree, from.dimension) - ownFree.begin();
    return to ==
           Rows{int64_t(op.getLhsBatch().size()) + (onLeft ? 0 : int64_t(leftFree.size())) + place,
                from.inner};
  }

  RowGraphs graphs;
  llvm::DenseMap<Value, Rows> rows;
  llvm::DenseMap<Value, Value> pairs; ///< values of the graph with more rows
  RowStructure structure;
};

} // namespace

Result<RowStructure> structureOf(const RowGraphs &graphs) { return Walk(graphs).run(); }

} // namespace ingot
