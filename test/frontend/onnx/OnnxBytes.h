/// Small ONNX files for tests, field by field; test/frontend/onnx/SchemaTest.cpp holds the numbers
/// of the fields against onnx.proto.
#pragma once
#include "frontend/onnx/OnnxFile.h"
#include <cstring>

namespace ingot::onnx::test {

/// A message under construction.
class Bytes {
public:
  Bytes &number(uint32_t field, int64_t value) {
    varint(field << 3);
    varint(uint64_t(value));
    return *this;
  }
  Bytes &text(uint32_t field, std::string_view value) {
    varint(field << 3 | 2);
    varint(value.size());
    bytes += value;
    return *this;
  }
  Bytes &real(uint32_t field, float value) {
    varint(field << 3 | 5);
    bytes.append(reinterpret_cast<const char *>(&value), 4);
    return *this;
  }
  Bytes &message(uint32_t field, const Bytes &inner) { return text(field, inner.bytes); }
  const std::string &str() const { return bytes; }

private:
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7)
      bytes.push_back(char(value | 0x80));
    bytes.push_back(char(value));
  }
  std::string bytes;
};

constexpr int f32 = 1, i64 = 7, f64 = 11, u64 = 13;

inline Bytes floats(std::string_view name, const Shape &shape, const std::vector<float> &values) {
  Bytes tensor;
  for (int64_t size : shape)
    tensor.number(1, size);
  return tensor.number(2, f32).text(8, name).text(
      9, {reinterpret_cast<const char *>(values.data()), values.size() * sizeof(float)});
}

inline Bytes integers(std::string_view name, const Shape &shape,
                      const std::vector<int64_t> &values) {
  Bytes tensor;
  for (int64_t size : shape)
    tensor.number(1, size);
  return tensor.number(2, i64).text(8, name).text(
      9, {reinterpret_cast<const char *>(values.data()), values.size() * sizeof(int64_t)});
}

/// A port; a dimension of -1 is the symbol `n`.
inline Bytes port(std::string_view name, const Shape &shape, int type = f32) {
  Bytes dims;
  for (int64_t size : shape)
    dims.message(1, size < 0 ? Bytes().text(2, "n") : Bytes().number(1, size));
  Bytes tensor = Bytes().number(1, type).message(2, dims);
  return Bytes().text(1, name).message(2, Bytes().message(1, tensor));
}

inline Bytes node(std::string_view op, const std::vector<std::string_view> &inputs,
                  const std::vector<std::string_view> &outputs, std::string_view name = "") {
  Bytes bytes;
  for (std::string_view input : inputs)
    bytes.text(1, input);
  for (std::string_view output : outputs)
    bytes.text(2, output);
  return bytes.text(3, name).text(4, op);
}

inline Bytes integerAttribute(std::string_view name, int64_t value) {
  return Bytes().text(1, name).number(3, value).number(20, 2);
}

inline Bytes integersAttribute(std::string_view name, const std::vector<int64_t> &values) {
  Bytes attribute = Bytes().text(1, name).number(20, 7);
  for (int64_t value : values)
    attribute.number(8, value);
  return attribute;
}

inline Bytes textAttribute(std::string_view name, std::string_view value) {
  return Bytes().text(1, name).text(4, value).number(20, 3);
}

inline Bytes graphAttribute(std::string_view name, const Bytes &graph) {
  return Bytes().text(1, name).message(6, graph).number(20, 5);
}

inline std::string model(const Bytes &graph, int64_t opset = 18) {
  return Bytes()
      .number(1, 8)
      .message(7, graph)
      .message(8, Bytes().text(1, "").number(2, opset))
      .str();
}

inline OnnxFile open(const std::string &bytes) {
  Result<OnnxFile> file = OnnxFile::parse(bytes, "m.onnx");
  if (!file)
    std::abort();
  return *file;
}

/// y = relu(x · w + b), [n or 2, 3] · [3, 2].
inline Bytes layer(int64_t rows = 2) {
  return Bytes()
      .message(1, node("MatMul", {"x", "w"}, {"p"}, "product"))
      .message(1, node("Add", {"p", "b"}, {"s"}, "sum"))
      .message(1, node("Relu", {"s"}, {"y"}, "act"))
      .message(5, floats("w", {3, 2}, {1, -1, 2, 0, 0.5f, 3}))
      .message(5, floats("b", {2}, {0.25f, -1}))
      .message(11, port("x", {rows, 3}))
      .message(12, port("y", {rows, 2}));
}

} // namespace ingot::onnx::test
