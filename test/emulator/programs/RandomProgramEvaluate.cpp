// Random programs on the host: an interpreter of the tree, statement by statement for all threads.
#include "test/emulator/programs/RandomProgram.h"
#include <bit>
#include <cmath>
#include <limits>

namespace ingot::emulator::test {

using Op = RandomProgram::Op;
using Type = RandomProgram::Type;
using Expression = RandomProgram::Expression;
using Statement = RandomProgram::Statement;

namespace {

/// The bits of a value: 32-bit types in the low half, NaN canonical.
template <typename T> uint64_t word(T value) {
  if constexpr (std::is_same_v<T, float>)
    return std::isnan(value) ? 0x7fc00000u : std::bit_cast<uint32_t>(value);
  else if constexpr (std::is_same_v<T, double>)
    return std::isnan(value) ? 0x7ff8000000000000u : std::bit_cast<uint64_t>(value);
  else
    return static_cast<std::make_unsigned_t<T>>(value);
}
template <typename T> T valueOf(uint64_t bits) {
  if constexpr (std::is_same_v<T, float>)
    return std::bit_cast<float>(static_cast<uint32_t>(bits));
  else if constexpr (std::is_same_v<T, double>)
    return std::bit_cast<double>(bits);
  else
    return static_cast<T>(bits);
}

/// Calls `action` with a value of the type.
template <typename Action> uint64_t dispatch(Type type, Action action) {
  switch (type) {
  case Type::I32:
    return action(int32_t());
  case Type::U32:
    return action(uint32_t());
  case Type::I64:
    return action(int64_t());
  case Type::U64:
    return action(uint64_t());
  case Type::F32:
    return action(float());
  case Type::F64:
    return action(double());
  }
  return 0;
}

template <typename To, typename From> To converted(From value) {
  if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    if (std::isnan(value))
      return 0;
    // 2^digits is the first value that is too large.
    if (value >= std::ldexp(From(1), std::numeric_limits<To>::digits))
      return std::numeric_limits<To>::max();
    if (value <= static_cast<From>(std::numeric_limits<To>::min()))
      return std::numeric_limits<To>::min();
    return static_cast<To>(value);
  } else {
    return static_cast<To>(value);
  }
}

template <typename T> uint64_t floating(Op op, T a, T b, T c) {
  switch (op) {
  case Op::Negate:
    return word(-a);
  case Op::Add:
    return word(a + b);
  case Op::Subtract:
    return word(a - b);
  case Op::Multiply:
    return word(a * b);
  case Op::Divide:
    return word(a / b);
  case Op::Minimum:
    return word(a == b || std::isnan(b) || a < b ? a : b);
  case Op::Maximum:
    return word(a == b || std::isnan(b) || a > b ? a : b);
  case Op::Fma:
    return word(std::fma(a, b, c));
  case Op::SquareRoot:
    return word(std::sqrt(a));
  case Op::Absolute:
    return word(std::abs(a));
  case Op::Floor:
    return word(std::floor(a));
  default:
    return 0;
  }
}

template <typename T> uint64_t integer(Op op, T a, T b, uint32_t shift) {
  using U = std::make_unsigned_t<T>;
  constexpr int bits = std::numeric_limits<U>::digits;
  const bool unsafe = b == 0 || (std::is_signed_v<T> && b == static_cast<T>(-1));
  switch (op) {
  case Op::Negate:
    return word(static_cast<U>(0 - static_cast<U>(a)));
  case Op::Not:
    return word(static_cast<U>(~a));
  case Op::Add:
    return word(static_cast<U>(static_cast<U>(a) + static_cast<U>(b)));
  case Op::Subtract:
    return word(static_cast<U>(static_cast<U>(a) - static_cast<U>(b)));
  case Op::Multiply:
    return word(static_cast<U>(static_cast<U>(a) * static_cast<U>(b)));
  case Op::Divide:
    if (!unsafe)
      return word(static_cast<T>(a / b));
    return word(static_cast<U>(std::is_signed_v<T> ? 0 - static_cast<U>(a) : static_cast<U>(a)));
  case Op::Remainder:
    return word(unsafe ? a : static_cast<T>(a % b));
  case Op::And:
    return word(static_cast<T>(a & b));
  case Op::Or:
    return word(static_cast<T>(a | b));
  case Op::Xor:
    return word(static_cast<T>(a ^ b));
  case Op::ShiftLeft:
    return word(static_cast<U>(static_cast<U>(a) << (shift & (bits - 1))));
  case Op::ShiftRight:
    return word(static_cast<T>(a >> (shift & (bits - 1))));
  case Op::Minimum:
    return word(a < b ? a : b);
  case Op::Maximum:
    return word(a > b ? a : b);
  case Op::HighProduct: {
    __extension__ using Wide = __int128;
    __extension__ using UnsignedWide = unsigned __int128;
    if constexpr (std::is_signed_v<T>)
      return word(static_cast<T>(static_cast<Wide>(a) * b >> bits));
    else
      return word(static_cast<T>(static_cast<UnsignedWide>(a) * b >> bits));
  }
  case Op::CountOnes:
    return word(static_cast<T>(std::popcount(static_cast<U>(a))));
  case Op::LeadingZeros:
    return word(static_cast<T>(std::countl_zero(static_cast<U>(a))));
  case Op::Reverse: {
    U result = 0;
    for (int i = 0; i < bits; ++i)
      result |= (static_cast<U>(a) >> i & 1) << (bits - 1 - i);
    return word(result);
  }
  default:
    return 0;
  }
}

struct Thread {
  uint32_t index = 0;
  const uint64_t *in = nullptr;
  std::vector<uint64_t> variables;
  uint32_t array[RandomProgram::arraySize] = {};
};

enum class Flow { Next, Break, Continue };

class Evaluator {
public:
  Evaluator(const std::vector<Type> &variables,
            const std::vector<RandomProgram::Function> &functions)
      : types(variables), functions(functions) {}

