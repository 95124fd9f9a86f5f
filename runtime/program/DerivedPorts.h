/// Ports of role `derived` agree with the parameters whenever a function reads them: a session has
/// `derive` compute them first, where parameters were written by anyone who does not keep them so.
#pragma once
#include "runtime/program/Store.h"

namespace ingot {

/// How many derived ports a function has. It also writes those of the parameters that it writes:
/// `keep-rounded` gives them to @step alone.
int64_t derivedPorts(const Function &function);

/// What a function does with a store.
struct StoreAccess {
  bool writes = false;
  int64_t derived = 0; ///< ports

  static StoreAccess of(const Program &program, const Function &function);
};

/// The store's lock while a function runs: alone, if something is written.
class StoreHold {
public:
  StoreHold(Store &store, const Function &function, StoreAccess access);
  /// Calls `run`, which runs `derive`, if that must come before the function.
  template <typename Run> Status derive(Run &&run) {
    if (!derives)
      return {};
    Status status = run();
    if (!status)
      store.setStale(true);
    return status;
  }

private:
  Store &store;
  std::unique_lock<std::shared_mutex> alone;
  std::shared_lock<std::shared_mutex> beside;
  bool derives = false;
};

} // namespace ingot
