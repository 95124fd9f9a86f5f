/// Reads of registers that no path has written.
///
/// Most reads are proved by data flow when a kernel is first checked; only the rest is watched
/// while the kernel runs, lane by lane.
#pragma once
#include "runtime/emulator/machine/Machine.h"

namespace ingot::emulator {

/// What has to be watched in one function.
struct RegisterFacts {
  /// `reads` that may be uninitialised, `writes` of registers that some such read names.
  struct Watched {
    std::vector<Detail::Use> reads, writes;
    /// Moves pass on that a register is uninitialised: only what computes with it is reported.
    bool moves = false;
    bool packs = false; ///< a move whose result is initialised if one of `reads` is
    bool empty() const { return reads.empty() && writes.empty(); }
  };
  std::vector<Watched> instructions; ///< empty: everything is proved
  uint32_t shadowWords = 0;          ///< one for every 4 bytes of the frame

  static RegisterFacts of(const CompiledFunction &function);
};

/// Follows one instruction of a watched function; `shadow` has the initialised lanes of every
/// register at slot / 4. Returns the first read register of which a lane in `mask` is
/// uninitialised, and removes initialised lanes from `mask`.
const Detail::Use *followRegisters(const RegisterFacts::Watched &watched, uint32_t *shadow,
                                   uint32_t &mask);

} // namespace ingot::emulator
