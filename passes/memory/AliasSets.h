/// Which tensors of a function share memory, and at which distance: a union-find with offsets.
#pragma once
#include "mlir/IR/Value.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/iterator.h"
#include <vector>

namespace ingot {

/// Every tensor lies in one alias set at a byte offset. Views, buckets and in-place updates
/// join sets at a distance; a set becomes one buffer of the arena.
///
/// The planner copies these sets whenever it tries another order, so they are flat: tensors are
/// numbered, and the members of a set are a list through them.
class AliasSets {
  using Number = unsigned;

public:
  struct Place {
    mlir::Value root;
    int64_t offset; ///< of the tensor, from the root's first byte; may be negative
  };

  /// Where a tensor lies; a tensor not seen before is a set of its own.
  Place find(mlir::Value value) {
    const Number number = numberOf(value), root = rootOf(number);
    return {tensors[root].value, tensors[number].offset};
  }

  /// Demands that `value` starts `distance` bytes after `anchor`. False if they already lie in one
  /// set at another distance.
  bool join(mlir::Value value, mlir::Value anchor, int64_t distance);

  class Members;
  /// The tensors of `value`'s set, in the order they were seen; the set must not change meanwhile.
  Members members(mlir::Value value);

private:
  static constexpr Number none = ~0u;
  struct Tensor {
    mlir::Value value;
    Number parent;
    int64_t offset;     ///< from the parent's first byte
    Number next = none; ///< of its set
    Number last;        ///< of its set; a root's alone is right
  };

  Number numberOf(mlir::Value value);
  /// The root, which becomes the tensor's parent.
  Number rootOf(Number number);

  std::vector<Tensor> tensors;
  llvm::DenseMap<mlir::Value, Number> numbers;
};

class AliasSets::Members {
public:
  class Iterator
      : public llvm::iterator_facade_base<Iterator, std::forward_iterator_tag, mlir::Value,
                                          ptrdiff_t, const mlir::Value *, mlir::Value> {
  public:
    Iterator(const AliasSets *sets, Number at) : sets(sets), at(at) {}
    mlir::Value operator*() const { return sets->tensors[at].value; }
    // NOLINTNEXTLINE(bugprone-derived-method-shadowing-base-method): the base is made of this one
    Iterator &operator++() {
      at = sets->tensors[at].next;
      return *this;
    }
    bool operator==(const Iterator &other) const { return at == other.at; }

  private:
    const AliasSets *sets;
    Number at;
  };
  Iterator begin() const { return {sets, first}; }
  Iterator end() const { return {sets, none}; }

private:
  friend class AliasSets;
  Members(const AliasSets *sets, Number first) : sets(sets), first(first) {}

  const AliasSets *sets;
  Number first;
};

inline AliasSets::Members AliasSets::members(mlir::Value value) {
  return {this, rootOf(numberOf(value))};
}

} // namespace ingot
