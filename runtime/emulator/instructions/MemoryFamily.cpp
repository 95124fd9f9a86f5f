/// ld, ldu, st, prefetch, discard, fence and the like.
#include "runtime/emulator/machine/Compile.h"
#include "runtime/emulator/machine/InstructionSet.h"
#include "runtime/emulator/machine/Lanes.h"
#include "runtime/emulator/machine/MemoryAccess.h"
#include <algorithm>
#include <atomic>

namespace ingot::emulator {
namespace {

/// Everything about a load or store but its registers.
struct Transfer {
  AccessRequest request;
  Address address;
};

/// Memory type T into registers R, which may be wider: signed types extend by their sign.
template <typename T, typename R> struct Load {
  using Wide = std::conditional_t<std::is_signed_v<T>, std::make_signed_t<R>, R>;

  static INGOT_INLINE void all(Warp &warp, const Instruction &in, uint32_t mask) {
    const auto &transfer = *static_cast<const Transfer *>(in.extra);
    const LaneAddresses addresses =
        laneAddresses(warp, in.slots[0], transfer.address.wide, transfer.address.offset, mask);
    Resolved place;
    resolve(warp, in, mask, transfer.request, addresses, place);
    if (!place.together || mask != allLanes)
      return some(warp, in, mask, place, addresses);
    for (int i = 0; i < in.count; ++i) {
      R *out = warp.reg<R>(in.slots[1 + i]);
      const std::byte *base = place.base + i * sizeof(T);
      if (place.runs && place.runs->size() <= mostRuns) {
        for (const Run &run : *place.runs)
          runOf(run, base + (run.address - place.origin), in.count * sizeof(T), out);
        continue;
      }
      for (int lane = 0; lane < lanes; ++lane)
        out[lane] = R(Wide(loadRelaxed<T>(base + (addresses.value[lane] - place.origin))));
    }
  }
  /// Of more it is faster to go from lane to lane.
  static constexpr int mostRuns = 4;
  static INGOT_INLINE void runOf(const Run &run, const std::byte *from, size_t stride, R *out) {
    out += run.firstLane;
    if (run.together) {
      const R value = R(Wide(loadRelaxed<T>(from)));
      for (int lane = 0; lane < run.lanes; ++lane)
        out[lane] = value;
    } else if (sizeof(T) == sizeof(R) && stride == sizeof(T)) {
      copyRelaxed(reinterpret_cast<std::byte *>(out), from, run.bytes);
    } else {
      for (int lane = 0; lane < run.lanes; ++lane)
        out[lane] = R(Wide(loadRelaxed<T>(from + lane * stride)));
    }
  }
  static void some(Warp &warp, const Instruction &in, uint32_t mask, const Resolved &place,
                   const LaneAddresses &addresses) {
    for (uint32_t left = mask; left; left &= left - 1) {
      const int lane = std::countr_zero(left);
      const std::byte *from = place.ok >> lane & 1 ? place.at(addresses, lane) : nullptr;
      for (int i = 0; i < in.count; ++i)
        warp.reg<R>(in.slots[1 + i])[lane] =
            from ? R(Wide(loadRelaxed<T>(from + i * sizeof(T)))) : R(0);
    }
  }
  static void base(Warp &warp, const Instruction &in, uint32_t mask) { all(warp, in, mask); }
  INGOT_TARGET_V3 static void v3(Warp &warp, const Instruction &in, uint32_t mask) {
    all(warp, in, mask);
  }
  INGOT_TARGET_V4 static void v4(Warp &warp, const Instruction &in, uint32_t mask) {
    all(warp, in, mask);
  }
  static Handler choose() {
    const int level = hostVectorLevel();
    return level == 2 ? v4 : level == 1 ? v3 : base;
  }

  /// A parameter of the kernel: the same for all lanes.
  static void parameter(Warp &warp, const Instruction &in, uint32_t mask) {
    const std::byte *from = warp.launch->request.parameters.data() + in.immediate;
    for (int i = 0; i < in.count; ++i) {
      const R value = R(Wide(loadRelaxed<T>(from + i * sizeof(T))));
      R *out = warp.reg<R>(in.slots[i]);
      for (int lane = 0; lane < lanes; ++lane)
        out[lane] = mask >> lane & 1 ? value : out[lane];
    }
  }
};

/// slots: base, values.
template <typename T, typename R> void runStore(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto &transfer = *static_cast<const Transfer *>(in.extra);
  const LaneAddresses addresses =
      laneAddresses(warp, in.slots[0], transfer.address.wide, transfer.address.offset, mask);
  Resolved place;
  resolve(warp, in, mask, transfer.request, addresses, place);
  if (place.together && mask == allLanes) {
    for (int i = 0; i < in.count; ++i) {
      const R *from = warp.reg<R>(in.slots[1 + i]);
      std::byte *base = place.base + i * sizeof(T);
      for (int lane = 0; lane < lanes; ++lane)
        storeRelaxed(base + (addresses.value[lane] - place.origin), T(from[lane]));
    }
    return;
  }
  for (uint32_t left = place.ok; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    std::byte *to = place.at(addresses, lane);
    for (int i = 0; i < in.count; ++i)
      storeRelaxed(to + i * sizeof(T), T(warp.reg<R>(in.slots[1 + i])[lane]));
  }
}

// 128-bit elements: two rows of 64 bits.
void runLoad128(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto &transfer = *static_cast<const Transfer *>(in.extra);
  const LaneAddresses addresses =
      laneAddresses(warp, in.slots[0], transfer.address.wide, transfer.address.offset, mask);
  Resolved place;
  resolve(warp, in, mask, transfer.request, addresses, place);
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    for (int i = 0; i < in.count; ++i) {
      uint64_t value[2] = {};
      if (place.ok >> lane & 1)
        copyRelaxed(reinterpret_cast<std::byte *>(value), place.at(addresses, lane) + 16 * i, 16);
      warp.reg<uint64_t>(in.slots[1 + i])[lane] = value[0];
      warp.reg<uint64_t>(in.slots[1 + i])[lanes + lane] = value[1];
    }
  }
}
void runStore128(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto &transfer = *static_cast<const Transfer *>(in.extra);
  const LaneAddresses addresses =
      laneAddresses(warp, in.slots[0], transfer.address.wide, transfer.address.offset, mask);
  Resolved place;
  resolve(warp, in, mask, transfer.request, addresses, place);
  for (uint32_t left = place.ok; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    for (int i = 0; i < in.count; ++i) {
      const auto *from = warp.reg<uint64_t>(in.slots[1 + i]);
      const uint64_t value[2] = {from[lane], from[lanes + lane]};
      copyRelaxed(place.at(addresses, lane) + 16 * i, reinterpret_cast<const std::byte *>(value),
                  16);
    }
  }
}

template <typename Use> Handler forMemoryType(Type type, int registerBits, Use use) {
  const auto withRegister = [&]<typename T>() -> Handler {
    switch (std::max(registerBits, 16)) {
    case 16:
      if constexpr (sizeof(T) <= 2)
        return use.template operator()<T, uint16_t>();
      return nullptr;
    case 32:
      if constexpr (sizeof(T) <= 4)
        return use.template operator()<T, uint32_t>();
      return nullptr;
    case 64:
      return use.template operator()<T, uint64_t>();
    default:
      return nullptr;
    }
  };
  const bool extends = isSigned(type);
  switch (bitsOf(type)) {
  case 8:
    return extends ? withRegister.template operator()<int8_t>()
                   : withRegister.template operator()<uint8_t>();
  case 16:
    return extends ? withRegister.template operator()<int16_t>()
                   : withRegister.template operator()<uint16_t>();
  case 32:
    return extends ? withRegister.template operator()<int32_t>()
                   : withRegister.template operator()<uint32_t>();
  case 64:
    return withRegister.template operator()<uint64_t>();
  default:
    return nullptr;
  }
}

bool isMemoryType(Type type) {
  return (isInteger(type) || type == Type::F32 || type == Type::F64 || type == Type::F16 ||
          type == Type::BF16 || type == Type::F16x2 || type == Type::BF16x2);
}

int takeVector(Decoder &d) {
  const int vector = d.oneOf({"v2", "v4", "v8"});
  return vector < 0 ? 1 : 2 << vector;
}

Handler decodeLoad(Decoder &d) {
  d.classify(Class::Memory);
  Transfer transfer;
  transfer.request.order = takeOrder(d);
  transfer.request.space = takeSpaceModifier(d);
  const bool hint = takeCacheModifiers(d);
  transfer.request.nonCoherent = d.flag("nc");
  d.flag("unified");
  const int count = takeVector(d);
  const Type type = d.type();
  if (!isMemoryType(type))
    return nullptr;
  Instruction &in = d.instruction();
  const ptx::Operand *to = d.takeOperand(), *from = d.takeOperand();
  if (!to || !from)
    return nullptr;
  transfer.address = d.address(*from, transfer.request.space);
  transfer.request.localParameter = transfer.address.localParameter;
  int registerBits = bitsOf(type);
  const bool isVector = to->kind == ptx::Operand::Kind::Vector;
  if (isVector ? int(to->elements.size()) != count : count != 1)
    return d.fail(fmt::format("{} destinations are needed", count));
  if (isVector) {
    for (const ptx::Operand &element : to->elements) {
      int bits = 0;
      d.writeWide(element, type, bits);
      if (element.kind == ptx::Operand::Kind::Register)
        registerBits = bits;
    }
  } else {
    d.writeWide(*to, type, registerBits);
  }
  if (hint)
    d.read(Type::B64);
  in.count = uint8_t(count);
  transfer.request.bytes = transfer.request.alignment = uint32_t(count * bytesOf(type));
  if (transfer.address.kernelParameter) {
    in.immediate = transfer.address.offset;
    if (in.immediate < 0 ||
        in.immediate + transfer.request.bytes > d.kernel().kernel->parameterBytes)
      return d.fail("the load lies outside the kernel's parameters");
    return forMemoryType(type, registerBits,
                         []<typename T, typename R>() -> Handler { return Load<T, R>::parameter; });
  }
  transfer.request.kind = Access::Kind::Read;
  in.extra = d.make(transfer);
  if (type == Type::B128)
    return runLoad128;
  return forMemoryType(type, registerBits,
                       []<typename T, typename R>() { return Load<T, R>::choose(); });
}

Handler decodeStore(Decoder &d) {
  d.classify(Class::Memory);
  Transfer transfer;
  transfer.request.order = takeOrder(d);
  transfer.request.space = takeSpaceModifier(d);
  const bool hint = takeCacheModifiers(d);
  const int count = takeVector(d);
  const Type type = d.type();
  if (!isMemoryType(type))
    return nullptr;
  if (transfer.request.space == Space::Const)
    return d.fail("constant memory cannot be written");
  Instruction &in = d.instruction();
  transfer.address = d.address(transfer.request.space);
  if (transfer.address.kernelParameter)
    return d.fail("parameters of a kernel cannot be written");
  transfer.request.localParameter =
      transfer.address.localParameter || transfer.request.space == Space::Param;
  const ptx::Operand *from = d.takeOperand();
  if (!from)
    return nullptr;
  const bool isVector = from->kind == ptx::Operand::Kind::Vector;
  if (isVector ? int(from->elements.size()) != count : count != 1)
    return d.fail(fmt::format("{} values are needed", count));
  int registerBits = 0;
  if (isVector) {
    for (const ptx::Operand &element : from->elements) {
      int bits = 0;
      d.readWide(element, type, bits);
      registerBits = std::max(registerBits, std::max(bits, 16));
    }
    // Constants have the type's size; registers of another one cannot stand beside them.
    for (const ptx::Operand &element : from->elements) {
      const int bits = element.kind == ptx::Operand::Kind::Register
                           ? bitsOf(d.inFunction().registers[element.index].type)
                           : bitsOf(type);
      if (std::max(bits, 16) != registerBits)
        return d.fail("the values have different sizes");
    }
  } else {
    d.readWide(*from, type, registerBits);
  }
  if (hint)
    d.read(Type::B64);
  in.count = uint8_t(count);
  transfer.request.bytes = transfer.request.alignment = uint32_t(count * bytesOf(type));
  transfer.request.kind = Access::Kind::Write;
  transfer.request.values.count = uint32_t(count);
  transfer.request.values.elementBytes = uint32_t(bytesOf(type));
  transfer.request.values.registerBytes = uint32_t(std::max(registerBits, 16) / 8);
  in.extra = d.make(transfer);
  if (type == Type::B128)
    return runStore128;
  return forMemoryType(type, registerBits,
                       []<typename T, typename R>() -> Handler { return runStore<T, R>; });
}

void runNothing(Warp &warp, const Instruction &in, uint32_t mask) {}
/// `mode`: the order, `count`: the scope.
void runFence(Warp &warp, const Instruction &in, uint32_t mask) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (warp.observer)
    warp.observer->fence(warp, mask, {Order(in.mode), Scope(in.count)});
}

