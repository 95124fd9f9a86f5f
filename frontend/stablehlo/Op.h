/// What a row of StableHLO's table sees of an op.
#pragma once
#include "frontend/builder/Builder.h"
#include "mlir/IR/Operation.h"
#include <span>

namespace ingot::stablehlo {

using Value = Builder::Value;
using Values = std::vector<Value>;
using Ints = std::vector<int64_t>;

class Importer;

/// One op being imported. A refusal is recorded, and its results are Value().
class Op {
public:
  Op(Importer &importer, Builder &b, mlir::Operation *op, Values operands)
      : b(b), op(op), importer(importer), values(std::move(operands)) {}

  /// An op inside, without operands: for what its attributes say.
  Op(Op &outer, mlir::Operation *op) : b(outer.b), op(op), importer(outer.importer) {}

  Builder &b;
  mlir::Operation *const op;

  size_t size() const { return values.size(); }
  Value operand(size_t index) const { return index < values.size() ? values[index] : Value(); }
  std::span<const Value> operands() const { return values; }
  /// Of a result as the file says it; none where it is no tensor of numbers.
  std::optional<ElementType> type(size_t result = 0) const;
  Shape shape(size_t result = 0) const;

  /// Null if there is none. Those of `dictionary` where that is given.
  mlir::Attribute attribute(llvm::StringRef name, mlir::DictionaryAttr dictionary = {}) const;
  std::string text(llvm::StringRef name) const;
  /// The keyword of that number in a short form.
  std::string word(size_t index) const;
  Ints ints(llvm::StringRef name, mlir::DictionaryAttr dictionary = {}) const;
  int64_t integer(llvm::StringRef name, int64_t otherwise,
                  mlir::DictionaryAttr dictionary = {}) const;
  mlir::DictionaryAttr dictionary(llvm::StringRef name) const;

  /// The op of a region's only computation on its arguments, without its dialect: `add`; `first` or
  /// `second` where that argument is returned as it is; empty for others.
  std::string combiner(size_t region = 0) const;
  /// A region's results for these arguments, written out here.
  std::optional<Values> inlined(size_t region, Values arguments);

  /// Records why the op cannot be imported.
  Values refuse(std::string reason);

private:
  Importer &importer;
  Values values;
};

/// The only element of a constant.
double loadScalar(const Tensor &tensor);

struct Row {
  llvm::StringRef op; ///< without the dialect
  Values (*import)(Op &);
};

// Parts of the table, a file each.
std::span<const Row> elementwiseRows();
std::span<const Row> tensorRows();
std::span<const Row> indexRows();
std::span<const Row> controlRows();

const Row *findRow(llvm::StringRef op);

} // namespace ingot::stablehlo
