/// Memory that the CPU device maps for itself: arenas and machine code.
#pragma once
#include "runtime/Result.h"
#include <cstdint>
#include <span>
#include <thread>

namespace ingot {

/// Anonymous pages, zero-filled, at least 64-byte aligned, given back at the end. Large ones ask
/// for huge pages.
class Pages {
public:
  Pages() = default;
  /// `what` names the use in the error.
  static Result<Pages> allocate(int64_t bytes, std::string_view what);
  Pages(Pages &&other) noexcept;
  Pages &operator=(Pages &&other) noexcept;
  ~Pages();

  /// Has the system find memory for the pages, last ones first, on a thread of its own while they
  /// are used already from the first one on. Their contents stay what they are. Does nothing for
  /// few pages and where there is no second CPU.
  void populateInBackground();

  uint8_t *data() const { return start; }
  int64_t size() const { return bytes; }

private:
  uint8_t *start = nullptr;
  int64_t bytes = 0;
  std::jthread populating; ///< stops before the pages go
};

/// A code image mapped for execution. Its pages are writable or executable, never both.
Result<Pages> mapCode(std::span<const uint8_t> code);

} // namespace ingot
