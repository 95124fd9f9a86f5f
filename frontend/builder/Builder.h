/// Builds models op by op in C++; shapes are checked as the graph grows. No MLIR types here.
#pragma once
#include "frontend/api/Model.h"
#include "passes/options/LossNumbers.h"
#include <functional>
#include <optional>
#include <span>

namespace ingot {

/// How a parameter starts.
struct Initializer {
  enum class Kind { Normal, Uniform, Constant, File } kind = Kind::Constant;
  double value = 0; ///< standard deviation, limit of the range ±limit, or the constant
  static Initializer normal(double deviation) { return {Kind::Normal, deviation}; }
  static Initializer uniform(double limit) { return {Kind::Uniform, limit}; }
  static Initializer constant(double value) { return {Kind::Constant, value}; }
  /// With the values of `Builder::weights`.
  static Initializer file() { return {Kind::File}; }
};

enum class Comparison { Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual };

/// How a kernel slides: an entry for each dimension after batch and channels. What is left out is
/// 1, padding 0.
struct Convolution {
  std::vector<int64_t> strides = {}, dilations = {};
  std::vector<int64_t> low = {}, high = {}; ///< zeros around x
  int64_t groups = 1;
};

/// How a pooling window slides: an entry for each dimension after batch and channels.
struct Pooling {
  std::vector<int64_t> sizes = {};                   ///< left out: one window, all of x
  std::vector<int64_t> strides = {}, dilations = {}; ///< left out: the sizes, and 1
  std::vector<int64_t> low = {}, high = {};          ///< padding around x, left out: 0
  bool ceil = false;         ///< a last window may reach beyond, if it starts on x or before it
  bool countsPadding = true; ///< averages divide by padded places too
};

/// What lies around a tensor: its outermost elements, its elements in reverse from there (without
/// the outermost ones), or its elements once more.
enum class PadMode : uint8_t { Edge, Reflect, Wrap };

/// How often a loop runs, and in which order.
struct Trips {
  std::optional<int64_t> atMost = {}; ///< a larger trip count is an error when the model runs
  bool reverse = false;               ///< iterations are numbered from the last to 0
};

struct AttentionOptions;

/// A graph under construction. Elementwise operations broadcast as NumPy does: dimensions align at
/// the last one, and a missing dimension or one of size 1 is repeated.
///
/// A wrong shape or type does not stop the program: the op's value becomes invalid, ops that use it
/// are skipped, and `finish` returns every error with the name of its node. Values belong to the
/// model under construction: after `finish` they are invalid, and they must not outlive the
/// builder.
class Builder {
  struct Impl;

public:
  class Value {
  public:
    Value() : owner(nullptr), index(-1) {}
    /// False once the builder has finished its model.
    bool valid() const;
    /// Empty if invalid.
    const Shape &shape() const;
    ElementType type() const;
    /// The same value, not one that is as large.
    bool operator==(const Value &) const = default;

    friend Value operator+(Value a, Value b) { return Value::apply(&Builder::add, a, b); }
    friend Value operator-(Value a, Value b) { return Value::apply(&Builder::sub, a, b); }
    friend Value operator*(Value a, Value b) { return Value::apply(&Builder::mul, a, b); }
    friend Value operator/(Value a, Value b) { return Value::apply(&Builder::div, a, b); }

  private:
    friend class Builder;
    Value(Builder *owner, int index, unsigned model = 0)
        : owner(owner), index(index), model(model) {}
    static Value apply(Value (Builder::*operation)(Value, Value), Value a, Value b) {
      Builder *owner = a.owner ? a.owner : b.owner;
      return owner ? (owner->*operation)(a, b) : Value();
    }
    Builder *owner;
    int index;
    unsigned model = 0; ///< of the builder's models, which one it belongs to
  };

  /// Names ops and parameters made during its life `outer.name`.
  class Scope {
  public:
    Scope(Scope &&other) : builder(std::exchange(other.builder, nullptr)), depth(other.depth) {}
    ~Scope();

  private:
    friend class Builder;
    Scope(Builder *builder, size_t depth) : builder(builder), depth(depth) {}
    Builder *builder;
    size_t depth; ///< scopes around this one
  };

