/// Huge or small pages for a large arena: whichever the system finds sooner.
#pragma once
#include <cstdint>

namespace ingot {

constexpr int64_t hugePage = int64_t(2) << 20;

/// Chooses page sizes stretch by stretch from what earlier stretches took.
///
/// Huge pages are the better ones to compute with, and where free memory lies ready also the faster
/// ones to get: a tenth of the time. But a virtual machine may have handed free memory back to its
/// host, in large blocks, and a huge page then costs milliseconds, while small ones come out of
/// what is left over in smaller blocks. None of this can be asked for, so it is measured on the
/// way.
class PageSizeChoice {
public:
  /// The next pages to find memory for: `count` times the bytes of a huge page.
  struct Stretch {
    bool huge = true;
    int64_t count = 1;
  };
  Stretch next() const;

  /// What finding them took, in seconds of the thread's own time.
  void took(const Stretch &stretch, double seconds);

private:
  double huge = -1, small = -1; ///< the latest seconds for the bytes of a huge page; below 0: none
  bool lastWasHuge = false;
};

} // namespace ingot
