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

/// True for the spelling of a role whose tensors outlive the function.
inline bool isPersistentRole(llvm::StringRef text) {
  std::optional<Role> role = parseRole(text);
  return role && isPersistent(*role);
}

/// Assigns the buffers of one entry function.
///
/// Calls are numbered, and `order` says when each runs: nothing but this order moves while it is
/// looked for. Aliases that the function itself demands (views, donation, what loops carry) do not
/// depend on it.
///
/// Calls of a loop's body or of one side of a branch are a scope; in `order` they stay together.
/// Time runs through a loop's body once. What is read in a body but made outside lives until the
/// loop ends.
class BufferAssignment {
public:
  BufferAssignment(mlir::func::FuncOp function, mlir::SymbolTable &symbols)
      : function(function), symbols(symbols) {}

  /// Settles the order of calls and which tensors share memory.
  llvm::LogicalResult assign();
  /// Gives parameters and state of this function their place, beside those they share a bucket
  /// with.
  llvm::LogicalResult placePersistent(Persistent &persistent);
  /// Bytes that the rest needs behind the persistent part.
  int64_t transientEnd();
  /// Lays the rest out behind the persistent part. Returns the arena's end for this function.
  int64_t placeTransient(const Persistent &persistent);
  /// Rewrites the function on the arena.
  void rewrite(int64_t arenaBytes);

private:
  using CallNumber = unsigned;
  using ScopeNumber = unsigned;
  /// The function, a loop's body or one side of a branch.
  struct Scope {
    mlir::Block *block;
    ScopeNumber around;          ///< the scope that it is in; its own number for the function
    int64_t first = 0, last = 0; ///< times of its first and last call
    graph::LoopOp loop() const { return dyn_cast<graph::LoopOp>(block->getParentOp()); }
  };
  struct Call {
    mlir::func::CallOp op;
    mlir::func::FuncOp kernel;
    kernel::ScheduleAttr schedule;
    ScopeNumber scope;
    bool isCopy; ///< its kernel copies
  };
  /// A tensor whose contents come into being: an argument, a constant, a kernel's result, what a
  /// loop's body begins with or what a loop or branch ends with. All other tensors are views of
  /// these.
  struct Definition {
    enum class Kind : uint8_t {
      Argument, ///< of the function
      Constant,
      Result,  ///< of a call
      Counter, ///< of a loop
      Carried, ///< at the start of a loop's iteration
      Ended,   ///< what a loop carried, or a branch gave
      Stacked  ///< by a loop
    };
    mlir::Value value;
    Kind kind;
    ScopeNumber scope;                          ///< where it is known
    std::optional<CallNumber> call = {};        ///< that writes it
    llvm::SmallVector<CallNumber> readers = {}; ///< through views too
    /// Loops and branches that read it before their first call, or take it over then; scopes that
    /// yield it after their last call.
    llvm::SmallVector<ScopeNumber> begins = {}, handedTo = {}, ends = {};
    bool isReturned = false;
    int64_t first = 0; ///< when it is written; 0 for arguments and constants
    int64_t last = 0;  ///< when it is read last; the number of calls if returned

    /// Only what a body reads is counted for it.
    bool isRead() const { return kind != Kind::Counter || !readers.empty() || !begins.empty(); }
    bool isConstant() const { return kind == Kind::Constant; }
    /// The plan may give its memory to others.
    bool isOwned() const {
      return kind != Kind::Argument && kind != Kind::Constant && kind != Kind::Counter;
    }
  };
  /// How far a tensor's place moves with each number of a loop's iterations.
  struct Motion {
    ScopeNumber scope; ///< the loop's body
    int64_t bytes;
  };
  using Motions = llvm::DenseMap<mlir::Value, Motion>;

  mlir::func::ReturnOp terminator() {
    return cast<mlir::func::ReturnOp>(function.getBody().front().getTerminator());
  }
  std::string resultName(unsigned result);

  void separateReturned();
  llvm::LogicalResult findCalls();
  llvm::LogicalResult findScopes(mlir::Block &block, ScopeNumber around);
  Definition &define(mlir::Value value, Definition::Kind kind);
  void defineInRegions();
  void findUses();
  llvm::LogicalResult joinViews();
  llvm::LogicalResult joinView(mlir::Operation *op);
  llvm::LogicalResult joinRegions();
  llvm::LogicalResult joinDonated();

