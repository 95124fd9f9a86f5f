/// Rows of raise-composites for functions of one element. How an exporter spells GELU differs from
/// one to the next, so functions are recognised by their values: ops on elements and numbers
/// between a value and one other are computed on samples and compared with the table.
#include "ir/formulas/Formulas.h"
#include "ir/formulas/Number.h"
#include "passes/raise/Raise.h"
#include "llvm/ADT/SetVector.h"
#include <cmath>

using namespace mlir;
using namespace ingot::graph;

namespace ingot {
namespace {

/// Analytic functions only: such that agree on all samples agree, which a clamp far away would not,
/// and they have no kinks, at which the formula's gradient might be another one.
bool isAnalytic(Operation *op) {
  if (auto formula = dyn_cast<FormulaOp>(op))
    return llvm::is_contained({"square", "softplus", "silu", "swish", "log_sigmoid"},
                              formula.getName()) &&
           formula.getOperands().size() == 1;
  return isa<NegOp, ExpOp, LogOp, Expm1Op, Log1pOp, ReciprocalOp, TanhOp, ErfOp, SigmoidOp, AddOp,
             SubOp, MulOp, DivOp, PowOp>(op);
}

bool isTranscendental(Operation *op) { return isa<ExpOp, TanhOp, ErfOp, SigmoidOp, FormulaOp>(op); }

/// The op's value of these operands, in double.
double valueOf(Operation *op, ArrayRef<double> operands) {
  if (auto formula = dyn_cast<FormulaOp>(op))
    return findFormula(formula.getName())->reference(operands, formula.getParameters());
  using formulas::Number;
  const Number<double> x{operands.front()}, y{operands.back()};
#define INGOT_UNARY_Floats(METHOD, OP)                                                             \
  if (isa<OP>(op))                                                                                 \
    return formulas::METHOD(x).value;
#define INGOT_BINARY_Numbers(METHOD, OP)                                                           \
  if (isa<OP>(op))                                                                                 \
    return formulas::METHOD(x, y).value;
#define INGOT_UNARY_Numbers INGOT_UNARY_Floats
#define INGOT_UNARY_Bits(...)
#define INGOT_BINARY_Bits(...)
#define INGOT_BINARY_Integers(...)
#define INGOT_UNARY(METHOD, OP, ELEMENTS, ...) INGOT_UNARY_##ELEMENTS(METHOD, OP)
#define INGOT_BINARY(METHOD, OP, ELEMENTS, ...) INGOT_BINARY_##ELEMENTS(METHOD, OP)
#include "ir/formulas/Primitives.def"
#undef INGOT_UNARY_Floats
#undef INGOT_BINARY_Numbers
#undef INGOT_UNARY_Numbers
#undef INGOT_UNARY_Bits
#undef INGOT_BINARY_Bits
#undef INGOT_BINARY_Integers
  llvm_unreachable("an analytic op");
}

/// Ops from which `root` follows, of one other value and numbers.
class Cone {
public:
  static constexpr size_t largest = 16;

  explicit Cone(Operation *root)
      : root(root), frontier(root->operand_begin(), root->operand_end()) {
    ops.push_back(root);
    dropNumbers();
  }

  /// The value that the root is a function of, if it is of one.
  Value argument() const { return frontier.size() == 1 ? frontier.front() : Value(); }
  bool isTrivial() const { return llvm::none_of(ops, isTranscendental); }

  /// Takes in the last op that is missing; false where none may be.
  bool grow() {
    Operation *next = nullptr;
    for (Value value : frontier)
      if (Operation *op = value.getDefiningOp();
          op && mayJoin(op) && (!next || next->isBeforeInBlock(op)))
        next = op;
    if (!next || ops.size() == largest)
      return false;
    frontier.remove(next->getResult(0));
    frontier.insert(next->operand_begin(), next->operand_end());
    ops.push_back(next);
    dropNumbers();
    return true;
  }

  double at(double x) const {
    SmallVector<std::pair<Value, double>> values = {{argument(), x}};
    auto lookup = [&](Value value) {
      for (auto [known, number] : values)
        if (known == value)
          return number;
      return *splatOf(value);
    };
    for (Operation *op : llvm::reverse(ops))
      values.emplace_back(op->getResult(0),
                          valueOf(op, llvm::map_to_vector(op->getOperands(), lookup)));
    return values.back().second;
  }

private:
  /// What is read elsewhere too is computed anyway: raising would only add to it.
  bool mayJoin(Operation *op) const {
    return isAnalytic(op) && op->getBlock() == root->getBlock() &&
           llvm::all_of(op->getUsers(),
                        [&](Operation *user) { return llvm::is_contained(ops, user); });
  }
  void dropNumbers() {
    frontier.remove_if([](Value value) { return splatOf(value).has_value(); });
  }

  Operation *root;
  llvm::SmallSetVector<Value, 4> frontier;
  SmallVector<Operation *> ops; ///< users first
};

/// A function that is raised, and how its value is made.
struct Target {
  StringLiteral name;
  double (*reference)(double);
  Value (*make)(GraphBuilder &, Value);
};

double formulaAt(StringRef name, double x) { return findFormula(name)->reference({x}, {}); }
Value formula(GraphBuilder &build, StringRef name, Value x) {
  return build.make<FormulaOp>(x.getType(), name, x, ArrayRef<double>());
}

#define INGOT_TARGET(NAME)                                                                         \
  {NAME, [](double x) { return formulaAt(NAME, x); },                                              \
   [](GraphBuilder &build, Value x) { return formula(build, NAME, x); }}
constexpr Target targets[] = {
    {"sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); },
     [](GraphBuilder &build, Value x) { return build.make<SigmoidOp>(x); }},
    INGOT_TARGET("gelu"),
    INGOT_TARGET("gelu_tanh"),
    INGOT_TARGET("quick_gelu"),
    INGOT_TARGET("silu"),
    INGOT_TARGET("softplus"),
    INGOT_TARGET("mish"),
};
#undef INGOT_TARGET

/// Both signs of sizes from 0.001 to 40. Numbers that exporters round to f32 differ by less than
/// the tolerance, other approximations by more.
bool agree(const Cone &cone, double (*reference)(double)) {
  for (double size = 1e-3; size < 40; size *= 1.3)
    for (double x : {size, -size}) {
      const double expected = reference(x);
      if (!(std::abs(cone.at(x) - expected) <= 1e-6 * std::abs(expected) + 1e-9))
        return false;
    }
  return true;
}

Value raiseFunction(Operation *op, OpBuilder &builder, KnownValues &) {
  // What a function of the table ends with.
  if (!isa<AddOp, MulOp, DivOp, ReciprocalOp, LogOp, Log1pOp>(op) || !isWide(op->getResult(0)))
    return {};
  Cone cone(op);
  do {
    Value argument = cone.argument();
    if (!argument || cone.isTrivial() || argument.getType() != op->getResult(0).getType())
      continue;
    for (const Target &target : targets)
      if (agree(cone, target.reference)) {
        GraphBuilder build(builder, op->getLoc());
        return target.make(build, argument);
      }
  } while (cone.grow());
  return {};
}

constexpr RaiseRow rows[] = {{"function of elements", raiseFunction}};

} // namespace

ArrayRef<RaiseRow> functionRows() { return rows; }

} // namespace ingot
