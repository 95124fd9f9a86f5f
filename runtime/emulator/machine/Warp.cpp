#include "runtime/emulator/machine/Control.h"
#include "runtime/emulator/machine/Machine.h"
#include "runtime/emulator/machine/SpecialRegisters.h"
#include <algorithm>
#include <bit>

namespace ingot::emulator {
namespace {

/// Backward branches that lanes may do while other lanes of their warp wait for their turn: far
/// more than a loop usually has, since what runs apart meets again later. A lane that spins on what
/// another lane of its warp must do gets nowhere before.
constexpr uint32_t backwardLimit = 10'000;
/// The same in loops that only poll memory: there it is time to let others do something.
constexpr uint32_t pollLimit = 32;

bool waits(const Fragment &fragment) { return fragment.wait != Fragment::Wait::None; }

} // namespace

void Warp::begin(Block &owner, int number) {
  block = &owner;
  launch = owner.launch;
  index = number;
  const uint64_t threads = launch->request.block.count();
  const uint64_t first = uint64_t(number) * lanes;
  const uint64_t count = std::min<uint64_t>(lanes, threads - first);
  present = count == lanes ? allLanes : (uint32_t(1) << count) - 1;
  exited = 0;
  registersPerThread = 0;
  observer = owner.cluster->observer.get();
  fragments.clear();
  freeFrames.clear();
  for (const auto &known : frames)
    freeFrames.push_back(known.get());
  std::fill(std::begin(recent), std::end(recent), nullptr);
  std::fill(std::begin(clusterPhase), std::end(clusterPhase), 0);
  const CompiledFunction &kernel = *launch->request.kernel->functions[0];
  if (localStride < kernel.localBytes) {
    localStride = (kernel.localBytes + 15) / 16 * 16;
    local.assign(size_t(localStride) * lanes, std::byte(0xcd));
  } else {
    std::fill(local.begin(), local.end(), std::byte(0xcd));
  }
  frame = makeFrame(kernel);
  frame->lanesInside = present;
  active = present;
  pc = 0;
  executed = plainAccesses = orderedAccesses = 0;
  event = yield = resumed = false;
  backward = 0;
  limit = std::numeric_limits<uint32_t>::max();
  registers = frame->registers;
}

Frame *Warp::makeFrame(const CompiledFunction &function) {
  Frame *made = nullptr;
  for (size_t i = 0; i < freeFrames.size(); ++i)
    if (freeFrames[i]->function == &function) {
      made = freeFrames[i];
      freeFrames.erase(freeFrames.begin() + i);
      break;
    }
  if (!made) {
    frames.push_back(std::make_unique<Frame>());
    made = frames.back().get();
    made->storage = std::make_unique<std::byte[]>(function.image.size() + registerAlignment);
    const auto address = reinterpret_cast<uintptr_t>(made->storage.get());
    made->registers =
        made->storage.get() + (registerAlignment - address % registerAlignment) % registerAlignment;
    made->function = &function;
  }
  std::ranges::copy(function.image, made->registers);
  made->caller = nullptr;
  made->depth = 0;
  made->localBase = 0;
  for (const FrameValue &value : function.values)
    fillFrameValue(*this, *made, value);
  if (observer)
    observer->enter(*this, *made);
  return made;
}

uint64_t Warp::run(uint64_t budget) {
  const uint64_t before = executed;
  yield = false;
  if (!active && !select())
    return 0;
  if (observer)
    execute<true>(budget);
  else
    execute<false>(budget);
  return executed - before;
}

bool Warp::runnable() const {
  if (active)
    return true;
  return std::any_of(fragments.begin(), fragments.end(),
                     [](const Fragment &fragment) { return !waits(fragment); });
}

template <bool observed> void Warp::execute(uint64_t budget) {
  const Instruction *code = frame->function->code.data();
  uint64_t *executions = counters + frame->function->firstCounter;
  for (; budget; --budget) {
    const Instruction &instruction = code[pc];
    uint32_t mask = active;
    if (instruction.guard != noSlot) {
      const uint32_t guard = predicate(instruction.guard);
      mask &= instruction.guardNegated ? ~guard : guard;
    }
    ++executions[pc];
    ++executed;
    ++pc;
    if constexpr (observed)
      if (observer->watching)
        observer->instruction(*this, instruction, mask);
    if (mask)
      instruction.run(*this, instruction, mask);
    resumed = false;
    if (event || pc >= limit) [[unlikely]] {
      if (!select() || yield)
        return;
      code = frame->function->code.data();
      executions = counters + frame->function->firstCounter;
    }
  }
}

void Warp::push(Fragment fragment) {
  for (Fragment &other : fragments)
    if (other.pc == fragment.pc && other.frame == fragment.frame &&
        other.resumed == fragment.resumed && other.wait <= Fragment::Wait::Converge &&
        fragment.wait <= Fragment::Wait::Converge && !(other.mask & fragment.mask)) {
      other.mask |= fragment.mask;
      other.wait = Fragment::Wait::None; // whoever waits for lanes looks again
      other.deferred = false;
      return;
    }
  fragments.push_back(fragment);
}

/// Chooses what runs: calls first, then the lowest address, so that lanes that went different ways
/// meet where the ways join. False if all lanes wait or have ended.
bool Warp::select() {
  event = false;
  if (active) {
    const bool tooLong = backward > backwardLimit;
    push({pc, active, frame, Fragment::Wait::None, resumed, tooLong && !fragments.empty(), 0,
          resumeResult});
    if (tooLong) {
      backward = 0;
      yield = true;
    }
    active = 0;
  }
  // Only deferred ones left: everyone has had a turn.
  if (std::none_of(fragments.begin(), fragments.end(),
                   [](const Fragment &f) { return !waits(f) && !f.deferred; }))
    for (Fragment &fragment : fragments)
      fragment.deferred = false;
  Fragment *best = nullptr;
  for (Fragment &fragment : fragments) {
    if (waits(fragment) || fragment.deferred)
      continue;
    if (!best || fragment.frame->depth > best->frame->depth ||
        (fragment.frame->depth == best->frame->depth && fragment.pc < best->pc))
      best = &fragment;
  }
  if (!best)
    return false;
  pc = best->pc;
  active = best->mask;
  frame = best->frame;
  registers = frame->registers;
  resumed = best->resumed;
  resumeResult = best->result;
  fragments.erase(fragments.begin() + (best - fragments.data()));
  limit = std::numeric_limits<uint32_t>::max();
  for (const Fragment &other : fragments)
    if (other.frame == frame && other.pc > pc && other.wait <= Fragment::Wait::Converge)
      limit = std::min(limit, other.pc);
  return true;
}

void Warp::branch(uint32_t taken, uint32_t target) {
  const uint32_t stay = active & ~taken;
  if (target < pc) {
    // Marked by the compiler (see Compile.cpp).
    const bool polls = frame->function->code[pc - 1].mode == pollingBranch;
    if ((polls || !fragments.empty()) && ++backward > (polls ? pollLimit : backwardLimit)) {
      backward = backwardLimit + 1;
      event = true;
    }
  }
  if (!stay) {
    pc = target;
    return;
  }
  push({target, taken, frame});
  active = stay;
  event = true;
}

void Warp::exit(uint32_t mask) {
  exited |= mask;
  active &= ~mask;
  event = true;
  for (Frame *inside = frame; inside; inside = inside->caller)
    inside->lanesInside &= ~mask;
  // Those who wait for these lanes look again.
  for (Fragment &fragment : fragments)
    if (fragment.wait == Fragment::Wait::Converge)
      fragment.wait = Fragment::Wait::None;
  block->threadsExited(uint32_t(std::popcount(mask)));
}

void Warp::call(const CompiledFunction &function, uint32_t mask) {
  Frame *caller = frame;
  if (const uint32_t stay = active & ~mask)
    push({pc, stay, frame});
  Frame *made = makeFrame(function);
  made->caller = caller;
  made->returnPc = pc;
  made->lanesInside = mask;
  made->depth = caller->depth + 1;
  made->localBase = (caller->localBase + caller->function->localBytes + 15) / 16 * 16;
  const int64_t needed = made->localBase + function.localBytes;
  if (needed > launch->options.localLimit) {
    const Instruction &at = caller->function->code[made->returnPc - 1];
    report(at, mask, "stack-overflow",
           fmt::format("the call needs {} bytes of local memory for a thread, {} are allowed",
                       needed, launch->options.localLimit));
    freeFrames.push_back(made);
    launch->stopped = true;
    yield = event = true;
    return;
  }
  if (needed > localStride) {
    const int64_t stride = std::max((needed + 15) / 16 * 16, localStride * 2);
    std::vector<std::byte> grown(size_t(stride) * lanes, std::byte(0xcd));
    for (int lane = 0; lane < lanes && localStride; ++lane)
      std::memcpy(grown.data() + lane * stride, local.data() + lane * localStride, localStride);
    local = std::move(grown);
    localStride = stride;
  }
  for (const FrameValue &value : function.values)
    if (value.kind == FrameValue::Kind::LocalAddress)
      fillFrameValue(*this, *made, value);
  active = mask;
  frame = made;
  registers = made->registers;
  pc = 0;
  event = true;
}

void Warp::ret(uint32_t mask) {
  if (!frame->caller)
    return exit(mask);
  if (const uint32_t stay = active & ~mask)
    push({pc, stay, frame});
  Frame *callee = frame;
  callee->lanesInside &= ~mask;
  active = mask;
  pc = callee->returnPc;
  frame = callee->caller;
  registers = frame->registers;
  if (!callee->lanesInside)
    freeFrames.push_back(callee);
  event = true;
}

bool Warp::converge(const Instruction &instruction, uint32_t members) {
  if (!(members & live() & ~active)) [[likely]]
    return true;
  wait(instruction, active, Fragment::Wait::Converge);
  return false;
}

uint32_t Warp::converge(const Instruction &instruction, uint32_t mask, const uint32_t *members) {
  uint32_t ready = 0;
  for (int lane = 0; lane < lanes; ++lane)
    if (mask >> lane & 1 && !(members[lane] & live() & ~active))
      ready |= uint32_t(1) << lane;
  if (ready == mask)
    return mask;
  if (!ready) {
    wait(instruction, active, Fragment::Wait::Converge);
    return 0;
  }
  // Some groups are complete: they go on alone. The lanes that the guard leaves out do too.
  Fragment rest{instruction.index, mask & ~ready, frame, Fragment::Wait::Converge};
  active &= ~rest.mask;
  fragments.push_back(rest);
  event = true;
  return ready;
}

void Warp::wait(const Instruction &instruction, uint32_t mask, Fragment::Wait kind, int id) {
  if (const uint32_t others = active & ~mask)
    push({pc, others, frame});
  Fragment fragment{instruction.index, mask, frame, kind};
  fragment.id = id;
  active = 0;
  event = true;
  if (kind == Fragment::Wait::Converge) {
    // Joins those that wait for the same already, and then both look again.
    for (Fragment &other : fragments)
      if (other.pc == fragment.pc && other.frame == frame && other.wait == kind) {
        other.mask |= fragment.mask;
        other.wait = Fragment::Wait::None;
        return;
      }
  }
  fragments.push_back(fragment);
}

void Warp::resumeWaiting(Fragment::Wait kind, int id, uint32_t result) {
  for (Fragment &fragment : fragments)
    if (fragment.wait == kind && fragment.id == id) {
      fragment.wait = Fragment::Wait::None;
      fragment.resumed = true;
      fragment.result = result;
    }
}

Dim3 Warp::threadOf(int lane) const {
  const Dim3 &size = launch->request.block;
  const uint32_t thread = uint32_t(index) * lanes + lane;
  return {thread % size.x, thread / size.x % size.y, thread / size.x / size.y};
}

std::string describeLocation(const ptx::Module &module, const ptx::Function &function,
                             int location) {
  std::string text;
  for (; location >= 0; location = function.locations[location].caller) {
    const ptx::Location &place = function.locations[location];
    if (place.line == 0)
      continue;
    const auto file = module.files.find(place.file);
    text += fmt::format("{}{}:{}", text.empty() ? "" : " inlined at ",
                        file == module.files.end() ? "?" : file->second, place.line);
  }
  return text;
}

void Warp::report(const Instruction &instruction, uint32_t mask, CheckName check,
                  std::string message, uint64_t address, bool note) {
  Finding finding;
  finding.note = note && !launch->options.strict;
  finding.check = check.view();
  finding.message = std::move(message);
  const CompiledFunction &function = *frame->function;
  finding.kernel = launch->request.kernel->source->name;
  if (const ptx::Instruction *source = function.details[instruction.index].source) {
    finding.line = source->line;
    finding.text = source->text;
    finding.location =
        describeLocation(*function.kernel->module, *function.source, source->location);
  }
  const Dim3 thread = threadOf(mask ? std::countr_zero(mask) : 0);
  finding.block = {block->index.x, block->index.y, block->index.z};
  finding.thread = {thread.x, thread.y, thread.z};
  finding.address = address;
  launch->report(std::move(finding));
}

std::string Warp::describe() const {
  std::vector<Fragment> all = fragments;
  if (active)
    all.push_back({pc, active, frame});
  std::string text;
  for (const Fragment &fragment : all) {
    const CompiledFunction &function = *fragment.frame->function;
    const ptx::Instruction *source = function.details[fragment.pc].source;
    constexpr std::string_view reasons[] = {
        "runs",  "waits for other lanes of the warp", "waits at barrier", "waits for the cluster",
        "waits", "waits for registers of the block"};
    text +=
        fmt::format("{}lanes {:08x} {}{} at line {}: {}", text.empty() ? "" : "; ", fragment.mask,
                    reasons[int(fragment.wait)],
                    fragment.wait == Fragment::Wait::Barrier ? fmt::format(" {}", fragment.id) : "",
                    source ? source->line : 0, source ? source->text : "end");
  }
  if (exited)
    text += fmt::format("{}lanes {:08x} have ended", text.empty() ? "" : "; ", exited);
  return text;
}

} // namespace ingot::emulator