  // Loops and branches (Scopes.cpp).
  ScopeNumber scopeOf(mlir::Value value) const;
  ScopeNumber loopAround(ScopeNumber scope) const;
  bool crossesLoop(ScopeNumber outer, ScopeNumber inner) const;
  std::pair<int64_t, int64_t> spanIn(ScopeNumber scope, int64_t time) const;
  void setSpans();
  void setLifetime(Definition &definition) const;
  int64_t bytesAt(mlir::Value value) const;

  // Copies that need not be made (CopyCalls.cpp).
  struct Merge;
  void joinCopies();
  bool mayMerge(const Merge &merge);
  bool replaces(const Merge &merge, const Definition &later, const Definition &earlier);
  bool isMadeAndReadIn(const Definition &definition, ScopeNumber loop) const;
  bool isElided(const Call &call);

  // The order, and what follows from it (CallOrder.cpp).
  void setTimes();
  void run(CallNumber call, CallNumber behind);
  void sinkUpdates();
  void lowerPeak();
  /// The most bytes that live before each time, and from it on.
  struct LivePeaks {
    std::vector<int64_t> before, from;
  };
  LivePeaks livePeaks();
  int64_t firstReader(CallNumber call) const;
  int64_t gainOfSinking(CallNumber call);
  void joinInPlace();
  bool mayReuse(const Call &call, kernel::PairAttr pair);
  void settleStorage();
  /// A result that overwrites what is still read.
  std::optional<mlir::OpResult> findHazard();

  bool overlap(mlir::Value a, mlir::Value b);
  bool within(mlir::Value a, mlir::Value b);
  const Definition *definitionOf(mlir::Value value) const;
  int64_t timeOf(const Call &call) const { return times[&call - calls.data()]; }
  bool isArgument(mlir::Value value) const {
    auto argument = dyn_cast<mlir::BlockArgument>(value);
    return argument && isa<mlir::func::FuncOp>(argument.getOwner()->getParentOp());
  }

  /// An alias set that is neither persistent nor constant: its lifetime, and the lowest offset in
  /// it.
  struct Transient {
    ArenaBuffer buffer;
    int64_t low = 0;
  };
  llvm::MapVector<mlir::Value, Transient> transientSets(); ///< by root
  /// Launch scratch of the calls that need some, by call.
  llvm::SmallVector<std::pair<CallNumber, ArenaBuffer>> launchScratch() const;
  std::vector<ArenaBuffer> transientBuffers(); ///< both, without places
  bool isPersistent(mlir::Value root);
  int64_t offsetOf(mlir::Value value);
  llvm::StringRef kindOf(mlir::Value root);
  std::string labelOf(mlir::Value value);
  mlir::Attribute portAttr(llvm::StringRef name, llvm::StringRef kind, mlir::Value value,
                           mlir::DictionaryAttr attributes);
  mlir::ArrayAttr plannedBuffers();
  void emitCalls(mlir::func::FuncOp planned);

  mlir::func::FuncOp function;
  mlir::SymbolTable &symbols;
  std::vector<Scope> scopes; ///< the function first, each after the one around it
  std::vector<Call> calls;
  std::vector<CallNumber> order;       ///< calls as they run
  std::vector<int64_t> times;          ///< by call: its place in `order`
  std::vector<Definition> definitions; ///< arguments, constants, then results by call
  llvm::DenseMap<mlir::Value, unsigned> definitionNumbers;
  AliasSets demanded; ///< views, donation, loops and branches
  AliasSets storage;  ///< these, and updates in place under the present order
  Motions demandedMotions, motions;
  llvm::MapVector<mlir::Value, std::string>
      persistentNames;                        ///< arguments and returned values by name
  llvm::DenseMap<mlir::Value, int64_t> bases; ///< root → arena offset of the root
  llvm::DenseMap<mlir::Operation *, int64_t> scratchOffsets; ///< of calls with launch scratch
  llvm::DenseSet<mlir::Value> gradients;
  std::vector<std::pair<mlir::Value, ArenaBuffer>> buffers; ///< by root
};

} // namespace ingot
