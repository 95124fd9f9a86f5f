/// Parameters and state by name, apart from any program's arena: programs that train and evaluate,
/// or one program a shape, share one store.
#pragma once
#include "runtime/program/PersistentLayout.h"
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>

namespace ingot {

/// A device's memory, as a store needs it.
class StoreMemory {
public:
  virtual ~StoreMemory() = default;
  /// Whose memory it is, such as `cpu` or `cuda:1`: programs run there alone.
  virtual std::string_view device() const = 0;
  /// Zeroed memory at a multiple of 64 that stays until this object goes.
  virtual Result<uint8_t *> allocate(int64_t bytes) = 0;
  virtual Status copyIn(uint8_t *to, const void *from, size_t bytes) = 0;
  virtual Status copyOut(void *to, const uint8_t *from, size_t bytes) = 0;
};

/// The first program that is admitted decides where each tensor lies and which ones lie side by
/// side; later ones are checked against that and may add tensors of their own. Addresses never
/// move. All members may be called from several threads.
class Store {
public:
  explicit Store(std::unique_ptr<StoreMemory> memory) : memory(std::move(memory)) {}

  /// Finds or makes room for every parameter and state of a program: an address for each group,
  /// null for those without tensors. BadInput, and nothing changed, if a name is known with another
  /// type or shape, or if the program wants tensors side by side that the store has apart.
  Result<std::vector<uint8_t *>> admit(std::span<const PersistentGroup> groups);

  int64_t bytes() const; ///< allocated
  /// Refuses a device whose programs cannot reach the store's memory.
  Status checkDevice(std::string_view device) const;
  std::vector<std::string> names() const;
  /// Copies a tensor out of or into the store; waits for runs that write, or for all runs.
  Result<Tensor> read(const std::string &name) const;
  Status write(const std::string &name, const Tensor &value);

  /// Held by whoever runs a program: exclusively, if it writes parameters or state.
  std::shared_mutex &lock() const { return runs; }
  /// Whether parameters were written since what derives from them (DerivedPorts.h) was computed.
  /// For whoever holds the lock; what changes it holds it exclusively.
  bool isStale() const { return stale; }
  void setStale(bool now) { stale = now; }
  /// How many tensors derive from parameters, of all programs.
  int64_t derivedTensors() const;

private:
  /// Tensors that lie side by side, padding included.
  struct Block {
    uint8_t *start = nullptr;
    int64_t bytes = 0;
  };
  struct Entry {
    ElementType type;
    Shape shape;
    Layout layout;
    size_t block;
    int64_t offset; ///< in the block
  };
  static size_t memoryBytes(const Entry &entry);
  /// Where a group starts, if its tensors are known; nothing if all are new.
  Result<std::optional<uint8_t *>> findGroup(const PersistentGroup &group) const;
  Result<const Entry *> find(const std::string &name) const;

  std::unique_ptr<StoreMemory> memory;
  mutable std::shared_mutex runs;
  bool stale = true;
  mutable std::mutex tables; ///< guards what follows
  std::vector<Block> blocks;
  std::map<std::string, Entry, std::less<>> entries;
  int64_t allocated = 0, derived = 0;
};

} // namespace ingot
