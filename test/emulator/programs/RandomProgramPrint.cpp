// Random programs as CUDA C++.
#include "test/emulator/programs/RandomProgram.h"
#include <fmt/format.h>

namespace ingot::emulator::test {

using Op = RandomProgram::Op;
using Type = RandomProgram::Type;
using Expression = RandomProgram::Expression;
using Statement = RandomProgram::Statement;

// Every operation is a function whose C++ is defined for all values.
const char *RandomProgram::prelude() {
  return R"(
typedef int I32; typedef unsigned U32; typedef long long I64; typedef unsigned long long U64;
typedef float F32; typedef double F64;
#define INTEGER(S, U, bits, clz, brev, popc) \
  __device__ S add(S a, S b) { return (S)((U)a + (U)b); } \
  __device__ U add(U a, U b) { return a + b; } \
  __device__ S subtract(S a, S b) { return (S)((U)a - (U)b); } \
  __device__ U subtract(U a, U b) { return a - b; } \
  __device__ S multiply(S a, S b) { return (S)((U)a * (U)b); } \
  __device__ U multiply(U a, U b) { return a * b; } \
  __device__ S divide(S a, S b) { return b == 0 || b == -1 ? (S)(0 - (U)a) : a / b; } \
  __device__ U divide(U a, U b) { return b == 0 ? a : a / b; } \
  __device__ S remainder(S a, S b) { return b == 0 || b == -1 ? a : a % b; } \
  __device__ U remainder(U a, U b) { return b == 0 ? a : a % b; } \
  __device__ S negate(S a) { return (S)(0 - (U)a); } \
  __device__ U negate(U a) { return 0 - a; } \
  __device__ S shiftLeft(S a, U32 b) { return (S)((U)a << (b & (bits - 1))); } \
  __device__ U shiftLeft(U a, U32 b) { return a << (b & (bits - 1)); } \
  __device__ S shiftRight(S a, U32 b) { return a >> (b & (bits - 1)); } \
  __device__ U shiftRight(U a, U32 b) { return a >> (b & (bits - 1)); } \
  __device__ S minimum(S a, S b) { return a < b ? a : b; } \
  __device__ U minimum(U a, U b) { return a < b ? a : b; } \
  __device__ S maximum(S a, S b) { return a > b ? a : b; } \
  __device__ U maximum(U a, U b) { return a > b ? a : b; } \
  __device__ S countOnes(S a) { return popc((U)a); } \
  __device__ U countOnes(U a) { return popc(a); } \
  __device__ S leadingZeros(S a) { return clz(a); } \
  __device__ U leadingZeros(U a) { return clz((S)a); } \
  __device__ S reverse(S a) { return (S)brev((U)a); } \
  __device__ U reverse(U a) { return brev(a); }
INTEGER(I32, U32, 32, __clz, __brev, __popc)
INTEGER(I64, U64, 64, __clzll, __brevll, __popcll)
__device__ I32 highProduct(I32 a, I32 b) { return __mulhi(a, b); }
__device__ U32 highProduct(U32 a, U32 b) { return __umulhi(a, b); }
__device__ I64 highProduct(I64 a, I64 b) { return __mul64hi(a, b); }
__device__ U64 highProduct(U64 a, U64 b) { return __umul64hi(a, b); }
#define FLOATING(F, suffix, sqrtRounded, fmaRounded) \
  __device__ F add(F a, F b) { return a + b; } \
  __device__ F subtract(F a, F b) { return a - b; } \
  __device__ F multiply(F a, F b) { return a * b; } \
  __device__ F divide(F a, F b) { return a / b; } \
  __device__ F negate(F a) { return -a; } \
  __device__ F minimum(F a, F b) { return a == b ? a : fmin##suffix(a, b); } \
  __device__ F maximum(F a, F b) { return a == b ? a : fmax##suffix(a, b); } \
  __device__ F squareRoot(F a) { return sqrtRounded(a); } \
  __device__ F absolute(F a) { return fabs##suffix(a); } \
  __device__ F floorOf(F a) { return floor##suffix(a); } \
  __device__ F fused(F a, F b, F c) { return fmaRounded(a, b, c); }
FLOATING(F32, f, __fsqrt_rn, __fmaf_rn)
FLOATING(F64, , __dsqrt_rn, __fma_rn)
// Saturating; NaN is 0.
#define TO_INTEGER(F, prefix) \
  __device__ I32 toI32(F a) { return a != a ? 0 : prefix##2int_rz(a); } \
  __device__ U32 toU32(F a) { return a != a ? 0 : prefix##2uint_rz(a); } \
  __device__ I64 toI64(F a) { return a != a ? 0 : prefix##2ll_rz(a); } \
  __device__ U64 toU64(F a) { return a != a ? 0 : prefix##2ull_rz(a); }
TO_INTEGER(F32, __float)
TO_INTEGER(F64, __double)
template <typename T> __device__ I32 toI32(T a) { return (I32)a; }
template <typename T> __device__ U32 toU32(T a) { return (U32)a; }
template <typename T> __device__ I64 toI64(T a) { return (I64)a; }
template <typename T> __device__ U64 toU64(T a) { return (U64)a; }
template <typename T> __device__ F32 toF32(T a) { return (F32)a; }
template <typename T> __device__ F64 toF64(T a) { return (F64)a; }
__device__ U64 word(I32 a) { return (U32)a; }
__device__ U64 word(U32 a) { return a; }
__device__ U64 word(I64 a) { return (U64)a; }
__device__ U64 word(U64 a) { return a; }
__device__ U64 word(F32 a) { return a != a ? 0x7fc00000u : __float_as_uint(a); }
__device__ U64 word(F64 a) { return a != a ? 0x7ff8000000000000ull : (U64)__double_as_longlong(a); }
)";
}

namespace {

const char *nameOf(Type type) {
  static const char *names[] = {"I32", "U32", "I64", "U64", "F32", "F64"};
  return names[static_cast<int>(type)];
}

std::string list(const std::vector<Expression> &arguments);

std::string print(const Expression &e) {
  auto argument = [&](int i) { return print(e.arguments[i]); };
  auto infix = [&](const char *op) {
    return fmt::format("({} {} {})", argument(0), op, argument(1));
  };
  auto call = [&](std::string_view name) { return fmt::format("{}({})", name, list(e.arguments)); };
  switch (e.op) {
  case Op::Constant:
    switch (e.type) {
    case Type::I32:
      return fmt::format("((I32){:#x}u)", e.bits);
    case Type::U32:
      return fmt::format("{:#x}u", e.bits);
    case Type::I64:
      return fmt::format("((I64){:#x}ull)", e.bits);
    case Type::U64:
      return fmt::format("{:#x}ull", e.bits);
    case Type::F32:
      return fmt::format("__uint_as_float({:#x}u)", e.bits);
    case Type::F64:
      return fmt::format("__longlong_as_double((I64){:#x}ull)", e.bits);
    }
    break;
  case Op::Variable:
    return fmt::format("v{}", e.index);
  case Op::Parameter:
    return fmt::format("p{}", e.index);
  case Op::Thread:
    return "t";
  case Op::Input:
    return fmt::format("in[{} * t + {}]", RandomProgram::inputs, e.index);
  case Op::Element:
    return fmt::format("array[{} & 7]", argument(0));
  case Op::Call:
    return "NAME_f" + std::to_string(e.index) + "(" + list(e.arguments) + ")";
  case Op::Convert:
    return call(fmt::format("to{}", nameOf(e.type)));
  case Op::Negate:
    return call("negate");
  case Op::Not:
    return "(~" + argument(0) + ")";
  case Op::Add:
    return call("add");
  case Op::Subtract:
    return call("subtract");
  case Op::Multiply:
    return call("multiply");
  case Op::Divide:
    return call("divide");
  case Op::Remainder:
    return call("remainder");
  case Op::And:
    return infix("&");
  case Op::Or:
    return infix("|");
  case Op::Xor:
    return infix("^");
  case Op::ShiftLeft:
    return call("shiftLeft");
  case Op::ShiftRight:
    return call("shiftRight");
  case Op::Minimum:
    return call("minimum");
  case Op::Maximum:
    return call("maximum");
  case Op::HighProduct:
    return call("highProduct");
  case Op::CountOnes:
    return call("countOnes");
  case Op::LeadingZeros:
    return call("leadingZeros");
  case Op::Reverse:
    return call("reverse");
  case Op::Less:
    return infix("<");
  case Op::LessEqual:
    return infix("<=");
  case Op::Equal:
    return infix("==");
  case Op::NotEqual:
    return infix("!=");
  case Op::LogicalAnd:
    return infix("&&");
  case Op::LogicalOr:
    return infix("||");
  case Op::Select:
    return fmt::format("({} ? {} : {})", argument(0), argument(1), argument(2));
  case Op::Fma:
    return call("fused");
  case Op::SquareRoot:
    return call("squareRoot");
  case Op::Absolute:
    return call("absolute");
  case Op::Floor:
    return call("floorOf");
  }
  return {};
}

std::string list(const std::vector<Expression> &arguments) {
  std::string text;
  for (const Expression &argument : arguments)
    text += (text.empty() ? "" : ", ") + print(argument);
  return text;
}

class Printer {
public:
  explicit Printer(const std::vector<Type> &variables) : variables(variables) {}

  void body(const RandomProgram::Body &statements) {
    for (const Statement &statement : statements)
      print(statement);
  }

  std::string text;

private:
  template <typename... Arguments>
  void line(fmt::format_string<Arguments...> format, Arguments &&...arguments) {
    text += std::string(indent, ' ') + fmt::format(format, std::forward<Arguments>(arguments)...) +
            "\n";
  }
  void inner(const RandomProgram::Body &statements) {
    indent += 2;
    body(statements);
    indent -= 2;
  }

  /// One loop in four may be unrolled; more would make the code of nests explode.
  void unrolling(const Statement &s) {
    if (s.index % 4)
      line("#pragma unroll 1");
  }

  void print(const Statement &s) {
    using Kind = Statement::Kind;
    auto expression = [&](int i) { return test::print(s.expressions[i]); };
    switch (s.kind) {
    case Kind::Assign:
      line("v{} = {};", s.index, expression(0));
      break;
    case Kind::Store:
      line("array[{} & 7] = {};", expression(0), expression(1));
      break;
    case Kind::If:
      line("if ({}) {{", expression(0));
      inner(s.bodies[0]);
      if (!s.bodies[1].empty()) {
        line("}} else {{");
        inner(s.bodies[1]);
      }
      line("}}");
      break;
    case Kind::For:
      unrolling(s);
      line("for (v{0} = 0; v{0} < (I32)({1} & 7); ++v{0}) {{", s.index, expression(0));
      inner(s.bodies[0]);
      line("}}");
      break;
    case Kind::While:
      line("v{} = 0;", s.index);
      unrolling(s);
      line("while (v{}++ < (I32)({} & 7) && {}) {{", s.index, expression(0), expression(1));
      inner(s.bodies[0]);
      line("}}");
      break;
    case Kind::Switch:
      line("switch ({} & 7) {{", expression(0));
      for (size_t i = 0; i < s.bodies.size(); ++i) {
        if (i + 1 == s.bodies.size())
          line("default:");
        else
          line("case {}:", i);
        inner(s.bodies[i]);
        if (!(s.fallsThrough >> i & 1))
          line("  break;");
      }
      line("}}");
      break;
    case Kind::Break:
      line("if ({})\n{}  break;", expression(0), std::string(indent, ' '));
      break;
    case Kind::Continue:
      line("if ({})\n{}  continue;", expression(0), std::string(indent, ' '));
      break;
    case Kind::Shuffle:
      line("v{0} = __shfl_xor_sync(~0u, v{0}, {1});", s.index, s.constant);
      break;
    case Kind::Ballot:
      line("v{} = to{}(__ballot_sync(~0u, {}));", s.index, nameOf(variables[s.index]),
           expression(0));
      break;
    case Kind::SharedSwap:
      line("swapped[t] = word(v{});", s.index);
      line("__syncthreads();");
      line("v{} = to{}(swapped[(t + {}) % {}]);", s.index, nameOf(variables[s.index]), s.constant,
           RandomProgram::threads);
      line("__syncthreads();");
      break;
    case Kind::SharedAtomic:
      line("if (t == 0)\n{}  counter = 0;", std::string(indent, ' '));
      line("__syncthreads();");
      line("atomicAdd(&counter, {});", expression(0));
      line("__syncthreads();");
      line("v{} = to{}(counter);", s.index, nameOf(variables[s.index]));
      line("__syncthreads();");
      break;
    }
  }

  const std::vector<Type> &variables;
  int indent = 2;
};

} // namespace

std::string RandomProgram::source() const {
  std::string text;
  for (size_t i = 0; i < functions.size(); ++i) {
    const Function &function = functions[i];
    std::string parameters;
    for (size_t p = 0; p < function.parameters.size(); ++p)
      parameters += fmt::format("{}{} p{}", p ? ", " : "", nameOf(function.parameters[p]), p);
    text += fmt::format("__device__ __noinline__ {} NAME_f{}({}) {{\n  return {};\n}}\n",
                        nameOf(function.type), i, parameters, print(function.result));
  }
  text += "KERNEL void NAME(const U64 *in, U64 *out) {\n  __shared__ U64 swapped[64];\n"
          "  __shared__ U32 counter;\n  const U32 t = threadIdx.x;\n  U32 array[8];\n"
          "  for (int i = 0; i < 8; ++i)\n    array[i] = t * i;\n";
  for (size_t i = 0; i < variables.size(); ++i)
    text += fmt::format("  {} v{} = {};\n", nameOf(variables[i]), i, print(initial[i]));
  Printer printer(variables);
  printer.body(body);
  text += printer.text;
  for (size_t i = 0; i < variables.size(); ++i)
    text += fmt::format("  out[{} * t + {}] = word(v{});\n", outputs(), i, i);
  text += fmt::format(
      "  U32 hash = 0;\n  for (int i = 0; i < 8; ++i)\n    hash = hash * 31 + array[i];\n"
      "  out[{} * t + {}] = hash;\n}}\n",
      outputs(), outputs() - 1);
  for (size_t at; (at = text.find("NAME")) != std::string::npos;)
    text.replace(at, 4, kernelName);
  return text;
}

} // namespace ingot::emulator::test
