/// Gradients of elementwise ops: those of Primitives.def, and of the few that are no functions of
/// floats alone.
#include "ir/formulas/Term.h"
#include "passes/training/Gradients.h"
#include "llvm/ADT/StringSet.h"
#include <numbers>

using namespace mlir;
using namespace ingot::graph;

namespace ingot {
namespace {

using G = GradientBuilder;
using formulas::Term;

/// What the table says of an op without a formula: constant between jumps, or no function of
/// floats.
struct Flat {};
struct None {};
constexpr Flat flat;
constexpr None none;

/// `x` where the condition holds, else 0.
Value keepWhere(G &g, Value condition, Value x) { return g.select(condition, x, g.zerosLike(x)); }

class Rows {
public:
  Rows();
  std::vector<GradientRow> rows;
  llvm::StringSet<> flatOps;

private:
  template <typename Op, typename F> void addUnary(F) {
    using Result = std::invoke_result_t<F, Term, Term, Term>;
    if constexpr (std::is_same_v<Result, Term>)
      rows.push_back(gradientRow<Op>([](G &g, Op op, Value given) {
        g.give(op.getOperand(),
               F{}({&g, op.getOperand()}, {&g, op.getResult()}, {&g, given}).value);
      }));
    else if constexpr (std::is_same_v<Result, Flat>)
      addFlat<Op>();
  }
  template <typename Op, typename Lhs, typename Rhs> void addBinary(Lhs, Rhs) {
    using Result = std::invoke_result_t<Lhs, Term, Term, Term, Term>;
    if constexpr (std::is_same_v<Result, Term>)
      rows.push_back(gradientRow<Op>([](G &g, Op op, Value given) {
        Term x{&g, op.getLhs()}, y{&g, op.getRhs()}, z{&g, op.getResult()};
        g.give(op.getLhs(), Lhs{}(x, y, z, {&g, given}).value);
        g.give(op.getRhs(), Rhs{}(x, y, z, {&g, given}).value);
      }));
  }
  template <typename Op> void addFlat() {
    rows.push_back(gradientRow<Op>([](G &, Op) { /* nothing passes */ }));
    flatOps.insert(Op::getOperationName());
  }
};

Rows::Rows() {
#define INGOT_UNARY(METHOD, OP, ELEMENTS, REFERENCE, LOWERING, ...)                                \
  addUnary<OP>([](Term x, Term z, Term given) { return __VA_ARGS__; });
#define INGOT_BINARY(METHOD, OP, ELEMENTS, REFERENCE, LOWERING, LHS, RHS)                          \
  addBinary<OP>([](Term x, Term y, Term z, Term given) { return LHS; },                            \
                [](Term x, Term y, Term z, Term given) { return RHS; });
#include "ir/formulas/Primitives.def"

  rows.push_back(movementRow<CastOp>([](G &g, CastOp op, Value dy) {
    if (isFloatTensor(op.getOperand()))
      g.give(op.getOperand(), dy);
  }));
  rows.push_back(gradientRow<SelectOp>([](G &g, SelectOp op, Value dy) {
    g.give(op.getOnTrue(), keepWhere(g, op.getCondition(), dy));
    g.give(op.getOnFalse(), g.select(op.getCondition(), g.zerosLike(dy), dy));
  }));
}

const Rows &table() {
  static const Rows rows;
  return rows;
}

} // namespace

ArrayRef<GradientRow> elementwiseGradients() { return table().rows; }

bool isFlat(Operation *op) { return table().flatOps.contains(op->getName().getStringRef()); }

} // namespace ingot
