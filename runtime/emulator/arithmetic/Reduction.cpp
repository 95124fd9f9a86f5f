#include "runtime/emulator/arithmetic/Reduction.h"
#include "runtime/emulator/arithmetic/Numbers.h"
#include <atomic>
#include <cstring>

namespace ingot::emulator {

namespace {

/// `combine(old, value)` on the bits of each element.
template <typename Bits, typename Combine> BulkReduction elementwise(Combine combine) {
  return [combine](std::byte *memory, const std::byte *values, uint32_t bytes) {
    for (uint32_t offset = 0; offset + sizeof(Bits) <= bytes; offset += sizeof(Bits)) {
      Bits value;
      std::memcpy(&value, values + offset, sizeof value);
      // Other blocks run on other threads of the host.
      std::atomic_ref<Bits> element(*reinterpret_cast<Bits *>(memory + offset));
      Bits old = element.load(std::memory_order_relaxed);
      while (!element.compare_exchange_weak(old, combine(old, value), std::memory_order_relaxed)) {
      }
    }
  };
}

template <typename T> BulkReduction integers(ReductionOp op) {
  using Bits = std::make_unsigned_t<T>;
  switch (op) {
  case ReductionOp::Add:
    return elementwise<Bits>([](Bits a, Bits b) { return static_cast<Bits>(a + b); });
  case ReductionOp::Minimum:
    return elementwise<Bits>([](Bits a, Bits b) { return T(b) < T(a) ? b : a; });
  case ReductionOp::Maximum:
    return elementwise<Bits>([](Bits a, Bits b) { return T(b) > T(a) ? b : a; });
  case ReductionOp::Increment:
    return elementwise<Bits>([](Bits a, Bits b) { return a >= b ? Bits(0) : Bits(a + 1); });
  case ReductionOp::Decrement:
    return elementwise<Bits>([](Bits a, Bits b) { return a == 0 || a > b ? b : Bits(a - 1); });
  default:
    return {};
  }
}

template <typename Bits> BulkReduction logic(ReductionOp op) {
  switch (op) {
  case ReductionOp::And:
    return elementwise<Bits>([](Bits a, Bits b) { return a & b; });
  case ReductionOp::Or:
    return elementwise<Bits>([](Bits a, Bits b) { return a | b; });
  case ReductionOp::Xor:
    return elementwise<Bits>([](Bits a, Bits b) { return a ^ b; });
  default:
    return {};
  }
}

template <typename Bits> BulkReduction floats(ReductionOp op, FloatType type) {
  switch (op) {
  case ReductionOp::Add:
    return elementwise<Bits>([type](Bits a, Bits b) { return Bits(add(type, a, b, {})); });
  case ReductionOp::Minimum:
    return elementwise<Bits>([type](Bits a, Bits b) { return Bits(minimum(type, a, b, {})); });
  case ReductionOp::Maximum:
    return elementwise<Bits>([type](Bits a, Bits b) { return Bits(maximum(type, a, b, {})); });
  default:
    return {};
  }
}

} // namespace

std::optional<ReductionOp> parseReduction(std::string_view name) {
  constexpr std::string_view names[] = {"add", "min", "max", "inc", "dec", "and", "or", "xor"};
  for (size_t i = 0; i < std::size(names); ++i)
    if (names[i] == name)
      return static_cast<ReductionOp>(i);
  return std::nullopt;
}

BulkReduction bulkReduction(ReductionOp op, Type type) {
  switch (type) {
  case Type::U32:
    return integers<uint32_t>(op);
  case Type::S32:
    return integers<int32_t>(op);
  case Type::U64:
    return integers<uint64_t>(op);
  case Type::S64:
    return integers<int64_t>(op);
  case Type::B32:
    return logic<uint32_t>(op);
  case Type::B64:
    return logic<uint64_t>(op);
  case Type::F16:
    return floats<uint16_t>(op, FloatType::F16);
  case Type::BF16:
    return floats<uint16_t>(op, FloatType::BF16);
  case Type::F32:
    return op == ReductionOp::Add ? floats<uint32_t>(op, FloatType::F32) : BulkReduction();
  case Type::F64:
    return op == ReductionOp::Add ? floats<uint64_t>(op, FloatType::F64) : BulkReduction();
  default:
    return {};
  }
}

} // namespace ingot::emulator
