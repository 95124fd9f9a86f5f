#include "test/emulator/programs/RandomProgram.h"
#include <bit>

namespace ingot::emulator::test {

using Op = RandomProgram::Op;
using Type = RandomProgram::Type;
using Expression = RandomProgram::Expression;
using Statement = RandomProgram::Statement;
using Body = RandomProgram::Body;

namespace {
bool isFloat(Type type) { return type >= Type::F32; }
} // namespace

class Generator {
public:
  Generator(RandomProgram &program, uint64_t seed) : program(program), random(seed) {}

  void run() {
    for (int i = below(3); i > 0; --i) {
      RandomProgram::Function function{anyType(), {}, {}};
      for (int p = 1 + below(3); p > 0; --p)
        function.parameters.push_back(anyType());
      parameters = &function.parameters;
      function.result = expression(function.type, 2);
      parameters = nullptr;
      program.functions.push_back(std::move(function));
    }
    const int count = 6 + below(2);
    for (int i = 0; i < count; ++i) {
      const Type type = i < 6 ? static_cast<Type>(i) : anyType();
      program.initial.push_back(
          convert({Op::Input, Type::U64, below(RandomProgram::inputs)}, type));
      program.variables.push_back(type);
    }
    assignable = count;
    program.body = statements(3 + below(4), 2, false, true);
  }

private:
  int below(int bound) { return static_cast<int>(random() % bound); }
  bool chance(int percent) { return below(100) < percent; }
  Type anyType() { return static_cast<Type>(below(6)); }
  Type anyInteger() { return static_cast<Type>(below(4)); }

  Expression convert(Expression from, Type type) {
    if (from.type == type)
      return from;
    return {Op::Convert, type, 0, 0, {std::move(from)}};
  }

  Expression constant(Type type) {
    static const uint64_t interesting[] = {0,
                                           1,
                                           2,
                                           3,
                                           7,
                                           31,
                                           32,
                                           255,
                                           0x7fffffff,
                                           0x80000000,
                                           0xffffffff,
                                           0x7fffffffffffffff,
                                           0x8000000000000000,
                                           ~0ull};
    Expression result{Op::Constant, type};
    if (type == Type::F32)
      result.bits = chance(70) ? std::bit_cast<uint32_t>(static_cast<float>(below(2000) - 1000) / 8)
                               : static_cast<uint32_t>(random() & 0xbfffffff); // finite
    else if (type == Type::F64)
      result.bits = chance(70)
                        ? std::bit_cast<uint64_t>(static_cast<double>(below(2000) - 1000) / 8)
                        : random() & 0xbfffffffffffffff;
    else
      result.bits = chance(60)   ? interesting[below(std::size(interesting))]
                    : chance(50) ? random() % 100
                                 : random();
    if (type == Type::I32 || type == Type::U32)
      result.bits &= 0xffffffff;
    return result;
  }

  Expression leaf(Type type) {
    if (parameters) {
      const int index = below(static_cast<int>(parameters->size()));
      return chance(25) ? constant(type)
                        : convert({Op::Parameter, (*parameters)[index], index}, type);
    }
    if (chance(20))
      return constant(type);
    if (chance(10))
      return convert({Op::Thread, Type::U32}, type);
    if (chance(8))
      return convert({Op::Input, Type::U64, below(RandomProgram::inputs)}, type);
    // A variable of the type if one comes up soon, else a conversion.
    int index = 0;
    const int count = static_cast<int>(program.variables.size());
    if (!count)
      return constant(type);
    for (int tries = 0; tries < 4; ++tries) {
      index = below(count);
      if (program.variables[index] == type)
        break;
    }
    return convert({Op::Variable, program.variables[index], index}, type);
  }

  Expression make(Op op, Type type, std::vector<Expression> arguments, int index = 0) {
    return {op, type, index, 0, std::move(arguments)};
  }

