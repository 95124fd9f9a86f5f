/// One access held against what a line remembers: what it collides with.
#pragma once
#include "runtime/emulator/checks/ThreadClocks.h"

namespace ingot::emulator {

/// What an instruction means to the checks.
enum class Role : uint8_t {
  None,
  Swaps,       ///< compare-and-swap, whose first guess may be a plain load
  Initialises, ///< mbarrier.init
  OfMbarrier,  ///< its atomic accesses are the mbarrier's own
  ThreadCopy,  ///< cp.async of a thread
  AsyncProxy,  ///< a bulk copy or a product
};

/// Source bytes of bulk stores of one instruction: its lanes may all store the same.
struct IssuedStore {
  const Instruction *instruction = nullptr;
  const Warp *warp = nullptr;
  uint64_t executed = 0; ///< of the warp
  uint64_t address = 0, bytes = 0;
  const std::byte *data = nullptr;
};

class RaceCheck {
public:
  RaceCheck(const ThreadClocks &clocks, Warp &warp, const Access &access, Role role)
      : warp(warp), access(access), role(role), common(clocks, warp), clocks(clocks) {
    const bool strong = access.order.strong() || access.kind == Access::Kind::AsyncReduce;
    Entry made = clocks.entryOf(warp);
    made.flags =
        uint8_t((reads() ? 0 : Entry::writes) | (strong ? Entry::strong : 0) |
                (access.asyncProxy ? Entry::async : 0) | (role == Role::Swaps ? Entry::swaps : 0) |
                uint8_t(strong ? access.order.scope : Scope::Block) << Entry::scopeShift);
    like = made;
  }

  Warp &warp;
  const Access &access;
  const Role role;
  const ThreadClocks::Common common;
  Entry like; ///< time, place and kind of the access's entries

  struct Collision {
    Entry other;
    uint32_t byte = 0; ///< of the line
    int lane = 0;      ///< that collides
    bool sameValue = false;
    uint64_t value = 0;
  };

  bool reads() const {
    return access.kind == Access::Kind::Read || access.kind == Access::Kind::AsyncRead;
  }
  /// Writes what a weak store's lanes have for the bytes of `piece` to `memory`, where the host has
  /// the line; false if that is not known. Host threads that meet the entry find its value there.
  bool perform(const Entry &piece, uint64_t address, std::byte *memory) const;
  /// `issued`: stores of the same instruction, which have not happened.
  void compareWith(const std::vector<IssuedStore> &stores) { issued = &stores; }

  /// `address` is that of the line's first byte, `memory` where the host has it. A store of the
  /// value that is there already counts only if nothing else is found.
  std::optional<Collision> find(const Line &line, Entry piece, uint64_t address,
                                const std::byte *memory) const;
  /// Lanes of one store that write to one place: of a run of lanes together.
  std::optional<Collision> withinRun(const Run &run) const;
  /// A write to the bytes that the async proxy does not see, or the tensor map's.
  std::optional<Collision> unfenced(const Line &line, const Entry &piece, Known kind) const;

  /// With an operation that the lane comes after, but not after the waiting for it: this is what
  /// the checks of asynchronous work find where nobody has waited yet.
  bool isUnawaited(const Collision &collision) const {
    return !collision.sameValue && clocks.knowsIssueOf(warp, collision.lane, collision.other);
  }
  /// "which thread (1, 0, 0) writes with nothing to order the two"
  std::string describe(const Collision &collision, bool withBlock) const;

private:
  bool isRace(const Entry &other, const Entry &piece, int &lane) const;
  /// The first and the last lane of a piece.
  static std::pair<int, int> lanesOf(const Entry &piece);
  /// The piece's bytes that `lane` touches, as far as `other` does; false if there are none.
  static bool partOf(const Entry &piece, const Entry &other, int lane, Entry &part);
  bool storesWhatIsThere(const Entry &other, const Entry &piece, uint64_t address,
                         const std::byte *memory) const;
  /// The register's bytes of one element that a lane is about to store.
  const std::byte *elementOf(int lane, uint64_t element) const;
  /// The byte that a lane is about to store at an address.
  std::optional<uint8_t> storedBy(int lane, uint64_t address) const;
  uint64_t valueAt(int lane, uint64_t address) const;

  const ThreadClocks &clocks;
  const std::vector<IssuedStore> *issued = nullptr;
};

} // namespace ingot::emulator
