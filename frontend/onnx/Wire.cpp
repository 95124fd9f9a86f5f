#include "frontend/onnx/Wire.h"

namespace ingot::onnx {

bool WireCursor::varint(uint64_t &value) {
  value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (rest.empty()) {
      problem = "the bytes end inside a number";
      return false;
    }
    const auto byte = uint8_t(rest.front());
    rest.remove_prefix(1);
    value |= uint64_t(byte & 0x7f) << shift;
    if (!(byte & 0x80))
      return true;
  }
  problem = "a number has more than 64 bits";
  return false;
}

bool WireCursor::fixed(uint64_t &value, size_t bytes) {
  if (rest.size() < bytes) {
    problem = "the bytes end inside a number";
    return false;
  }
  value = 0;
  std::memcpy(&value, rest.data(), bytes); // little-endian, as the hosts that Ingot runs on
  rest.remove_prefix(bytes);
  return true;
}

bool WireCursor::next(WireField &field) {
  uint64_t key = 0;
  if (!varint(key))
    return false;
  field = {uint32_t(key >> 3), WireType(key & 7), 0, {}};
  if (field.number == 0 || key >> 32) {
    problem = "a field has an impossible number";
    return false;
  }
  switch (field.type) {
  case WireType::Varint:
    return varint(field.value);
  case WireType::Fixed64:
    return fixed(field.value, 8);
  case WireType::Fixed32:
    return fixed(field.value, 4);
  case WireType::Bytes:
    if (!varint(field.value))
      return false;
    if (field.value > rest.size()) {
      problem = "a field is longer than what is left";
      return false;
    }
    field.bytes = rest.substr(0, field.value);
    rest.remove_prefix(field.value);
    return true;
  }
  problem = "a field has a type that ONNX does not use";
  return false;
}

bool WireReader::fail(const char *at, const char *message, const char *problem) {
  if (error.message.empty())
    error = {Error::Code::BadInput,
             fmt::format("is damaged, or no ONNX model: byte {}, {}: {}", at - file.data(), message,
                         problem ? problem : "unreadable"),
             place};
  return false;
}

} // namespace ingot::onnx
