/// setmaxnreg: a warp gives registers to its block's pool or takes some, when there are enough.
///
/// Registers cost nothing here, but the block has only as many as it was launched with: a warp that
/// asks for more than the others have given back waits, and if nobody gives any, that is a
/// deadlock.
#include "runtime/emulator/machine/AsyncMemory.h"
#include "runtime/emulator/machine/Budget.h"
#include "runtime/emulator/machine/InstructionSet.h"

namespace ingot::emulator {
namespace {

/// mode: 1 for .inc; immediate: registers of a thread.
void runRegisters(Warp &warp, const Instruction &in, uint32_t mask) {
  if (!wholeWarp(warp, in, mask))
    return;
  const ptx::Function &kernel = *warp.launch->request.kernel->source;
  const int atEntry = registersAtEntry(kernel), wanted = int(in.immediate);
  if (!atEntry)
    return warp.report(in, mask, "register-budget",
                       "it has no effect: the kernel states neither .maxnreg nor .maxntid or "
                       ".reqntid, so the assembler ignores it");
  const int own = warp.registersPerThread ? warp.registersPerThread : atEntry;
  // Without .maxnreg the assembler decides how many registers the kernel starts with.
  const bool known = warp.registersPerThread || kernel.maximumRegisters;
  if (known && !warp.resumed && (in.mode ? wanted < own : wanted > own))
    warp.report(in, mask, "register-budget",
                fmt::format("setmaxnreg.{} to {} registers by a warp that has {}",
                            in.mode ? "inc" : "dec", wanted, own));
  Block &block = *warp.block;
  const int64_t needed = int64_t(wanted - own) * lanes;
  if (needed > block.freeRegisters)
    return warp.wait(in, mask, Fragment::Wait::Registers);
  block.freeRegisters -= needed;
  warp.registersPerThread = wanted;
  if (needed < 0)
    for (const auto &other : block.warps)
      other->resumeWaiting(Fragment::Wait::Registers, 0);
}

Handler decodeRegisters(Decoder &d) {
  const int way = d.oneOf({"dec", "inc"});
  if (way < 0 || !d.flag("sync") || !d.flag("aligned") || !d.flag("u32"))
    return d.fail("setmaxnreg is .inc or .dec, .sync.aligned.u32");
  const int64_t count = d.integer();
  if (count < 24 || count > 256 || count % 8)
    return d.fail(fmt::format("{} registers: 24 to 256 in steps of 8 are possible", count));
  d.classify(Class::Control);
  d.instruction().mode = uint8_t(way);
  d.instruction().immediate = count;
  return runRegisters;
}

constexpr InstructionRow rows[] = {{"setmaxnreg", decodeRegisters}};

} // namespace

Family registerFamily() { return rows; }

} // namespace ingot::emulator
