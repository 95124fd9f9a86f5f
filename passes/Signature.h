/// What the arguments and results of a program's functions are: names, roles, order.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/program/Role.h"

namespace ingot {

inline constexpr llvm::StringLiteral nameAttribute = "graph.name";
inline constexpr llvm::StringLiteral roleAttribute = "graph.role";
inline constexpr llvm::StringLiteral initAttribute = "graph.init";
/// Of a parameter that is not trained unless a group takes it: stored statistics.
inline constexpr llvm::StringLiteral frozenAttribute = "graph.frozen";
inline constexpr llvm::StringLiteral donatedAttribute = "graph.donated";
/// Of an argument that holds indices: they must be below it, and the runtime checks that.
inline constexpr llvm::StringLiteral limitAttribute = "graph.limit";
/// Of a result that tells of several arguments together: their names, in the order of its elements.
inline constexpr llvm::StringLiteral membersAttribute = "graph.members";
/// Of a result whose size is known at run time only, and which has room for the largest: the name
/// of the result that says how many elements are meant, and of which dimension.
inline constexpr llvm::StringLiteral countAttribute = "graph.count";
/// Of an argument or result of unsigned type, since `linalg` has signless ones alone.
inline constexpr llvm::StringLiteral unsignedAttribute = "graph.unsigned";

/// The role's spelling in the IR.
inline llvm::StringRef roleName(Role role) { return name(role); }

/// The role and name of a function's argument; an argument without a role is an input, one without
/// a name has an empty one.
Role roleOf(mlir::func::FuncOp function, unsigned index);
llvm::StringRef argumentName(mlir::func::FuncOp function, unsigned index);
llvm::StringRef argumentName(mlir::Value argument);
llvm::StringRef resultName(mlir::func::FuncOp function, unsigned index);

/// True for function arguments of role `parameter`.
bool isParameter(mlir::Value value);
/// The arguments of one role, in order.
llvm::SmallVector<mlir::BlockArgument> argumentsOf(mlir::func::FuncOp function, Role role);

/// Checks that arguments have names and roles and stand in the order of roles. (What the attributes
/// say is verified by the dialect.)
llvm::LogicalResult verifySignature(mlir::func::FuncOp function);

/// Inserts an argument behind those of its role. Its location is `location`, named after it.
mlir::BlockArgument insertArgument(mlir::func::FuncOp function, Role role, llvm::StringRef name,
                                   mlir::Type type, mlir::Location location);

/// A result of a function, its name and, where not empty, its role.
struct NamedResult {
  mlir::Value value;
  std::string name;
  llvm::StringRef role = {};
  llvm::SmallVector<llvm::StringRef> members = {};
};
/// Replaces what the function returns.
void setResults(mlir::func::FuncOp function, llvm::ArrayRef<NamedResult> results);

/// The module's function of that name with one block, or null with an error at the module that
/// names the pass which makes it.
mlir::func::FuncOp requireFunction(mlir::ModuleOp module, llvm::StringRef name,
                                   llvm::StringRef maker);

} // namespace ingot