  Builder();
  ~Builder();
  Builder(const Builder &) = delete;
  Builder &operator=(const Builder &) = delete;

  [[nodiscard]] Scope scope(std::string_view name);

  // The model's boundary.
  Value input(std::string_view name, ElementType type, const Shape &shape);
  /// What a loss inside the graph compares with.
  Value target(std::string_view name, ElementType type, const Shape &shape);
  /// A trained tensor; its name is prefixed with the scope's.
  Value parameter(std::string_view name, const Shape &shape, Initializer initializer,
                  ElementType type = ElementType::F32);
  /// A tensor that outlives a training step, such as running statistics: ops that compute otherwise
  /// in training (batchNorm) update it there. Its name is prefixed with the scope's.
  Value state(std::string_view name, const Shape &shape, Initializer initializer,
              ElementType type = ElementType::F32);
  /// A parameter of the file that is not trained unless a group of parameters takes it.
  void freeze(Value parameter);
  void output(std::string_view name, Value value);
  /// An output whose size is known at run time only: the first `count` elements of a dimension, an
  /// i64 scalar; what follows them in `value` is padding. The count is the output `name.count`.
  void output(std::string_view name, Value value, Value count, int64_t dimension);
  /// JSON text that travels with the model.
  void metadata(std::string_view json);
  /// The values of parameters that start with `Initializer::file`, by name.
  void weights(Weights values);
  /// The finished model, or all errors, a line each. The builder is empty afterwards, and values
  /// made before are errors of the next model that uses them.
  Result<Model> finish();

  // What is known while the graph grows: for importers, whose shapes are computed in the graph.
  /// From now on ops on constants are constants, and ops that change nothing are their operand.
  /// `finish` drops ops and parameters that nothing uses.
  void foldOps();
  /// The elements of a constant; nothing for other values.
  std::optional<Tensor> constantOf(Value value) const;
  /// The model's inputs that a value depends on.
  std::vector<std::string> inputsOf(Value value) const;

  // Sources.
  Value constant(const Tensor &tensor);
  Value scalar(double value, ElementType type = ElementType::F32);
  /// 0, 1, 2, … along `dimension` of `shape`.
  Value iota(const Shape &shape, int64_t dimension, ElementType type = ElementType::I32);

  // Elementwise: the rows of two tables.
#define INGOT_UNARY(METHOD, ...) Value METHOD(Value x);
#define INGOT_BINARY(METHOD, ...) Value METHOD(Value a, Value b);
#include "ir/formulas/Primitives.def"
#define INGOT_FORMULA(METHOD, ...) Value METHOD(Value x);
#define INGOT_FORMULA_1(METHOD, P, DEFAULT, ...) Value METHOD(Value x, double P = DEFAULT);
#define INGOT_FORMULA_2(METHOD, P, DEFAULT, Q, DEFAULT2, ...)                                      \
  Value METHOD(Value x, double P = DEFAULT, double Q = DEFAULT2);
#define INGOT_FORMULA_XY(METHOD, ...) Value METHOD(Value x, Value y);
#define INGOT_FORMULA_XY_1(METHOD, P, DEFAULT, ...)                                                \
  Value METHOD(Value x, Value y, double P = DEFAULT);
#include "ir/formulas/Formulas.def"
  Value compare(Comparison direction, Value a, Value b);
  /// Whether x is not a number: of integers, never.
  Value isNan(Value x);
  /// Whether x is an infinity of one of the signs.
  Value isInf(Value x, bool negative = true, bool positive = true);
  Value select(Value condition, Value onTrue, Value onFalse);
  Value cast(Value x, ElementType type);

  // Shape. Dimensions count from 0; negative ones from the end.
  /// One dimension may be -1: what is left.
  Value reshape(Value x, const Shape &shape);
  Value transpose(Value x, const std::vector<int64_t> &permutation);
  Value broadcast(Value x, const Shape &shape);
  /// Elements offset, offset + stride, … below limit in every dimension; no strides: all 1.
  Value slice(Value x, const std::vector<int64_t> &offsets, const std::vector<int64_t> &limits,
              const std::vector<int64_t> &strides = {});
  /// Elements [offset, limit) of one dimension.
  Value slice(Value x, int64_t dimension, int64_t offset, int64_t limit);
  Value concat(std::span<const Value> xs, int64_t dimension);
  Value reverse(Value x, std::vector<int64_t> dimensions);
  /// Surrounds x with a value: `low` elements before and `high` after in every dimension, and
  /// `interior` ones between neighbours.
  Value pad(Value x, double value, const std::vector<int64_t> &low,
            const std::vector<int64_t> &high, std::vector<int64_t> interior = {});

