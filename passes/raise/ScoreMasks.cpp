#include "passes/raise/ScoreMasks.h"
#include "ir/dialect/Elements.h"
#include "llvm/ADT/Sequence.h"
#include <cmath>

using namespace mlir;
using namespace ingot::graph;

namespace ingot {
namespace {

using Dims = SmallVector<int64_t>;

/// What hides a score: from here down its exponential is 0 beside that of any score that is seen,
/// unless scores differ by as much.
constexpr double hiddenNumber = -1e9;

/// What is added to a score that a selection replaces by this one. Scores vanish beside it, so that
/// those of a query that sees no key are equal, as they were.
double swallowing(double hiddenScore, Type type) {
  return std::min(hiddenScore, type.isF64() ? -1e300 : -1e30);
}

/// What a broadcast repeats, and which of its dimensions that has. A mask is mostly repeated for
/// batch and heads: only what is repeated is computed.
struct Repeated {
  Value value;
  Dims places;
};

Repeated repeatedBy(Value value) {
  if (auto broadcast = value.getDefiningOp<BroadcastOp>())
    return {broadcast.getOperand(), Dims(broadcast.getDimensions())};
  return {value, llvm::to_vector(llvm::seq<int64_t>(0, tensorType(value).getRank()))};
}

/// What has size 1, repeated.
Value repeatedTo(GraphBuilder &build, Value value, ArrayRef<int64_t> sizes,
                 ArrayRef<int64_t> shape) {
  Dims places, kept;
  for (auto [dim, size] : llvm::enumerate(sizes))
    if (size != 1) {
      places.push_back(int64_t(dim));
      kept.push_back(size);
    }
  return build.broadcast(build.reshape(value, kept), shape, places);
}

} // namespace

void ScoreMasks::start(RankedTensorType type, int64_t keyDim) {
  scores = type;
  const int64_t rank = type.getRank();
  isByKey = rank >= 2 && keyDim == rank - 1;
  queries = rank >= 2 ? type.getDimSize(rank - 2) : 1;
  keys = type.getDimSize(keyDim);
}

bool ScoreMasks::add(Value numbers, double factor) {
  return take({.value = numbers, .factor = factor});
}

bool ScoreMasks::addSelect(SelectOp select, bool hidesWhere, double factor) {
  auto number = splatOf(hidesWhere ? select.getOnTrue() : select.getOnFalse());
  if (!number || !(*number * factor <= hiddenNumber))
    return false;
  return take({.value = select.getCondition(),
               .isAdded = false,
               .hidesWhere = hidesWhere,
               .hiddenScore = *number * factor});
}

bool ScoreMasks::take(Mask mask) {
  if (!isByKey || !std::isfinite(mask.factor))
    return false;
  mask.isKnown = noteHidden(mask);
  masks.push_back(mask);
  return true;
}

bool ScoreMasks::noteHidden(const Mask &mask) {
  const Repeated given = repeatedBy(mask.value);
  const std::optional<Tensor> tensor = known.find(given.value);
  if (!tensor)
    return false;
  const std::vector<double> numbers = load<double>(*tensor);
  auto hides = [&](double number) {
    return mask.isAdded ? number != 0 : (number != 0) == mask.hidesWhere;
  };
  if (mask.isAdded && !llvm::all_of(numbers, [&](double number) {
        return number == 0 || number * mask.factor <= hiddenNumber;
      }))
    return false;
  if (llvm::none_of(numbers, hides))
    return true;
  if (queries * keys > KnownValues::largest)
    return false;
  const int64_t rank = tensorType(mask.value).getRank();
  std::vector<int> seen(size_t(queries * keys), -1); // 1 hidden, 0 not
  ArrayRef<int64_t> shape(tensor->shape());
  for (int64_t element = 0; element < tensor->size(); ++element) {
    int64_t rest = element, q = -1, k = -1;
    for (int64_t dim = int64_t(shape.size()) - 1; dim >= 0; --dim) {
      const int64_t index = rest % shape[dim];
      rest /= shape[dim];
      if (given.places[dim] == rank - 2 && (shape[dim] != 1 || queries == 1))
        q = index;
      if (given.places[dim] == rank - 1 && (shape[dim] != 1 || keys == 1))
        k = index;
    }
    const int isHidden = hides(numbers[size_t(element)]);
    for (int64_t i = q < 0 ? 0 : q; i <= (q < 0 ? queries - 1 : q); ++i)
      for (int64_t j = k < 0 ? 0 : k; j <= (k < 0 ? keys - 1 : k); ++j) {
        int &entry = seen[size_t(i * keys + j)];
        if (entry >= 0 && entry != isHidden) // heads or batches differ
          return false;
        entry = isHidden;
      }
  }
  hidden.resize(seen.size());
  for (size_t i = 0; i < hidden.size(); ++i)
    hidden[i] = hidden[i] || seen[i] == 1;
  return true;
}

/// Where it can, the last query is at the last key.
bool ScoreMasks::findWindow(AttentionMask &found) {
  if (llvm::none_of(hidden, [](bool isHidden) { return isHidden; }))
    return true;
  auto isHidden = [&](int64_t query, int64_t key) { return hidden[size_t(query * keys + key)]; };
  int64_t least = keys, most = -queries;
  for (int64_t i = 0; i < queries; ++i)
    for (int64_t j = 0; j < keys; ++j)
      if (!isHidden(i, j)) {
        least = std::min(least, j - i);
        most = std::max(most, j - i);
      }
  bool isWindow = true, isLeft = false, isRight = false;
  for (int64_t i = 0; i < queries; ++i) {
    bool sees = false;
    for (int64_t j = 0; j < keys; ++j) {
      const bool isOutside = j - i < least || j - i > most;
      isWindow &= isHidden(i, j) == isOutside;
      isLeft |= j - i < least;
      isRight |= j - i > most;
      sees |= !isOutside;
    }
    isWindow &= sees;
  }
  if (!isWindow)
    return false;
  const int64_t own = std::clamp(keys - queries, isLeft ? least : -queries, isRight ? most : keys);
  if (own != keys - queries)
    found.offset = own;
  if (isLeft)
    found.before = own - least;
  if (isRight)
    found.after = most - own;
  return true;
}

/// What a mask adds; a condition where it shows keys and hides them wholly. As often as the mask
/// itself was repeated.
Value ScoreMasks::numbersOf(GraphBuilder &build, const Mask &mask, Value value) {
  if (mask.isAdded)
    return mask.factor == 1 ? value : build.mul(value, mask.factor);
  if (!mask.hidesWhere && std::isinf(mask.hiddenScore))
    return value;
  return select(build, mask, value,
                build.splat(tensorType(value).clone(scores.getElementType()), 0));
}

/// `shown` where a selection's condition shows keys, else what swallows scores.
Value ScoreMasks::select(GraphBuilder &build, const Mask &mask, Value condition, Value shown) {
  Value other = build.splatLike(shown, swallowing(mask.hiddenScore, scores.getElementType()));
  return build.select(condition, mask.hidesWhere ? other : shown, mask.hidesWhere ? shown : other);
}

/// `value`, which `mask` repeats, as [batch, heads, queries, keys]; what is repeated has size 1.
Value ScoreMasks::inHeads(GraphBuilder &build, const Mask &mask, Value value, int64_t batch) {
  const Repeated given = repeatedBy(mask.value);
  // In the order of the scores: batch…, queries…, keys. The last of the batch and what of queries'
  // dimensions comes before their positions are heads.
  const Dims whole(shapeOf(mask.value));
  const int64_t rank = int64_t(whole.size());
  Dims sizes(rank, 1);
  for (auto [dim, size] : llvm::zip_equal(given.places, shapeOf(value)))
    sizes[dim] = size;
  Dims shape = {1, 1, sizes[rank - 2], sizes[rank - 1]}, full = shape;
  auto heads = [&](int64_t dim) { return dim + 1 < batch ? 0 : 1; };
  for (int64_t dim = 0; dim < rank - 2; ++dim) {
    shape[heads(dim)] *= sizes[dim];
    full[heads(dim)] *= whole[dim];
  }
  for (int64_t part : {0, 1})
    if (shape[part] != 1 && shape[part] != full[part]) { // repeated for a part of them
      Dims partly = sizes;
      for (int64_t dim = 0; dim < rank - 2; ++dim)
        if (heads(dim) == part)
          partly[dim] = whole[dim];
      value = repeatedTo(build, value, sizes, partly);
      sizes = partly;
      shape[part] = full[part];
    }
  return build.reshape(value, shape);
}

/// Masks from the inside out: a selection replaces what those inside it add. Null without any.
Value ScoreMasks::sum(GraphBuilder &build, int64_t batch) {
  auto unrepeated = [](const Mask &mask) { return repeatedBy(mask.value).value; };
  if (masks.empty())
    return {};
  if (masks.size() == 1) {
    const Mask &mask = masks.front();
    return inHeads(build, mask, numbersOf(build, mask, unrepeated(mask)), batch);
  }
  SmallVector<Value> parts;
  Dims shape(4, 1);
  for (const Mask &mask : masks) {
    Value part = unrepeated(mask);
    parts.push_back(
        inHeads(build, mask, mask.isAdded ? numbersOf(build, mask, part) : part, batch));
    for (auto [size, own] : llvm::zip_equal(shape, shapeOf(parts.back())))
      size = std::max(size, own);
  }
  Value sum;
  for (size_t i = masks.size(); i-- > 0;) {
    Value part = repeatedTo(build, parts[i], shapeOf(parts[i]), shape);
    if (!masks[i].isAdded)
      part =
          select(build, masks[i], part,
                 sum ? sum : build.splat(RankedTensorType::get(shape, scores.getElementType()), 0));
    else if (sum)
      part = build.add(sum, part);
    sum = part;
  }
  return sum;
}

AttentionMask ScoreMasks::build(GraphBuilder &build, int64_t batch) {
  AttentionMask found;
  if (findWindow(found))
    llvm::erase_if(masks, [](const Mask &mask) { return mask.isKnown; });
  found.value = sum(build, batch);
  return found;
}

} // namespace ingot
