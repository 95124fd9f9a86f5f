/// The grammar of PTX: one class, its parts in ParseModule.cpp (directives, variables),
/// ParseFunction.cpp (signatures, bodies) and ParseInstruction.cpp (instructions and operands).
#pragma once
#include "runtime/emulator/ptx/TokenStream.h"
#include <array>
#include <map>

namespace ingot::emulator::ptx {

class Parser : TokenStream {
public:
  using TokenStream::TokenStream;

  Status run();

private:
  // Module.
  Status topLevel();

  Status fileDirective();

  /// Debug sections are of no use here.
  Status section();

  struct Linkage {
    bool isExtern = false, isVisible = false;
  };
  Linkage linkage();

  static std::optional<Space> variableSpace(std::string_view word);

  Status linked();

  // Variables.

  /// [.align N] [.vN] .type, with attributes and the annotations of pointer parameters
  /// (.ptr .global .align 16), which describe what they point to.
  struct DeclaredType {
    Type type = Type::None;
    int vector = 1;
    int64_t alignment = 0;
    bool managed = false;
  };
  Result<DeclaredType> declaredType();

  /// name[dims], in the space and of the type given.
  Result<Variable> declarator(Space space, const DeclaredType &declared);

  /// After linkage: .space type name[, name]… [= values];
  Status variables(const Linkage &link, std::vector<Variable> &into);

  /// Returns the offset behind what was written. Inner braces start at multiples of nothing here:
  /// rows must be full, as compilers write them.
  Result<int64_t> initialValue(Variable &variable, const DeclaredType &declared, int64_t offset,
                               bool unsized);

  /// symbol, generic(symbol), symbol+4
  Status symbolValue(Relocation &relocation);

  Result<uint64_t> immediateBits(const Operand &value, Type type);

  // Functions.

  /// (.param .b32 a, .reg .u32 b); registers join the function's own.
  Result<std::vector<Signature::Parameter>> parameters(Function *function);

  Status function(const Linkage &link);

  Status performance(Function &function);

  Status body(Function &function);

  Status declare(Function &function, int scope, std::string_view name, Entity entity);

  /// label:, or label: .branchtargets a, b; and the like
  Status label(Function &function, int scope);

  Status directive(Function &function, int scope, int &location);

  /// .loc file line column [, function_name label [+ offset], inlined_at file line column]
  Result<int> locationDirective(Function &function);
  int addLocation(Function &function, const Location &location);

  /// .reg .b32 a, %r<10>; vectors become one register for each element, named a.x, a.y, …
  Status registers(Function &function, int scope);

  // Instructions.

  Status instruction(Function &function, int scope, int location);

  Result<std::vector<Operand>> operands(const Function &function, int scope,
                                        std::string_view close);

  Result<Operand> operand(const Function &function, int scope);

  /// Whether '(' begins a constant expression and not a list.
  bool startsConstant() const;

  Result<Operand> named(const Function &function, int scope);

  /// By file, line and column: the caller of the latest location of the function there that was
  /// inlined.
  std::map<std::array<int, 3>, int> inlined;
};

} // namespace ingot::emulator::ptx
