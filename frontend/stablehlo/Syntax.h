/// StableHLO's text, as JAX and others print it, without upstream's library: ops of its dialects
/// are kept unregistered, with their operands, results, attributes and regions.
#pragma once
#include "mlir/IR/Dialect.h"

namespace ingot::stablehlo {

/// The dialect `stablehlo`. Short forms become attributes of the long one: `dims`,
/// `contracting_dims` and `contracting_dims_of_rhs`, `words` (keywords in their order), `starts`,
/// `limits`, `strides`, `value`, `applies`.
class StablehloDialect : public mlir::Dialect {
public:
  static constexpr llvm::StringLiteral getDialectNamespace() { return "stablehlo"; }
  explicit StablehloDialect(mlir::MLIRContext *context);
  mlir::Attribute parseAttribute(mlir::DialectAsmParser &parser, mlir::Type type) const override;
  std::optional<ParseOpHook> getParseOperationHook(llvm::StringRef op) const override;
};

/// Its relative for ops of clients, such as `chlo.erf`.
class ChloDialect : public mlir::Dialect {
public:
  static constexpr llvm::StringLiteral getDialectNamespace() { return "chlo"; }
  explicit ChloDialect(mlir::MLIRContext *context);
  std::optional<ParseOpHook> getParseOperationHook(llvm::StringRef op) const override;
};

} // namespace ingot::stablehlo