  Expression expression(Type type, int depth) {
    if (depth == 0 || chance(12))
      return leaf(type);
    auto part = [&](Type t) { return expression(t, depth - 1); };
    const int choice = below(100);
    if (choice < 8)
      return make(Op::Select, type, {part(Type::I32), part(type), part(type)});
    if (choice < 14 && !program.functions.empty() && !parameters) {
      const int index = below(static_cast<int>(program.functions.size()));
      const auto &function = program.functions[index];
      std::vector<Expression> arguments;
      for (const Type parameter : function.parameters)
        arguments.push_back(part(parameter));
      return convert(make(Op::Call, function.type, std::move(arguments), index), type);
    }
    if (choice < 18 && !parameters)
      return convert(make(Op::Element, Type::U32, {part(Type::U32)}), type);
    if (choice < 28) {
      const Type from = anyType();
      return convert(part(from), type);
    }
    if (isFloat(type)) {
      static const Op binary[] = {Op::Add,    Op::Subtract, Op::Multiply,
                                  Op::Divide, Op::Minimum,  Op::Maximum};
      static const Op unary[] = {Op::Negate, Op::SquareRoot, Op::Absolute, Op::Floor};
      if (choice < 75)
        return make(binary[below(chance(70) ? 3 : 6)], type, {part(type), part(type)});
      if (choice < 88)
        return make(Op::Fma, type, {part(type), part(type), part(type)});
      return make(unary[below(4)], type, {part(type)});
    }
    if (type == Type::I32 && choice < 45) {
      static const Op compare[] = {Op::Less, Op::LessEqual, Op::Equal, Op::NotEqual};
      const Type side = anyType();
      return make(compare[below(4)], Type::I32, {part(side), part(side)});
    }
    if (type == Type::I32 && choice < 50)
      return make(chance(50) ? Op::LogicalAnd : Op::LogicalOr, Type::I32,
                  {part(Type::I32), part(Type::I32)});
    if (choice < 60) {
      static const Op unary[] = {Op::Negate, Op::Not, Op::CountOnes, Op::LeadingZeros, Op::Reverse};
      return make(unary[below(5)], type, {part(type)});
    }
    if (choice < 70)
      return make(chance(50) ? Op::ShiftLeft : Op::ShiftRight, type, {part(type), part(Type::U32)});
    static const Op binary[] = {Op::Add,         Op::Subtract, Op::Multiply, Op::And,
                                Op::Or,          Op::Xor,      Op::Minimum,  Op::Maximum,
                                Op::HighProduct, Op::Divide,   Op::Remainder};
    return make(binary[below(11)], type, {part(type), part(type)});
  }

  int newCounter() {
    program.variables.push_back(Type::I32);
    program.initial.push_back({Op::Constant, Type::I32});
    return static_cast<int>(program.variables.size()) - 1;
  }

  Body statements(int count, int depth, bool inLoop, bool uniform) {
    Body body;
    for (int i = 0; i < count; ++i)
      body.push_back(statement(depth, inLoop, uniform));
    return body;
  }

  Statement statement(int depth, bool inLoop, bool uniform) {
    using Kind = Statement::Kind;
    const int choice = below(100);
    const int variable = below(assignable);
    if (inLoop && choice < 12)
      return {chance(50) ? Kind::Break : Kind::Continue, 0, 0, 0, {expression(Type::I32, 2)}, {}};
    if (uniform && choice < 30) {
      switch (below(4)) {
      case 0:
        return {Kind::Shuffle, variable, 1 + below(31), 0, {}, {}};
      case 1:
        return {Kind::Ballot, variable, 0, 0, {expression(Type::I32, 2)}, {}};
      case 2:
        return {Kind::SharedSwap, variable, 1 + below(RandomProgram::threads - 1), 0, {}, {}};
      default:
        return {Kind::SharedAtomic, variable, 0, 0, {expression(Type::U32, 2)}, {}};
      }
    }
    if (depth > 0 && choice < 70) {
      const int size = 1 + below(2);
      switch (below(5)) {
      case 0:
      case 1: {
        Statement result{Kind::If, 0, 0, 0, {expression(Type::I32, 2)}, {}};
        result.bodies.push_back(statements(size, depth - 1, inLoop, false));
        result.bodies.push_back(chance(60) ? statements(size, depth - 1, inLoop, false) : Body{});
        return result;
      }
      case 2: {
        // The trip count may depend on the lane.
        Statement result{Kind::For, newCounter(), 0, 0, {expression(Type::U32, 2)}, {}};
        result.bodies.push_back(statements(size, depth - 1, true, false));
        return result;
      }
      case 3: {
        Statement result{
            Kind::While, newCounter(), 0, 0, {expression(Type::U32, 2), expression(Type::I32, 2)},
            {}};
        result.bodies.push_back(statements(size, depth - 1, true, false));
        return result;
      }
      default: {
        Statement result{Kind::Switch,
                         0,
                         0,
                         static_cast<uint32_t>(random() & random()),
                         {expression(Type::U32, 2)},
                         {}};
        for (int cases = 3 + below(3); cases > 0; --cases)
          result.bodies.push_back(statements(1, depth - 1, false, false));
        return result;
      }
      }
    }
    if (choice < 78)
      return {Kind::Store, 0, 0, 0, {expression(Type::U32, 1), expression(Type::U32, 2)}, {}};
    return {Kind::Assign, variable, 0, 0, {expression(program.variables[variable], 3)}, {}};
  }

  RandomProgram &program;
  std::mt19937_64 random;
  const std::vector<Type> *parameters = nullptr; ///< of the function being made
  int assignable = 0;                            ///< variables but for counters
};

RandomProgram::RandomProgram(uint64_t seed, std::string name) : kernelName(std::move(name)) {
  Generator(*this, seed).run();
}

} // namespace ingot::emulator::test
