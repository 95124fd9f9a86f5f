/// The MLIR side of Builder: places ops, collects errors.
#pragma once
#include "frontend/api/ModelModule.h"
#include "frontend/builder/Builder.h"
#include "ir/dialect/Elements.h"
#include "ir/dialect/Graph.h"
#include "ir/dialect/Sizes.h"
#include "ir/formulas/TupleReductions.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringSet.h"
#include <deque>

namespace ingot {

/// The shape that both broadcast to, aligned at the last dimension; nothing if they do not.
std::optional<Shape> broadcastShape(Shape a, Shape b);

struct Builder::Impl {
  using Values = llvm::SmallVector<Value, 4>;
  using Attributes = llvm::ArrayRef<mlir::NamedAttribute>;

  /// `serial` counts the builder's models.
  Impl(Builder &owner, unsigned serial);

  /// The node's name: the scopes joined by dots, else `fallback`.
  std::string node(llvm::StringRef fallback) const;
  /// `h.0` and `weight` give `h.0.weight`.
  std::string qualified(std::string_view name) const;
  /// What an op with an error returns: later ops on it are skipped without an error of their own.
  Value invalid() const { return Value(&owner, -1, serial); }
  /// True if an op can be built on the operands; records an error if one was never made or belongs
  /// to another builder or an earlier model.
  bool usable(llvm::StringRef operation, llvm::ArrayRef<Value> operands);
  /// Records an error at the current node; returns the invalid value.
  Value fail(llvm::StringRef operation, llvm::ArrayRef<Value> operands, const std::string &message);
  Value boundary(std::string name, Role role, ElementType type, const Shape &shape,
                 const std::string &initializer);

  /// A parameter, or state.
  Value persistent(Role role, std::string_view name, const Shape &shape, Initializer initializer,
                   ElementType type);

  bool valid(const Value &value) const {
    return value.owner == &owner && value.index >= 0 && value.model == serial;
  }
  mlir::Value ir(const Value &value) const { return values[value.index]; }
  mlir::RankedTensorType type(const Value &value) const {
    return mlir::cast<mlir::RankedTensorType>(ir(value).getType());
  }
  llvm::ArrayRef<int64_t> shape(const Value &value) const { return type(value).getShape(); }
  mlir::RankedTensorType tensor(llvm::ArrayRef<int64_t> shape, mlir::Type element) const {
    return mlir::RankedTensorType::get(shape, element);
  }

  mlir::NamedAttribute integer(llvm::StringRef name, int64_t value) {
    return builder.getNamedAttr(name, builder.getI64IntegerAttr(value));
  }
  mlir::NamedAttribute integers(llvm::StringRef name, llvm::ArrayRef<int64_t> values) {
    return builder.getNamedAttr(name, builder.getDenseI64ArrayAttr(values));
  }
  mlir::NamedAttribute number(llvm::StringRef name, double value) {
    return builder.getNamedAttr(name, builder.getF64FloatAttr(value));
  }
  mlir::NamedAttribute boolean(llvm::StringRef name, bool value) {
    return builder.getNamedAttr(name, builder.getBoolAttr(value));
  }

  /// Adds an op whose result types follow from its operands and attributes.
  template <typename Op> Value infer(llvm::ArrayRef<Value> operands, Attributes attributes = {}) {
    return place(Op::getOperationName(), operands, attributes,
                 [](mlir::Location location, mlir::ValueRange irOperands,
                    mlir::DictionaryAttr dictionary, llvm::SmallVectorImpl<mlir::Type> &types) {
                   return inferTypes<Op>(location, irOperands, dictionary, types);
                 });
  }
  /// Adds an op with one result of a given type.
  template <typename Op>
  Value make(mlir::Type result, llvm::ArrayRef<Value> operands, Attributes attributes = {}) {
    return place(Op::getOperationName(), operands, attributes,
                 [result](auto, auto, auto, llvm::SmallVectorImpl<mlir::Type> &types) {
                   types.push_back(result);
                   return mlir::success();
                 });
  }
  /// An elementwise op after broadcasting; the result has the operands' common type.
  template <typename Op> Value elementwise(Values operands) {
    if (!broadcastTogether(Op::getOperationName(), operands))
      return invalid();
    return make<Op>(type(operands.front()), operands);
  }

  /// A row of the table of formulas, after broadcasting.
  Value formula(llvm::StringRef method, Values operands, llvm::ArrayRef<double> parameters);

