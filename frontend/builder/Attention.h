/// Attention with masks and other options: the one place where they are written over primitives.
#pragma once
#include "frontend/builder/Builder.h"

namespace ingot {

/// How queries see keys. What is left out shows all keys.
struct AttentionOptions {
  bool causal = false;
  double scale = 0;           ///< of scores; 0 means 1/sqrt(head)
  Builder::Value mask = {};   ///< i1: true where a key is seen; floats: added to scores; up to
                              ///< [batch, heads, queries, keys], repeated as NumPy does
  Builder::Value offset = {}; ///< position of query 0 among the keys, a scalar or [batch]; left
                              ///< out: the last query is at the last key
  Builder::Value length = {}; ///< how many keys there are, a scalar or [batch]
  double softCap = 0;         ///< scores s become cap · tanh(s / cap) before the mask; 0: they stay
  int64_t window = 0;         ///< keys this far from a query and farther are hidden; 0: none is
};

/// softmax(scale · q·kᵀ, masked)·v for q, k, v [batch, heads, sequence, head]. Heads of keys and
/// values may be fewer: each serves as many neighbouring heads of queries. A query that sees no key
/// gets 0 and gives no gradient, as in PyTorch's scaled_dot_product_attention.
///
/// One without mask, offset, length, soft cap and window is Builder::attention, which has kernels
/// that never hold all scores; the others hold them, from the forward to the backward pass.
Builder::Value attention(Builder &b, Builder::Value query, Builder::Value key, Builder::Value value,
                         const AttentionOptions &how);

} // namespace ingot
