/// Result types of attention and of its gradients.
#include "ir/shapes/Inference.h"

using namespace mlir;

namespace ingot::graph {

/// Whether mask, offset, length, soft cap and window fit scores of this shape and type.
template <typename Adaptor>
static LogicalResult checkAttentionOptions(std::optional<Location> location, Adaptor adaptor,
                                           ArrayRef<int64_t> scores, Type element) {
  if (Value mask = adaptor.getMask()) {
    auto type = tensorType(mask);
    auto fits = [](int64_t size, int64_t whole) { return size == 1 || compatible(size, whole); };
    Type own = type.getElementType();
    const bool isNarrowEnough =
        own.isInteger(1) || own == element || own == accumulationType(element);
    if (type.getRank() != 4 || !isNarrowEnough || !llvm::all_of_zip(type.getShape(), scores, fits))
      return emitOptionalError(location, "(5) the mask must be of i1, ", element, " or ",
                               accumulationType(element), " with the sizes ",
                               RankedTensorType::get(scores, element), " or 1, but is ", type);
  }
  for (Value given : {adaptor.getOffset(), adaptor.getLength()})
    if (given && (tensorType(given).getRank() > 1 ||
                  (tensorType(given).getRank() == 1 &&
                   !compatible(tensorType(given).getDimSize(0), scores[0]))))
      return emitOptionalError(location, "(6) offset and length must be one integer or ", scores[0],
                               ", but one is ", given.getType());
  if (auto cap = adaptor.getSoftCap(); cap && !(cap->convertToDouble() > 0 && cap->isFinite()))
    return emitOptionalError(location, "(7) the soft cap must be a positive number");
  if (adaptor.getCausal() && adaptor.getAfter())
    return emitOptionalError(location, "(7) causal is after 0: a window gives one or the other");
  for (std::optional<uint64_t> reach : {adaptor.getBefore(), adaptor.getAfter()})
    if (reach && *reach >= uint64_t(1) << 28)
      return emitOptionalError(location, "(7) a window must reach 0 to 2^28 - 1 keys, not ",
                               int64_t(*reach));
  return success();
}

/// Appends the types of attention's results.
template <typename Adaptor>
static LogicalResult inferAttention(std::optional<Location> location, Adaptor adaptor,
                                    SmallVectorImpl<Type> &results) {
  auto query = tensorType(adaptor.getQuery()), key = tensorType(adaptor.getKey()),
       value = tensorType(adaptor.getValue());
  if (query.getRank() != 4 || key.getRank() != 4 || value.getRank() != 4)
    return emitOptionalError(location,
                             "(1) query, key and value must be [batch, heads, sequence, head]");
  if (query.getElementType() != key.getElementType() ||
      key.getElementType() != value.getElementType())
    return emitOptionalError(location, "(1) query, key and value differ in element type");
  for (int64_t dim : {0, 3})
    if (!compatible(query.getDimSize(dim), key.getDimSize(dim)))
      return emitOptionalError(location, "(2) query and key differ in dimension ", dim);
  const int64_t heads = query.getDimSize(1), keyHeads = key.getDimSize(1);
  if (!compatible(heads, keyHeads) && (keyHeads == 0 || heads == 0 || heads % keyHeads != 0))
    return emitOptionalError(location, "(2) ", keyHeads, " heads of keys do not divide ", heads,
                             " of queries");
  for (int64_t dim : {0, 1, 2})
    if (!compatible(key.getDimSize(dim), value.getDimSize(dim)))
      return emitOptionalError(location, "(3) key and value differ in dimension ", dim);
  const int64_t queries = query.getDimSize(2), keys = key.getDimSize(2);
  if (queries != 0 && keys == 0)
    return emitOptionalError(location, "(4) there is no key");
  if (failed(checkAttentionOptions(location, adaptor, {query.getDimSize(0), heads, queries, keys},
                                   query.getElementType())))
    return failure();
  SmallVector<int64_t> shape(query.getShape());
  shape.back() = value.getShape().back();
  results.push_back(RankedTensorType::get(shape, query.getElementType()));
  results.push_back(statisticsType(query));
  return success();
}

LogicalResult AttentionOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                            Adaptor adaptor, SmallVectorImpl<Type> &results) {
  return inferAttention(location, adaptor, results);
}

LogicalResult AttentionBackwardOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                                    Adaptor adaptor,
                                                    SmallVectorImpl<Type> &results) {
  SmallVector<Type> forward;
  if (failed(inferAttention(location, adaptor, forward)))
    return failure();
  Type given[] = {adaptor.getOutput().getType(), adaptor.getLse().getType()};
  if (!areCompatible(forward, given) || !areCompatible(forward[0], adaptor.getGradient().getType()))
    return emitOptionalError(location, "(8) output, gradient and lse must be ", forward[0], ", ",
                             forward[0], " and ", forward[1]);
  for (Value like : {adaptor.getQuery(), adaptor.getKey(), adaptor.getValue()})
    results.push_back(like.getType());
  return success();
}

} // namespace ingot::graph
