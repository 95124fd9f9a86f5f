/// Reader of protocol buffers' wire format into the structs of Proto.h. Input may be damaged: every
/// length is checked against what is there, and nothing is allocated that the bytes do not fill.
#pragma once
#include "runtime/support/Result.h"
#include <bit>
#include <concepts>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace ingot::onnx {

/// How the bytes of a field are laid out.
enum class WireType : uint8_t { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

struct WireField {
  uint32_t number = 0;
  WireType type = WireType::Varint;
  uint64_t value = 0;     ///< of varints and fixed numbers
  std::string_view bytes; ///< of Bytes
};

/// Walks over the fields of one message.
class WireCursor {
public:
  explicit WireCursor(std::string_view bytes) : rest(bytes) {}
  bool atEnd() const { return rest.empty(); }
  const char *position() const { return rest.data(); }
  /// False where the bytes are no field; `problem` says why.
  bool next(WireField &field);
  bool varint(uint64_t &value);
  bool fixed(uint64_t &value, size_t bytes);
  const char *problem = nullptr;

private:
  std::string_view rest;
};

template <typename T>
concept WireMessage = requires { T::message; };

class WireReader {
public:
  /// Messages inside each other: more is no model but an attack on the stack. Protocol buffers'
  /// own limit.
  static constexpr int deepest = 100;

  WireReader(std::string_view file, std::string place) : file(file), place(std::move(place)) {}

  template <WireMessage M> Status read(M &message) {
    if (!readMessage(file, message, 0))
      return tl::unexpected(error);
    return {};
  }

private:
  template <WireMessage M> bool readMessage(std::string_view bytes, M &message, int depth) {
    if (depth > deepest)
      return fail(bytes.data(), M::message, "messages are nested more than 100 deep");
    WireCursor cursor(bytes);
    while (!cursor.atEnd()) {
      const char *start = cursor.position();
      WireField field;
      if (!cursor.next(field))
        return fail(start, M::message, cursor.problem);
      bool fine = true;
      M::fields(message, [&](uint32_t number, const char *name, auto &member) {
        if (number != field.number || !fine)
          return;
        fine = readMember(field, member, depth);
        if (!fine && error.message.empty())
          fail(start, M::message, fmt::format("the field {} is of another type", name).c_str());
      });
      if (!fine)
        return false;
    }
    if constexpr (requires { message.lack(); })
      if (const char *lack = message.lack())
        return fail(bytes.data(), M::message, fmt::format("the field {} is missing", lack).c_str());
    return true;
  }

  bool readMember(const WireField &field, std::string_view &member, int) {
    member = field.bytes;
    return field.type == WireType::Bytes;
  }
  template <std::integral T> bool readMember(const WireField &field, T &member, int) {
    member = T(field.value);
    return field.type == WireType::Varint;
  }
  bool readMember(const WireField &field, float &member, int) {
    member = std::bit_cast<float>(uint32_t(field.value));
    return field.type == WireType::Fixed32;
  }
  template <WireMessage M> bool readMember(const WireField &field, M &member, int depth) {
    return field.type == WireType::Bytes && readMessage(field.bytes, member, depth + 1);
  }
  template <WireMessage M>
  bool readMember(const WireField &field, std::unique_ptr<M> &member, int depth) {
    if (!member)
      member = std::make_unique<M>();
    return readMember(field, *member, depth);
  }
  template <typename T> bool readMember(const WireField &field, std::vector<T> &member, int depth) {
    if constexpr (std::is_arithmetic_v<T>)
      return readNumbers(field, member);
    else
      return readMember(field, member.emplace_back(), depth);
  }
  /// One number, or packed ones.
  template <typename T> bool readNumbers(const WireField &field, std::vector<T> &numbers) {
    constexpr WireType type = std::integral<T> ? WireType::Varint
                              : sizeof(T) == 8 ? WireType::Fixed64
                                               : WireType::Fixed32;
    auto decode = [](uint64_t value) {
      if constexpr (std::integral<T>)
        return T(value);
      else if constexpr (sizeof(T) == 8)
        return std::bit_cast<T>(value);
      else
        return std::bit_cast<T>(uint32_t(value));
    };
    if (field.type == type)
      numbers.push_back(decode(field.value));
    if (field.type != WireType::Bytes)
      return field.type == type;
    WireCursor cursor(field.bytes);
    if constexpr (!std::integral<T>)
      numbers.reserve(numbers.size() + field.bytes.size() / sizeof(T));
    while (!cursor.atEnd()) {
      uint64_t value = 0;
      if (type == WireType::Varint ? !cursor.varint(value) : !cursor.fixed(value, sizeof(T)))
        return fail(cursor.position(), "packed numbers", cursor.problem);
      numbers.push_back(decode(value));
    }
    return true;
  }

  /// Records the first error; returns false.
  bool fail(const char *at, const char *message, const char *problem);

  std::string_view file;
  std::string place;
  Error error;
};

} // namespace ingot::onnx
