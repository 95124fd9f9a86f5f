/// Where the bytes of a program's addresses are in a device's memory.
#pragma once
#include "runtime/program/Store.h"

namespace ingot {

/// Parameters and state are where the store has them; constants, and whatever else of the
/// persistent part something reaches, in memory of the session's own; the rest in its arena.
class AddressSpace {
public:
  AddressSpace() = default;
  /// Admits the program to the store.
  static Result<AddressSpace> make(const Program &program, Store &store);

  /// What the session must allocate for itself, to be told by `place`.
  int64_t constantBytes() const { return ownBytes; }
  int64_t arenaBytes() const { return transientBytes; }
  void place(uint8_t *constants, uint8_t *arena);

  /// Memory of an address; null for a byte of the persistent part that nothing reaches. What
  /// reaches over it stays within its stretch.
  uint8_t *at(int64_t offset) const;

private:
  struct Stretch {
    int64_t first, end;
    uint8_t *memory; ///< null until it is placed: the session's own
  };
  std::vector<Stretch> stretches; ///< of the persistent part, in order
  uint8_t *arena = nullptr;
  int64_t persistentBytes = 0, transientBytes = 0, ownBytes = 0;
};

} // namespace ingot
