#include "codegen/cpu/Runs.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace ingot {

/// The run from `column` on of a line, or of the last one if it lies behind that.
static PointIndex runOf(Code &code, Lines lines, Value line, Value column) {
  const int64_t count = lines.extent / lines.size;
  return PointIndex::uniform(code.min(line, code.index(count - 1)), count) * lines.size +
         PointIndex::consecutive(column, lines.size, /*aligned=*/false);
}

PointIndex runInLine(Code &code, Lines lines, Value start) {
  return runOf(code, lines, code.div(start, lines.size), code.remainder(start, lines.size));
}

Value emitAlongLines(Code &code, Lines lines, Value start, Value mask,
                     function_ref<Value(const PointIndex &, Value mask)> at) {
  Value line = code.div(start, lines.size), first = code.remainder(start, lines.size);
  // Lane 0 of a later line's run lies before that line, but only lanes inside it count. Vectors may
  // start behind the last line: what all lanes of a line share is read there, too.
  auto inLine = [&](int64_t number, Value lanes) {
    return at(number ? runOf(code, lines, code.add(line, number),
                             code.sub(first, code.index(number * lines.size)))
                     : runOf(code, lines, line, first),
              lanes);
  };
  auto below = [&](int64_t end) { return code.maskBelow(code.sub(code.index(end), first)); };
  auto both = [&](Value lanes) -> Value {
    return mask ? code.create<arith::AndIOp>(mask, lanes) : lanes;
  };
  auto inSeveral = [&](int64_t lineCount) {
    if (lineCount == 1)
      return inLine(0, mask);
    Value before = below(lines.size), result = inLine(0, both(before));
    for (int64_t number = 1; number < lineCount; ++number) {
      Value end = below((number + 1) * lines.size);
      Value own = code.create<arith::XOrIOp>(before, end);
      result = code.create<arith::SelectOp>(own, inLine(number, both(own)), result);
      before = end;
    }
    return result;
  };
  const int64_t fewest = lines.fewest();
  Value fits = code.create<arith::CmpIOp>(arith::CmpIPredicate::ule, first,
                                          code.index(fewest * lines.size - Code::lanes));
  auto branch = [&](int64_t lineCount) {
    return
        [&, lineCount](OpBuilder &, Location) { code.create<scf::YieldOp>(inSeveral(lineCount)); };
  };
  auto either = code.create<scf::IfOp>(fits, branch(fewest), branch(fewest + 1));
  return either.getResult(0);
}

} // namespace ingot
