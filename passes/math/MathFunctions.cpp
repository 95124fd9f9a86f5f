/// Polynomials are least-squares fits of relative error at Chebyshev points, reweighted towards
/// minimax, with coefficients rounded one after the other.
#include "passes/math/MathFunctions.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace ingot {
namespace {

constexpr double log2e = 1.44269504088896340736;

/// ln 2 in two parts; the first has so few bits that its product with an exponent is exact.
struct Ln2 {
  double high, low;
};
Ln2 ln2Parts(const Formula &f) {
  return f.pick(Ln2{0.693359375, -2.12194440054690582e-4},
                Ln2{6.93147180369123816490e-01, 1.90821492927058770002e-10});
}

// e^r = 1 + r + r²·q(r) for |r| ≤ ln(2)/2: relative error 2^-28.2 and 2^-63.5.
constexpr double expSingle[] = {0.49999994f, 0.166665196f, 0.0416682474f, 0.00836883858f,
                                0.00138226547f};
constexpr double expWide[] = {0.5,
                              0.16666666666666685,
                              0.041666666666666533,
                              0.0083333333333159322,
                              0.0013888888888963934,
                              0.00019841269898764673,
                              2.4801587163736098e-05,
                              2.7557232721967148e-06,
                              2.7557410193695124e-07,
                              2.5112722098737303e-08,
                              2.0873460223372454e-09};
// The same relative to e^r - 1: 2^-31 and 2^-64.7.
constexpr double expm1Single[] = {
    0.5, 0.166666672f, 0.0416664779f, 0.00833318941f, 0.00139337301f, 0.00019960996f};
constexpr double expm1Wide[] = {0.5,
                                0.16666666666666666,
                                0.041666666666666678,
                                0.0083333333333342127,
                                0.0013888888888877408,
                                0.00019841269838343558,
                                2.4801587340765872e-05,
                                2.7557323655421851e-06,
                                2.7557259017491712e-07,
                                2.5048974514198113e-08,
                                2.0919576957816386e-09,
                                1.6909105842629545e-10};
// 2^r = 1 + r·p(r) for |r| ≤ 1/2: 2^-32.4 and 2^-59.4.
constexpr double exp2Single[] = {0.693147182f,   0.240226507f,   0.055504065f,   0.00961807743f,
                                 0.00133364275f, 0.00015456375f, 1.47023138e-05f};
constexpr double exp2Wide[] = {
    0.69314718055994529,    0.24022650695910072,    0.055504108664822936,   0.0096181291076280397,
    0.0013333558146164477,  0.00015403530394080461, 1.5252734036707411e-05, 1.3215486289342619e-06,
    1.0177985692334079e-07, 7.0550738737082989e-09, 4.4655289724101229e-10, 2.5502587720355345e-11};
// log(1+f) = f - f²/2 + f³·p(f) for √½ ≤ 1+f ≤ √2: 2^-27.3.
constexpr double logSingle[] = {0.333333164f, -0.250008106f, 0.200022981f, -0.16624552f,
                                0.141810253f, -0.131286517f, 0.128824368f, -0.0786063448f};
// log(1+f) = 2s + s·z·p(z) with s = f/(2+f), z = s²: 2^-66.6.
constexpr double logWide[] = {0.66666666666666663, 0.40000000000004926, 0.28571428569409768,
                              0.22222222607245512, 0.18181778328802825, 0.15386990156779354,
                              0.1325211626657774,  0.13235082567017564};
// tanh x = x·p(x²)/q(x²) for |x| ≤ 9.02: 2^-27.
constexpr double tanhTop[] = {
    1, 0.13681595f, 0.00387040572f, 2.80477398e-05f, 3.06752632e-08f, -1.22643857e-11f};
constexpr double tanhBottom[] = {1, 0.470149279f, 0.0272535142f, 0.000394223607f, 1.290093e-06f};
// erf x = x·p(x²)/q(x²) for |x| ≤ 3.925: 2^-24.2.
constexpr double erfTop[] = {1.12837923f,   0.192027584f,    0.0561528914f,
                             0.0042587975f, 0.000434303132f, 7.70669612e-06f};
constexpr double erfBottom[] = {
    1, 0.503514051f, 0.117599465f, 0.0164373163f, 0.00145735231f, 7.92073479e-05f, 3.10020027e-07f};
// erf x = x·p(x²) for |x| ≤ 1: 2^-56.
constexpr double erfSmallWide[] = {
    1.1283791670955126,      -0.37612638903183593,    0.1128379167095017,
    -0.026866170644412938,   0.0052239776195669866,   -0.00085483267237042759,
    0.00012055322876572957,  -1.4925417829842409e-05, 1.6458409163640744e-06,
    -1.6325012663855462e-07, 1.4501643029534886e-08,  -1.0800771304944165e-09,
    5.0461402025978022e-11};
// e^(x²)·erfc x = p((x-2.5)/(x+2.5)) for 1 ≤ x ≤ 6.1: 2^-66 of erf.
constexpr double erfcWide[] = {
    0.21080636406114359,    -0.37173673394897327,    0.25171319321744623,    -0.12503305237887977,
    0.039922539075826692,   -0.0039937011576178794,  -0.0026423659295578329, 0.00087591517862709229,
    0.00022837734977193736, -0.00012888527215466843, -3.415721250095051e-05, 1.8853543323443274e-05,
    8.2952293742285556e-06, -1.136054593706497e-06,  -1.0028270829936003e-06};
// sin r = r + r³·p(r²), cos r = 1 - r²/2 + r⁴·q(r²) for |r| ≤ π/4: below 2^-32 and 2^-63.
constexpr double sinSingle[] = {-0.166666672f, 0.0083333794f, -0.000198530019f, 2.83118243e-06f};
constexpr double cosSingle[] = {0.0416666456f, -0.00138873013f, 2.44306757e-05f};
constexpr double sinWide[] = {-0.16666666666666666,    0.00833333333333304,
                              -0.00019841269840959857, 2.7557319072636296e-06,
                              -2.5052070621653184e-08, 1.6054282782038543e-10,
                              -7.3885983192248123e-13};
constexpr double cosWide[] = {0.041666666666666664,   -0.0013888888888888382,
                              2.4801587301171967e-05, -2.7557319056235582e-07,
                              2.0876720962113245e-09, -1.1466745225006604e-11,
                              4.587741668418326e-14};

// atan t = t + t³·p(t²) for |t| ≤ tan(π/8): 2^-30.4 and 2^-63.8.
constexpr double atanSingle[] = {-0.333333164f, 0.199985281f, -0.142443925f, 0.105991915f,
                                 -0.0609013885f};
constexpr double atanWide[] = {-0.33333333333333326, 0.19999999999997142,   -0.14285714285328102,
                               0.11111111084779798,  -0.090909080322520264, 0.076922804193331029,
                               -0.06666194745448964, 0.058767298401010845,  -0.052166460823758663,
                               0.044968335172460398, -0.033327061816920932, 0.015053579396070708};

Term choose(Term x, ArrayRef<double> single, ArrayRef<double> wide) {
  return x.formula->polynomial(x, x.formula->isSingle() ? single : wide);
}

/// x = exponent · ln 2 + remainder.
struct Reduced {
  Term exponent; ///< integer
  Term count;    ///< the exponent as a float
  Term remainder;
};

Reduced reduceByLn2(Term x) {
  Formula &f = *x.formula;
  Ln2 parts = ln2Parts(f);
  auto [count, exponent] = f.nearest(x, log2e);
  return {exponent, count, f.fma(count, -parts.low, f.fma(count, -parts.high, x))};
}

/// x = 2^exponent · mantissa with √½ ≤ mantissa < √2, for positive x.
struct Split {
  Term exponent, mantissa; ///< both floats
};

Split splitExponent(Term x) {
  Formula &f = *x.formula;
  double lift = double(int64_t(1) << f.mantissaBits());
  Term subnormal = x < f.pick(0x1p-126, 0x1p-1022);
  Term bits = f.bits(f.select(subnormal, x * lift, x));
  Term rootHalf = f.integer(f.pick<int64_t>(0x3f3504f3, 0x3fe6a09e667f3bcd));
  Term above = bits - rootHalf;
  Term exponent = f.toFloat(f.shiftRight(above, f.mantissaBits()));
  Term mantissa = f.bitAnd(above, (int64_t(1) << f.mantissaBits()) - 1) + rootHalf;
  return {f.select(subnormal, exponent - double(f.mantissaBits()), exponent), f.fromBits(mantissa)};
}

/// log for finite x > 0.
Term logOfPositive(Term x) {
  Formula &f = *x.formula;
  Ln2 parts = ln2Parts(f);
  auto [exponent, mantissa] = splitExponent(x);
  Term part = mantissa - 1.0, square = part * part;
  if (f.isSingle()) {
    Term tail = part * square * f.polynomial(part, logSingle);
    tail = f.fma(square, -0.5, f.fma(exponent, parts.low, tail));
    return f.fma(exponent, parts.high, part + tail);
  }
  Term s = part / (part + 2.0), z = s * s, half = square * 0.5;
  Term tail = f.fma(s, half + z * f.polynomial(z, logWide), exponent * parts.low);
  return f.fma(exponent, parts.high, part - (half - tail));
}

/// x reduced by multiples of π/2.
struct Quadrant {
  Term number;    ///< integer; its two low bits count
  Term remainder; ///< in [-π/4, π/4]
};

/// π/2 in three parts. For |x| ≤ 2^20 the products with the first two are exact in f64.
Quadrant reduceByHalfPi(Term x) {
  Formula &f = *x.formula;
  constexpr double parts[] = {1.57079632673412561417e+00, 6.07710050630396597660e-11,
                              2.02226624879595063154e-21};
  auto [count, number] = f.nearest(x, 0.63661977236758134308);
  Term rest = x;
  for (double part : parts)
    rest = f.fma(count, -part, rest);
  return {number, rest};
}

/// Integers of 64 bits, one a lane.
struct Words {
  Formula &f;

