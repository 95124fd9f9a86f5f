/// What a row of the table sees of a node: its inputs, its attributes, and the builder that it
/// writes the op's meaning with.
#pragma once
#include "frontend/builder/Builder.h"
#include "frontend/onnx/OnnxFile.h"
#include <functional>

namespace ingot::onnx {

using Value = Builder::Value;
using Ints = std::vector<int64_t>;

/// A value of the file's graph while it is imported. A sequence is known element by element: it has
/// no counterpart in the model. A tensor whose size depends on data has room for the largest, and a
/// count of what is there.
struct Item {
  enum class Kind {
    Absent,      ///< an optional input that is left out, an optional value that is empty
    Tensor,      ///< of the model
    Initializer, ///< of the file, not in the model before an op takes it as an operand
    Sequence,
    Refused, ///< of a node that cannot be imported; what depends on it says nothing more
  };
  Item() = default;
  Item(Value value) : kind(value.valid() ? Kind::Tensor : Kind::Refused), value(value) {}
  /// The first `count` elements of dimension `counted` are meant; what follows is padding.
  Item(Value value, Value count, int64_t counted) : Item(value) {
    this->count = count;
    this->counted = counted;
  }
  explicit Item(const TensorProto *initializer)
      : kind(Kind::Initializer), initializer(initializer) {}
  static Item sequenceOf(std::vector<Item> items) {
    Item item;
    item.kind = Kind::Sequence;
    item.items = std::make_shared<const std::vector<Item>>(std::move(items));
    return item;
  }
  static Item refused() {
    Item item;
    item.kind = Kind::Refused;
    return item;
  }

  Kind kind = Kind::Absent;
  Value value;
  Value count; ///< Value() where all of the tensor is meant
  int64_t counted = 0;
  const TensorProto *initializer = nullptr;
  std::shared_ptr<const std::vector<Item>> items;

  bool isCounted() const { return count.valid(); }
};

/// A node's outputs, in order; fewer than it names where the rest is never used.
using Items = std::vector<Item>;

class Importer;

/// One node being imported. After a refusal the node's outputs count as refused, so that rows read
/// straight on: what they ask for then is a harmless default.
class Call {
public:
  Call(Importer &importer, Builder &b, const NodeProto &node, int64_t opset, Items inputs);

  Builder &b;
  const NodeProto &node;
  const int64_t opset;

  // Inputs.
  size_t inputs() const { return items.size(); }
  bool has(size_t index) const {
    return index < items.size() && items[index].kind != Item::Kind::Absent;
  }
  const Item &item(size_t index) const;
  /// A tensor of the model. One whose size depends on data is refused.
  Value operand(size_t index);
  /// The same with the padding behind what is counted: for rows that know what becomes of it.
  Value padded(size_t index);
  std::vector<Value> operands();
  std::vector<Value> tensorsOf(const Item &sequence);
  Value tensorOf(const Item &item);
  /// The elements of an item where they are known; no refusal.
  std::optional<Tensor> valueOf(const Item &item) const;
  /// An absent one is Value().
  Value optional(size_t index) { return has(index) ? operand(index) : Value(); }
  /// The elements of an input that must be known now; without data after a refusal.
  Tensor known(size_t index);
  /// The same where it is known; no refusal.
  std::optional<Tensor> ifKnown(size_t index);
  Ints ints(size_t index);
  std::vector<double> numbers(size_t index);
  double numberAt(size_t index, double otherwise);
  int64_t integerAt(size_t index, int64_t otherwise);
  /// An input where it is there, else the attribute of another opset: `axes`, `split`, …
  Ints intsOr(size_t index, const char *attribute, Ints otherwise = {});

  // Attributes.
  const AttributeProto *attribute(std::string_view name) const;
  int64_t integer(std::string_view name, int64_t otherwise) const;
  double number(std::string_view name, double otherwise) const;
  std::string text(std::string_view name, std::string_view otherwise) const;
  Ints integers(std::string_view name, Ints otherwise = {}) const;
  ElementType elementType(std::string_view name, ElementType otherwise);
  Tensor tensor(const TensorProto &proto);
  Tensor tensor(std::string_view name);

  // Sub-graphs, which see the values around them.
  Items graph(std::string_view name, Items arguments = {});
  /// What `make` gives, or nothing where a part of it cannot be imported or does not fit; then it
  /// leaves no trace. Initializers that the sub-graph uses are values before it begins.
  std::optional<std::vector<Value>> attempt(std::string_view graph,
                                            const std::function<std::vector<Value>()> &make);
  size_t outputs() const { return node.outputs.size(); }
  bool wants(size_t index) const {
    return index < node.outputs.size() && !node.outputs[index].empty();
  }

  // Endings.
  /// Records why the node cannot be imported.
  Item refuse(std::string reason);
  bool isRefused() const { return refusedAlready; }

  // Words that many rows share.
  int64_t axis(const Value &x, int64_t axis);
  Ints axes(const Value &x, Ints axes);
  /// Tensors of one shape beside each other, along a new dimension `axis`.
  Value stack(std::vector<Value> parts, int64_t axis);
  /// [channels] beside x [batch, channels, …].
  Value alongChannels(const Value &x, Value perChannel);
  /// x - log Σ exp(x) along a dimension, without overflow.
  Value logSoftmax(Value x, int64_t axis);
  /// Σ x up to each place of a dimension, itself included.
  Value runningSum(const Value &x, int64_t axis);
  /// The parts along `axis` of `rows` whose flag [n] is set, in their order.
  Item kept(const Value &rows, Value flags, int64_t axis);
  /// The same at `places` [n].
  Item placed(Value rows, Value flags, Value places, int64_t axis);
  /// Whether a row may make a constant of rows · columns elements; refused where it is too large.
  bool constantFits(int64_t rows, int64_t columns = 1);
  Value scalarLike(const Value &x, double value) { return b.scalar(value, x.type()); }
  Value constant(const Ints &values, Shape shape);
  Value constant(const Ints &values) { return constant(values, {int64_t(values.size())}); }

private:
  Importer &importer;
  Items items;
  bool refusedAlready = false;
};

/// Dimensions of a value as numbers.
inline int64_t rank(const Value &x) { return int64_t(x.shape().size()); }
inline bool isFloat(ElementType type) { return type <= ElementType::F8E5M2; }

} // namespace ingot::onnx
