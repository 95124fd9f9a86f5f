/// Buffer assignment of one entry function: which tensors share memory, where it lies in the arena,
/// and the function rewritten on it. PlanMemory.cpp drives it.
#pragma once
#include "ir/dialect/Graph.h"
#include "passes/Signature.h"
#include "passes/memory/AliasSets.h"
#include "passes/memory/ArenaLayout.h"
#include "passes/schedule/KernelDialect.h"
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

/// True for parameters and state, which outlive the function.
inline bool isPersistentRole(llvm::StringRef role) {
  return role == "parameter" || role == "state";
}

/// Assigns the buffers of one entry function.
///
/// Calls are numbered, and `order` says when each runs: nothing but this order moves while it is
/// looked for. Aliases that the function itself demands (views, donation) do not depend on it.
class BufferAssignment {
public:
  BufferAssignment(mlir::func::FuncOp function, mlir::SymbolTable &symbols)
      : function(function), symbols(symbols) {}

  /// Settles the order of calls and which tensors share memory.
  llvm::LogicalResult assign();
  /// Gives parameters and state of this function their place, beside those they share a bucket
  /// with.
  llvm::LogicalResult placePersistent(Persistent &persistent);
  /// Lays the rest out behind the persistent part. Returns the arena's end for this function.
  int64_t placeTransient(const Persistent &persistent);
  /// Rewrites the function on the arena.
  void rewrite(int64_t arenaBytes);

private:
  using CallNumber = unsigned;
  struct Call {
    mlir::func::CallOp op;
    mlir::func::FuncOp kernel;
    kernel::ScheduleAttr schedule;
  };
  /// A tensor whose contents come into being: an argument, a constant or a kernel's result. All
  /// other tensors are views of these.
  struct Definition {
    mlir::Value value;
    std::optional<CallNumber> call;        ///< that writes it; none for arguments and constants
    llvm::SmallVector<CallNumber> readers; ///< through views too
    bool isReturned = false;
    bool isConstant = false;
    int64_t first = 0; ///< when it is written; 0 for arguments and constants
    int64_t last = 0;  ///< when it is read last; the number of calls if returned
  };

  mlir::func::ReturnOp terminator() {
    return cast<mlir::func::ReturnOp>(function.getBody().front().getTerminator());
  }
  std::string resultName(unsigned result);

  void separateReturned();
  llvm::LogicalResult findCalls();
  void define(mlir::Value value, std::optional<CallNumber> call, bool isConstant);
  void recordUses(mlir::Value value, Definition &definition);
  llvm::LogicalResult joinViews();
  llvm::LogicalResult joinDonated();

  // The order, and what follows from it (CallOrder.cpp).
  void setTimes();
  void run(CallNumber call, CallNumber behind);
  void sinkUpdates();
  void lowerPeak();
  int64_t firstReader(CallNumber call) const;
  int64_t gainOfSinking(CallNumber call);
  void joinInPlace();
  bool mayReuse(const Call &call, kernel::PairAttr pair);
  llvm::LogicalResult verifyHazards();

  bool overlap(mlir::Value a, mlir::Value b);
  bool within(mlir::Value a, mlir::Value b);
  const Definition *definitionOf(mlir::Value value) const;
  int64_t timeOf(const Call &call) const { return times[&call - calls.data()]; }

  /// An alias set that is neither persistent nor constant: its lifetime, and the lowest offset in
  /// it.
  struct Transient {
    ArenaBuffer buffer;
    int64_t low = 0;
  };
  llvm::MapVector<mlir::Value, Transient> transientSets(); ///< by root
  /// Launch scratch of the calls that need some, by call.
  llvm::SmallVector<std::pair<CallNumber, ArenaBuffer>> launchScratch() const;
  int64_t transientEnd();
  bool isPersistent(mlir::Value root);
  int64_t offsetOf(mlir::Value value);
  llvm::StringRef kindOf(mlir::Value root);
  std::string labelOf(mlir::Value value);
  mlir::Attribute portAttr(llvm::StringRef name, llvm::StringRef kind, mlir::Value value,
                           mlir::DictionaryAttr attributes);
  void addPlannedBuffers(mlir::func::FuncOp planned);

  mlir::func::FuncOp function;
  mlir::SymbolTable &symbols;
  std::vector<Call> calls;
  std::vector<CallNumber> order;       ///< calls as they run
  std::vector<int64_t> times;          ///< by call: its place in `order`
  std::vector<Definition> definitions; ///< arguments, constants, then results by call
  llvm::DenseMap<mlir::Value, unsigned> definitionNumbers;
  AliasSets demanded; ///< views and donation
  AliasSets storage;  ///< these, and updates in place under the present order
  llvm::MapVector<mlir::Value, std::string>
      persistentNames;                        ///< arguments and returned values by name
  llvm::DenseMap<mlir::Value, int64_t> bases; ///< root → arena offset of the root
  llvm::DenseMap<mlir::Operation *, int64_t> scratchOffsets; ///< of calls with launch scratch
  llvm::DenseSet<mlir::Value> gradients;
  std::vector<std::pair<mlir::Value, ArenaBuffer>> buffers; ///< by root
};

} // namespace ingot
