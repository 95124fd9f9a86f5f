/// How inputs reach the device while the run before still computes: through pinned memory into a
/// second buffer, from which the run's graph copies them to their places.
#pragma once
#include "runtime/cuda/StepGraph.h"
#include <map>

namespace ingot::cuda {

class InputStaging {
public:
  /// A run's inputs on their way, and the graphs that begin with their copies.
  struct Slot {
    PinnedMemory host;
    DeviceMemory device;
    int64_t bytes = 0;
    Event arrived;                 ///< on the device
    Event used;                    ///< by the run that they were for
    std::vector<InputCopy> copies; ///< of the run at hand
    /// Graphs of a sequence, by the ports that are copied first.
    std::map<std::pair<const CallSequence *, std::vector<const Port *>>, GraphExecutable> graphs;
  };

  static Result<InputStaging> make(const std::shared_ptr<Gpu> &gpu);
  /// Copies the values on their way, in a slot that no run needs any more. Runs of the compute
  /// stream from now on find them in `Slot::copies`.
  Result<Slot *> stage(std::span<const std::pair<const Port *, const Tensor *>> inputs);
  /// The slot may be used again after all that was given to the compute stream.
  Status release(Slot &slot);

private:
  Status grow(Slot &slot, int64_t bytes);
  std::shared_ptr<Gpu> gpu;
  Slot slots[2];
  size_t next = 0;
};

} // namespace ingot::cuda
