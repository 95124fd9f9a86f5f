/// PTX text as data: what the parser reads and the decoder turns into runnable code.
///
/// Names of registers, labels and variables are resolved by scope; what instructions mean is left
/// to the decoder. Views point into the module's own text.
#pragma once
#include "runtime/emulator/ptx/Type.h"
#include "runtime/support/Result.h"
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ingot::emulator::ptx {

/// A word of an initial value that holds an address: `value` of `bytes` bytes is
/// (address of `symbol` + addend) >> shift.
struct Relocation {
  int64_t offset = 0;
  int bytes = 8;
  int shift = 0;
  int64_t addend = 0;
  std::string symbol;
};

struct Variable {
  std::string name;
  Space space = Space::Global;
  Type type = Type::B8;
  int64_t bytes = 0; ///< 0: an `extern` array without a length
  int64_t alignment = 1;
  bool isExtern = false;
  bool isVisible = false; ///< .visible, .weak or .common: found by name from outside
  bool managed = false;   ///< .attribute(.managed): the host uses it under the same address
  int line = 0;
  std::vector<uint8_t> initial; ///< empty: zeros; else as long as `bytes`
  std::vector<Relocation> relocations;
};

struct Register {
  std::string name;
  Type type = Type::B32;
};

struct Operand {
  enum class Kind : uint8_t {
    Register,  ///< `index` into the function's registers
    Special,   ///< `name`, as %tid.x
    Immediate, ///< `bits`: an integer, or the bits of an f64 if `isFloat`, of an f32 if `isFloat32`
    Symbol,    ///< `name` (+ `offset`): a variable, function or label
    Address,   ///< `elements[0]` + `offset`; further elements as in [map, {x, y}]
    Vector,    ///< {a, b, …}
    List,      ///< (a, b, …) of a call
    Pair,      ///< a|b
    Sink,      ///< _
  };
  Kind kind = Kind::Sink;
  bool negated = false; ///< !p
  bool minus = false;   ///< -r
  bool isFloat = false;
  bool isFloat32 = false;
  int index = -1;
  uint64_t bits = 0;
  int64_t offset = 0;
  std::string_view name;
  std::string_view selector; ///< of r.b0: parts of a register, in video instructions
  std::vector<Operand> elements;
};

/// Where a PTX line comes from, by `.loc`; `caller` is the place that it was inlined at.
struct Location {
  int file = 0, line = 0, column = 0;
  int caller = -1; ///< index of a location of the same function
};

struct Instruction {
  std::string_view opcode;                 ///< "add"
  std::vector<std::string_view> modifiers; ///< "rn", "ftz", "f32": without dots, in order
  std::vector<Operand> operands;
  int guard = -1; ///< register of @p
  bool guardNegated = false;
  int scope = 0;
  int line = 0;
  int location = -1;     ///< index into the function's locations
  std::string_view text; ///< the whole statement
};

/// What a name means inside a function.
struct Entity {
  enum class Kind : uint8_t { Register, RegisterVector, Variable, Label, Targets, Prototype };
  Kind kind = Kind::Register;
  int index = 0; ///< register, first register, variable, instruction, target list or prototype
  int count = 1;
};

struct Scope {
  int parent = -1;
  /// A range %r<10> stands under "%r<", with its first register and its count.
  std::map<std::string, Entity, std::less<>> names;
};

/// Parameters and results of a function or of a `.callprototype`. Those in registers (ABI-less
/// code) have Space::Register and `index` of their register.
struct Signature {
  struct Parameter {
    Variable variable;
    int reg = -1;
  };
  std::vector<Parameter> results, parameters;
};

struct Function {
  std::string name;
  bool isKernel = false;
  bool isDefined = false;
  bool isVisible = false;
  int line = 0;
  Signature signature;
  std::vector<Register> registers;
  std::vector<Variable> variables; ///< .local, .param, .shared, .global and .const of its scopes
  std::vector<Instruction> instructions;
  std::vector<Location> locations;
  std::vector<Scope> scopes;                          ///< [0] holds parameters and the body
  std::vector<std::vector<std::string_view>> targets; ///< .branchtargets, .calltargets
  std::vector<Signature> prototypes;
  std::array<int, 3> requiredThreads{}; ///< .reqntid; 0: not given
  std::array<int, 3> maximumThreads{};  ///< .maxntid
  std::array<int, 3> requiredCluster{}; ///< .reqnctapercluster
  bool explicitCluster = false;
  int maximumRegisters = 0;

  std::optional<Entity> find(int scope, std::string_view name) const;
};

struct Module {
  std::string name; ///< file name, or what the caller calls it
  std::unique_ptr<const std::string> text;
  std::string version; ///< "9.0"
  std::string target;  ///< "sm_90a"
  int addressBits = 64;
  std::map<int, std::string> files; ///< of .file
  std::vector<Variable> variables;
  std::vector<std::unique_ptr<Function>> functions;
  std::map<std::string, std::string> aliases;

  Function *function(std::string_view name) const;
  const Variable *variable(std::string_view name) const;
};

/// Reads a whole module. Errors are `NAME:LINE: what: the line's text`.
Result<Module> parse(std::string text, std::string name);

} // namespace ingot::emulator::ptx
