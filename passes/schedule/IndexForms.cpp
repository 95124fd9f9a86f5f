#include "passes/schedule/IndexForms.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/Hashing.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/xxhash.h"
#include <numeric>

using namespace mlir;

namespace ingot {

IndexForm IndexForm::plus(const IndexForm &other, int64_t factor) const {
  IndexForm sum = *this;
  sum.constant += factor * other.constant;
  for (auto [symbol, coefficient] : other.terms)
    if ((sum.terms[symbol] += factor * coefficient) == 0)
      sum.terms.erase(symbol);
  return sum;
}

IndexForm IndexForm::times(int64_t factor) const { return IndexForm().plus(*this, factor); }

const IndexForm &IndexForms::of(Value value) {
  auto known = forms.find(value);
  if (known != forms.end())
    return known->second;
  IndexForm form = build(value);
  return forms[value] = std::move(form);
}

IndexRange IndexForms::range(const IndexForm &form) const {
  IndexRange sum{form.constant, form.constant};
  auto add = [](std::optional<int64_t> &bound, std::optional<int64_t> part, int64_t factor) {
    bound = bound && part ? std::optional(*bound + factor * *part) : std::nullopt;
  };
  for (auto [symbol, coefficient] : form.terms) {
    const IndexRange &part = ranges[symbol];
    add(sum.low, coefficient > 0 ? part.low : part.high, coefficient);
    add(sum.high, coefficient > 0 ? part.high : part.low, coefficient);
  }
  return sum;
}

unsigned IndexForms::symbol(std::vector<int64_t> key, IndexRange range) {
  auto [entry, isNew] = numbers.try_emplace(std::move(key), ranges.size());
  if (isNew)
    ranges.push_back(range);
  return entry->second;
}

IndexForm IndexForms::single(std::vector<int64_t> key, IndexRange range) {
  IndexForm form;
  form.terms[symbol(std::move(key), range)] = 1;
  return form;
}

std::vector<int64_t> IndexForms::keyOf(StringRef what, ArrayRef<IndexForm> operands) {
  std::vector<int64_t> key{int64_t(llvm::xxh3_64bits(what))};
  for (const IndexForm &operand : operands) {
    key.insert(key.end(), {operand.constant, int64_t(operand.terms.size())});
    for (auto [symbol, coefficient] : operand.terms)
      key.insert(key.end(), {int64_t(symbol), coefficient});
  }
  return key;
}

/// A loop's variable lies between its bounds, in steps.
IndexRange IndexForms::rangeOfLoop(BlockArgument variable) {
  auto loop = dyn_cast<scf::ForOp>(variable.getOwner()->getParentOp());
  if (!loop || variable != loop.getInductionVar())
    return {};
  IndexRange from = range(of(loop.getLowerBound())), to = range(of(loop.getUpperBound()));
  IndexRange result{from.low, std::nullopt};
  APInt step;
  if (!to.high)
    return result;
  result.high = *to.high - 1;
  if (!from.low || *result.high < *from.low || !matchPattern(loop.getStep(), m_ConstantInt(&step)))
    return result;
  // All values are as far from the first one's constant as a multiple of this.
  const IndexForm &start = of(loop.getLowerBound());
  int64_t stride = step.getSExtValue();
  for (auto [symbol, coefficient] : start.terms)
    stride = std::gcd(stride, coefficient);
  result.high = start.constant + (*result.high - start.constant) / stride * stride;
  return result;
}

IndexForm IndexForms::build(Value value) {
  auto opaque = [&](IndexRange range = {}) {
    return single({0, int64_t(reinterpret_cast<uintptr_t>(value.getAsOpaquePointer()))}, range);
  };
  if (auto argument = dyn_cast<BlockArgument>(value))
    return opaque(rangeOfLoop(argument));
  Attribute constant;
  if (matchPattern(value, m_Constant(&constant))) {
    if (auto dense = dyn_cast<DenseIntElementsAttr>(constant)) {
      if (dense.isSplat())
        return IndexForm{{}, dense.getSplatValue<APInt>().getSExtValue()};
      IndexRange range;
      for (const APInt &element : dense) {
        range.low = std::min(range.low.value_or(INT64_MAX), element.getSExtValue());
        range.high = std::max(range.high.value_or(INT64_MIN), element.getSExtValue());
      }
      return opaque(range);
    }
    if (auto integer = dyn_cast<IntegerAttr>(constant))
      return IndexForm{{}, integer.getValue().getSExtValue()};
    return opaque();
  }
  Operation *op = value.getDefiningOp();
  auto operand = [&](unsigned index) { return of(op->getOperand(index)); };
  auto divisor = [&]() -> std::optional<int64_t> {
    IndexForm form = operand(1);
    return form.terms.empty() && form.constant > 0 ? std::optional(form.constant) : std::nullopt;
  };
  auto computed = [&](IndexRange range) {
    SmallVector<IndexForm> operands;
    for (Value each : op->getOperands())
      operands.push_back(of(each));
    return single(keyOf(op->getName().getStringRef(), operands), range);
  };
  return llvm::TypeSwitch<Operation *, IndexForm>(op)
      .Case<arith::AddIOp>([&](auto) { return operand(0).plus(operand(1)); })
      .Case<arith::SubIOp>([&](auto) { return operand(0).plus(operand(1), -1); })
      .Case<arith::MulIOp>([&](auto) {
        IndexForm left = operand(0), right = operand(1);
        if (right.terms.empty())
          return left.times(right.constant);
        if (left.terms.empty())
          return right.times(left.constant);
        return computed({});
      })
      .Case<arith::DivUIOp, arith::DivSIOp>([&](auto) {
        IndexRange whole = range(operand(0)), part;
        std::optional<int64_t> by = divisor();
        if (by && whole.low && *whole.low >= 0)
          part = {*whole.low / *by, whole.high ? std::optional(*whole.high / *by) : std::nullopt};
        return computed(part);
      })
      .Case<arith::RemUIOp, arith::RemSIOp>([&](auto) {
        IndexRange whole = range(operand(0));
        std::optional<int64_t> by = divisor();
        bool isNatural = isa<arith::RemUIOp>(op) || (whole.low && *whole.low >= 0);
        return computed(by && isNatural ? IndexRange{0, *by - 1} : IndexRange{});
      })
      .Case<arith::MinUIOp, arith::MinSIOp, arith::MaxUIOp, arith::MaxSIOp>([&](auto) {
        IndexRange a = range(operand(0)), b = range(operand(1)), both;
        const bool isMin = isa<arith::MinUIOp, arith::MinSIOp>(op);
        auto pick = [&](std::optional<int64_t> x, std::optional<int64_t> y, bool either) {
          if (x && y)
            return std::optional(isMin ? std::min(*x, *y) : std::max(*x, *y));
          return either ? (x ? x : y) : std::nullopt;
        };
        // One bound of either is a bound of the smaller from above, of the larger from below.
        both.high = pick(a.high, b.high, isMin);
        both.low = pick(a.low, b.low, !isMin);
        return computed(both);
      })
      .Case<vector::BroadcastOp, arith::IndexCastOp, arith::IndexCastUIOp>(
          [&](auto) { return operand(0); })
      .Case<vector::StepOp>([&](vector::StepOp step) {
        return single(keyOf("lane", {}), {0, step.getType().getDimSize(0) - 1});
      })
      .Case<NVVM::ThreadIdXOp, NVVM::BlockIdXOp>([&](auto number) {
        std::optional<LLVM::ConstantRangeAttr> range = number.getRange();
        return range ? opaque(
                           {range->getLower().getSExtValue(), range->getUpper().getSExtValue() - 1})
                     : opaque();
      })
      .Default([&](Operation *) { return opaque(); });
}

} // namespace ingot
