/// Instructions in which the lanes of a warp work together: shfl, vote, match, redux, elect,
/// activemask, bar.warp.
#include "runtime/emulator/arithmetic/Numbers.h"
#include "runtime/emulator/machine/InstructionSet.h"
#include "runtime/emulator/machine/Lanes.h"
#include <algorithm>

namespace ingot::emulator {
namespace {

/// Waits until the lanes that the member masks name have come. Returns the lanes that go on.
uint32_t gather(Warp &warp, const Instruction &in, uint32_t mask, const uint32_t *members) {
  const uint32_t first = members[std::countr_zero(mask)];
  bool uniform = true, selfNamed = true;
  uint32_t named = 0;
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    uniform &= members[lane] == first;
    selfNamed &= members[lane] >> lane & 1;
    named |= members[lane];
  }
  if (!selfNamed)
    warp.report(in, mask, "member-mask",
                fmt::format("a lane executes it with a member mask that "
                            "does not name itself ({:08x})",
                            first));
  uint32_t ready = mask;
  if (uniform) {
    if (!warp.converge(in, first))
      return 0;
  } else {
    ready = warp.converge(in, mask, members);
  }
  if (const uint32_t left = named & warp.active & ~mask; ready && left)
    warp.report(
        in, left, "member-mask",
        fmt::format("lanes {:08x} are named by the member mask, but their guard is false", left));
  return ready;
}

enum class Shuffle : uint8_t { Up, Down, Butterfly, Index };

/// slots: d, a, b, c, members, [p]
template <Shuffle mode> void runShuffle(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto *a = warp.reg<uint32_t>(in.slots[1]), *b = warp.reg<uint32_t>(in.slots[2]),
             *c = warp.reg<uint32_t>(in.slots[3]);
  const uint32_t ready = gather(warp, in, mask, warp.reg<uint32_t>(in.slots[4]));
  if (!ready)
    return;
  uint32_t values[lanes], inRange = 0, silent = 0;
  for (int lane = 0; lane < lanes; ++lane) {
    const int amount = b[lane] & 31, clamp = c[lane] & 31, segments = c[lane] >> 8 & 31;
    const int last = (lane & segments) | (clamp & ~segments);
    const int first = lane & segments;
    int from = mode == Shuffle::Up          ? lane - amount
               : mode == Shuffle::Down      ? lane + amount
               : mode == Shuffle::Butterfly ? lane ^ amount
                                            : first | (amount & ~segments & 31);
    const bool valid = mode == Shuffle::Up ? from >= last : from <= last;
    from = valid ? from & 31 : lane;
    values[lane] = a[from];
    inRange |= uint32_t(valid) << lane;
    silent |= uint32_t(!(ready >> from & 1)) << lane;
  }
  if (silent & ready)
    warp.report(in, silent & ready, "shuffle-inactive",
                fmt::format("lanes {:08x} read from lanes that do not take part", silent & ready));
  storeLanes(warp.reg<uint32_t>(in.slots[0]), values, ready);
  if (in.mode)
    storePredicate(warp.predicate(in.slots[5]), inRange, ready);
}

Handler decodeShuffle(Decoder &d) {
  d.classify(Class::Warp);
  if (!d.flag("sync"))
    return d.fail("only the .sync form exists on sm_70 and newer");
  const int mode = d.oneOf({"up", "down", "bfly", "idx"});
  const Type type = d.type();
  if (mode < 0 || type != Type::B32)
    return nullptr;
  const ptx::Operand *to = d.takeOperand();
  if (!to)
    return nullptr;
  const bool pair = to->kind == ptx::Operand::Kind::Pair;
  d.write(pair ? to->elements[0] : *to, Type::B32);
  for (int i = 0; i < 4; ++i)
    d.read(Type::B32);
  if (pair)
    d.write(to->elements[1], Type::Pred);
  d.instruction().mode = pair;
  constexpr Handler handlers[] = {runShuffle<Shuffle::Up>, runShuffle<Shuffle::Down>,
                                  runShuffle<Shuffle::Butterfly>, runShuffle<Shuffle::Index>};
  return handlers[mode];
}

enum class Vote : uint8_t { All, Any, Uniform, Ballot };

/// slots: d, a, members
void runVote(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto *members = warp.reg<uint32_t>(in.slots[2]);
  const uint32_t ready = gather(warp, in, mask, members);
  if (!ready)
    return;
  const uint32_t votes = (warp.predicate(in.slots[1]) ^ (in.negated ? allLanes : 0)) & ready;
  uint32_t result = 0;
  for (uint32_t left = ready; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    const uint32_t group = members[lane] & ready;
    const uint32_t yes = votes & group;
    switch (Vote(in.mode)) {
    case Vote::Ballot:
      warp.reg<uint32_t>(in.slots[0])[lane] = yes;
      break;
    case Vote::All:
      result |= uint32_t(yes == group) << lane;
      break;
    case Vote::Any:
      result |= uint32_t(yes != 0) << lane;
      break;
    case Vote::Uniform:
      result |= uint32_t(yes == group || yes == 0) << lane;
      break;
    }
  }
  if (Vote(in.mode) != Vote::Ballot)
    storePredicate(warp.predicate(in.slots[0]), result, ready);
}

Handler decodeVote(Decoder &d) {
  d.classify(Class::Warp);
  if (!d.flag("sync"))
    return d.fail("only the .sync form exists on sm_70 and newer");
  const int mode = d.oneOf({"all", "any", "uni", "ballot"});
  const bool ballot = mode == int(Vote::Ballot);
  if (mode < 0 || d.type() != (ballot ? Type::B32 : Type::Pred))
    return nullptr;
  d.instruction().mode = uint8_t(mode);
  d.write(ballot ? Type::B32 : Type::Pred);
  d.readPredicate();
  d.read(Type::B32);
  return runVote;
}

/// slots: d, a, members, [p]
template <typename T, bool all> void runMatch(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto *members = warp.reg<uint32_t>(in.slots[2]);
  const uint32_t ready = gather(warp, in, mask, members);
  const T *values = warp.reg<T>(in.slots[1]);
  uint32_t everyone = 0, results[lanes] = {};
  for (uint32_t left = ready; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    const uint32_t group = members[lane] & ready;
    uint32_t same = 0;
    for (uint32_t rest = group; rest; rest &= rest - 1) {
      const int other = std::countr_zero(rest);
      same |= uint32_t(values[other] == values[lane]) << other;
    }
    results[lane] = !all || same == group ? same : 0;
    everyone |= uint32_t(same == group) << lane;
  }
  storeLanes(warp.reg<uint32_t>(in.slots[0]), results, ready);
  if (in.mode)
    storePredicate(warp.predicate(in.slots[3]), everyone, ready);
}

Handler decodeMatch(Decoder &d) {
  d.classify(Class::Warp);
  const int mode = d.oneOf({"any", "all"});
  if (mode < 0 || !d.flag("sync"))
    return nullptr;
  const Type type = d.type();
  if (type != Type::B32 && type != Type::B64)
    return nullptr;
  const ptx::Operand *to = d.takeOperand();
  if (!to)
    return nullptr;
  const bool pair = mode == 1 && to->kind == ptx::Operand::Kind::Pair;
  d.write(pair ? to->elements[0] : *to, Type::B32);
  d.read(type);
  d.read(Type::B32);
  if (pair)
    d.write(to->elements[1], Type::Pred);
  d.instruction().mode = pair;
  if (type == Type::B32)
    return mode ? runMatch<uint32_t, true> : runMatch<uint32_t, false>;
  return mode ? runMatch<uint64_t, true> : runMatch<uint64_t, false>;
}

/// slots: d, a, members
template <typename T, auto combine>
void runReduce(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto *members = warp.reg<uint32_t>(in.slots[2]);
  const uint32_t ready = gather(warp, in, mask, members);
  const T *values = warp.reg<T>(in.slots[1]);
  T results[lanes] = {};
  for (uint32_t left = ready; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    uint32_t group = members[lane] & ready;
    T result = values[std::countr_zero(group)];
    for (group &= group - 1; group; group &= group - 1)
      result = combine(result, values[std::countr_zero(group)]);
    results[lane] = result;
  }
  storeLanes(warp.reg<T>(in.slots[0]), results, ready);
}

/// The extremum of f32. `mode`: bit 0 the largest, bit 1 of magnitudes, bit 2 NaN wins.
void runReduceFloat(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto *members = warp.reg<uint32_t>(in.slots[2]);
  const uint32_t ready = gather(warp, in, mask, members);
  const auto *values = warp.reg<uint32_t>(in.slots[1]);
  const uint32_t kept = in.mode & 2 ? 0x7fffffff : ~uint32_t(0);
  const MinMaxMode mode{.propagateNan = (in.mode & 4) != 0};
  const auto combine = [&](uint64_t a, uint64_t b) {
    return in.mode & 1 ? maximum(FloatType::F32, a, b, mode) : minimum(FloatType::F32, a, b, mode);
  };
  uint32_t results[lanes] = {};
  for (uint32_t left = ready; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    uint32_t group = members[lane] & ready;
    uint64_t result = values[std::countr_zero(group)] & kept;
    result = combine(result, result); // a NaN alone is canonical, too
    for (group &= group - 1; group; group &= group - 1)
      result = combine(result, values[std::countr_zero(group)] & kept);
    results[lane] = uint32_t(result);
  }
  storeLanes(warp.reg<uint32_t>(in.slots[0]), results, ready);
}

/// redux.sync.{min, max}{.abs}{.NaN}.f32: of sm_100a
Handler decodeReduceFloat(Decoder &d) {
  const int op = d.oneOf({"min", "max"});
  const bool magnitudes = d.flag("abs"), nan = d.flag("NaN");
  if (op < 0 || d.type() != Type::F32)
    return d.fail("redux of f32 is .min or .max");
  d.instruction().mode = uint8_t(op | magnitudes << 1 | nan << 2);
  d.write(Type::F32);
  d.read(Type::F32);
  d.read(Type::B32);
  return runReduceFloat;
}

Handler decodeReduce(Decoder &d) {
  d.classify(Class::Warp);
  if (!d.flag("sync"))
    return nullptr;
  if (d.text().modifiers.back() == "f32")
    return decodeReduceFloat(d);
  const int op = d.oneOf({"add", "min", "max", "and", "or", "xor"});
  const Type type = d.type();
  const bool bits = type == Type::B32;
  if (op < 0 || (!bits && type != Type::U32 && type != Type::S32) || bits != (op >= 3))
    return nullptr;
  d.write(type);
  d.read(type);
  d.read(Type::B32);
  using U = uint32_t;
  using S = int32_t;
  const bool isSigned = type == Type::S32;
  switch (op) {
  case 0:
    return runReduce<U, [](U a, U b) { return a + b; }>;
  case 1:
    return isSigned ? runReduce<S, [](S a, S b) { return std::min(a, b); }>
                    : runReduce<U, [](U a, U b) { return std::min(a, b); }>;
  case 2:
    return isSigned ? runReduce<S, [](S a, S b) { return std::max(a, b); }>
                    : runReduce<U, [](U a, U b) { return std::max(a, b); }>;
  case 3:
    return runReduce<U, [](U a, U b) { return a & b; }>;
  case 4:
    return runReduce<U, [](U a, U b) { return a | b; }>;
  default:
    return runReduce<U, [](U a, U b) { return a ^ b; }>;
  }
}

/// slots: d, p, members. The leader is the lowest lane that takes part.
void runElect(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto *members = warp.reg<uint32_t>(in.slots[2]);
  const uint32_t ready = gather(warp, in, mask, members);
  uint32_t leaders = 0, results[lanes] = {};
  for (uint32_t left = ready; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    const int leader = std::countr_zero(members[lane] & ready);
    results[lane] = uint32_t(leader);
    leaders |= uint32_t(lane == leader) << lane;
  }
  storeLanes(warp.reg<uint32_t>(in.slots[0]), results, ready);
  storePredicate(warp.predicate(in.slots[1]), leaders, ready);
}

Handler decodeElect(Decoder &d) {
  d.classify(Class::Warp);
  if (!d.flag("sync"))
    return nullptr;
  const ptx::Operand *to = d.takeOperand();
  if (!to || to->kind != ptx::Operand::Kind::Pair)
    return d.fail("two destinations d|p are needed");
  d.write(to->elements[0], Type::B32);
  d.write(to->elements[1], Type::Pred);
  d.read(Type::B32);
  return runElect;
}

void runActivemask(Warp &warp, const Instruction &in, uint32_t mask) {
  uint32_t values[lanes];
  std::fill(std::begin(values), std::end(values), mask);
  storeLanes(warp.reg<uint32_t>(in.slots[0]), values, mask);
}

Handler decodeActivemask(Decoder &d) {
  d.classify(Class::Warp);
  if (d.type() != Type::B32)
    return nullptr;
  d.write(Type::B32);
  return runActivemask;
}

/// slots: members. The one .sync instruction that orders memory.
void runWarpBarrier(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto *members = warp.reg<uint32_t>(in.slots[0]);
  const uint32_t ready = gather(warp, in, mask, members);
  if (!warp.observer)
    return;
  for (uint32_t left = ready; left;) { // those with one mask at a time
    const uint32_t named = members[std::countr_zero(left)];
    uint32_t same = 0;
    for (uint32_t rest = left; rest; rest &= rest - 1)
      same |= uint32_t(members[std::countr_zero(rest)] == named) << std::countr_zero(rest);
    warp.observer->warpSync(warp, same);
    left &= ~same;
  }
}

Handler decodeWarpBarrier(Decoder &d) {
  d.classify(Class::Warp);
  if (!d.flag("warp") || !d.flag("sync"))
    return nullptr;
  d.read(Type::B32);
  return runWarpBarrier;
}

constexpr InstructionRow rows[] = {
    {"shfl", decodeShuffle},    {"vote", decodeVote},   {"match", decodeMatch},
    {"redux", decodeReduce},    {"elect", decodeElect}, {"activemask", decodeActivemask},
    {"bar", decodeWarpBarrier},
};

} // namespace

Family warpFamily() { return rows; }

} // namespace ingot::emulator