  uint64_t evaluate(const Expression &e, const Thread &thread,
                    const std::vector<uint64_t> *parameters = nullptr) const {
    auto argument = [&](int i) { return evaluate(e.arguments[i], thread, parameters); };
    switch (e.op) {
    case Op::Constant:
      return e.bits;
    case Op::Variable:
      return thread.variables[e.index];
    case Op::Parameter:
      return (*parameters)[e.index];
    case Op::Thread:
      return thread.index;
    case Op::Input:
      return thread.in[e.index];
    case Op::Element:
      return thread.array[argument(0) % RandomProgram::arraySize];
    case Op::Call: {
      std::vector<uint64_t> values;
      for (const Expression &value : e.arguments)
        values.push_back(evaluate(value, thread, parameters));
      return evaluate(functions[e.index].result, thread, &values);
    }
    case Op::Convert:
      return convert(argument(0), e.arguments[0].type, e.type);
    case Op::Select:
      return argument(static_cast<uint32_t>(argument(0)) ? 1 : 2);
    case Op::LogicalAnd:
      return static_cast<uint32_t>(argument(0)) && static_cast<uint32_t>(argument(1));
    case Op::LogicalOr:
      return static_cast<uint32_t>(argument(0)) || static_cast<uint32_t>(argument(1));
    case Op::Less:
    case Op::LessEqual:
    case Op::Equal:
    case Op::NotEqual:
      return dispatch(e.arguments[0].type, [&]<typename T>(T) -> uint64_t {
        const T a = valueOf<T>(argument(0)), b = valueOf<T>(argument(1));
        return e.op == Op::Less        ? a < b
               : e.op == Op::LessEqual ? a <= b
               : e.op == Op::Equal     ? a == b
                                       : a != b;
      });
    default:
      break;
    }
    const uint64_t a = argument(0);
    const uint64_t b = e.arguments.size() > 1 ? argument(1) : 0;
    const uint64_t c = e.arguments.size() > 2 ? argument(2) : 0;
    return dispatch(e.type, [&]<typename T>(T) {
      if constexpr (std::is_floating_point_v<T>)
        return floating(e.op, valueOf<T>(a), valueOf<T>(b), valueOf<T>(c));
      else
        return integer(e.op, valueOf<T>(a), valueOf<T>(b), static_cast<uint32_t>(b));
    });
  }

  static uint64_t convert(uint64_t bits, Type from, Type to) {
    return dispatch(from, [&]<typename From>(From) {
      return dispatch(to,
                      [&]<typename To>(To) { return word(converted<To>(valueOf<From>(bits))); });
    });
  }

  bool holds(const Expression &e, const Thread &thread) const {
    return static_cast<uint32_t>(evaluate(e, thread)) != 0;
  }

  Flow run(const RandomProgram::Body &body, Thread &thread) const {
    for (const Statement &statement : body)
      if (const Flow flow = run(statement, thread); flow != Flow::Next)
        return flow;
    return Flow::Next;
  }

