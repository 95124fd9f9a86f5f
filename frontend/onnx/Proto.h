/// What an ONNX file says: onnx.proto's messages as views of the file's bytes. Nothing is copied,
/// weights least of all. Each message lists its fields by number and by the name in onnx.proto;
/// the reader, its errors and a test against Debian's onnx.proto use that list. Fields that Ingot
/// has no use for (documentation, annotations, inferred types) are not read.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ingot::onnx {

struct GraphProto;

struct StringStringEntryProto {
  std::string_view key, value;
  static constexpr const char *message = "StringStringEntryProto";
  static void fields(auto &self, auto &&visit) {
    visit(1, "key", self.key);
    visit(2, "value", self.value);
  }
};

struct TensorProto {
  std::vector<int64_t> dims;
  int32_t dataType = 0;
  std::vector<float> floatData;
  std::vector<int32_t> int32Data;
  std::vector<int64_t> int64Data;
  std::string_view name, rawData;
  std::vector<double> doubleData;
  std::vector<uint64_t> uint64Data;
  std::vector<StringStringEntryProto> externalData;
  int32_t dataLocation = 0; ///< 1: in another file
  static constexpr const char *message = "TensorProto";
  static void fields(auto &self, auto &&visit) {
    visit(1, "dims", self.dims);
    visit(2, "data_type", self.dataType);
    visit(4, "float_data", self.floatData);
    visit(5, "int32_data", self.int32Data);
    visit(7, "int64_data", self.int64Data);
    visit(8, "name", self.name);
    visit(9, "raw_data", self.rawData);
    visit(10, "double_data", self.doubleData);
    visit(11, "uint64_data", self.uint64Data);
    visit(13, "external_data", self.externalData);
    visit(14, "data_location", self.dataLocation);
  }
};

struct SparseTensorProto {
  TensorProto values;
  static constexpr const char *message = "SparseTensorProto";
  static void fields(auto &self, auto &&visit) { visit(1, "values", self.values); }
};

/// Sequences and optional values of tensors, as ONNX's test data hold them (onnx-data.proto).
struct SequenceProto {
  std::vector<TensorProto> tensors;
  static constexpr const char *message = "SequenceProto";
  static void fields(auto &self, auto &&visit) { visit(3, "tensor_values", self.tensors); }
};

struct OptionalProto {
  std::unique_ptr<TensorProto> tensor;
  std::unique_ptr<SequenceProto> sequence;
  static constexpr const char *message = "OptionalProto";
  static void fields(auto &self, auto &&visit) {
    visit(3, "tensor_value", self.tensor);
    visit(5, "sequence_value", self.sequence);
  }
};

/// A size: a number, a symbol, or neither where it is unknown.
struct DimensionProto {
  int64_t value = -1;
  std::string_view symbol;
  static constexpr const char *message = "Dimension";
  static void fields(auto &self, auto &&visit) {
    visit(1, "dim_value", self.value);
    visit(2, "dim_param", self.symbol);
  }
};

struct TensorShapeProto {
  std::vector<DimensionProto> dims;
  static constexpr const char *message = "TensorShapeProto";
  static void fields(auto &self, auto &&visit) { visit(1, "dim", self.dims); }
};

struct TensorTypeProto {
  int32_t elementType = 0;
  std::unique_ptr<TensorShapeProto> shape; ///< null: not even the rank is known
  static constexpr const char *message = "Tensor";
  static void fields(auto &self, auto &&visit) {
    visit(1, "elem_type", self.elementType);
    visit(2, "shape", self.shape);
  }
};

struct TypeProto;

/// Of a sequence or of an optional value.
struct ContainerTypeProto {
  std::unique_ptr<TypeProto> element;
  static constexpr const char *message = "Sequence";
  static void fields(auto &self, auto &&visit) { visit(1, "elem_type", self.element); }
};

struct TypeProto {
  std::unique_ptr<TensorTypeProto> tensor;
  std::unique_ptr<ContainerTypeProto> sequence, optional;
  static constexpr const char *message = "TypeProto";
  static void fields(auto &self, auto &&visit) {
    visit(1, "tensor_type", self.tensor);
    visit(4, "sequence_type", self.sequence);
    visit(9, "optional_type", self.optional);
  }
};

