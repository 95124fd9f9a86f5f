/// From parsed PTX to the pre-decoded form, by tables of instructions.
///
/// A family of instructions is a file with rows {opcode, function}. The function takes the
/// modifiers that it knows and asks for the operands in order; what it leaves over is an error, so
/// nothing is guessed. Several rows may serve one opcode (add of integers and of floats): a
/// function returns null, without an error, for types that are not its own.
#pragma once
#include "runtime/emulator/machine/Code.h"
#include <map>
#include <set>
#include <span>

namespace ingot::emulator {

class KernelCompiler;

/// [base + offset]: the base is a register of 64 bits (`wide`) or 32.
struct Address {
  Slot base = noSlot;
  bool wide = true;
  int64_t offset = 0;
  /// A parameter of the kernel: `offset` is its place among the parameters, there is no base.
  bool kernelParameter = false;
  /// A .param variable inside a function: local memory, `base` holds its address.
  bool localParameter = false;
};

/// One instruction on its way.
class Decoder {
public:
  Decoder(KernelCompiler &compiler, CompiledFunction &function, const ptx::Instruction &source,
          Instruction &result, Detail &detail)
      : compiler(compiler), function(function), source(source), result(result), detail(detail) {}

  // Modifiers.
  std::string_view opcode() const { return source.opcode; }
  /// Takes the modifier if it is there.
  bool flag(std::string_view name);
  /// Takes the first of these that is there; its number, or -1.
  int oneOf(std::initializer_list<std::string_view> names);
  /// Takes the next modifier, in order, if it names a type; Type::None if it does not.
  Type type();
  /// Takes the next modifier whatever it is; "" at the end.
  std::string_view nextModifier();
  /// The next modifier that was not taken; "" at the end.
  std::string_view peekModifier() const;

  // The module's `.target`: "sm_90a" is 90 and 'a'.
  struct Target {
    int number = 0;
    char suffix = 0;
  };
  Target target() const;
  /// Fails for targets below sm_N.
  bool needsTarget(int number);
  /// Fails but for sm_Na of these numbers, or sm_Nf too where families of chips have it.
  bool needsSpecificTarget(std::initializer_list<int> numbers, bool families);

  // Operands, in order. Each puts a slot into `Instruction::slots` and returns it.
  size_t operandsLeft() const { return source.operands.size() - nextOperand; }
  const ptx::Operand *peekOperand() const;
  /// Steps over an operand that the caller has dealt with itself.
  const ptx::Operand *takeOperand();
  Slot read(Type type);
  Slot write(Type type);
  /// Register of the type's size or wider, as cvt, ld and st allow; gives the register's own bits.
  Slot readWide(Type type, int &bits);
  Slot writeWide(Type type, int &bits);
  /// `negated` is stored in the instruction.
  Slot readPredicate();
  /// For instructions with several of them; `negated` says whether it is !p.
  Slot readPredicate(bool &negated);
  Slot writePredicate();
  /// An operand that has to be an integer constant.
  int64_t integer();
  /// {a, b, …} or a single register; every element as `read` and `write` do. Appends slots.
  int readVector(Type type);
  int writeVector(Type type);
  /// The same for a given operand (an element of a vector, a pair, an address).
  Slot read(const ptx::Operand &operand, Type type);
  Slot write(const ptx::Operand &operand, Type type);
  Slot readWide(const ptx::Operand &operand, Type type, int &bits);
  Slot writeWide(const ptx::Operand &operand, Type type, int &bits);
  /// The base goes into the slots (unless it is a kernel's parameter). The caller keeps the rest.
  Address address(Space space);
  Address address(const ptx::Operand &operand, Space space);

  /// A register that holds a constant, one that only this instruction uses, …
  Slot constant(uint64_t bits, int width);
  Slot scratch(int bits);
  void addSlot(Slot slot) { slots.push_back(slot); }

  /// The instruction that a label stands for.
  uint32_t label(const ptx::Operand &operand);
  uint32_t label(std::string_view name);

  // The rest.
  Instruction &instruction() { return result; }
  const ptx::Instruction &text() const { return source; }
  KernelCompiler &kernel() { return compiler; }
  CompiledFunction &compiledFunction() { return function; }
  const ptx::Function &inFunction() const { return *function.source; }
  void classify(Class kind) { detail.kind = kind; }
  /// Something that lives as long as the kernel, for `Instruction::extra`.
  template <typename T> T *make(T value = {}) {
    auto owned = std::make_shared<T>(std::move(value));
    T *pointer = owned.get();
    own(std::move(owned));
    return pointer;
  }

  /// Says what is wrong; the first message counts. Returns null, for handlers to return.
  Handler fail(std::string message);
  bool failed() const { return !message.empty(); }
  const std::string &error() const { return message; }
  /// An error if modifiers or operands are left over.
  void finish();
  std::vector<Slot> takeSlots() { return std::move(slots); }

private:
  void own(std::shared_ptr<void> pointer);
  const ptx::Operand *next(std::string_view what);
  Slot registerSlot(const ptx::Operand &operand, int &bits, bool written);
  Slot symbolAddress(const ptx::Operand &operand, int bits);

  KernelCompiler &compiler;
  CompiledFunction &function;
  const ptx::Instruction &source;
  Instruction &result;
  Detail &detail;
  uint64_t taken = 0; ///< modifiers, by bit
  size_t nextOperand = 0;
  std::vector<Slot> slots;
  std::string message;
};

struct InstructionRow {
  std::string_view opcode;
  Handler (*decode)(Decoder &decoder);
};

/// All rows, of all families: InstructionSet.cpp lists the families.
std::span<const InstructionRow> rowsOf(std::string_view opcode);

/// Addresses of a loaded module's variables.
struct ModuleImage {
  const ptx::Module *module = nullptr;
  std::map<const ptx::Variable *, uint64_t> variables;           ///< .global and .const
  uint64_t variableAddress(const ptx::Variable &variable) const; ///< 0: it has no memory
  uint64_t functionAddress(const ptx::Function &function) const;
};

/// Decodes a kernel and all functions that it can reach. Errors are `MODULE:LINE: … : text`.
Result<std::unique_ptr<CompiledKernel>> compileKernel(const ModuleImage &image,
                                                      const ptx::Function &kernel);

} // namespace ingot::emulator
