#include "runtime/program/DerivedPorts.h"
#include <algorithm>

namespace ingot {

bool keepsDerived(const Function &function) {
  return std::ranges::any_of(function.ports,
                             [](const Port &port) { return port.role == Role::Derived; });
}

StoreAccess StoreAccess::of(const Program &program, const Function &function) {
  return {writesPersistent(program, function), ingot::keepsDerived(function)};
}

StoreHold::StoreHold(Store &store, const Function &function, StoreAccess access)
    : alone(store.lock(), std::defer_lock), beside(store.lock(), std::defer_lock) {
  if (!access.writes) {
    beside.lock();
    if (!access.keepsDerived || !store.isStale())
      return;
    beside.unlock();
  }
  alone.lock();
  derives = access.keepsDerived && function.name != deriveFunction && store.isStale();
  store.setStale(!access.keepsDerived);
}

} // namespace ingot
