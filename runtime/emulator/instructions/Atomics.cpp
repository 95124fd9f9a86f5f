/// atom and red.
#include "runtime/emulator/arithmetic/Numbers.h"
#include "runtime/emulator/machine/InstructionSet.h"
#include "runtime/emulator/machine/Lanes.h"
#include "runtime/emulator/machine/MemoryAccess.h"
#include <algorithm>
#include <mutex>

namespace ingot::emulator {
namespace {

enum class Op : uint8_t {
  Add,
  Exchange,
  CompareSwap,
  And,
  Or,
  Xor,
  Min,
  Max,
  Increment,
  Decrement
};

struct Atomic {
  AccessRequest request;
  Address address;
  Op op = Op::Add;
  Type type = Type::U32;
  bool returns = false;
  int count = 1;
};

/// A sum or an extremum of halves.
uint64_t halfResult(Op op, FloatType type, uint64_t a, uint64_t b) {
  switch (op) {
  case Op::Add:
    return add(type, a, b, {});
  case Op::Min:
    return minimum(type, a, b, {});
  default:
    return maximum(type, a, b, {});
  }
}

/// The new value of a memory cell.
template <typename T> T updated(const Atomic &atomic, bool isGlobal, T old, T b, T c) {
  using S = std::make_signed_t<T>;
  const bool isSigned = ingot::emulator::isSigned(atomic.type);
  switch (atomic.type) {
  case Type::F32:
    // Subnormals are zeros in global memory, but not in shared memory.
    return T(add(FloatType::F32, old, b, {.flush = isGlobal}));
  case Type::F64:
    return T(std::bit_cast<uint64_t>(std::bit_cast<double>(uint64_t(old)) +
                                     std::bit_cast<double>(uint64_t(b))));
  case Type::F16:
  case Type::BF16:
    return T(
        halfResult(atomic.op, atomic.type == Type::F16 ? FloatType::F16 : FloatType::BF16, old, b));
  case Type::F16x2:
  case Type::BF16x2: {
    const FloatType type = atomic.type == Type::F16x2 ? FloatType::F16 : FloatType::BF16;
    return T(packed([&](uint64_t x, uint64_t y) { return halfResult(atomic.op, type, x, y); },
                    uint32_t(old), uint32_t(b)));
  }
  default:
    break;
  }
  switch (atomic.op) {
  case Op::Add:
    return T(old + b);
  case Op::Exchange:
    return b;
  case Op::CompareSwap:
    return old == b ? c : old;
  case Op::And:
    return old & b;
  case Op::Or:
    return old | b;
  case Op::Xor:
    return old ^ b;
  case Op::Min:
    return isSigned ? T(std::min(S(old), S(b))) : std::min(old, b);
  case Op::Max:
    return isSigned ? T(std::max(S(old), S(b))) : std::max(old, b);
  case Op::Increment:
    return old >= b ? T(0) : T(old + 1);
  case Op::Decrement:
    return old == 0 || old > b ? b : T(old - 1);
  }
  return old;
}

/// slots: base, [d…], b…, [c]. Lanes take their turn from the lowest on; other host threads may
/// come between.
template <typename T> void runAtomic(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto &atomic = *static_cast<const Atomic *>(in.extra);
  const LaneAddresses addresses =
      laneAddresses(warp, in.slots[0], atomic.address.wide, atomic.address.offset, mask);
  Resolved place;
  resolve(warp, in, mask, atomic.request, addresses, place);
  const Slot *results = in.slots + 1;
  const Slot *operands = results + (atomic.returns ? atomic.count : 0);
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    const bool isGlobal =
        atomic.request.space == Space::Global ||
        (atomic.request.space == Space::Generic && spaceOf(addresses.value[lane]) == Space::Global);
    for (int i = 0; i < atomic.count; ++i) {
      T old = 0;
      if (place.ok >> lane & 1) {
        auto *cell = reinterpret_cast<T *>(place.at(addresses, lane) + i * sizeof(T));
        const T b = warp.reg<T>(operands[i])[lane];
        const T c = atomic.op == Op::CompareSwap ? warp.reg<T>(operands[1])[lane] : T(0);
        old = __atomic_load_n(cell, __ATOMIC_RELAXED);
        while (!__atomic_compare_exchange_n(cell, &old, updated(atomic, isGlobal, old, b, c), true,
                                            __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        }
      }
      if (atomic.returns)
        warp.reg<T>(results[i])[lane] = old;
    }
  }
}

/// exch and cas of 128 bits: rare, so one lock for all.
void runAtomic128(Warp &warp, const Instruction &in, uint32_t mask) {
  static std::mutex mutex;
  const auto &atomic = *static_cast<const Atomic *>(in.extra);
  const LaneAddresses addresses =
      laneAddresses(warp, in.slots[0], atomic.address.wide, atomic.address.offset, mask);
  Resolved place;
  resolve(warp, in, mask, atomic.request, addresses, place);
  std::lock_guard lock(mutex);
  const auto value = [&](Slot slot, int lane) {
    const auto *row = warp.reg<uint64_t>(slot);
    return std::pair(row[lane], row[lanes + lane]);
  };
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    std::pair<uint64_t, uint64_t> old;
    if (place.ok >> lane & 1) {
      std::byte *cell = place.at(addresses, lane);
      old = {loadRelaxed<uint64_t>(cell), loadRelaxed<uint64_t>(cell + 8)};
      const auto b = value(in.slots[2], lane);
      const auto next = atomic.op == Op::Exchange ? b : old == b ? value(in.slots[3], lane) : old;
      storeRelaxed(cell, next.first);
      storeRelaxed(cell + 8, next.second);
    }
    auto *out = warp.reg<uint64_t>(in.slots[1]);
    out[lane] = old.first;
    out[lanes + lane] = old.second;
  }
}

bool isAllowed(Op op, Type type, int count, bool noFlush) {
  const bool half =
      type == Type::F16 || type == Type::BF16 || type == Type::F16x2 || type == Type::BF16x2;
  if (half)
    return noFlush && (op == Op::Add || (count > 1 && (op == Op::Min || op == Op::Max)));
  if (noFlush)
    return false;
  if (type == Type::F32 || (type == Type::F64 && count == 1))
    return op == Op::Add;
  if (count > 1)
    return false;
  const bool bits = type == Type::B32 || type == Type::B64;
  switch (op) {
  case Op::Exchange:
    return bits || type == Type::B128;
  case Op::CompareSwap:
    return bits || type == Type::B128 || type == Type::B16;
  case Op::And:
  case Op::Or:
  case Op::Xor:
    return bits;
  case Op::Increment:
  case Op::Decrement:
    return type == Type::U32;
  case Op::Add:
    return type == Type::U32 || type == Type::S32 || type == Type::U64;
  default:
    return type == Type::U32 || type == Type::S32 || type == Type::U64 || type == Type::S64;
  }
}

Handler decodeAtomic(Decoder &d) {
  d.classify(Class::Atomic);
  Atomic atomic;
  atomic.returns = d.opcode() == "atom";
  if (!atomic.returns && d.flag("async"))
    return nullptr; // of the asynchronous unit
  atomic.request.order = takeOrder(d, Order::Relaxed);
  atomic.request.space = takeSpaceModifier(d);
  if (atomic.request.space != Space::Generic && atomic.request.space != Space::Global &&
      atomic.request.space != Space::Shared && atomic.request.space != Space::SharedCluster)
    return d.fail("atomics work on global and shared memory");
  const int op = d.oneOf({"add", "exch", "cas", "and", "or", "xor", "min", "max", "inc", "dec"});
  if (op < 0)
    return nullptr;
  atomic.op = Op(op);
  const bool noFlush = d.flag("noftz");
  const bool hint = d.flag("L2::cache_hint");
  const int vector = d.oneOf({"v2", "v4", "v8"});
  atomic.count = vector < 0 ? 1 : 2 << vector;
  atomic.type = d.type();
  if (!isAllowed(atomic.op, atomic.type, atomic.count, noFlush))
    return d.fail("this operation does not exist for the type");
  if (atomic.count > 1 && atomic.request.space != Space::Generic &&
      atomic.request.space != Space::Global)
    return d.fail("vectors are for global memory");
  const ptx::Operand *to = atomic.returns ? d.takeOperand() : nullptr;
  if (atomic.returns && !to)
    return nullptr;
  atomic.address = d.address(atomic.request.space);
  if (atomic.address.kernelParameter || atomic.address.localParameter)
    return d.fail("atomics work on global and shared memory");
  const auto each = [&](const ptx::Operand &operand, auto use) {
    if (operand.kind != ptx::Operand::Kind::Vector) {
      use(operand);
      return atomic.count == 1;
    }
    for (const ptx::Operand &element : operand.elements)
      use(element);
    return int(operand.elements.size()) == atomic.count;
  };
  bool fits = true;
  if (to)
    fits &= each(*to, [&](const ptx::Operand &operand) { d.write(operand, atomic.type); });
  const ptx::Operand *value = d.takeOperand();
  if (!value)
    return nullptr;
  fits &= each(*value, [&](const ptx::Operand &operand) { d.read(operand, atomic.type); });
  if (!fits)
    return d.fail(fmt::format("{} values are needed", atomic.count));
  if (atomic.op == Op::CompareSwap)
    d.read(atomic.type);
  if (hint)
    d.read(Type::B64);
  atomic.request.kind = Access::Kind::Atomic;
  atomic.request.bytes = atomic.request.alignment = uint32_t(bytesOf(atomic.type) * atomic.count);
  d.instruction().extra = d.make(atomic);
  switch (bitsOf(atomic.type)) {
  case 16:
    return runAtomic<uint16_t>;
  case 32:
    return runAtomic<uint32_t>;
  case 64:
    return runAtomic<uint64_t>;
  case 128:
    return atomic.returns ? runAtomic128 : d.fail("red has no .b128");
  default:
    return nullptr;
  }
}

constexpr InstructionRow rows[] = {{"atom", decodeAtomic}, {"red", decodeAtomic}};

} // namespace

Family atomicFamily() { return rows; }

} // namespace ingot::emulator