  /// Continues x by `low` elements before and `high` after in every dimension.
  Value pad(Value x, PadMode mode, const std::vector<int64_t> &low,
            const std::vector<int64_t> &high);
  /// x repeated `counts[d]` times along each dimension d.
  Value tile(Value x, const std::vector<int64_t> &counts);
  /// Moves elements `shift` places on along a dimension; those that leave it come in at its start.
  Value roll(Value x, int64_t shift, int64_t dimension);
  /// Pieces of the given sizes, which fill the dimension; empty after an error.
  std::vector<Value> split(Value x, const std::vector<int64_t> &sizes, int64_t dimension);
  /// Elements of the last two dimensions on and above (else: below) the diagonal, which starts at
  /// column `diagonal` of the first row; the others are 0.
  Value triangle(Value x, bool upper, int64_t diagonal = 0);
  /// `on` where the last dimension, a new one, is the index, else `off`. Negative indices count
  /// from the end; there is no `on` for one outside [-depth, depth).
  Value oneHot(Value indices, int64_t depth, double on = 1, double off = 0,
               ElementType type = ElementType::F32);
  /// x [batch, channels, height, width] with blocks of channels as squares of `block` x `block`.
  /// Depth first: channels are [block, block, channel] (ONNX's DCR), else [channel, block, block]
  /// (CRD, PyTorch's pixel shuffle).
  Value depthToSpace(Value x, int64_t block, bool depthFirst = true);
  /// The inverse of depthToSpace, depth first.
  Value spaceToDepth(Value x, int64_t block);

  // Reductions over dimensions; none named: all.
#define INGOT_REDUCTION(METHOD, ...)                                                               \
  Value METHOD(Value x, std::vector<int64_t> dimensions = {}, bool keepDimensions = false);
#include "ir/formulas/Reductions.def"
  Value mean(Value x, std::vector<int64_t> dimensions = {}, bool keepDimensions = false);
  /// Reductions to tuples: their parts, as graph.reduce_tuples says; numbers count what is reduced
  /// in row-major order.
#define INGOT_TUPLE_REDUCTION(METHOD, ...)                                                         \
  std::vector<Value> METHOD(Value x, std::vector<int64_t> dimensions = {},                         \
                            bool keepDimensions = false);
#include "ir/formulas/Reductions.def"
  /// log Σ exp(x), without overflow.
  Value logSumExp(Value x, std::vector<int64_t> dimensions = {}, bool keepDimensions = false);
  /// Mean squared distance from the mean; the divisor is the number of elements less `correction`.
  Value variance(Value x, std::vector<int64_t> dimensions = {}, bool keepDimensions = false,
                 double correction = 0);

  // Whole lines along a dimension.
  /// Sums of the elements up to each place; `exclusive`: before it, `reverse`: from the end.
  Value cumulativeSum(Value x, int64_t dimension, bool exclusive = false, bool reverse = false);
  Value cumulativeProduct(Value x, int64_t dimension, bool exclusive = false, bool reverse = false);
  /// The elements in order and the places (i64) that they had. Equal ones keep their order; NaN is
  /// larger than every number.
  std::vector<Value> sort(Value x, int64_t dimension = -1, bool descending = false);
  /// The first k of them, the largest first, or the smallest.
  std::vector<Value> topK(Value x, int64_t k, int64_t dimension = -1, bool largest = true);

  // Contractions and indexing.
  /// a [..., m, k] · b [..., k, n] = [..., m, n]; leading dimensions broadcast.
  Value matmul(Value a, Value b);
  /// Sums products over pairs of dimensions. Result dimensions: batch, a's free ones, b's free
  /// ones.
  Value contract(Value a, Value b, std::vector<int64_t> batchA, std::vector<int64_t> batchB,
                 std::vector<int64_t> overA, std::vector<int64_t> overB);
  /// result[a…, i…, b…] = x[a…, indices[i…], b…].
  Value gather(Value x, Value indices, int64_t dimension);

