/// Random kernels with defined behaviour: printed as CUDA C++, and evaluated on the host by an
/// interpreter of the same tree. Integers wrap, floats round to nearest; nothing is contracted.
#pragma once
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace ingot::emulator::test {

class RandomProgram {
public:
  static constexpr int threads = 64; ///< one block of two warps
  static constexpr int inputs = 4;   ///< 64-bit words of each thread
  static constexpr int arraySize = 8;

  RandomProgram(uint64_t seed, std::string name);

  const std::string &name() const { return kernelName; }
  /// 64-bit words that each thread writes: its variables at the end.
  int outputs() const { return static_cast<int>(variables.size()) + 1; }
  /// Functions and kernel `NAME(const unsigned long long *in, unsigned long long *out)`, which
  /// needs `prelude` before it.
  std::string source() const;
  static const char *prelude();
  /// What all threads write, thread after thread.
  std::vector<uint64_t> evaluate(const std::vector<uint64_t> &in) const;

  enum class Type : uint8_t { I32, U32, I64, U64, F32, F64 };
  enum class Op : uint8_t {
    Constant,
    Variable,  ///< `index`
    Parameter, ///< `index`, of a function
    Thread,    ///< threadIdx.x
    Input,     ///< word `index`
    Element,   ///< of the thread's array, at argument modulo its size
    Call,      ///< function `index`
    Convert,
    Negate,
    Not,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
    Minimum,
    Maximum,
    HighProduct,
    CountOnes,
    LeadingZeros,
    Reverse,
    Less,
    LessEqual,
    Equal,
    NotEqual,
    LogicalAnd,
    LogicalOr,
    Select,
    Fma,
    SquareRoot,
    Absolute,
    Floor,
  };
  struct Expression {
    Op op;
    Type type;
    int index = 0;
    uint64_t bits = 0;
    std::vector<Expression> arguments = {};
  };
  struct Statement {
    enum class Kind : uint8_t {
      Assign,      ///< variable `index` = [0]
      Store,       ///< array[[0]] = [1]
      If,          ///< [0]: bodies 0 and 1
      For,         ///< counter `index` from 0 below [0] & 7: body 0
      While,       ///< counter `index` counts to [0] & 7 in the condition, with [1]: body 0
      Switch,      ///< [0] & 7: a body for each case; the last is the default
      Break,       ///< if [0]
      Continue,    ///< if [0]
      Shuffle,     ///< variable `index` from lane ^ `constant`
      Ballot,      ///< variable `index` = votes on [0]
      SharedSwap,  ///< variable `index` from thread + `constant`, through shared memory
      SharedAtomic ///< variable `index` = sum of [0] over the block, by atomics
    };
    Kind kind;
    int index = 0;
    int constant = 0;
    uint32_t fallsThrough = 0; ///< cases without a break
    std::vector<Expression> expressions = {};
    std::vector<std::vector<Statement>> bodies = {};
  };
  using Body = std::vector<Statement>;
  struct Function {
    Type type;
    std::vector<Type> parameters;
    Expression result;
  };

private:
  friend class Generator;
  std::string kernelName;
  std::vector<Type> variables;     ///< loop counters among them: I32
  std::vector<Expression> initial; ///< of the variables
  std::vector<Function> functions;
  Body body; ///< every thread executes each statement of it
};

} // namespace ingot::emulator::test
