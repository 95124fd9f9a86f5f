/// Attention with masks and other options.
#include "frontend/builder/BuilderImpl.h"
#include "ir/dialect/Graph.h"
#include <cmath>

namespace ingot {

/// A mask of fewer dimensions is that of the last ones.
Builder::Value Builder::attention(Value query, Value key, Value value,
                                  const AttentionOptions &how) {
  const Value none;
  auto refuse = [&](std::string_view what) {
    return impl->fail("attention", {query, key, value}, std::string(what));
  };
  constexpr int64_t farthest = int64_t(1) << 28;
  if (how.window < 0 || how.window > farthest)
    return refuse(
        fmt::format("the window {} is {}", how.window, how.window < 0 ? "negative" : "above 2^28"));
  for (auto [name, number] : {std::pair("scale", how.scale), std::pair("soft cap", how.softCap)})
    if (!std::isfinite(number))
      return refuse(fmt::format("the {} is not a finite number", name));
  Impl::Values operands = {query, key, value};
  llvm::SmallVector<int32_t> segments = {1, 1, 1};
  for (Value given : {how.mask, how.offset, how.length}) {
    segments.push_back(given != none);
    if (given != none)
      operands.push_back(given);
  }
  if (!impl->usable("attention", operands))
    return impl->invalid();
  if (how.mask != none && how.mask.shape().size() < 4) {
    Shape shape = how.mask.shape();
    shape.insert(shape.begin(), 4 - shape.size(), 1);
    operands[3] = reshape(how.mask, shape);
  }
  for (Value &given : llvm::MutableArrayRef(operands).drop_front(3)) // one for all the batch
    if (given.shape() == Shape{1})
      given = reshape(given, {});
  double scale = how.scale;
  if (scale == 0 && !query.shape().empty())
    scale = 1 / std::sqrt(double(query.shape().back()));
  llvm::SmallVector<mlir::NamedAttribute> attributes = {
      impl->number("scale", scale), impl->boolean("causal", how.causal),
      impl->builder.getNamedAttr("operandSegmentSizes",
                                 impl->builder.getDenseI32ArrayAttr(segments))};
  if (how.softCap != 0)
    attributes.push_back(impl->number("soft_cap", std::fabs(how.softCap)));
  if (how.window != 0) {
    attributes.push_back(impl->integer("before", how.window - 1));
    if (!how.causal)
      attributes.push_back(impl->integer("after", how.window - 1));
  }
  return impl->infer<graph::AttentionOp>(operands, attributes);
}

Builder::Value Builder::attention(Value query, Value key, Value value, bool causal, double scale) {
  return attention(query, key, value, AttentionOptions{.causal = causal, .scale = scale});
}

} // namespace ingot