  /// base[a…, indices[i…], b…] += updates[a…, i…, b…], in order of i.
  Value scatterAdd(Value base, Value indices, Value updates, int64_t dimension);
  /// Elements [start, start + size) of one dimension, `start` an integer scalar.
  Value dynamicSlice(Value x, Value start, int64_t dimension, int64_t size);
  /// x with `update` in place of the elements from `start` on.
  Value dynamicUpdateSlice(Value x, Value update, Value start, int64_t dimension);

  // Control flow. Bodies see all values made before; values made in them are theirs alone.
  /// What an iteration gives: the carried values of the next one, then what is stacked.
  using LoopBody = std::function<std::vector<Value>(Value number, std::span<const Value> carried)>;
  /// Runs the body `trips` times, an integer scalar. Gives the carried values after the last
  /// iteration, then the stacked ones along a new first dimension: as many rows as `trips` says, or
  /// `how.atMost` where it is not a constant, those of iterations that do not run zero.
  std::vector<Value> loop(Value trips, std::span<const Value> carried, const LoopBody &body,
                          Trips how = {});
  std::vector<Value> loop(int64_t trips, std::span<const Value> carried, const LoopBody &body,
                          Trips how = {}) {
    return loop(scalar(double(trips), ElementType::I64), carried, body, how);
  }
  using BranchBody = std::function<std::vector<Value>()>;
  /// Runs one of two bodies, which give values of the same shapes and types.
  std::vector<Value> branch(Value condition, const BranchBody &onTrue, const BranchBody &onFalse);

  /// What `make` gives, or nothing, without an error, where something in it does not hold. Then
  /// values made in it must not be used. It makes nothing at the model's boundary.
  std::optional<std::vector<Value>> attempt(const std::function<std::vector<Value>()> &make);