  template <typename Op> Term make(Term a, Term b) {
    return f.term(Op::create(f.builder, f.location, a.value, b.value));
  }
  Term word(uint64_t value) { return f.integer(int64_t(value)); }
  Term both(Term a, Term b) { return make<arith::AndIOp>(a, b); }
  Term low(Term a) { return both(a, word(0xffffffff)); }
  Term left(Term a, Term by) { return make<arith::ShLIOp>(a, by); }
  Term right(Term a, Term by) { return make<arith::ShRUIOp>(a, by); }
  Term right(Term a, uint64_t by) { return right(a, word(by)); }
  Term times(Term a, Term b) { return make<arith::MulIOp>(a, b); }
  Term is(arith::CmpIPredicate predicate, Term a, Term b) {
    return f.term(arith::CmpIOp::create(f.builder, f.location, predicate, a.value, b.value));
  }
  Term ifTrue(Term condition) { // 1, else 0
    return f.select(condition, word(1), word(0));
  }
  /// The upper 64 bits of the product.
  Term timesHigh(Term a, Term b) {
    Term lowLow = times(low(a), low(b)), lowHigh = times(low(a), right(b, 32)),
         highLow = times(right(a, 32), low(b)), highHigh = times(right(a, 32), right(b, 32));
    Term middle = right(lowLow, 32) + low(lowHigh) + low(highLow);
    return highHigh + right(lowHigh, 32) + right(highLow, 32) + right(middle, 32);
  }
  /// As a float; rounded.
  Term toFloat(Term a) {
    return f.term(arith::UIToFPOp::create(f.builder, f.location, f.type, a.value));
  }
};

/// 2/π after the binary point, and a word of zeros before it.
constexpr uint64_t twoOverPi[] = {0,
                                  0xa2f9836e4e441529ULL,
                                  0xfc2757d1f534ddc0ULL,
                                  0xdb6295993c439041ULL,
                                  0xfe5163abdebbc561ULL,
                                  0xb7246e3a424dd2e0ULL,
                                  0x06492eea09d1921cULL,
                                  0xfe1deb1cb129a73eULL,
                                  0xe88235f52ebb4484ULL,
                                  0xe99c7026b45f7e41ULL,
                                  0x3991d639835339f4ULL,
                                  0x9c845f8bbdf9283bULL,
                                  0x1ff897ffde05980fULL,
                                  0xef2f118b5a0a6d1fULL,
                                  0x6d367ecf27cb09b7ULL,
                                  0x4f463f669e5fea2dULL,
                                  0x7527bac7ebe5f17bULL,
                                  0x3d0739f78a5292eaULL,
                                  0x6bfb5fb11f8d5d08ULL,
                                  0x56033046fc7b6babULL};

/// The same of |x| ≥ 2^20 however large: with x = m · 2^e
/// the bits of 2/π that count are 192 from the (e - 1)-th on, since what is before them makes
/// multiples of 4 (Payne and Hanek 1983).
Quadrant reduceLargeByHalfPi(Term x, int largestExponent) {
  Formula &f = *x.formula;
  Words w{f};
  Term bits = f.bits(f.abs(x));
  Term mantissa = w.both(bits, w.word((uint64_t(1) << 52) - 1)) + w.word(uint64_t(1) << 52);
  // Position of the first bit in the table: e - 1 + 63, e being the biased exponent less 1075.
  Term position = w.right(bits, 52) - w.word(1075 - 62);
  Term index = w.right(position, 6), offset = w.both(position, w.word(63));
  const int last = (largestExponent - 52 + 62) / 64; // of index
  auto entry = [&](int distance) {
    Term value = w.word(twoOverPi[distance]);
    for (int i = 1; i <= last && i + distance < int(std::size(twoOverPi)); ++i)
      value = f.select(w.is(arith::CmpIPredicate::eq, index, w.word(i)),
                       w.word(twoOverPi[i + distance]), value);
    return value;
  };
  Term entries[] = {entry(0), entry(1), entry(2), entry(3)}, window[] = {x, x, x};
  for (int i = 0; i < 3; ++i)
    window[i] = w.make<arith::OrIOp>(
        w.left(entries[i], offset),
        w.right(w.right(entries[i + 1], 1), w.word(63) - offset)); // by 64 where the offset is 0
  // The product's upper 128 of 192 bits: two of quadrants, then what is left of one.
  Term partial = w.times(mantissa, window[1]);
  Term low = partial + w.timesHigh(mantissa, window[2]);
  Term carry = w.ifTrue(w.is(arith::CmpIPredicate::ult, low, partial));
  Term high = w.times(mantissa, window[0]) + w.timesHigh(mantissa, window[1]) + carry;
  Term number = w.right(high, 62);
  Term rest = w.make<arith::OrIOp>(w.left(high, w.word(2)), w.right(low, 62));
  Term restLow = w.left(low, w.word(2));
  // The nearest quadrant: what is left may be negative.
  Term isNegative = w.is(arith::CmpIPredicate::slt, rest, w.word(0));
  number = number + w.ifTrue(isNegative);
  Term ones = w.word(~uint64_t(0));
  Term flippedLow = w.make<arith::XOrIOp>(restLow, ones) + w.word(1);
  Term flipped = w.make<arith::XOrIOp>(rest, ones) +
                 w.ifTrue(w.is(arith::CmpIPredicate::eq, flippedLow, w.word(0)));
  rest = f.select(isNegative, flipped, rest);
  restLow = f.select(isNegative, flippedLow, restLow);
  constexpr double halfPi = 0x1.921fb54442d18p0, halfPiRest = 0x1.1a62633145c07p-54;
  Term tail = w.both(rest, w.word(0x7ff));
  Term share = w.toFloat(rest - tail) * 0x1p-64; // exact
  Term shareTail = w.toFloat(tail) * 0x1p-64 + w.toFloat(restLow) * 0x1p-128;
  Term value = f.fma(share, halfPi, f.fma(share, halfPiRest, shareTail * halfPi));
  // sin(-x) is sin of as many quadrants and as much rest, both negative.
  Term isBelow = x < 0.0;
  Term zero = w.word(0);
  return {f.select(isBelow, zero - number, number),
          f.select(w.make<arith::XOrIOp>(isNegative, isBelow), -value, value)};
}

/// Both: where no lane is beyond `large`, it costs a test. NaN of infinity.
Quadrant reduceFiniteByHalfPi(Term x, double large, int largestExponent) {
  Formula &f = *x.formula;
  OpBuilder &builder = f.builder;
  auto [number, rest] = reduceByHalfPi(x);
  Term size = f.abs(x);
  Term isFinite = size < f.infinity(), isLarge = f.logicalAnd(size > f.number(large), isFinite);
  Value any = isLarge.value;
  if (isa<VectorType>(any.getType()))
    any = vector::ReductionOp::create(builder, f.location, vector::CombiningKind::OR, any);
  auto branch = scf::IfOp::create(builder, f.location,
                                  TypeRange{number.value.getType(), rest.value.getType()}, any,
                                  /*addThenBlock=*/true, /*addElseBlock=*/true);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    auto [largeNumber, largeRest] = reduceLargeByHalfPi(x, largestExponent);
    scf::YieldOp::create(builder, f.location,
                         ValueRange{f.select(isLarge, largeNumber, number).value,
                                    f.select(isLarge, largeRest, rest).value});
    builder.setInsertionPointToStart(branch.elseBlock());
    scf::YieldOp::create(builder, f.location, ValueRange{number.value, rest.value});
  }
  Term inside = f.term(branch.getResult(1));
  return {f.term(branch.getResult(0)), f.select(isFinite, inside, f.notANumber())};
}

