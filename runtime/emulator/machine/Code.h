/// The pre-decoded form: what a warp runs.
///
/// A frame holds the registers of one function: for each, the values of the warp's 32 lanes side by
/// side (16, 32 or 64 bits a lane; 8-bit registers use 16, 128-bit ones two rows of 64), or one
/// 32-bit mask for a predicate. Immediates and special registers are registers too, filled in when
/// the frame is made, so an operand is always one offset: a Slot.
#pragma once
#include "runtime/emulator/ptx/Ptx.h"
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace ingot::emulator {

struct Warp;
struct Instruction;
struct CompiledFunction;
struct CompiledKernel;

inline constexpr int lanes = 32; ///< of a warp
inline constexpr uint32_t allLanes = ~uint32_t(0);

/// Byte offset of a register in its frame.
using Slot = uint32_t;
/// Registers of a frame begin at multiples of this many bytes; masks of predicates share one.
inline constexpr uint32_t registerAlignment = 64;
inline constexpr Slot noSlot = ~Slot(0);

/// Runs an instruction for the lanes in `mask`, which is never empty. `warp.pc` already names the
/// next instruction.
using Handler = void (*)(Warp &warp, const Instruction &instruction, uint32_t mask);

struct Instruction {
  Handler run = nullptr;
  const Slot *slots = nullptr; ///< operands, in the order in which the decoder asked for them
  Slot guard = noSlot;         ///< predicate; lanes where it is false stay out
  bool guardNegated = false;
  bool negated = false;        ///< the predicate operand !p of setp and the like
  uint8_t count = 0;           ///< for the handler: elements of a vector, …
  uint8_t mode = 0;            ///< for the handler
  uint32_t target = 0;         ///< branches
  uint32_t index = 0;          ///< its own position
  int64_t immediate = 0;       ///< for the handler: offset of an address, …
  const void *extra = nullptr; ///< for the handler: whatever does not fit; owned by the kernel
};

/// Classes of the profile.
enum class Class : uint8_t {
  Other,
  Integer,
  Float,
  Half,
  Convert,
  Move,
  Control,
  Memory,
  Atomic,
  Warp,
  Barrier,
  Async,
  Tensor
};

/// What only checks and messages need.
struct Detail {
  struct Use {
    Slot slot;
    uint16_t bits;
    bool written;
  };
  const ptx::Instruction *source = nullptr; ///< null for the `ret` at the end
  Class kind = Class::Other;
  std::vector<Use> uses; ///< registers; immediates and special registers are always initialised
};

/// What a frame is filled with besides constants.
struct FrameValue {
  enum class Kind : uint8_t {
    Special,       ///< `name`, as %tid.x
    SharedAddress, ///< of shared variable `index` of the kernel
    LocalAddress,  ///< of the frame's own local memory + `addend`
  };
  Kind kind = Kind::Special;
  int special = 0; ///< a row of the table of special registers
  int index = 0;
  int64_t addend = 0;
  Slot slot = 0;
  int bits = 32;
};

/// One value that goes into or out of a call: a register, or a .param variable.
struct Place {
  Slot slot = noSlot; ///< of a register or constant
  int64_t local = -1; ///< or its place in the frame's local memory
  int64_t bytes = 0;
};

/// What the checks know of a function before it runs: see Checks.cpp.
struct FunctionFacts;

struct CompiledFunction {
  const ptx::Function *source = nullptr;
  const CompiledKernel *kernel = nullptr;
  std::vector<Instruction> code;
  std::vector<Detail> details;
  std::vector<Slot> slots;
  std::vector<std::byte> image; ///< the frame with constants filled in and registers poisoned
  std::vector<FrameValue> values;
  std::vector<int64_t> variableOffsets; ///< of .local and .param variables in local memory; else -1
  int64_t localBytes = 0;
  std::vector<Place> parameters, results;
  /// Position in the arrays of counters of a launch: executions of every instruction.
  uint64_t firstCounter = 0;
  /// Made by the first launch with checks.
  mutable std::once_flag factsMade;
  mutable std::shared_ptr<const FunctionFacts> facts;
};

struct SharedVariable {
  const ptx::Variable *variable = nullptr;
  int64_t offset = 0;
};

struct CompiledKernel {
  const ptx::Module *module = nullptr;
  const ptx::Function *source = nullptr;
  std::vector<std::unique_ptr<CompiledFunction>> functions; ///< [0] is the kernel itself
  std::vector<SharedVariable> shared;
  int64_t staticSharedBytes = 0;
  /// At the start of shared memory, for the system's own use: there only if the code asks where it
  /// is (%reserved_smem_offset_…), as cooperative groups do.
  int64_t reservedSharedBytes = 0;
  int64_t dynamicSharedOffset = 0; ///< where extern shared arrays begin
  struct Parameter {
    std::string name;
    Type type;
    int64_t offset, bytes;
  };
  std::vector<Parameter> parameters;
  int64_t parameterBytes = 0;
  uint64_t counters = 0;                    ///< instructions of all functions
  std::vector<std::shared_ptr<void>> owned; ///< what `Instruction::extra` points to

  /// Functions that a call through a register may reach, by address.
  std::map<uint64_t, const CompiledFunction *> byAddress;
};

} // namespace ingot::emulator
