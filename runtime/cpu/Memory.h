/// Memory that the CPU device maps for itself: arenas and machine code.
#pragma once
#include "runtime/support/Result.h"
#include <cstdint>
#include <span>

namespace ingot {

class ThreadPool;

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

  /// Has the system find memory for all pages at once, on all of the pool's threads: cheaper than
  /// page by page as they are touched, and of the page size that is there sooner. Their contents
  /// stay what they are. Does nothing for few pages.
  void populate(ThreadPool &pool);

  uint8_t *data() const { return start; }
  int64_t size() const { return bytes; }

private:
  uint8_t *start = nullptr;
  int64_t bytes = 0;
};

/// A code image mapped for execution. Its pages are writable or executable, never both.
Result<Pages> mapCode(std::span<const uint8_t> code);

} // namespace ingot