/// f32 is reduced in f64, where even its closest multiples of π/2 leave enough bits.
Quadrant reduceAnyByHalfPi(Term x) {
  Formula &f = *x.formula;
  if (!f.isSingle())
    return reduceFiniteByHalfPi(x, 0x1p20, 1023);
  auto vector = dyn_cast<VectorType>(f.type);
  Type f64 = f.builder.getF64Type(), i32 = f.builder.getI32Type();
  auto shaped = [&](Type element) {
    return vector ? Type(VectorType::get(vector.getShape(), element)) : element;
  };
  Formula wide(f.builder, f.location, shaped(f64));
  Quadrant quadrant = reduceFiniteByHalfPi(
      wide.term(arith::ExtFOp::create(f.builder, f.location, wide.type, x.value)), 0x1p40, 127);
  return {
      f.term(arith::TruncIOp::create(f.builder, f.location, shaped(i32), quadrant.number.value)),
      f.term(arith::TruncFOp::create(f.builder, f.location, f.type, quadrant.remainder.value))};
}

/// sin(x + shift · π/2).
Term sinShifted(Term x, int64_t shift) {
  Formula &f = *x.formula;
  auto [number, rest] = reduceAnyByHalfPi(x);
  if (shift)
    number = number + f.integer(shift);
  Term square = rest * rest;
  Term sine = f.fma(rest * square, choose(square, sinSingle, sinWide), rest);
  sine = f.copySign(sine, rest); // of -0
  Term cosine =
      f.fma(square * square, choose(square, cosSingle, cosWide), f.fma(square, -0.5, f.number(1)));
  auto bit = [&](int64_t mask) {
    Value zero = f.integer(0).value;
    return f.term(arith::CmpIOp::create(f.builder, f.location, arith::CmpIPredicate::ne,
                                        f.bitAnd(number, mask).value, zero));
  };
  Term value = f.select(bit(1), cosine, sine);
  return f.select(bit(2), -value, value);
}

