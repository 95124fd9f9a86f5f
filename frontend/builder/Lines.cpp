/// Operations of Builder on whole lines along a dimension: sums up to each place, sorting.
#include "frontend/builder/BuilderImpl.h"
#include <cmath>

namespace ingot {

using Value = Builder::Value;

Value Builder::Impl::scan(graph::ReduceKind kind, Value x, int64_t dimension, bool exclusive,
                          bool reverse) {
  if (!usable("scan", {x}))
    return invalid();
  dimension += dimension < 0 ? int64_t(x.shape().size()) : 0;
  llvm::SmallVector<mlir::NamedAttribute> attributes = {
      builder.getNamedAttr("kind", graph::ReduceKindAttr::get(model->context.get(), kind)),
      integer("dimension", dimension)};
  if (exclusive)
    attributes.push_back(builder.getNamedAttr("exclusive", builder.getUnitAttr()));
  if (reverse)
    attributes.push_back(builder.getNamedAttr("reverse", builder.getUnitAttr()));
  return make<graph::ScanOp>(type(x), {x}, attributes);
}

Value Builder::cumulativeSum(Value x, int64_t dimension, bool exclusive, bool reverse) {
  return impl->scan(graph::ReduceKind::Sum, x, dimension, exclusive, reverse);
}

Value Builder::cumulativeProduct(Value x, int64_t dimension, bool exclusive, bool reverse) {
  return impl->scan(graph::ReduceKind::Product, x, dimension, exclusive, reverse);
}

std::vector<Value> Builder::sort(Value x, int64_t dimension, bool descending) {
  if (!impl->usable("sort", {x}))
    return {impl->invalid(), impl->invalid()};
  // Unsigned integers have the order of the signed ones that the other sign bit makes them.
  const ElementType type = x.type();
  const bool isUnsigned = graph::kindOf(type) == graph::ElementKind::Unsigned;
  Value turned = x;
  ElementType ordered = type;
  auto turn = [&](Value value) { // of the unsigned type
    return bitXor(value, scalar(-std::ldexp(1.0, graph::bitWidth(type) - 1), type));
  };
  if (type == ElementType::I1) {
    turned = cast(x, ElementType::I8);
  } else if (isUnsigned) {
    constexpr std::pair<ElementType, ElementType> pairs[] = {{ElementType::U64, ElementType::I64},
                                                             {ElementType::U32, ElementType::I32},
                                                             {ElementType::U16, ElementType::I16},
                                                             {ElementType::U8, ElementType::I8},
                                                             {ElementType::U4, ElementType::I4}};
    for (auto [from, to] : pairs)
      ordered = from == type ? to : ordered;
    turned = cast(turn(x), ordered);
  }
  dimension += dimension < 0 ? int64_t(x.shape().size()) : 0;
  llvm::SmallVector<mlir::NamedAttribute> attributes = {impl->integer("dimension", dimension)};
  if (descending)
    attributes.push_back(impl->builder.getNamedAttr("descending", impl->builder.getUnitAttr()));
  Value sorted = impl->infer<graph::SortOp>({turned}, attributes);
  Value places = impl->result(sorted, 1);
  if (isUnsigned)
    sorted = cast(sorted, type);
  return {isUnsigned && type != ElementType::I1 ? turn(sorted) : sorted, places};
}

std::vector<Value> Builder::topK(Value x, int64_t k, int64_t dimension, bool largest) {
  std::vector<Value> sorted = sort(x, dimension, largest);
  if (!impl->valid(sorted[0]))
    return sorted;
  dimension += dimension < 0 ? int64_t(x.shape().size()) : 0;
  if (const int64_t size = x.shape()[size_t(dimension)]; k < 0 || k > size) {
    impl->fail("top_k", {x}, fmt::format("there are no {} of {} elements", k, size));
    return {impl->invalid(), impl->invalid()};
  }
  for (Value &part : sorted)
    part = slice(part, dimension, 0, k);
  return sorted;
}

} // namespace ingot
