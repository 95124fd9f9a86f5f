/// Rows of ops that pick or place elements by index. One index is one of a tensor's elements in
/// row-major order, so that one gather or scatter does for any dimension numbers.
#include "frontend/stablehlo/Op.h"
#include <algorithm>

namespace ingot::stablehlo {
namespace {

int64_t rank(const Value &x) { return int64_t(x.shape().size()); }
bool holds(const Ints &list, int64_t value) { return std::ranges::find(list, value) != list.end(); }

/// What the dimension numbers of a gather or scatter mean in common: `windows` are the dimensions
/// of result or updates that walk a slice, the others (its batch) walk the indices.
struct Numbers {
  Ints windows, dropped, batch, indexBatch, starts;
  int64_t vector; ///< the dimension of indices that holds an index's numbers; their rank: none
};

Value integer(Op &c, int64_t value) {
  Tensor tensor(ElementType::I64, {});
  *tensor.as<int64_t>() = value;
  return c.b.constant(tensor);
}

/// The numbers `which` of each index, spread over `result` whose batch walks the indices.
Value startsAlong(Op &c, Value indices, const Numbers &n, size_t which, const Shape &result) {
  if (n.vector < rank(indices)) {
    Shape without = indices.shape();
    without.erase(without.begin() + n.vector);
    indices =
        c.b.reshape(c.b.slice(indices, n.vector, int64_t(which), int64_t(which) + 1), without);
  }
  Shape apart(result.size(), 1);
  size_t next = 0;
  for (size_t i = 0; i < result.size(); ++i)
    if (!holds(n.windows, int64_t(i)) && next < indices.shape().size())
      apart[i] = indices.shape()[next++];
  return c.b.cast(c.b.reshape(indices, apart), ElementType::I64);
}

struct Places {
  Value flat;   ///< of `result`'s shape
  Value inside; ///< whether all of the slice is; Value() where starts are moved inside
};

/// Where each element of `result` is in x. Gathers move slices that leave x inside; scatters leave
/// them out.
Places placesOf(Op &c, Value x, Value indices, const Numbers &n, const Shape &result,
                const Ints &sizes, bool isMoved) {
  Places places{integer(c, 0), {}};
  int64_t stride = 1;
  size_t window = n.windows.size();
  for (int64_t dim = rank(x) - 1; dim >= 0; --dim) {
    const int64_t size = x.shape()[size_t(dim)];
    Value along = integer(c, 0);
    const bool isBatch = holds(n.batch, dim);
    if (!isBatch && !holds(n.dropped, dim))
      along = along + c.b.iota(result, n.windows[--window], ElementType::I64);
    if (isBatch) { // walks with a dimension of the indices, that is with one of the result's batch
      int64_t at = n.indexBatch[size_t(std::ranges::find(n.batch, dim) - n.batch.begin())];
      at -= at > n.vector;
      for (int64_t i = 0; i < int64_t(result.size()); ++i)
        if (!holds(n.windows, i) && at-- == 0)
          along = c.b.iota(result, i, ElementType::I64);
    }
    const auto named = std::ranges::find(n.starts, dim);
    if (named != n.starts.end()) {
      Value start = startsAlong(c, indices, n, size_t(named - n.starts.begin()), result);
      const int64_t last = size - sizes[size_t(dim)];
      if (isMoved) {
        start =
            c.b.minimum(c.b.maximum(start, integer(c, 0)), integer(c, std::max<int64_t>(last, 0)));
      } else {
        Value fits = c.b.bitAnd(c.b.compare(Comparison::GreaterEqual, start, integer(c, 0)),
                                c.b.compare(Comparison::LessEqual, start, integer(c, last)));
        places.inside = places.inside.valid() ? c.b.bitAnd(places.inside, fits) : fits;
      }
      along = along + start;
    }
    places.flat = places.flat + along * integer(c, stride);
    stride *= size;
  }
  places.flat = c.b.broadcast(places.flat, result);
  if (places.inside.valid())
    places.inside = c.b.broadcast(places.inside, result);
  return places;
}

/// Whole rows of a tensor by one number each: what embeddings are.
std::optional<Value> gatherRows(Op &c, Value x, Value indices, const Numbers &n, const Ints &sizes,
                                const Shape &result) {
  if (n.starts.size() != 1 || n.dropped != n.starts || !n.batch.empty())
    return std::nullopt;
  const int64_t along = n.starts[0];
  for (int64_t dim = 0; dim < rank(x); ++dim)
    if (dim != along && sizes[size_t(dim)] != x.shape()[size_t(dim)])
      return std::nullopt;
  if (n.vector < rank(indices)) {
    Shape without = indices.shape();
    without.erase(without.begin() + n.vector);
    indices = c.b.reshape(indices, without);
  }
  Value zero = c.b.scalar(0, indices.type());
  Value last = c.b.scalar(double(x.shape()[size_t(along)] - 1), indices.type());
  Value y = c.b.gather(x, c.b.minimum(c.b.maximum(indices, zero), last), along);
  // y is [before, indices…, after]; dimensions that walk slices go to their places.
  Ints order(result.size());
  int64_t nextIndex = along, nextWindow = 0;
  for (int64_t i = 0; i < int64_t(result.size()); ++i)
    if (holds(n.windows, i)) {
      order[size_t(i)] = nextWindow < along ? nextWindow : nextWindow + rank(indices);
      ++nextWindow;
    } else {
      order[size_t(i)] = nextIndex++;
    }
  return std::ranges::is_sorted(order) ? y : c.b.transpose(y, order);
}

Values gather(Op &c) {
  Value x = c.operand(0), indices = c.operand(1);
  const mlir::DictionaryAttr given = c.dictionary("dimension_numbers");
  if (!given)
    return c.refuse("it has no dimension numbers");
  const Numbers n{
      c.ints("offset_dims", given),           c.ints("collapsed_slice_dims", given),
      c.ints("operand_batching_dims", given), c.ints("start_indices_batching_dims", given),
      c.ints("start_index_map", given),       c.integer("index_vector_dim", 0, given)};
  const Ints sizes = c.ints("slice_sizes");
  const Shape result = c.shape();
  if (sizes.size() != x.shape().size() ||
      n.windows.size() + n.dropped.size() + n.batch.size() != sizes.size() ||
      n.indexBatch.size() != n.batch.size())
    return c.refuse("its dimension numbers do not fit its operand");
  if (std::optional<Value> rows = gatherRows(c, x, indices, n, sizes, result))
    return {*rows};
  const Places places = placesOf(c, x, indices, n, result, sizes, true);
  return {c.b.gather(c.b.reshape(x, {-1}), places.flat, 0)};
}

/// The slices of updates added, or put in place where no two are at one.
Values scatter(Op &c) {
  Value x = c.operand(0), indices = c.operand(1), updates = c.operand(2);
  const mlir::DictionaryAttr given = c.dictionary("scatter_dimension_numbers");
  const std::string combiner = c.combiner();
  if (!given || c.size() != 3 || (combiner != "add" && combiner != "second"))
    return c.refuse("scattering by this body is not supported");
  const Numbers n{
      c.ints("update_window_dims", given),           c.ints("inserted_window_dims", given),
      c.ints("input_batching_dims", given),          c.ints("scatter_indices_batching_dims", given),
      c.ints("scatter_dims_to_operand_dims", given), c.integer("index_vector_dim", 0, given)};
  Ints sizes;
  size_t window = 0;
  for (int64_t dim = 0; dim < rank(x); ++dim) {
    const bool walks = !holds(n.dropped, dim) && !holds(n.batch, dim);
    if (walks && window >= n.windows.size())
      return c.refuse("its dimension numbers do not fit its operand");
    sizes.push_back(walks ? updates.shape()[size_t(n.windows[window++])] : 1);
  }
  if (window != n.windows.size() || n.indexBatch.size() != n.batch.size())
    return c.refuse("its dimension numbers do not fit its operand");
  const Places places = placesOf(c, x, indices, n, updates.shape(), sizes, false);
  // What lies outside goes to a place behind the last, which is cut off.
  const int64_t size = elementCount(x.shape()), count = elementCount(updates.shape());
  Value flat = places.flat;
  if (places.inside.valid())
    flat = c.b.select(places.inside, flat, integer(c, size));
  flat = c.b.reshape(flat, {count});
  Value values = c.b.reshape(updates, {count});
  auto scattered = [&](Value base, Value what) {
    return c.b.slice(c.b.scatterAdd(base, flat, what, 0), 0, 0, size);
  };
  Value room = c.b.pad(c.b.reshape(x, {size}), 0, {0}, {1});
  if (combiner == "add")
    return {c.b.reshape(scattered(room, values), x.shape())};
  Value zeros = c.b.broadcast(c.b.scalar(0, x.type()), {size + 1});
  Value none = c.b.broadcast(c.b.scalar(0, ElementType::I32), {size + 1});
  Value one = c.b.broadcast(c.b.scalar(1, ElementType::I32), {count});
  Value isThere =
      c.b.compare(Comparison::NotEqual, scattered(none, one), c.b.scalar(0, ElementType::I32));
  return {c.b.reshape(c.b.select(isThere, scattered(zeros, values), c.b.reshape(x, {size})),
                      x.shape())};
}

/// Starts are moved so that the slice is inside.
Value insideStart(Op &c, Value start, int64_t last) {
  start = c.b.cast(c.b.reshape(start, {}), ElementType::I64);
  return c.b.minimum(c.b.maximum(start, integer(c, 0)), integer(c, last));
}

Values dynamicSlice(Op &c) {
  Value x = c.operand(0);
  const Ints sizes = c.ints(c.attribute("sizes") ? "sizes" : "slice_sizes");
  if (sizes.size() != x.shape().size() || c.size() != sizes.size() + 1)
    return c.refuse("it does not say a start and a size for each dimension");
  for (int64_t dim = 0; dim < int64_t(sizes.size()); ++dim)
    if (const int64_t last = x.shape()[size_t(dim)] - sizes[size_t(dim)]; last > 0)
      x = c.b.dynamicSlice(x, insideStart(c, c.operand(size_t(dim) + 1), last), dim,
                           sizes[size_t(dim)]);
  return {x};
}

/// Along one dimension after the other, each in what was there before.
Values dynamicUpdateSlice(Op &c) {
  Value x = c.operand(0), update = c.operand(1);
  std::vector<Value> outer; // x, a slice of it, a slice of that, …
  std::vector<std::pair<int64_t, Value>> cuts;
  if (c.size() != x.shape().size() + 2)
    return c.refuse("it does not say a start for each dimension");
  for (int64_t dim = 0; dim < rank(x); ++dim) {
    const int64_t size = update.shape()[size_t(dim)], last = x.shape()[size_t(dim)] - size;
    if (last <= 0)
      continue;
    Value start = insideStart(c, c.operand(size_t(dim) + 2), last);
    outer.push_back(x);
    cuts.emplace_back(dim, start);
    x = c.b.dynamicSlice(x, start, dim, size);
  }
  for (size_t i = cuts.size(); i-- > 0;)
    update = c.b.dynamicUpdateSlice(outer[i], update, cuts[i].second, cuts[i].first);
  return {update};
}

constexpr Row rows[] = {
    {"dynamic_slice", dynamicSlice},
    {"dynamic_update_slice", dynamicUpdateSlice},
    {"gather", gather},
    {"scatter", scatter},
};

} // namespace

std::span<const Row> indexRows() { return rows; }

} // namespace ingot::stablehlo