  /// Statements that concern one thread.
  Flow run(const Statement &s, Thread &thread) const {
    using Kind = Statement::Kind;
    switch (s.kind) {
    case Kind::Assign:
      thread.variables[s.index] = evaluate(s.expressions[0], thread);
      break;
    case Kind::Store: {
      const uint64_t value = evaluate(s.expressions[1], thread);
      thread.array[evaluate(s.expressions[0], thread) % RandomProgram::arraySize] =
          static_cast<uint32_t>(value);
      break;
    }
    case Kind::If:
      return run(s.bodies[holds(s.expressions[0], thread) ? 0 : 1], thread);
    case Kind::For:
      for (uint64_t &i = thread.variables[s.index] = 0;
           i < (evaluate(s.expressions[0], thread) & 7); ++i)
        if (run(s.bodies[0], thread) == Flow::Break)
          break;
      break;
    case Kind::While:
      for (uint64_t &i = thread.variables[s.index] = 0;
           i++ < (evaluate(s.expressions[0], thread) & 7) && holds(s.expressions[1], thread);)
        if (run(s.bodies[0], thread) == Flow::Break)
          break;
      break;
    case Kind::Switch: {
      const size_t last = s.bodies.size() - 1;
      for (size_t i = std::min<size_t>(evaluate(s.expressions[0], thread) & 7, last); i <= last;
           ++i) {
        run(s.bodies[i], thread);
        if (!(s.fallsThrough >> i & 1))
          break;
      }
      break;
    }
    case Kind::Break:
      return holds(s.expressions[0], thread) ? Flow::Break : Flow::Next;
    case Kind::Continue:
      return holds(s.expressions[0], thread) ? Flow::Continue : Flow::Next;
    default:
      break;
    }
    return Flow::Next;
  }

  /// Statements of the kernel's own body, where all threads meet.
  void runAll(const Statement &s, std::vector<Thread> &threads) const {
    using Kind = Statement::Kind;
    const Type type = types[s.index];
    std::vector<uint64_t> before;
    for (const Thread &thread : threads)
      before.push_back(thread.variables.empty() ? 0 : thread.variables[s.index]);
    switch (s.kind) {
    case Kind::Shuffle:
      for (Thread &thread : threads)
        thread.variables[s.index] = before[thread.index ^ s.constant];
      break;
    case Kind::Ballot: {
      std::vector<uint32_t> votes(threads.size() / 32);
      for (const Thread &thread : threads)
        votes[thread.index / 32] |= uint32_t(holds(s.expressions[0], thread)) << thread.index % 32;
      for (Thread &thread : threads)
        thread.variables[s.index] = convert(votes[thread.index / 32], Type::U32, type);
      break;
    }
    case Kind::SharedSwap:
      for (Thread &thread : threads)
        thread.variables[s.index] =
            convert(before[(thread.index + s.constant) % threads.size()], Type::U64, type);
      break;
    case Kind::SharedAtomic: {
      uint32_t sum = 0;
      for (const Thread &thread : threads)
        sum += static_cast<uint32_t>(evaluate(s.expressions[0], thread));
      for (Thread &thread : threads)
        thread.variables[s.index] = convert(sum, Type::U32, type);
      break;
    }
    default:
      for (Thread &thread : threads)
        run(s, thread);
    }
  }

private:
  const std::vector<Type> &types;
  const std::vector<RandomProgram::Function> &functions;
};

} // namespace

std::vector<uint64_t> RandomProgram::evaluate(const std::vector<uint64_t> &in) const {
  const Evaluator evaluator(variables, functions);
  std::vector<Thread> all(threads);
  for (int t = 0; t < threads; ++t) {
    all[t].index = t;
    all[t].in = in.data() + inputs * t;
    for (int i = 0; i < arraySize; ++i)
      all[t].array[i] = static_cast<uint32_t>(t * i);
    for (const Expression &value : initial)
      all[t].variables.push_back(evaluator.evaluate(value, all[t]));
  }
  for (const Statement &statement : body)
    evaluator.runAll(statement, all);
  std::vector<uint64_t> out;
  for (const Thread &thread : all) {
    uint32_t hash = 0;
    for (const uint32_t element : thread.array)
      hash = hash * 31 + element;
    out.insert(out.end(), thread.variables.begin(), thread.variables.end());
    out.push_back(hash);
  }
  return out;
}

} // namespace ingot::emulator::test
