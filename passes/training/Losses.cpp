#include "passes/training/Losses.h"
#include "ir/formulas/Term.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"
#include <fmt/format.h>

using namespace mlir;
using namespace ingot::graph;

namespace ingot {
namespace {

using formulas::Term;
using Dims = SmallVector<int64_t>;

/// The losses of all targets, and what each counts in a mean; null: 1.
struct Terms {
  Value losses, shares;
  bool isSmoothed = false; ///< then there are losses where nothing counts
};

/// What a row of the table sees.
struct Inputs {
  GraphBuilder &build;
  const LossNumbers &numbers;
  Value x, targets; ///< of floats: in the type that losses are computed in
  int64_t axis;     ///< of classes

  int64_t classes() const { return shapeOf(x)[axis]; }
  Value total(Value elements) const { return build.reduceSum(elements, axis); }
  Value spread(Value line) const { return build.broadcastReducedLike(line, x, axis); }
  Term term(Value value) const { return {&build, value}; }

  /// Weights along a dimension of x.
  Value weights() const {
    Type element = tensorType(x).getElementType();
    auto values = llvm::map_to_vector(numbers.classWeights, [&](double weight) -> Attribute {
      return FloatAttr::get(element, weight);
    });
    auto type = RankedTensorType::get({int64_t(values.size())}, element);
    return build.make<ConstantOp>(DenseElementsAttr::get(type, values));
  }
  Value weightsAlong(int64_t dimension) const {
    return build.broadcast(weights(), shapeOf(x), dimension);
  }
  Term formula(StringRef name, ArrayRef<double> parameters = {}) const {
    return formula(name, {x, targets}, parameters);
  }
  Term formula(StringRef name, ValueRange operands, ArrayRef<double> parameters = {}) const {
    return term(build.make<FormulaOp>(operands.front().getType(), name, operands, parameters));
  }
};

//===--------------------------------------------------------------------------------------------===//
// Of classes
//===--------------------------------------------------------------------------------------------===//

/// -Σ weight·target·log over the classes, where targets are their probabilities.
Terms ofProbabilities(const Inputs &in, Value logs) {
  GraphBuilder &build = in.build;
  const double smoothing = in.numbers.labelSmoothing;
  Value targets = in.targets;
  if (smoothing > 0)
    targets = build.add(build.mul(targets, 1 - smoothing), smoothing / double(in.classes()));
  Value shares = build.mul(logs, targets);
  if (!in.numbers.classWeights.empty())
    shares = build.mul(shares, in.weightsAlong(in.axis));
  return {build.neg(in.total(shares)), {}};
}

/// -weight·log of the target's class, and of all classes as far as targets are smoothed. Ignored
/// targets take another one's place in indexing, and count nothing.
Terms likelihood(const Inputs &in, Value logs) {
  GraphBuilder &build = in.build;
  const LossNumbers &numbers = in.numbers;
  Value isCounted, index = in.targets;
  if (numbers.ignoreIndex) {
    auto ignored = IntegerAttr::get(tensorType(index).getElementType(), *numbers.ignoreIndex);
    Value number = build.make<ConstantOp>(DenseElementsAttr::get(tensorType(index), ignored));
    isCounted = build.compare(Comparison::Ne, index, number);
    index = build.select(isCounted, index, build.zerosLike(index));
  }
  Terms terms{build.neg(build.make<PickOp>(logs, index, in.axis)), {}};
  if (!numbers.classWeights.empty()) {
    terms.shares = build.gather(in.weights(), index, 0);
    terms.losses = build.mul(terms.losses, terms.shares);
  }
  if (const double smoothing = numbers.labelSmoothing; smoothing > 0) {
    Value all = numbers.classWeights.empty() ? logs : build.mul(logs, in.weightsAlong(in.axis));
    terms.losses = build.sub(build.mul(terms.losses, 1 - smoothing),
                             build.mul(in.total(all), smoothing / double(in.classes())));
    terms.isSmoothed = true;
  }
  if (isCounted) {
    auto counted = [&](Value value) {
      return build.select(isCounted, value, build.zerosLike(value));
    };
    terms.shares = counted(terms.shares ? terms.shares : build.splatLike(terms.losses, 1));
    terms.losses = counted(terms.losses);
  }
  return terms;
}

Terms crossEntropy(const Inputs &in) {
  Value logs = in.build.make<LogSoftmaxOp>(in.x, in.axis);
  return in.numbers.softTargets ? ofProbabilities(in, logs) : likelihood(in, logs);
}

Terms nll(const Inputs &in) { return likelihood(in, in.x); }

/// Σ max(0, margin - x[target] + x[class])^power / classes over the other classes.
Terms multiMargin(const Inputs &in) {
  GraphBuilder &build = in.build;
  Value ofTarget = in.spread(build.make<PickOp>(in.x, in.targets, in.axis));
  Term lacking = in.term(in.x) - in.term(ofTarget) + in.numbers.margin;
  Term share = choose(lacking > 0.0, in.numbers.power == 2 ? lacking * lacking : lacking, 0.0);
  Value place = build.iota(shapeOf(in.x), tensorType(in.targets).getElementType(), in.axis);
  Value isTarget = build.compare(Comparison::Eq, place, in.spread(in.targets));
  Value others = build.select(isTarget, build.zerosLike(in.x), share.value);
  Value losses = build.mul(in.total(others), 1.0 / double(in.classes()));
  if (!in.numbers.classWeights.empty())
    losses = build.mul(losses, build.gather(in.weights(), in.targets, 0));
  return {losses, {}};
}

/// 1 - cos of the angle between prediction and target.
Terms cosine(const Inputs &in) {
  auto total = [&](Value a, Value b) { return in.term(in.total(in.build.mul(a, b))); };
  constexpr double least = 1e-12;
  Term length = (total(in.x, in.x) + least) * (total(in.targets, in.targets) + least);
  return {(1.0 - total(in.x, in.targets) / sqrt(length)).value, {}};
}

//===--------------------------------------------------------------------------------------------===//
// Of elements
//===--------------------------------------------------------------------------------------------===//

Terms bceWithLogits(const Inputs &in) {
  if (in.numbers.classWeights.empty())
    return {in.formula("bce_with_logits").value, {}};
  const bool isOne = in.numbers.classWeights.size() == 1;
  Value weights = isOne ? in.build.splatLike(in.x, in.numbers.classWeights.front())
                        : in.weightsAlong(tensorType(in.x).getRank() - 1);
  Term x = in.term(in.x), y = in.term(in.targets);
  Term weight = (in.term(weights) - 1.0) * y + 1.0;
  return {((1.0 - y) * x - weight * in.formula("log_sigmoid", in.x)).value, {}};
}

//===--------------------------------------------------------------------------------------------===//
// The table
//===--------------------------------------------------------------------------------------------===//

/// What the targets are.
enum class Targets { Values, Classes, Rows };

struct Row {
  Loss loss;
  Targets targets; ///< of the prediction's type; class numbers; the same along the classes' axis
  Terms (*terms)(const Inputs &);
};

/// A loss that is a formula of prediction and target.
template <typename F> Row ofFormula(Loss loss, F) {
  return {loss, Targets::Values, [](const Inputs &in) { return Terms{F{}(in).value, {}}; }};
}

const Row rows[] = {
    {Loss::CrossEntropy, Targets::Classes, crossEntropy},
    {Loss::Nll, Targets::Classes, nll},
    {Loss::MultiMargin, Targets::Classes, multiMargin},
    {Loss::Cosine, Targets::Rows, cosine},
    {Loss::BceWithLogits, Targets::Values, bceWithLogits},
    ofFormula(Loss::Mse, [](const Inputs &in) { return in.formula("squared_difference"); }),
    ofFormula(Loss::L1, [](const Inputs &in) { return in.formula("absolute_difference"); }),
    ofFormula(Loss::SmoothL1,
              [](const Inputs &in) { return in.formula("smooth_l1", in.numbers.beta); }),
    ofFormula(Loss::Huber, [](const Inputs &in) { return in.formula("huber", in.numbers.delta); }),
    ofFormula(Loss::Bce, [](const Inputs &in) { return in.formula("bce"); }),
    ofFormula(Loss::KlDiv,
              [](const Inputs &in) {
                return in.formula(in.numbers.logTargets ? "kl_div_log" : "kl_div");
              }),
    ofFormula(Loss::PoissonNll, [](const Inputs &in) { return in.formula("poisson_nll"); }),
    ofFormula(Loss::HingeEmbedding,
              [](const Inputs &in) { return in.formula("hinge_embedding", in.numbers.margin); }),
    ofFormula(Loss::SoftMargin, [](const Inputs &in) { return in.formula("soft_margin"); }),
};

const Row &rowOf(Loss loss) {
  return *llvm::find_if(rows, [&](const Row &row) { return row.loss == loss; });
}

Dims withoutAxis(ArrayRef<int64_t> shape, int64_t axis) {
  Dims kept(shape);
  kept.erase(kept.begin() + axis);
  return kept;
}

/// All dimensions but the first.
Dims innerDims(Value value) {
  return llvm::to_vector(llvm::seq<int64_t>(1, std::max<int64_t>(tensorType(value).getRank(), 1)));
}

/// Of elements, the mean or sum of each row.
Value ofRows(GraphBuilder &build, Reduction reduction, Value losses) {
  const Dims inner = innerDims(losses);
  if (inner.empty())
    return losses;
  return reduction == Reduction::Mean ? build.reduceMean(losses, inner)
                                      : build.reduceSum(losses, inner);
}

Value reduced(GraphBuilder &build, Reduction reduction, Terms terms, Value weights) {
  auto weighted = [&](Value value) {
    return weights ? build.sumAll(build.mul(value, weights)) : build.sumAll(value);
  };
  const int64_t rows = tensorType(terms.losses).getRank() ? shapeOf(terms.losses)[0] : 1;
  switch (reduction) {
  case Reduction::None:
    return weights ? build.mul(terms.losses, weights) : terms.losses;
  case Reduction::Sum:
    return weighted(terms.losses);
  case Reduction::BatchMean:
    return build.div(weighted(terms.losses), double(rows));
  case Reduction::Mean:
    break;
  }
  if (terms.shares) {
    Value total = weighted(terms.shares);
    Value mean = build.div(weighted(terms.losses), total);
    // Of nothing the mean is NaN, not infinite: the quotient is 1 or NaN.
    return terms.isSmoothed ? build.mul(mean, build.div(total, total)) : mean;
  }
  if (weights)
    return build.div(weighted(terms.losses), build.sumAll(weights));
  return build.reduceMean(
      terms.losses, llvm::to_vector(llvm::seq<int64_t>(0, tensorType(terms.losses).getRank())));
}

/// The classes as the last dimension.
Value classesLast(GraphBuilder &build, Value x, int64_t axis) {
  const int64_t last = tensorType(x).getRank() - 1;
  if (axis == last)
    return x;
  Dims order = withoutAxis(llvm::to_vector(llvm::seq<int64_t>(0, last + 1)), axis);
  order.push_back(axis);
  return build.transpose(x, order);
}

} // namespace

bool LossForm::isOfClasses() const { return rowOf(loss).targets == Targets::Classes; }

int64_t LossForm::axis(RankedTensorType prediction) const {
  return classAxis < 0 ? prediction.getRank() - 1 : classAxis;
}

std::string LossForm::problem(RankedTensorType prediction) const {
  const Targets targets = rowOf(loss).targets;
  const std::string_view name = enumName(loss);
  if (!isa<FloatType>(prediction.getElementType()))
    return "the loss needs a tensor of floats";
  if (targets == Targets::Classes && prediction.getRank() < 2)
    return fmt::format("{} needs [batch…, classes]", name);
  if (targets == Targets::Rows && prediction.getRank() < 1)
    return fmt::format("{} needs vectors", name);
  if (targets != Targets::Values && classAxis >= prediction.getRank())
    return fmt::format("class axis {} is no dimension", classAxis);
  if (numbers.softTargets && numbers.ignoreIndex)
    return "targets that are probabilities have no number to ignore";
  const size_t given = numbers.classWeights.size();
  const int64_t rank = prediction.getRank();
  const int64_t wanted = targets == Targets::Classes ? prediction.getDimSize(axis(prediction))
                         : rank == 0                 ? 1
                                                     : prediction.getDimSize(rank - 1);
  const bool isEnough =
      given == 0 || int64_t(given) == wanted || (targets == Targets::Values && given == 1);
  return isEnough ? "" : fmt::format("{} class weights are not those of {} classes", given, wanted);
}

RankedTensorType LossForm::targets(RankedTensorType prediction, Type index) const {
  if (!isOfClasses() || numbers.softTargets)
    return prediction;
  return RankedTensorType::get(withoutAxis(prediction.getShape(), axis(prediction)), index);
}

RankedTensorType LossForm::weights(RankedTensorType prediction, Type element) const {
  if (rowOf(loss).targets != Targets::Values)
    return RankedTensorType::get(withoutAxis(prediction.getShape(), axis(prediction)), element);
  return RankedTensorType::get(prediction.getShape().take_front(1), element);
}

Value LossForm::build(GraphBuilder &build, Value prediction, Value targets, Value weights) const {
  const Row &row = rowOf(loss);
  const int64_t classes = axis(tensorType(prediction));
  // Ops with gradients of their own.
  if (numbers == LossNumbers() && !weights) {
    if (loss == Loss::CrossEntropy)
      return build.make<CrossEntropyOp>(classesLast(build, prediction, classes), targets);
    if (loss == Loss::Mse)
      return build.make<MseOp>(prediction, targets);
  }
  Value x = build.widen(prediction);
  if (isa<FloatType>(tensorType(targets).getElementType()))
    targets = build.widen(targets);
  Terms terms = row.terms({build, numbers, x, targets, classes});
  if (weights) {
    weights = build.cast(weights, tensorType(x).getElementType());
    if (row.targets == Targets::Values)
      terms.losses = ofRows(build, numbers.reduction, terms.losses);
  }
  return reduced(build, numbers.reduction, terms, weights);
}

} // namespace ingot
