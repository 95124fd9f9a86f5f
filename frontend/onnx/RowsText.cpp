/// Rows of ops on words, which are numbers.
#include "frontend/onnx/Rows.h"
#include <algorithm>

namespace ingot::onnx {
namespace {

/// How often each n-gram of a pool is in a row of x [rows, words] or [words]: words that follow
/// each other, or that stand as far apart as the node lets them.
Items tfIdf(Call &c) {
  Value x = c.b.cast(c.operand(0), ElementType::I64);
  const Ints pool = c.integers("pool_int64s"), starts = c.integers("ngram_counts"),
             columns = c.integers("ngram_indexes");
  const int64_t shortest = c.integer("min_gram_length", 1),
                longest = c.integer("max_gram_length", 1), skips = c.integer("max_skip_count", 0);
  const std::string mode = c.text("mode", "TF");
  const AttributeProto *weights = c.attribute("weights");
  if (c.attribute("pool_strings"))
    return {c.refuse("its pool holds strings, which are not supported")};
  if (rank(x) != 1 && rank(x) != 2)
    return {c.refuse("it needs words, or rows of them")};
  if (shortest < 1 || longest < shortest || longest > int64_t(starts.size()) || skips < 0)
    return {c.refuse("its lengths of n-grams do not fit its pool")};
  const int64_t width = columns.empty() ? 0 : *std::ranges::max_element(columns) + 1;
  if (width < 1 || *std::ranges::min_element(columns) < 0 || !c.constantFits(width))
    return {c.refuse("it has no columns, or negative ones")};

  const int64_t words = x.shape().back();
  Shape apart = x.shape();
  apart.push_back(1);
  std::vector<Value> counts;
  Ints places;
  size_t gram = 0;
  for (int64_t n = 1; n <= int64_t(starts.size()); ++n) {
    const int64_t first = starts[size_t(n) - 1],
                  end = n < int64_t(starts.size()) ? starts[size_t(n)] : int64_t(pool.size());
    const int64_t grams = (end - first) / n;
    if (first < 0 || end < first || end > int64_t(pool.size()) || (end - first) % n ||
        gram + size_t(grams) > columns.size())
      return {c.refuse("its n-grams do not fill its pool")};
    const size_t before = gram;
    gram += size_t(grams);
    if (n < shortest || n > longest || grams == 0)
      continue;
    Shape result = x.shape();
    result.back() = grams;
    Value count = c.b.broadcast(c.b.scalar(0), result);
    const int64_t farthest = std::min(n == 1 ? 0 : skips, words);
    for (int64_t step = 1; step <= farthest + 1; ++step) {
      const int64_t positions = words - (n - 1) * step;
      if (positions < 1)
        break;
      Value isHere;
      for (int64_t k = 0; k < n; ++k) {
        Ints wanted;
        for (int64_t i = 0; i < grams; ++i)
          wanted.push_back(pool[size_t(first + i * n + k)]);
        Value word = c.b.slice(c.b.reshape(x, apart), -2, k * step, k * step + positions);
        Value isWord = c.b.compare(Comparison::Equal, word, c.constant(wanted));
        isHere = isHere.valid() ? c.b.bitAnd(isHere, isWord) : isWord;
      }
      count = count + c.b.sum(c.b.cast(isHere, ElementType::F32), {-2});
    }
    if (mode == "IDF")
      count = c.b.cast(c.b.compare(Comparison::Greater, count, c.b.scalar(0)), ElementType::F32);
    if (mode != "TF" && weights) {
      Tensor own(ElementType::F32, {grams});
      for (int64_t i = 0; i < grams; ++i)
        own.as<float>()[i] =
            before + size_t(i) < weights->floats.size() ? weights->floats[before + size_t(i)] : 1;
      count = count * c.b.constant(own);
    }
    counts.push_back(count);
    places.insert(places.end(), columns.begin() + ptrdiff_t(before),
                  columns.begin() + ptrdiff_t(gram));
  }
  Shape result = x.shape();
  result.back() = width;
  Value none = c.b.broadcast(c.b.scalar(0), result);
  if (counts.empty())
    return {none};
  return {c.b.scatterAdd(none, c.constant(places), c.b.concat(counts, -1), -1)};
}

constexpr Row rows[] = {
    {"TfIdfVectorizer", 9, newestOpset, tfIdf},
};

} // namespace

std::span<const Row> textRows() { return rows; }

} // namespace ingot::onnx
