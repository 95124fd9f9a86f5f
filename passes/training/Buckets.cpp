#include "passes/training/Buckets.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Signature.h"

using namespace mlir;

namespace ingot {
namespace {

/// A bucket smaller than this is joined with the next: one update kernel has some work to do.
constexpr int64_t bucketBytes = 1 << 20;

/// `h.3.` of `h.3.attn.c_attn.weight`, `ln_f.` of `ln_f.weight`: up to the layer's number, or the
/// first component.
StringRef layerPrefix(StringRef name) {
  size_t start = 0, first = name.find('.');
  while (start < name.size()) {
    size_t end = name.find('.', start);
    if (end == StringRef::npos)
      break;
    if (llvm::all_of(name.slice(start, end), llvm::isDigit))
      return name.take_front(end + 1);
    start = end + 1;
  }
  return name.take_front(first == StringRef::npos ? name.size() : first + 1);
}

/// The op behind which `trained` may be updated in place.
Operation *readyAfter(const Trained &trained, Block &block) {
  Operation *ready = trained.gradient.getDefiningOp();
  for (Operation *user : trained.parameter.getUsers()) {
    Operation *top = block.findAncestorOpInBlock(*user);
    if (!isa<func::ReturnOp>(top))
      ready = later(ready, top);
  }
  return ready;
}

} // namespace

Operation *later(Operation *a, Operation *b) {
  if (!a || !b)
    return a ? a : b;
  return a->isBeforeInBlock(b) ? b : a;
}

SmallVector<Bucket> makeBuckets(MutableArrayRef<Trained> trained, Block &block) {
  // Layer, element, 1: vectors of large layers, rate factor, weight decay, what is apart.
  using Key = std::tuple<StringRef, Type, int, uint64_t, uint64_t, unsigned>;
  llvm::DenseMap<std::pair<StringRef, Type>, int64_t> layerBytes;
  auto layerOf = [](const Trained &one) {
    return std::pair(layerPrefix(argumentName(one.parameter)), one.type().getElementType());
  };
  for (const Trained &one : trained)
    layerBytes[layerOf(one)] += one.bytes();
  llvm::MapVector<Key, Bucket> layers;
  for (Trained &one : trained) {
    auto [layerName, element] = layerOf(one);
    bool isApart =
        !one.isWhole && one.type().getRank() < 2 && layerBytes[layerOf(one)] >= bucketBytes;
    Bucket &layer = layers[Key(isApart ? StringRef() : layerName, element, isApart,
                               llvm::bit_cast<uint64_t>(one.rateFactor),
                               llvm::bit_cast<uint64_t>(one.weightDecay),
                               one.isWhole ? 1 + one.parameter.getArgNumber() : 0)];
    layer.isApart = isApart;
    layer.ready = later(layer.ready, readyAfter(one, block));
    layer.members.push_back(&one);
  }
  SmallVector<Bucket> sorted =
      llvm::map_to_vector(layers, [](auto &entry) { return entry.second; });
  llvm::sort(sorted, [](const Bucket &a, const Bucket &b) {
    if (a.ready == b.ready)
      return a.firstArgument() < b.firstArgument();
    return b.ready && (!a.ready || a.ready->isBeforeInBlock(b.ready));
  });
  SmallVector<Bucket> buckets;
  for (Bucket &layer : sorted) {
    if (buckets.empty() || buckets.back().bytes() >= bucketBytes || layer.isApart ||
        buckets.back().isApart || !buckets.back().isLike(layer)) {
      buckets.push_back(layer);
      continue;
    }
    llvm::append_range(buckets.back().members, layer.members);
    buckets.back().ready = later(buckets.back().ready, layer.ready);
  }
  return buckets;
}

} // namespace ingot