/// A function of two f32 by way of f64.
template <typename F> Term throughDoubles(Term x, Term y, F function) {
  Formula &f = *x.formula;
  auto vector = dyn_cast<VectorType>(f.type);
  Type f64 = f.builder.getF64Type();
  Formula wide(f.builder, f.location, vector ? VectorType::get(vector.getShape(), f64) : f64);
  auto widen = [&](Term term) {
    return wide.term(arith::ExtFOp::create(f.builder, f.location, wide.type, term.value));
  };
  Term result = function(widen(x), widen(y));
  return f.term(arith::TruncFOp::create(f.builder, f.location, f.type, result.value));
}

/// Long division of doubles: a digit is `digitBits` bits of the quotient, so that digit · divisor
/// is exact in fma, and no more than `digits` of them are not 0.
Term longDivisionRest(Term x, Term y, int digits) {
  constexpr double digitBits = 0x1p50;
  Formula &f = *x.formula;
  SmallVector<Term> divisors{f.abs(y)};
  while (int(divisors.size()) < digits)
    divisors.push_back(divisors.back() * digitBits);
  Term rest = f.abs(x);
  for (Term divisor : llvm::reverse(divisors)) {
    Term digit = f.floor(rest / divisor), left = f.fma(-digit, divisor, rest);
    left = f.select(left < 0.0, left + divisor, left); // the quotient was rounded up
    rest = f.select(divisor > rest, rest, left);       // NaN goes on; so does a divisor of infinity
  }
  return f.copySign(rest, x);
}

} // namespace