Handler decodePrefetch(Decoder &d) {
  d.classify(Class::Memory);
  const Space space = takeSpaceModifier(d);
  const bool tensormap = d.flag("tensormap");
  if (!tensormap && d.oneOf({"L1", "L2", "L2::evict_last", "L2::evict_normal"}) < 0)
    return nullptr;
  d.address(space);
  return runNothing;
}

/// applypriority and discard: [a], size
Handler decodePriority(Decoder &d) {
  d.classify(Class::Memory);
  const Space space = takeSpaceModifier(d);
  if (d.oneOf({"L2", "L2::evict_normal"}) < 0)
    return nullptr;
  d.address(space);
  if (d.integer() != 128)
    return d.fail("the size is 128");
  return runNothing;
}

/// Cache policies mean nothing here; the register becomes 0.
Handler decodeCreatepolicy(Decoder &d) {
  d.classify(Class::Memory);
  const int form = d.oneOf({"fractional", "range", "cvt"});
  if (form < 0)
    return nullptr;
  d.flag("global");
  while (d.oneOf({"L2", "L2::evict_last", "L2::evict_normal", "L2::evict_first",
                  "L2::evict_unchanged"}) >= 0) {
  }
  if (d.type() != Type::B64)
    return nullptr;
  d.write(Type::B64);
  d.addSlot(d.constant(0, 64));
  while (d.operandsLeft())
    d.takeOperand();
  return lanesOf<[](uint64_t zero) -> uint64_t { return zero; }>();
}