  // Layers as functions of their parameters.
  /// x [..., in] · weightᵀ + bias, weight [out, in]; an absent bias is Value().
  Value linear(Value x, Value weight, Value bias = Value());
  /// x [batch, channels, …], weight [out, channels / groups, …], bias [out] or Value(): a
  /// cross-correlation, as in PyTorch.
  Value convolution(Value x, Value weight, Value bias = Value(), const Convolution &how = {});
  /// The transpose of a convolution with this weight: x [batch, channels, …], weight [channels,
  /// out / groups, …], bias [out] or Value(). Padding is cut off: a result has
  /// (size - 1) · stride + (kernel - 1) · dilation + 1 - low - high elements; `high` less PyTorch's
  /// output padding, which may make it negative.
  Value transposedConvolution(Value x, Value weight, Value bias = Value(),
                              const Convolution &how = {});
  /// The largest element of each window of x [batch, channels, …]; of equal ones the first gets the
  /// gradient. Padding is never the largest.
  Value maxPool(Value x, const Pooling &how);
  /// The same, and the elements' numbers within their channel, in row-major order, i32.
  std::vector<Value> maxPoolWithNumbers(Value x, const Pooling &how);
  /// The mean of each window. Padding is 0 and counts if `how` says so; what lies beyond it counts
  /// never.
  Value averagePool(Value x, const Pooling &how);
  /// (Σ |x|^p)^(1/p) of each window.
  Value lpPool(Value x, double p, const Pooling &how);
  /// Every position of a window that slides over `dimensions`, which become the positions; the
  /// windows' own dimensions come last. Entries that are left out are 1.
  Value window(Value x, std::vector<int64_t> dimensions, const std::vector<int64_t> &sizes,
               std::vector<int64_t> strides = {}, std::vector<int64_t> dilations = {});
  /// Rows of a table [vocabulary, width].
  Value embedding(Value table, Value indices);
  /// Normalises the last dimension, then scales and shifts it.
  Value layerNorm(Value x, Value scale, Value bias, double epsilon = 1e-5);
  /// Normalises each channel of x [batch, channels, …]: in training by the batch's mean and
  /// variance, which also move `mean` and `variance` (states) by `momentum`, else by these.
  Value batchNorm(Value x, Value scale, Value bias, Value mean, Value variance,
                  double epsilon = 1e-5, double momentum = 0.1);
  /// Normalises each of `groups` groups of channels of x [batch, channels, …] by itself, then
  /// scales and shifts each channel; scale and bias [channels].
  Value groupNorm(Value x, int64_t groups, Value scale, Value bias, double epsilon = 1e-5);
  /// The same of each channel by itself.
  Value instanceNorm(Value x, Value scale, Value bias, double epsilon = 1e-5);
  /// x / √(mean of squares over the last dimension + epsilon), times scale. A row whose squares
  /// overflow becomes 0, as in PyTorch.
  Value rmsNorm(Value x, Value scale, double epsilon = 1e-5);
  /// x / (k + alpha · mean of the squares of `size` neighbouring channels)^beta, zeros around them;
  /// of an even size one more is before, as in PyTorch.
  Value localResponseNorm(Value x, int64_t size, double alpha = 1e-4, double beta = 0.75,
                          double k = 1);
  Value softmax(Value x, int64_t dimension = -1);
  /// Its logarithm, without underflow.
  Value logSoftmax(Value x, int64_t dimension = -1);
  /// 1 at the largest element along a dimension, the first of equal ones, and 0 elsewhere.
  Value hardmax(Value x, int64_t dimension = -1);
  /// softmax(scale · q·kᵀ)·v for [batch, heads, sequence, head]; scale 0 means 1/sqrt(head).
  Value attention(Value query, Value key, Value value, bool causal, double scale = 0);
  /// The same with masks and other options.
  Value attention(Value query, Value key, Value value, const AttentionOptions &how);
  /// A row of the table of losses, as PyTorch defines it. Targets are class numbers (i32 or i64,
  /// without the classes' dimension), or of the prediction's shape and type.
  Value loss(Loss loss, Value prediction, Value targets, const LossNumbers &numbers = {},
             int64_t classAxis = -1);
  /// 1 - cos of the angle between rows of a and b where `same` (their shape without the last
  /// dimension) is 1, where it is -1 what the cosine has above the margin: a loss for each row.
  Value cosineEmbedding(Value a, Value b, Value same, double margin = 0);
  /// -log of a normal distribution's density at the target, ½(log variance + (mean - target)² /
  /// variance); the variance, of a shape that broadcasts, counts as `epsilon` below that. `full`
  /// adds the constant.
  Value gaussianNll(Value mean, Value target, Value variance, bool full = false,
                    double epsilon = 1e-6, Reduction reduction = Reduction::Mean);
  /// max(0, |anchor - positive| - |anchor - negative| + margin) of rows, by the norm of order `p`
  /// of differences plus `epsilon`; `swap`: the negative is measured from the nearer of the two.
  Value tripletMargin(Value anchor, Value positive, Value negative, double margin = 1, double p = 2,
                      double epsilon = 1e-6, bool swap = false,
                      Reduction reduction = Reduction::Mean);
  /// Connectionist temporal classification of logarithms of probabilities [time, batch, classes]:
  /// -log of the probability of all ways to emit the targets [batch, labels] with blanks between.
  /// Lengths are [batch]; what follows them counts nothing. `zeroInfinity`: targets that do not fit
  /// count 0. A mean is over the batch, each loss divided by its target's length.
  Value ctc(Value logs, Value targets, Value inputLengths, Value targetLengths, int64_t blank = 0,
            bool zeroInfinity = false, Reduction reduction = Reduction::Mean);
  /// Mean over positions of -log softmax(logits)[target]; classes are the last dimension.
  Value crossEntropy(Value logits, Value targets);
  /// Mean of (prediction - target)².
  Value mse(Value prediction, Value target);

private:
  std::unique_ptr<Impl> impl;
};

/// How queries see keys in Builder::attention: softmax(scale · q·kᵀ, masked)·v for q, k, v [batch,
/// heads, sequence, head]. Heads of keys and values may be fewer: each serves as many neighbouring
/// heads of queries. A query that sees no key gets 0 and gives no gradient, as in PyTorch's
/// scaled_dot_product_attention.
///
/// Kernels never hold all scores; but for the gradient of a mask of floats that is trained. What is
/// left out shows all keys.
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

} // namespace ingot