Term expOf(Term x) {
  Formula &f = *x.formula;
  double least = f.pick(-104.0, -746.0);
  auto [exponent, count, r] = reduceByLn2(f.clamp(x, least, f.pick(89.0, 710.0)));
  Term mantissa = f.fma(r * r, choose(r, expSingle, expWide), r) + 1.0;
  // A product that falls below the subnormal numbers is slow, and masked scores, e^-inf, are
  // common.
  if (!f.scalesAtOnce())
    mantissa = f.select(x < least, f.number(0), mantissa);
  return f.scale(mantissa, exponent, count);
}

Term exp2Of(Term x) {
  Formula &f = *x.formula;
  x = f.clamp(x, f.pick(-151.0, -1076.0), f.pick(129.0, 1025.0));
  auto [count, exponent] = f.nearest(x);
  Term r = x - count;
  return f.scale(f.fma(r, choose(r, exp2Single, exp2Wide), f.number(1)), exponent, count);
}

Term expm1Of(Term x) {
  Formula &f = *x.formula;
  auto [exponent, count, r] = reduceByLn2(f.clamp(x, f.pick(-18.0, -38.0), f.pick(89.0, 710.0)));
  Term small = f.fma(r * r, choose(r, expm1Single, expm1Wide), r);
  // Halves, so that the largest exponent does not overflow too early.
  Term half = f.powerOfTwo(exponent - f.integer(1));
  Term large = f.fma(small, half, half - 0.5) * 2.0;
  return f.copySign(f.select(f.abs(x) < 0.25, small, large), x); // of -0
}

