/// The storage of one entry function: who shares memory, where it lies, and the function rewritten
/// on the arena. PlanMemory.cpp drives it.
#pragma once
#include "ir/dialect/Graph.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Signature.h"
#include "passes/memory/ArenaLayout.h"
#include "passes/memory/StorageClasses.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"
#include <string>
#include <vector>

namespace ingot {

/// Offsets of what outlives a function: parameters and state by name, constants by value.
struct Persistent {
  llvm::StringMap<int64_t> named;
  llvm::MapVector<mlir::Attribute, int64_t> constants;
  int64_t end = 0;

  int64_t allocate(int64_t bytes) {
    int64_t offset = end;
    end = llvm::alignTo(end + bytes, arenaAlignment);
    return offset;
  }
};

/// A tensor whose contents come into being: an argument, a constant or a kernel's result. All other
/// tensors are views of these.
struct Definition {
  mlir::Value value;
  int64_t first; ///< launch that writes it; 0 for arguments and constants
  int64_t last;  ///< last launch that reads it, through views too; number of launches if returned
};
/// True for parameters and state, which outlive the function.
inline bool isPersistentRole(llvm::StringRef role) {
  return role == "parameter" || role == "state";
}

/// Plans one entry function.
class FunctionPlan {
public:
  FunctionPlan(mlir::func::FuncOp function, mlir::SymbolTable &symbols)
      : function(function), symbols(symbols) {}

  /// Joins views, buckets, donated results and in-place updates into storage classes.
  llvm::LogicalResult classify();
  /// Gives parameters and state of this function their place, beside those they share a bucket
  /// with.
  llvm::LogicalResult placePersistent(Persistent &persistent);
  /// Lays the rest out behind the persistent part. Returns the arena's end for this function.
  int64_t placeTransient(const Persistent &persistent);
  /// Rewrites the function on the arena.
  void rewrite(int64_t arenaBytes, int64_t workspaceBytes);

  /// Workspace bytes that a lowered kernel asks for.
  static int64_t workspace(mlir::Operation *kernel);

private:
  struct Pair {
    unsigned result, operand;
  };

  mlir::func::ReturnOp terminator() {
    return cast<mlir::func::ReturnOp>(function.getBody().front().getTerminator());
  }
  mlir::Operation *kernelOf(graph::LaunchOp launch) { return symbols.lookup(launch.getKernel()); }
  llvm::SmallVector<Pair> inPlacePairs(graph::LaunchOp launch);
  std::string resultName(unsigned result);

  void separateReturned();
  llvm::LogicalResult join();
  void number();
  void recordUses(mlir::Value value, int64_t &last);
  llvm::LogicalResult joinViews();
  llvm::LogicalResult joinDonated();
  void joinInPlace();
  void sinkUpdates();
  void moveBehind(graph::LaunchOp launch, mlir::Operation *after);
  llvm::LogicalResult lowerPeak();
  int64_t firstUse(mlir::Value value);
  int64_t gainOfSinking(graph::LaunchOp launch);
  llvm::LogicalResult verifyHazards();
  bool mayReuse(graph::LaunchOp launch, Pair pair);
  bool overlap(mlir::Value a, mlir::Value b);
  bool within(mlir::Value a, mlir::Value b);

  /// A class that is neither persistent nor constant: its lifetime, and the lowest offset in it.
  struct Transient {
    ArenaBuffer buffer;
    int64_t low = 0;
  };
  llvm::MapVector<mlir::Value, Transient> transientClasses(); ///< by root
  int64_t transientEnd();
  bool isPersistent(mlir::Value root);
  int64_t offsetOf(mlir::Value value);
  llvm::StringRef kindOf(mlir::Value root);
  std::string labelOf(mlir::Value value);
  mlir::Attribute portAttr(llvm::StringRef name, llvm::StringRef kind, mlir::Value value,
                           mlir::DictionaryAttr attributes);

  mlir::func::FuncOp function;
  mlir::SymbolTable &symbols;
  StorageClasses storage;
  llvm::SmallVector<graph::LaunchOp> launches;
  llvm::DenseMap<mlir::Operation *, int64_t> position;
  llvm::MapVector<mlir::Value, Definition> definitions;
  llvm::MapVector<mlir::Value, std::string>
      persistentNames;                        ///< arguments and returned values by name
  llvm::DenseMap<mlir::Value, int64_t> bases; ///< class root → arena offset of the root
  llvm::DenseSet<mlir::Value> gradients;
  std::vector<std::pair<mlir::Value, ArenaBuffer>> buffers;
};

} // namespace ingot