struct ValueInfoProto {
  std::string_view name;
  TypeProto type;
  static constexpr const char *message = "ValueInfoProto";
  static void fields(auto &self, auto &&visit) {
    visit(1, "name", self.name);
    visit(2, "type", self.type);
  }
};

struct AttributeProto {
  std::string_view name, reference; ///< `reference`: the enclosing function's attribute
  float f = 0;
  int64_t i = 0;
  std::string_view s;
  std::unique_ptr<TensorProto> t;
  std::unique_ptr<GraphProto> g;
  std::vector<float> floats;
  std::vector<int64_t> ints;
  std::vector<std::string_view> strings;
  static constexpr const char *message = "AttributeProto";
  static void fields(auto &self, auto &&visit) {
    visit(1, "name", self.name);
    visit(2, "f", self.f);
    visit(3, "i", self.i);
    visit(4, "s", self.s);
    visit(5, "t", self.t);
    visit(6, "g", self.g);
    visit(7, "floats", self.floats);
    visit(8, "ints", self.ints);
    visit(9, "strings", self.strings);
    visit(21, "ref_attr_name", self.reference);
  }
  const char *lack() const { return name.empty() ? "name" : nullptr; }
};

struct NodeProto {
  std::vector<std::string_view> inputs, outputs;
  std::string_view name, op, domain;
  std::vector<AttributeProto> attributes;
  static constexpr const char *message = "NodeProto";
  static void fields(auto &self, auto &&visit) {
    visit(1, "input", self.inputs);
    visit(2, "output", self.outputs);
    visit(3, "name", self.name);
    visit(4, "op_type", self.op);
    visit(5, "attribute", self.attributes);
    visit(7, "domain", self.domain);
  }
  const char *lack() const { return op.empty() ? "op_type" : nullptr; }
};

struct GraphProto {
  std::vector<NodeProto> nodes;
  std::string_view name;
  std::vector<TensorProto> initializers;
  std::vector<SparseTensorProto> sparseInitializers;
  std::vector<ValueInfoProto> inputs, outputs;
  static constexpr const char *message = "GraphProto";
  static void fields(auto &self, auto &&visit) {
    visit(1, "node", self.nodes);
    visit(2, "name", self.name);
    visit(5, "initializer", self.initializers);
    visit(11, "input", self.inputs);
    visit(12, "output", self.outputs);
    visit(15, "sparse_initializer", self.sparseInitializers);
  }
};

struct OperatorSetIdProto {
  std::string_view domain;
  int64_t version = 0;
  static constexpr const char *message = "OperatorSetIdProto";
  static void fields(auto &self, auto &&visit) {
    visit(1, "domain", self.domain);
    visit(2, "version", self.version);
  }
};

struct FunctionProto {
  std::string_view name, domain;
  std::vector<std::string_view> inputs, outputs;
  std::vector<AttributeProto> attributeDefaults;
  std::vector<NodeProto> nodes;
  std::vector<OperatorSetIdProto> opsets;
  static constexpr const char *message = "FunctionProto";
  static void fields(auto &self, auto &&visit) {
    visit(1, "name", self.name);
    visit(4, "input", self.inputs);
    visit(5, "output", self.outputs);
    visit(7, "node", self.nodes);
    visit(9, "opset_import", self.opsets);
    visit(10, "domain", self.domain);
    visit(11, "attribute_proto", self.attributeDefaults);
  }
  const char *lack() const { return name.empty() ? "name" : nullptr; }
};

struct ModelProto {
  std::string_view producer;
  std::unique_ptr<GraphProto> graph;
  std::vector<OperatorSetIdProto> opsets;
  std::vector<FunctionProto> functions;
  static constexpr const char *message = "ModelProto";
  static void fields(auto &self, auto &&visit) {
    visit(2, "producer_name", self.producer);
    visit(7, "graph", self.graph);
    visit(8, "opset_import", self.opsets);
    visit(25, "functions", self.functions);
  }
};

} // namespace ingot::onnx