Term logOf(Term x) {
  Formula &f = *x.formula;
  Term value = f.select(x == f.infinity(), x, logOfPositive(x));
  Term otherwise = f.select(x == 0.0, -f.infinity(), f.notANumber());
  return f.select(x > 0.0, value, otherwise);
}

Term log1pOf(Term x) {
  Formula &f = *x.formula;
  // What 1 + x rounds off is put back to first order.
  Term sum = x + 1.0, lost = (x - (sum - 1.0)) / sum;
  Term regular = f.logicalAnd(sum > 0.0, sum < f.infinity());
  Term value = logOf(sum) + f.select(regular, lost, f.number(0));
  return f.select(f.abs(x) < f.pick(0x1p-25, 0x1p-54), x, value);
}

Term log2Of(Term x) { return logOf(x) * log2e; }
Term log10Of(Term x) { return logOf(x) * 0.43429448190325182765; }

Term tanhOf(Term x) {
  Formula &f = *x.formula;
  if (f.isSingle()) {
    Term inside = f.clamp(x, -9.02, 9.02), square = inside * inside;
    Term value = inside * f.polynomial(square, tanhTop) / f.polynomial(square, tanhBottom);
    return f.clamp(value, -1, 1);
  }
  Term grown = expm1Of(f.atMost(f.abs(x), 20) * 2.0);
  return f.copySign(grown / (grown + 2.0), x);
}