  /// Repeats operands until their shapes agree; false after recording an error.
  bool broadcastTogether(llvm::StringRef operation, Values &operands);
  /// `x` aligned at the last dimensions of a shape that it broadcasts to.
  Value broadcastTo(Value x, llvm::ArrayRef<int64_t> shape);

  /// Adds a value of the builder for one of its IR.
  Value give(mlir::Value value);
  /// True for what was made in no loop or branch that has ended.
  bool isVisible(mlir::Value value) const {
    return value.getParentRegion()->isAncestor(builder.getInsertionBlock()->getParent());
  }
  /// Fills a region with what `body` builds on arguments of these types, and ends it with what
  /// `body` gives. Clears `holds`, with the error recorded, if one of the values is not usable.
  using RegionBody = llvm::function_ref<std::vector<Value>(llvm::ArrayRef<Value>)>;
  std::vector<Value> fill(llvm::StringRef operation, mlir::Region &region,
                          mlir::TypeRange arguments, RegionBody body, bool &holds);
  /// The op again, with these result types and its regions; its results.
  std::vector<Value> close(mlir::Operation *open, mlir::TypeRange results);

  Value reduce(graph::ReduceKind kind, Value x, std::vector<int64_t> dimensions,
               bool keepDimensions);
  Value scan(graph::ReduceKind kind, Value x, int64_t dimension, bool exclusive, bool reverse);
  /// A row of the table of reductions of tuples.
  std::vector<Value> reduceTuples(llvm::StringRef method, Value x, std::vector<int64_t> dimensions,
                                  bool keepDimensions);
  std::vector<Value> reduceTuples(const graph::TupleReduction &row, llvm::ArrayRef<Value> parts,
                                  llvm::ArrayRef<int64_t> dimensions);
  /// x, surrounded by a value, seen through the windows of a pooling.
  Value poolWindows(Value x, Value padding, const Pooling &how);
  /// Counts a negative dimension from the end, takes none as all; an error if one is not there.
  bool completeDimensions(llvm::StringRef operation, Value x, std::vector<int64_t> &dimensions);
  /// Gives reduced dimensions back, as 1.
  Value keep(Value reduced, Value x, llvm::ArrayRef<int64_t> dimensions);

  /// Erases what nothing uses.
  void dropUnused();

  using TypeFunction = llvm::function_ref<llvm::LogicalResult(
      mlir::Location, mlir::ValueRange, mlir::DictionaryAttr, llvm::SmallVectorImpl<mlir::Type> &)>;
  /// Adds and verifies an op; an invalid value, with the error recorded, if it does not hold.
  Value place(llvm::StringRef operation, llvm::ArrayRef<Value> operands, Attributes attributes,
              TypeFunction types);
  /// One a channel; an absent bias is Value().
  Value addBias(llvm::StringRef operation, Value y, Value bias);
  /// The other results of the op that made `first`.
  Value result(Value first, unsigned number);

  Builder &owner;
  const unsigned serial;
  std::shared_ptr<Model::Impl> model;
  mlir::OpBuilder builder;
  mlir::func::FuncOp forward;
  std::vector<mlir::Value> values;
  std::deque<Shape>
      shapes; ///< of `values`, for callers without MLIR; references to them stay valid
  std::vector<std::string> scopes;
  llvm::StringSet<> portNames;
  llvm::SmallVector<Role> roles; ///< of the arguments, sorted
  llvm::SmallVector<mlir::DictionaryAttr> argumentAttributes, resultAttributes;
  llvm::SmallVector<mlir::Value> results;
  std::vector<std::string> errors;
  bool folds = false;  ///< see Builder::foldOps
  int openRegions = 0; ///< bodies of loops and branches that are being built

private:
  /// What an op amounts to, if that is less than the op.
  mlir::Value fold(mlir::Operation *op);

  template <typename Op>
  static llvm::LogicalResult inferTypes(mlir::Location location, mlir::ValueRange operands,
                                        mlir::DictionaryAttr attributes,
                                        llvm::SmallVectorImpl<mlir::Type> &types) {
    auto run = [&](mlir::OpaqueProperties properties) {
      return Op::inferReturnTypes(location.getContext(), location, operands, attributes, properties,
                                  {}, types);
    };
    if constexpr (Op::hasProperties()) {
      typename Op::Properties properties;
      if (failed(Op::setPropertiesFromAttr(properties, attributes,
                                           [&] { return mlir::emitError(location); })))
        return mlir::failure();
      return run(&properties);
    } else {
      return run(nullptr);
    }
  }
};

} // namespace ingot
