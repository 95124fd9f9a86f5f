#include "runtime/program/DerivedPorts.h"
#include <algorithm>

namespace ingot {

int64_t derivedPorts(const Function &function) {
  return std::ranges::count_if(function.ports,
                               [](const Port &port) { return port.role == Role::Derived; });
}

StoreAccess StoreAccess::of(const Program &program, const Function &function) {
  return {writesPersistent(program, function), derivedPorts(function)};
}

StoreHold::StoreHold(Store &store, const Function &function, StoreAccess access)
    : store(store), alone(store.lock(), std::defer_lock), beside(store.lock(), std::defer_lock) {
  if (!access.writes) {
    beside.lock();
    if (!access.derived || !store.isStale())
      return;
    beside.unlock();
  }
  alone.lock();
  derives = access.derived && function.name != deriveFunction && store.isStale();
  // What another program derives does not agree yet.
  store.setStale(access.derived != store.derivedTensors());
}

} // namespace ingot