Term erfOf(Term x) {
  Formula &f = *x.formula;
  if (f.isSingle()) {
    Term inside = f.clamp(x, -3.925, 3.925), square = inside * inside;
    Term value = inside * f.polynomial(square, erfTop) / f.polynomial(square, erfBottom);
    return f.clamp(value, -1, 1);
  }
  Term size = f.atMost(f.abs(x), 6.1);
  Term complement = expOf(-(size * size)) * f.polynomial((size - 2.5) / (size + 2.5), erfcWide);
  Term large = f.copySign(1.0 - complement, x);
  return f.select(size < 1.0, x * f.polynomial(x * x, erfSmallWide), large);
}

Term sinOf(Term x) { return sinShifted(x, 0); }
Term cosOf(Term x) { return sinShifted(x, 1); }
/// Around 0, 1 and infinity by a difference of arc tangents, so that |t| ≤ tan(π/8).
Term atanOf(Term x) {
  Formula &f = *x.formula;
  Term size = f.abs(x);
  Term isMiddle = size > 0.41421356237309505, isLarge = size > 2.4142135623730950;
  auto choice = [&](Term large, Term middle, Term small) {
    return f.select(isLarge, large, f.select(isMiddle, middle, small));
  };
  Term zero = f.number(0), one = f.number(1);
  Term t = choice(-one, size - 1.0, size) / choice(size, size + 1.0, one), square = t * t;
  double quarter = f.pick(0x1.921fb6p-1, 0x1.921fb54442d18p-1); // of π, and what it lacks
  double rest = f.pick(-0x1.777a5cp-26, 0x1.1a62633145c07p-55);
  Term tail = f.fma(t * square, choose(square, atanSingle, atanWide),
                    choice(f.number(2 * rest), f.number(rest), zero));
  Term value = choice(f.number(2 * quarter), f.number(quarter), zero) + (t + tail);
  return f.copySign(value, x);
}

Term rsqrtOf(Term x) { return 1.0 / x.formula->sqrt(x); }

Term powOf(Term x, Term y) {
  Formula &f = *x.formula;
  if (f.isSingle()) // f64 holds y·log x exactly enough
    return throughDoubles(x, y, powOf);
  Term size = f.abs(x);
  Term value = expOf(y * logOf(size));
  Term half = y * 0.5;
  Term whole = f.floor(y) == y, even = f.floor(half) == half;
  Term signedValue = f.select(even, value, f.copySign(value, x));
  // A finite negative base has real powers for whole exponents alone.
  Term real = f.logicalOr(x > -0x1p-1074, size == f.infinity());
  Term allowed = f.logicalOr(whole, real);
  Term fractional = f.select(allowed, f.select(whole, signedValue, value), f.notANumber());
  Term sizeOne = f.logicalAnd(size == 1.0, f.logicalOr(x == 1.0, even));
  return f.select(f.logicalOr(y == 0.0, sizeOne), f.number(1), fractional);
}

/// f64's largest over its smallest number is 2^2098, f32's 2^277.
Term remainderOf(Term x, Term y) {
  if (!x.formula->isSingle())
    return longDivisionRest(x, y, 42);
  return throughDoubles(x, y, [](Term x, Term y) { return longDivisionRest(x, y, 6); });
}

} // namespace ingot