/// Warps run in program order on one view of memory; only other host threads need telling.
Handler decodeFence(Decoder &d) {
  d.classify(Class::Barrier);
  const bool isMembar = d.opcode() == "membar";
  if (isMembar) {
    const int scope = d.oneOf({"cta", "gl", "sys"});
    d.instruction().mode = uint8_t(Order::AcquireRelease);
    d.instruction().count = uint8_t(scope == 0 ? Scope::Block : Scope::Device);
    return scope < 0 ? nullptr : runFence;
  }
  if (d.flag("proxy") || d.flag("mbarrier_init"))
    return nullptr; // of the asynchronous unit
  const int order = d.oneOf({"sc", "acq_rel", "acquire", "release"});
  d.oneOf({"sync_restrict::shared::cta", "sync_restrict::shared::cluster"});
  const auto &modifiers = d.text().modifiers;
  if (std::none_of(modifiers.begin(), modifiers.end(), [](std::string_view m) {
        return m == "cta" || m == "cluster" || m == "gpu" || m == "sys";
      }))
    return nullptr;
  d.instruction().mode = uint8_t(order == 2   ? Order::Acquire
                                 : order == 3 ? Order::Release
                                              : Order::AcquireRelease);
  d.instruction().count = uint8_t(takeScope(d));
  return runFence;
}

constexpr InstructionRow rows[] = {
    {"ld", decodeLoad},
    {"ldu", decodeLoad},
    {"st", decodeStore},
    {"prefetch", decodePrefetch},
    {"prefetchu", decodePrefetch},
    {"applypriority", decodePriority},
    {"discard", decodePriority},
    {"createpolicy", decodeCreatepolicy},
    {"fence", decodeFence},
    {"membar", decodeFence},
};

} // namespace

Family memoryFamily() { return rows; }

} // namespace ingot::emulator
